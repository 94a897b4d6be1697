"""Influenza in a boarding school, 1978: fourteen days of boys in bed.

`outbreak()` was chosen on these very days: the numbers say what the model can do, not what it would
have done in 1978.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield import datasets
from nashfield.datasets.table import DataError
from nashfield.neural.epidemics import Counts, fit_epidemic, outbreak, rolling_forecasts
from nashfield.neural.epidemics.counts import counts_of
from nashfield.neural.epidemics.sir_fit import fit_sir
from nashfield.papers.figures import Figure, new_figure
from nashfield.papers.report import Row
from nashfield.plotting.canvas import PALETTE

_POPULATION, _NUM_DAYS = 763, 3
# Forecasts are made from these numbers of days of training on.
_FIRST, _LAST = 6, 11

Pictures = dict[str, Callable[[], Figure]]


def play(*, key: PRNGKeyArray, tell: Callable[[str], None]) -> tuple[list[Row], Pictures]:
    """Nothing, with a line that says why, where the series is not at hand."""
    try:
        counts = counts_of(datasets.load("boarding-school"), _POPULATION)
    except DataError as error:
        tell(f"the boarding school is left out: {error}")
        return [], {}
    tell("boarding school ...")
    fit = fit_epidemic(counts, settings=outbreak(), key=key)
    fitted = np.asarray(fit.active_fitted)
    error, parameters = _root(fitted - counts.active), float(fit.num_parameters)
    origins = np.arange(_FIRST - 1, _LAST)
    found = rolling_forecasts(counts, origins, _NUM_DAYS, settings=outbreak(), key=key)
    median = np.asarray(found.median)
    errors = [
        _root(path - counts.active[origin + 1 : origin + 1 + _NUM_DAYS])
        for origin, path in zip(origins, median, strict=True)
    ]
    plain = _root(fit_sir(counts.active, _POPULATION, free_start=True).active - counts.active)
    rows = [
        Row("boarding school, constant SIR: RMSE", None, plain, reference=16.01),
        Row(
            "boarding school: RMSE of in_bed",
            None,
            error,
            agrees=bool(error <= 8 and parameters <= 6),
            bar=f"at most 8 with 6 effective parameters (here {parameters:.2f})",
        ),
        Row.most("boarding school: last 3 days, RMSE", errors[-1], 6.2),
        Row.most("boarding school: rolling origins, mean RMSE", float(np.mean(errors)), 40.0),
    ]
    return rows, {"boarding-school.png": lambda: _draw(counts, fitted, origins, median)}


def _root(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.asarray(errors) ** 2)))


def _draw(counts: Counts, fitted: np.ndarray, origins: np.ndarray, median: np.ndarray) -> Figure:
    figure, axes = new_figure(1, 1, 6.0, 3.6)
    ax, days = axes[0, 0], np.arange(len(counts))
    ax.plot(days, counts.active, "o", color="0.15", label="in bed")
    ax.plot(days, fitted, color=PALETTE[0], label="fit")
    for place, (origin, path) in enumerate(zip(origins, median, strict=True)):
        label = {"label": "forecasts, 3 days"} if place == 0 else {}
        ahead = np.concatenate([[counts.active[origin]], path])
        ax.plot(np.arange(origin, origin + 1 + _NUM_DAYS), ahead, color=PALETTE[1], lw=1, **label)
    ax.set_xlabel("day")
    ax.set_ylabel("boys")
    ax.legend(frameon=False)
    return figure
