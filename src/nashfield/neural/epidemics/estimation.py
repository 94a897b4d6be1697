"""From counts to the path of an epidemic: the filter, the network, the smoother."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.neural.epidemics.drift import Drift
from nashfield.neural.epidemics.kalman import Sweep, smooth, sweep
from nashfield.neural.epidemics.learning import teach
from nashfield.neural.epidemics.model import EpidemicModel
from nashfield.neural.epidemics.settings import EpidemicSettings
from nashfield.typing import Array


class Series(eqx.Module):
    """Counts as arrays that a compiled program takes.

    Attributes:
        active: (D,) NaN where not counted.
        new: (D,) cases of the day, NaN where not counted.
        weekdays: (D,) 0 to 6, Thursday first.
        inputs: (D, E) exogenous.
        population: persons.
    """

    active: Float[Array, "D"]
    new: Float[Array, "D"]
    weekdays: Int[Array, "D"]
    inputs: Float[Array, "D E"]
    population: Float[Array, ""]

    def until(self, last: Int[Array, ""]) -> "Series":
        """What is known on the day `last`: later counts are gone, and inputs are held."""
        days = jnp.arange(self.active.shape[0])
        known = days <= last
        return Series(
            active=jnp.where(known, self.active, jnp.nan),
            new=jnp.where(known, self.new, jnp.nan),
            weekdays=jnp.asarray(self.weekdays),
            inputs=jnp.asarray(self.inputs)[jnp.minimum(days, last)],
            population=jnp.asarray(self.population),
        )


class Estimate(eqx.Module):
    """The most likely path of an epidemic.

    Attributes:
        drift: of transmission.
        means: (D, X) states given all counts; NaN where no pass of the smoother was finite.
        covariances: (D, X, X) of `means`.
        log_likelihood: of the logarithms of the counts, one day after the other, in the model
            made linear around the smoothed path.
        num_parameters: effective number of them: by how much, in all, the fitted logarithms of
            counts follow the counts.
        loss: of the network, per day; NaN without one.
        diverged_at: the step at which training diverged, or, counted on from there, the pass of
            the smoother; -1 if neither. What is kept is the last that was finite.
    """

    drift: Drift
    means: Float[Array, "D X"]
    covariances: Float[Array, "D X X"]
    log_likelihood: Float[Array, ""]
    num_parameters: Float[Array, ""]
    loss: Float[Array, ""]
    diverged_at: Int[Array, ""]


def estimate(
    settings: EpidemicSettings,
    series: Series,
    last: Int[Array, ""],
    neural: bool,
    *,
    key: PRNGKeyArray,
) -> Estimate:
    """Fits an epidemic to what was known on the day `last`.

    Args:
        settings: what is fixed.
        series: counts.
        last: the last day that is known.
        neural: whether the drift has a network.
        key: draws its first weights.
    """
    known = series.until(last)
    model = EpidemicModel(settings, settings.drift)
    dtype = jnp.result_type(float)
    nowhere, yes = jnp.zeros((len(known.active), model.size), dtype), jnp.asarray(True)
    loss, broke = jnp.asarray(jnp.nan, dtype), jnp.asarray(-1)
    if neural:
        counted = jnp.isfinite(known.active) | jnp.isfinite(known.new)
        states = _pass(model, known, last, nowhere, yes).means
        drift, loss, broke = teach(model, states, known.inputs, counted, last, key=key)
        model = EpidemicModel(settings, drift)

    def improve(carry: tuple[Any, ...], count: Array) -> tuple[tuple[Any, ...], None]:
        means, covariances, likelihood, broke = carry
        passed = _pass(model, known, last, means, count == 0)
        there, spreads = smooth(passed)
        # Gauss-Newton may swing: later steps go half the way.
        whole = count <= settings.num_iterations // 2
        there = jnp.where(whole, there, (means + there) / 2)
        fine = jnp.all(jnp.isfinite(there)) & jnp.all(jnp.isfinite(spreads))
        # Of counts alone: that effects of weekdays have the sum zero was not seen.
        now = there, spreads, jnp.sum(passed.log_likelihoods[:, :2])
        fine = fine & jnp.isfinite(now[2])
        kept = jax.tree.map(
            lambda new, old: jnp.where(fine, new, old), now, (means, covariances, likelihood)
        )
        here = settings.num_training * neural + count
        return (*kept, jnp.where((broke < 0) & ~fine, here, broke)), None

    none = jnp.asarray(jnp.nan, dtype)
    carry = nowhere + none, jnp.full((*nowhere.shape, model.size), none), none, broke
    passes = jnp.arange(settings.num_iterations + 1)
    means, covariances, likelihood, broke = jax.lax.scan(improve, carry, passes)[0]
    return Estimate(
        drift=model.drift,
        means=means,
        covariances=covariances,
        log_likelihood=likelihood,
        num_parameters=_num_parameters(model, known, means, covariances),
        loss=loss,
        diverged_at=broke,
    )


def _pass(model: EpidemicModel, series: Series, last: Array, around: Array, own: Array) -> Sweep:
    def step(vector: Array, day: Array) -> Array:
        # After the last known day time stands still: nobody looks there, and nothing overflows.
        return jnp.where(day < last, model.step(vector, series.inputs[day]), vector)

    seen, errors = model.seen(series.active, series.new, series.population)
    known = jnp.arange(len(seen)) <= last
    return sweep(
        step,
        lambda vector, day: model.look(vector, series.weekdays[day]),
        model.variances(),
        jnp.where(known[:, None], seen, jnp.nan),
        errors,
        *model.first(series.active, series.new, series.population),
        around,
        own,
    )


def _num_parameters(
    model: EpidemicModel, series: Series, means: Array, covariances: Array
) -> Float[Array, ""]:
    """Trace of the derivative of fitted counts in the counts, both logarithms."""
    seen, errors = model.seen(series.active, series.new, series.population)
    looks = jax.vmap(jax.jacfwd(model.look))(means, series.weekdays)
    shares = jnp.einsum("dmx,dxy,dmy->dm", looks, covariances, looks) / errors
    return jnp.sum(jnp.where(jnp.isfinite(seen), shares, 0)[:, :2])


def not_finite(what: str, settings: EpidemicSettings, series: Series, where: str = "") -> str:
    """Says that a fit led to no finite number, and what to change.

    Args:
        what: what was fitted.
        settings: of the fit.
        series: counts.
        where: the step at which it broke, or the numbers that are not finite.
    """
    most = max(np.nanmax(series.active, initial=0), np.nanmax(series.new, initial=0))
    return (
        f"{what}: the fit is not finite{where}, with gamma = {float(settings.gamma):.3g} per day, "
        f"{settings.num_stages} stages, a population of {float(series.population):.6g} and up to "
        f"{most:.6g} cases; give a gamma near one over the days that an illness lasts, the "
        "population that the counts are of, or other settings"
    )


def series_of(counts: Any, inputs: Any = None) -> Series:
    """Counts as a Series.

    Args:
        counts: `Counts`.
        inputs: `DailyInputs`, an array (D, E), or None.

    Raises:
        ValueError: inputs of another number of days, or not finite.
    """
    num_days = len(counts)
    values = np.zeros((num_days, 0)) if inputs is None else getattr(inputs, "values", inputs)
    values = np.asarray(values, float)
    if values.ndim != 2 or len(values) != num_days or not np.isfinite(values).all():
        raise ValueError(
            f"inputs must be finite and have the shape ({num_days}, num_inputs), one row a day of "
            f"the counts, not {values.shape}"
        )
    new = np.full(num_days, np.nan) if counts.new is None else counts.new
    return Series(
        active=np.asarray(counts.active, float),
        new=np.asarray(new, float),
        weekdays=counts.dates.astype("datetime64[D]").astype(int) % 7,
        inputs=values,
        population=np.asarray(counts.population, float),
    )
