"""Means over a week: counts follow the days on which people are tested and offices are open."""

import numpy as np


def trailing_mean(values: np.ndarray, days: int = 7) -> np.ndarray:
    """Mean over a day and those before it: nothing of the future, fair in a forecast.

    Args:
        values: (..., D); NaN is left out.
        days: width of the window; at the beginning over the days there are.

    Returns:
        (..., D).
    """
    return _window_mean(values, days - 1, 0)


def centred_mean(values: np.ndarray, days: int = 7) -> np.ndarray:
    """Mean over the days around each; at both ends over the days there are.

    It sees the future: it serves to look back, never to forecast.

    Args:
        values: (..., D); NaN is left out.
        days: width of the window, odd.

    Returns:
        (..., D).
    """
    return _window_mean(values, days // 2, days // 2)


def _window_mean(values: np.ndarray, before: int, after: int) -> np.ndarray:
    seen = np.isfinite(values)
    sums = _window_sum(np.where(seen, values, 0.0), before, after)
    counts = _window_sum(seen.astype(float), before, after)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _window_sum(values: np.ndarray, before: int, after: int) -> np.ndarray:
    num = values.shape[-1]
    running = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, -1)], -1)
    days = np.arange(num)
    low, high = np.maximum(days - before, 0), np.minimum(days + after + 1, num)
    return running[..., high] - running[..., low]
