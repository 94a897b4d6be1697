"""Plain forecasts of active cases, which a model has to beat.

Every one takes counts, the positions of the last days that it may see, and how many days to go; it
looks at nothing later. All origins are worked out at once.
"""

from collections.abc import Callable

import numpy as np

from nashfield.datasets.table import DataError
from nashfield.neural.epidemics.counts import Counts
from nashfield.neural.epidemics.sir_fit import fit_sir, sir_path
from nashfield.neural.epidemics.smoothing import trailing_mean

WEEK, FORTNIGHT, SIX_WEEKS = 7, 14, 42
# The serial interval of COVID-19 as Flaxman et al. (Nature 584, 2020) take it: a gamma law with a
# mean of 6.5 days and a coefficient of variation of .62, cut off after three weeks.
_INTERVAL_MEAN, _INTERVAL_CV, _LONGEST_INTERVAL = 6.5, 0.62, 21


def persistence(counts: Counts, origins: np.ndarray, num_days: int) -> np.ndarray:
    """The last count goes on.

    Args:
        counts: by day.
        origins: (O,) positions of the last days that are known.
        num_days: H.

    Returns:
        (O, H) active cases of the H days after each origin.
    """
    return np.repeat(counts.active[origins][:, None], num_days, axis=1)


def exponential(counts: Counts, origins: np.ndarray, num_days: int) -> np.ndarray:
    """The last count grows on at the slope of a line through the last 7 log counts.

    See `persistence` for arguments and result.
    """
    return _grow(counts, origins, _weekly_slope(counts, origins), np.arange(1, num_days + 1))


def two_point(counts: Counts, origins: np.ndarray, num_days: int, *, lag: int = WEEK) -> np.ndarray:
    """The last count grows on as it has grown over the last `lag` days.

    I_last exp(h log(I_last / I_(last - lag)) / lag). See `persistence` for arguments and result.
    """
    logs = np.log(_past(counts.active, origins, lag + 1))
    return _grow(counts, origins, (logs[:, -1] - logs[:, 0]) / lag, np.arange(1, num_days + 1))


def damped_trend(
    counts: Counts, origins: np.ndarray, num_days: int, *, damping: float = 0.9
) -> np.ndarray:
    """Like `exponential`, but the slope shrinks to `damping` of itself every day.

    The h-th day has grown by the slope times damping + damping^2 + ... + damping^h, in logarithms.
    See `persistence` for arguments and result.
    """
    days = np.cumsum(damping ** np.arange(1, num_days + 1))
    return _grow(counts, origins, _weekly_slope(counts, origins), days)


def renewal(
    counts: Counts, origins: np.ndarray, num_days: int, *, damping: float = 0.8
) -> np.ndarray:
    """New cases renew themselves; of the log of their number R a week leaves `damping`.

    R = new cases of the last 7 days over the infection pressure of these days; pressure is the sum
    of earlier new cases weighed by the serial interval. Active cases gain the new cases and lose a
    share, that of the last 7 days: (new cases - change of active) / active cases a day before.
    See `persistence` for arguments and result; `counts` must have new cases.
    """
    new, active = _new_cases(counts), counts.active
    weights = _serial_interval()
    past = _past(new, origins, _LONGEST_INTERVAL + WEEK)
    windows = np.lib.stride_tricks.sliding_window_view(past, _LONGEST_INTERVAL, axis=1)
    pressure = windows[:, :WEEK] @ weights[::-1]
    log_number = np.log(past[:, -WEEK:].sum(axis=1) / pressure.sum(axis=1))
    outflow = _outflow(new, active, origins, WEEK)
    cases, level = past[:, -_LONGEST_INTERVAL:], active[origins]
    forecast = np.empty((len(origins), num_days))
    for h in range(num_days):
        number = np.exp(log_number * damping ** ((h + 1) / WEEK))
        today = number * (cases @ weights[::-1])
        cases = np.concatenate([cases[:, 1:], today[:, None]], axis=1)
        level = level + today - outflow * level
        forecast[:, h] = level
    return forecast


def damped_sir(
    counts: Counts, origins: np.ndarray, num_days: int, *, damping: float = 0.95
) -> np.ndarray:
    """SIR whose rate of infection goes on along its trend of 14 days, a trend that fades.

    beta = 7-day mean of new cases over I S/N of the day before, its trend a line through the last
    14 logarithms, `damping` of it left every day; gamma = outflow to `removed` of the last
    14 days over active cases. I grows by exp(beta S/N - gamma) a day. See `persistence` for
    arguments and result; `counts` must have new and removed cases.
    """
    new = _new_cases(counts)
    if counts.removed is None:
        raise DataError(f"{counts.name}: damped_sir needs a column of removed cases")
    active, removed, population = counts.active, counts.removed, counts.population
    share = (population - active - removed) / population
    before = np.concatenate([[np.nan], (active * share)[:-1]])
    rate = trailing_mean(new / before)
    slope = _slope(np.log(_past(rate, origins, FORTNIGHT)))
    left = _past(np.diff(removed, prepend=np.nan), origins, FORTNIGHT).sum(axis=1)
    gamma = left / _past(active, origins - 1, FORTNIGHT).sum(axis=1)
    beta, level = rate[origins], active[origins]
    susceptible = population - level - removed[origins]
    trend = np.exp(slope[:, None] * np.cumsum(damping ** np.arange(1, num_days + 1)))
    forecast = np.empty((len(origins), num_days))
    for h in range(num_days):
        infection = beta * trend[:, h] * susceptible / population
        grown = level * np.exp(infection - gamma)
        susceptible = susceptible - infection * (level + grown) / 2
        level = grown
        forecast[:, h] = level
    return forecast


def constant_sir(
    counts: Counts, origins: np.ndarray, num_days: int, *, window: int = SIX_WEEKS
) -> np.ndarray:
    """SIR with constant rates, by least squares on I and R of six weeks, from the last counts on.

    I and R start from the window's first day (`sir_fit.fit_sir`); the forecast starts from those of
    the last day. See `persistence` for arguments and result; `counts` must have removed cases.
    """
    if counts.removed is None:
        raise DataError(f"{counts.name}: constant_sir needs a column of removed cases")
    active, removed = (_past(x, origins, window) for x in (counts.active, counts.removed))
    fit = fit_sir(active, counts.population, removed=removed, steps_a_day=4)
    last = (active[:, -1], removed[:, -1])
    path, _ = sir_path(fit.beta, fit.gamma, *last, counts.population, num_days + 1, 4)
    return path[:, 1:]


def cubic_gap(values: np.ndarray, hidden: np.ndarray, *, margin: int = 10) -> np.ndarray:
    """Fills a gap by a cubic in log counts, least squares on the days around it.

    Not a forecast: it is what a model has to beat that fills in a peak it was not shown.

    Args:
        values: (D,) counts.
        hidden: (K,) positions of the gap, in a row; their counts are not looked at.
        margin: days on either side that are.

    Returns:
        (K,) counts of the gap.

    Raises:
        DataError: the gap has fewer than two days on a side.
    """
    before = np.arange(max(hidden[0] - margin, 0), hidden[0])
    after = np.arange(hidden[-1] + 1, min(hidden[-1] + 1 + margin, len(values)))
    if min(len(before), len(after)) < 2:
        raise DataError("a gap needs two days with counts on either side")
    seen = np.concatenate([before, after])
    cubic = np.polynomial.Polynomial.fit(seen, np.log(values[seen]), 3)
    return np.exp(cubic(hidden))


YARDSTICKS: dict[str, Callable[[Counts, np.ndarray, int], np.ndarray]] = {
    "persistence": persistence,
    "7-day exponential": exponential,
    "7-day exponential, two points": two_point,
    "damped trend (7 days, .9)": damped_trend,
    "renewal, rate damped .8": renewal,
    "SIR, time-varying rate damped": damped_sir,
    "SIR, constant rates": constant_sir,
}
"""The rows of the table, by name."""


def _past(values: np.ndarray, origins: np.ndarray, num_days: int) -> np.ndarray:
    """(O, num_days) the days up to each origin, in order of time."""
    first = np.min(origins) - num_days + 1
    if first < 0:
        raise DataError(
            f"a forecast needs {num_days} days of counts; there are {np.min(origins) + 1} before "
            "the first origin"
        )
    return values[np.asarray(origins)[:, None] + np.arange(1 - num_days, 1)]


def _slope(values: np.ndarray) -> np.ndarray:
    """Slope a day of the lines through (O, L) values."""
    days = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2
    return values @ days / (days @ days)


def _weekly_slope(counts: Counts, origins: np.ndarray) -> np.ndarray:
    return _slope(np.log(_past(counts.active, origins, WEEK)))


def _grow(counts: Counts, origins: np.ndarray, rate: np.ndarray, days: np.ndarray) -> np.ndarray:
    return counts.active[origins][:, None] * np.exp(rate[:, None] * days)


def _new_cases(counts: Counts) -> np.ndarray:
    if counts.new is None:
        raise DataError(f"{counts.name}: this forecast needs a column of new cases")
    return counts.new


def _outflow(new: np.ndarray, active: np.ndarray, origins: np.ndarray, days: int) -> np.ndarray:
    """Share of the active cases that leaves a day, over the last days before each origin."""
    left = _past(new - np.diff(active, prepend=np.nan), origins, days).sum(axis=1)
    return left / _past(active, np.asarray(origins) - 1, days).sum(axis=1)


def _serial_interval() -> np.ndarray:
    """Weights of the days 1, 2, ... after a case, from the density of the gamma law."""
    days = np.arange(1.0, _LONGEST_INTERVAL + 1)
    shape = _INTERVAL_CV**-2
    weights = days ** (shape - 1) * np.exp(-days * shape / _INTERVAL_MEAN)
    return weights / weights.sum()
