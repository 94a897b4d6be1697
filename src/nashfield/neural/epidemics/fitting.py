"""An epidemic learnt from counts: how it moved, how it may go on, how people behaved."""

import dataclasses
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.checks import check_number, check_size
from nashfield.neural.epidemics.behaviour import judge_contact
from nashfield.neural.epidemics.counts import check_cases
from nashfield.neural.epidemics.drift import Drift
from nashfield.neural.epidemics.estimation import Estimate, Series, estimate, not_finite, series_of
from nashfield.neural.epidemics.forecast import Forecast, draw
from nashfield.neural.epidemics.model import EpidemicModel
from nashfield.neural.epidemics.settings import EpidemicSettings, rung
from nashfield.typing import Array, Scalar, ScalarLike, scalar


class EpidemicFit(eqx.Module):
    """An epidemic that goes through counts; D days.

    Attributes:
        times: (D,) days since the first.
        active_fitted: (D,) reported active cases, persons.
        new_fitted: (D,) reported new cases, persons.
        shares: (D, K + 2) of the susceptible, the K stages of the infected, and the removed.
        transmission: (D,) b = beta a, per day.
        gamma: (D,) rate of removal, per day.
        reproduction_number: (D,) R_t = b S / gamma.
        reproduction_number_low: (D,) 5% quantile.
        reproduction_number_high: (D,) 95% quantile.
        contact_level: (D,) b over its highest value.
        best_contact_level: (D,) of a best response to the learnt epidemic, frozen.
        exploitability: what one agent gains by it, at the costs c_I and c_a.
        avoidance_cost: what one agent pays for avoidance, the same agent on average; what is left
            of the exploitability is not explained by it alone.
        num_parameters: effective number of parameters.
        log_likelihood: of the logarithms of the counts, in the model made linear around the
            smoothed path.
        loss: of the network in training, per day; NaN without one.
        estimate: states and the drift.
        settings: what was fixed.
        c_I: cost of a day of illness.
        c_a: cost of avoidance.
        population: persons.
        last_inputs: (E,) exogenous, of the last day.
        first_day: such as "2020-10-01".
        kind: of the drift.
    """

    times: Float[Array, "D"]
    active_fitted: Float[Array, "D"]
    new_fitted: Float[Array, "D"]
    shares: Float[Array, "D S"]
    transmission: Float[Array, "D"]
    gamma: Float[Array, "D"]
    reproduction_number: Float[Array, "D"]
    reproduction_number_low: Float[Array, "D"]
    reproduction_number_high: Float[Array, "D"]
    contact_level: Float[Array, "D"]
    best_contact_level: Float[Array, "D"]
    exploitability: Float[Array, ""]
    avoidance_cost: Float[Array, ""]
    num_parameters: Float[Array, ""]
    log_likelihood: Float[Array, ""]
    loss: Float[Array, ""]
    estimate: Estimate
    settings: EpidemicSettings
    c_I: Scalar = eqx.field(converter=scalar)
    c_a: Scalar = eqx.field(converter=scalar)
    population: Scalar = eqx.field(converter=scalar)
    last_inputs: Float[Array, "E"]
    first_day: str
    kind: str

    @property
    def drift(self) -> Drift:
        """Of transmission, as it was learnt."""
        return self.estimate.drift

    @property
    def diverged_at(self) -> int | None:
        """The step at which the fit diverged, None if it did not; what is kept is from before."""
        step = int(self.estimate.diverged_at)
        return None if step < 0 else step

    @property
    def dates(self) -> np.ndarray:
        """(D,) datetime64[D]."""
        return np.datetime64(self.first_day, "D") + np.arange(self.times.shape[0])

    @property
    def assumptions(self) -> list[str]:
        """What the numbers rest on."""
        settings = self.settings
        rate = float(settings.gamma)
        length = (
            f"recovery is given: {rate:.3g} per day, an illness of {1 / rate:.3g} days in "
            f"{settings.num_stages} stages; active cases alone tell only the product of the rate "
            "of infection and the contact level"
        )
        if float(settings.gamma_noise) > 0 or float(settings.gamma_prior) > 0:
            length += "; the rate may move a little where the counts show it"
        return [
            "counts are reported cases, not infections; the share that is found may change",
            length,
            "contact level: transmission over its highest value in these days, so that 1 means "
            "the freest day, not no precaution at all: a new variant, or better case finding, is "
            "booked as contact",
            f"costs, for exploitability and best response: c_I = {float(self.c_I):.3g} for a day "
            f"of illness, c_a = {float(self.c_a):.3g} (a day without contact costs half of it); "
            "they are given, not learnt",
        ]

    def forecast(
        self,
        num_days: int,
        *,
        key: PRNGKeyArray,
        num_samples: int = 1000,
        inputs: Any = None,
    ) -> Forecast:
        """Reported active cases of the days after the last.

        Args:
            num_days: H.
            key: draws.
            num_samples: N.
            inputs: (H, E) exogenous, of the last day and those ahead but the very last, if they are
                known; held at their last value if None.

        Raises:
            ParameterError: a number is out of range.
            ValueError: inputs of another shape.
        """
        check_size("num_days", num_days)
        check_size("num_samples", num_samples)
        shape = (num_days, self.last_inputs.shape[0])
        if inputs is None:
            inputs = np.broadcast_to(np.asarray(self.last_inputs), shape)
        if np.shape(inputs) != shape:
            raise ValueError(f"inputs must have the shape {shape}, not {np.shape(inputs)}")
        last = np.asarray(self.times.shape[0] - 1)
        dtype = self.times.dtype
        given = jnp.asarray(self.population, dtype), jnp.asarray(inputs, dtype)
        return _draw(self.settings, self.estimate, last, *given, num_samples, key)


def fit_epidemic(
    counts: Any,
    *,
    gamma: ScalarLike | None = None,
    inputs: Any = None,
    drift: str = "neural",
    settings: EpidemicSettings | None = None,
    c_I: ScalarLike = 1.0,
    c_a: ScalarLike = 1.0,
    key: PRNGKeyArray,
    progress: bool = False,
) -> EpidemicFit:
    """Learns an epidemic from counts by day.

    S, I and R in continuous time; the rate of infection is b I, its logarithm moves by a drift and
    by chance (see `Drift`), and so do, a little, the rate of removal and the share of the cases
    that is reported. The most likely path of all of it given the counts is found by Kalman's
    smoother, iterated. The network in a neural drift is taught by forecasts from days of the past
    of the same series, and held near zero by a penalty.

    Args:
        counts: `Counts`; active cases may be NaN on some days, new ones are used where there are.
        gamma: rate of recovery, per day; that of `settings` if None.
        inputs: exogenous inputs, which the network sees: `DailyInputs`, or (D, E).
        drift: "neural"; "prescribed", the same without the network; "none", rates that never
            change, the classical SIR.
        settings: what is fixed; `EpidemicSettings()` if None. `outbreak()` for a short series.
        c_I: cost of a day of illness, for the exploitability alone.
        c_a: cost of avoidance, likewise.
        key: draws the network's first weights.
        progress: print what the fit arrived at to stderr.

    Raises:
        ParameterError: a number is out of range, or `drift` has another name.
        ValueError: too few days, no case at all, inputs that do not fit, or a fit that leads to no
            finite number: see `gamma`, the population, and the settings.
    """
    check_number("c_I", c_I, least=0.0)
    check_number("c_a", c_a, above=0.0)
    chosen = EpidemicSettings() if settings is None else settings
    if gamma is not None:
        check_number("gamma", gamma, above=0.0)
        chosen = dataclasses.replace(chosen, gamma=gamma)
    chosen, neural = rung(chosen, drift)
    series = series_of(counts, inputs)
    check_cases(counts)
    found, parts = _fit(chosen, series, neural, scalar(c_I), scalar(c_a), key)
    # A network's loss is NaN where there is none; all else is a number.
    lost = [k for k, v in parts.items() if k != "loss" and not np.isfinite(v).all()]
    if lost:
        step = int(found.diverged_at)
        where = f" at step {step}" if step >= 0 else f" ({', '.join(lost)})"
        raise ValueError(not_finite(counts.name, chosen, series, where))
    fit = EpidemicFit(
        **parts,
        estimate=found,
        settings=chosen,
        c_I=c_I,
        c_a=c_a,
        population=series.population,
        last_inputs=series.inputs[-1],
        first_day=str(counts.dates[0]),
        kind=drift,
    )
    if progress:
        taught = f", forecasts of the past off by {float(fit.loss):.3g} (log)" if neural else ""
        print(
            f"fit: log likelihood {float(fit.log_likelihood):.6g}, "
            f"{float(fit.num_parameters):.3g} effective parameters{taught}",
            file=sys.stderr,
            flush=True,
        )
    return fit


@eqx.filter_jit
def _fit(
    settings: EpidemicSettings,
    series: Series,
    neural: bool,
    c_I: Any,
    c_a: Any,
    key: PRNGKeyArray,
) -> tuple[Estimate, dict[str, Array]]:
    num_days = series.active.shape[0]
    found = estimate(settings, series, jnp.asarray(num_days - 1), neural, key=key)
    model = EpidemicModel(settings, found.drift)
    states = model.unpack(jax.vmap(model.on_simplex)(found.means))
    shares = jnp.exp(jnp.concatenate([states.susceptible[:, None], states.infected], 1))
    flow = jnp.concatenate([shares, 1 - jnp.sum(shares, 1, keepdims=True)], 1)
    transmission, gamma = jnp.exp(states.transmission), jnp.exp(states.gamma)
    looks = jax.vmap(jax.grad(lambda vector: model.unpack(vector).number))(found.means)
    doubt = jnp.einsum("dx,dxy,dy->d", looks, found.covariances, looks)
    spread = 1.645 * jnp.sqrt(jnp.maximum(doubt, 0))
    behaviour = judge_contact(transmission, gamma, flow, c_I=c_I, c_a=c_a)
    seen = jax.vmap(model.look)(found.means, jnp.asarray(series.weekdays))
    persons = jnp.asarray(series.population) * jnp.exp(seen)
    number = states.number
    return found, {
        "times": jnp.arange(num_days, dtype=flow.dtype),
        "active_fitted": persons[:, 0],
        "new_fitted": persons[:, 1],
        "shares": flow,
        "transmission": transmission,
        "gamma": gamma,
        "reproduction_number": jnp.exp(number),
        "reproduction_number_low": jnp.exp(number - spread),
        "reproduction_number_high": jnp.exp(number + spread),
        "contact_level": behaviour.contact_level,
        "best_contact_level": behaviour.best_contact_level,
        "exploitability": behaviour.exploitability,
        "avoidance_cost": behaviour.avoidance_cost,
        "num_parameters": found.num_parameters,
        "log_likelihood": found.log_likelihood,
        "loss": found.loss,
    }


_draw = eqx.filter_jit(draw)
