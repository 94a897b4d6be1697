"""Forecasts of active cases, in persons, with bands."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.checks import check_size
from nashfield.neural.epidemics.estimation import Estimate, Series, estimate, not_finite, series_of
from nashfield.neural.epidemics.model import EpidemicModel
from nashfield.neural.epidemics.settings import EpidemicSettings, rung
from nashfield.typing import Array

# The band holds 90%.
_LOW, _HIGH = 0.05, 0.95


class Forecast(eqx.Module):
    """Reported active cases of the days ahead; with a leading axis where there are many origins.

    Attributes:
        median: (H,) persons, of the counts that are expected if the epidemic goes on as in a
            sample: chance in counting is left out, which at small numbers would lift it.
        low: (H,) 5% quantile of counts.
        high: (H,) 95% quantile of counts.
        samples: (N, H) counts, with chance in counting.
        reproduction_number: (H,) median of R_t.
        reproduction_number_low: (H,) 5% quantile.
        reproduction_number_high: (H,) 95% quantile.
    """

    median: Float[Array, "*batch H"]
    low: Float[Array, "*batch H"]
    high: Float[Array, "*batch H"]
    samples: Float[Array, "*batch N H"]
    reproduction_number: Float[Array, "*batch H"]
    reproduction_number_low: Float[Array, "*batch H"]
    reproduction_number_high: Float[Array, "*batch H"]


def draw(
    settings: EpidemicSettings,
    found: Estimate,
    last: Int[Array, ""],
    population: Float[Array, ""],
    inputs: Float[Array, "H E"],
    num_samples: int,
    key: PRNGKeyArray,
) -> Forecast:
    """What may follow the day `last`.

    Args:
        settings: of the fit.
        found: the fit.
        last: the last known day.
        population: persons.
        inputs: of the day `last` and those that follow, but the very last.
        num_samples: N.
        key: draws.
    """
    paths_key, errors_key = jax.random.split(key)
    model = EpidemicModel(settings, found.drift)
    mean, covariance = found.means[last], found.covariances[last]
    paths = model.samples(mean, covariance, inputs, num_samples=num_samples, key=paths_key)
    states = model.unpack(paths)
    logs = states.active + states.reporting
    expected = population * jnp.exp(logs)
    scale = settings.spread * jnp.sqrt(model.error_variance(expected, settings.active_error))
    persons = expected * jnp.exp(scale * jax.random.normal(errors_key, logs.shape, logs.dtype))
    low, high = jnp.quantile(persons, jnp.asarray([_LOW, _HIGH]), axis=0)
    # Low samples have the widest errors in logarithms, and would lift the median of counts.
    median = jnp.median(expected, axis=0)
    numbers = jnp.quantile(jnp.exp(states.number), jnp.asarray([_LOW, 0.5, _HIGH]), axis=0)
    return Forecast(median, low, high, persons, numbers[1], numbers[0], numbers[2])


def rolling_forecasts(
    counts: Any,
    origins: Any,
    num_days: int = 14,
    *,
    settings: EpidemicSettings | None = None,
    drift: str = "neural",
    inputs: Any = None,
    num_samples: int = 1000,
    key: PRNGKeyArray,
) -> Forecast:
    """Forecasts from many days in turn, each from a fit to what was known then and nothing later.

    One compiled program, whatever the number of origins.

    Args:
        counts: `Counts`.
        origins: (O,) positions of the last known days.
        num_days: H.
        settings: what is fixed; `EpidemicSettings()` if None.
        drift: "neural", "prescribed" or "none"; see `fit_epidemic`.
        inputs: see `fit_epidemic`; held at the value of the origin.
        num_samples: N.
        key: draws.

    Returns:
        Forecasts with a leading axis (O,).

    Raises:
        ParameterError: `drift` has another name.
        ValueError: an origin is not a position in `counts`, inputs do not fit, or a fit leads
            nowhere.
    """
    check_size("num_days", num_days)
    check_size("num_samples", num_samples)
    days = np.asarray(origins)
    if days.ndim != 1 or not np.all((days >= 1) & (days < len(counts))):
        raise ValueError(
            f"origins must be positions from 1 to {len(counts) - 1} in the counts, not {days}"
        )
    settings, neural = rung(EpidemicSettings() if settings is None else settings, drift)
    series = series_of(counts, inputs)
    found = _rolling(settings, series, jnp.asarray(days), num_days, neural, num_samples, key)
    lost = days[~np.isfinite(np.asarray(found.median)).all(1)]
    if lost.size:
        raise ValueError(
            not_finite(f"{counts.name} up to {counts.dates[lost[0]]}", settings, series)
        )
    return found


@eqx.filter_jit
def _rolling(
    settings: EpidemicSettings,
    series: Series,
    origins: Int[Array, "O"],
    num_days: int,
    neural: bool,
    num_samples: int,
    key: PRNGKeyArray,
) -> Forecast:
    def one(day: Array) -> Forecast:
        found = estimate(settings, series, day, neural, key=key)
        held = jnp.broadcast_to(jnp.asarray(series.inputs)[day], (num_days, series.inputs.shape[1]))
        population = jnp.asarray(series.population)
        return draw(
            settings, found, day, population, held, num_samples, jax.random.fold_in(key, day)
        )

    return jax.lax.map(one, origins)
