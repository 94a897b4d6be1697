"""How good forecasts are: rolling origins, errors over those of persistence, and their luck.

One window proves little. Forecasts are made from many days in turn, each from what was known then,
and every error is set beside that of the last count going on unchanged.
"""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.datasets.table import DataError
from nashfield.neural.epidemics.count_checks import as_day
from nashfield.neural.epidemics.counts import Counts

_BLOCK_DAYS, _RESAMPLES = 42, 10_000


@dataclass(frozen=True, eq=False)
class Scores:
    """Errors of a forecast beside those of persistence.

    Attributes:
        log_errors: (O,) root mean squared error of log counts, origin by origin.
        raw_errors: (O,) root mean squared error of counts.
        log_ratio: mean of `log_errors` over the same for persistence.
        raw_ratio: mean of `raw_errors` over the same for persistence.
        log_interval: (2,) 95% of a block bootstrap of `log_ratio`.
        raw_interval: (2,) 95% of a block bootstrap of `raw_ratio`.
        coverage: share of the counts within the band; None without one.
    """

    log_errors: np.ndarray
    raw_errors: np.ndarray
    log_ratio: float
    raw_ratio: float
    log_interval: np.ndarray
    raw_interval: np.ndarray
    coverage: float | None


def weekly_origins(counts: Counts, first: object, last: object) -> np.ndarray:
    """Positions in `counts` of every seventh day from `first` to `last`.

    Args:
        counts: by day.
        first: the first origin, such as "2020-11-29".
        last: not after this day.

    Returns:
        (O,).

    Raises:
        DataError: the counts do not reach as far.
    """
    begin, end = as_day(first, "the first origin"), as_day(last, "the last origin")
    if begin < counts.dates[0] or end > counts.dates[-1] or end < begin:
        raise DataError(
            f"{counts.name}: origins from {begin} to {end} do not lie within the counts, "
            f"{counts.dates[0]} to {counts.dates[-1]}"
        )
    start = int((begin - counts.dates[0]).astype(int))
    return np.arange(start, int((end - counts.dates[0]).astype(int)) + 1, 7)


def rolling_scores(
    counts: Counts,
    origins: np.ndarray,
    forecast: np.ndarray,
    *,
    band: np.ndarray | None = None,
    key: PRNGKeyArray | None = None,
) -> Scores:
    """Judges forecasts against what was counted later.

    Args:
        counts: by day, of the vintage that was forecast from, not smoothed.
        origins: (O,) positions of the last days that were known, in order of time.
        forecast: (O, H) active cases of the H days after each.
        band: (2, O, H) lower and upper end of a band.
        key: draws the bootstrap; key(0) if None.

    Returns:
        The scores. The bootstrap draws blocks of 42 days of origins in a row (in a circle, so that
        each is as likely as another), because errors of neighbouring origins go together.

    Raises:
        DataError: the counts end before the forecasts do, or the shapes do not fit.
    """
    origins = np.asarray(origins)
    if forecast.ndim != 2 or len(forecast) != len(origins):
        raise DataError(
            f"forecasts of {len(origins)} origins have the shape ({len(origins)}, days), not "
            f"{forecast.shape}"
        )
    days = origins[:, None] + np.arange(1, forecast.shape[1] + 1)
    if days.max() >= len(counts):
        raise DataError(
            f"{counts.name}: forecasts go {days.max() - len(counts) + 1} days beyond the last "
            f"count, {counts.dates[-1]}"
        )
    seen, last = counts.active[days], counts.active[origins][:, None]
    log_errors, raw_errors = _log_errors(forecast, seen), _raw_errors(forecast, seen)
    plain_log, plain_raw = _log_errors(last, seen), _raw_errors(last, seen)
    drawn = _blocks(origins, jax.random.key(0) if key is None else key)
    coverage = None
    if band is not None:
        coverage = float(np.mean((seen >= band[0]) & (seen <= band[1])))
    return Scores(
        log_errors=log_errors,
        raw_errors=raw_errors,
        log_ratio=float(log_errors.mean() / plain_log.mean()),
        raw_ratio=float(raw_errors.mean() / plain_raw.mean()),
        log_interval=_interval(log_errors, plain_log, drawn),
        raw_interval=_interval(raw_errors, plain_raw, drawn),
        coverage=coverage,
    )


def _log_errors(forecast: np.ndarray, seen: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(np.mean((np.log(forecast) - np.log(seen)) ** 2, axis=1))


def _raw_errors(forecast: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean((forecast - seen) ** 2, axis=1))


def _blocks(origins: np.ndarray, key: PRNGKeyArray) -> np.ndarray:
    """(B, O) origins drawn in blocks that follow each other, the first after the last."""
    num = len(origins)
    spacing = int(np.median(np.diff(origins))) if num > 1 else 1
    length = min(num, max(1, _BLOCK_DAYS // max(spacing, 1)))
    starts = jax.random.randint(key, (_RESAMPLES, -(-num // length)), 0, num)
    drawn = (np.asarray(starts)[:, :, None] + np.arange(length)) % num
    return drawn.reshape(_RESAMPLES, -1)[:, :num]


def _interval(errors: np.ndarray, plain: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    ratios = errors[drawn].mean(axis=1) / plain[drawn].mean(axis=1)
    return np.quantile(ratios, [0.025, 0.975])
