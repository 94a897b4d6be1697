"""Japan's epidemic: forecasts beside yardsticks, and hidden peaks.

Counts are those of the ministry's last vintage, raw; a forecast sees nothing after its origin. The
settings of the model were chosen on origins of June to November 2020. Its form was not: while it
was built, scores of the later origins were looked at.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield import datasets
from nashfield.datasets.table import DataError, Table
from nashfield.neural.epidemics import (
    YARDSTICKS,
    Counts,
    centred_mean,
    cubic_gap,
    fill_peaks,
    fit_epidemic,
    rolling_forecasts,
    rolling_scores,
    weekly_origins,
)
from nashfield.neural.epidemics.counts import counts_of
from nashfield.papers.figures import Figure, new_figure
from nashfield.papers.report import Row
from nashfield.papers.thoni2025.sizes import Sizes
from nashfield.plotting.canvas import PALETTE

POPULATION = 126_146_099
_FIRST, _LAST = "2020-10-01", "2021-10-03"
# What a fit may learn from: new cases from here on; active ones were published later.
_KNOWN_FROM, _KNOWN_TO = "2020-03-01", "2021-10-31"
_ORIGINS = "2020-11-29", "2021-09-19"
_NUM_DAYS = 14
PEAKS = {"2021-01-18": 67_101, "2021-05-14": 71_238, "2021-08-28": 209_279}
# The yardsticks' scores by an independent computation: log, raw.
_SHEET = {
    "7-day exponential": (0.63, 1.02),
    "damped trend (7 days, .9)": (0.64, 0.71),
    "renewal, rate damped .8": (0.53, 0.73),
    "SIR, time-varying rate damped": (0.55, 0.95),
    "SIR, constant rates": (1.32, 1.68),
}
# First and last training days of two waves, and persistence's error there.
_WINDOWS = {3: ("2020-11-15", "2021-01-15"), 5: ("2021-07-01", "2021-08-31")}
_PERSISTENCE = {3: 0.105, 5: 0.259}
_RUNGS = {"none": "constant SIR", "prescribed": "prescribed drift", "neural": "neural drift"}

Pictures = dict[str, Callable[[], Figure]]


def play(
    sizes: Sizes, *, key: PRNGKeyArray, tell: Callable[[str], None]
) -> tuple[list[Row], Pictures]:
    """Nothing, with a line that says why, where the series are not at hand."""
    try:
        table = datasets.load("japan-national")
    except DataError as error:
        tell(f"Japan's epidemic is left out: {error}")
        return [], {}
    known = first_wave(table)
    tell("Japan: 43 weekly origins, each fitted to its past ...")
    rows, drawn = forecasts(known, sizes, key=key)
    rows += windows(known, sizes, key=key)
    tell("Japan: each peak hidden in turn ...")
    more, paths = peaks(known.between(_FIRST, _LAST), key=key)
    pictures: Pictures = {
        "japan-forecasts.png": lambda: _draw_forecasts(known, *drawn),
        "japan-peaks.png": lambda: _draw_peaks(known.between(_FIRST, _LAST), paths),
    }
    return rows + more, pictures


def first_wave(table: Table) -> Counts:
    """Japan's counts with the new cases of the first wave, whose active cases nobody counted."""
    later = counts_of(table, POPULATION, end=_KNOWN_TO)
    begin = np.datetime64(_KNOWN_FROM)
    earlier = (table.dates >= begin) & (table.dates < later.dates[0])
    missing = np.full(int(earlier.sum()), np.nan)
    assert later.new is not None and later.removed is not None
    return dataclasses.replace(
        later,
        dates=np.concatenate([table.dates[earlier], later.dates]),
        active=np.concatenate([missing, later.active]),
        new=np.concatenate([table["new_confirmed"][earlier], later.new]),
        removed=np.concatenate([missing, later.removed]),
    )


def forecasts(
    counts: Counts, sizes: Sizes, *, key: PRNGKeyArray
) -> tuple[list[Row], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The table of rolling origins: every rung, and every yardstick."""
    origins = weekly_origins(counts, *_ORIGINS)
    rows, drawn = [], (origins, np.zeros(0), np.zeros(0))
    for name, yardstick in YARDSTICKS.items():
        scores = rolling_scores(counts, origins, yardstick(counts, origins, _NUM_DAYS))
        log, raw = _SHEET.get(name, (None, None))
        for kind, known, ours in (
            ("log-RMSE", log, scores.log_ratio),
            ("raw RMSE", raw, scores.raw_ratio),
        ):
            rows.append(Row(f"Japan, {name}: {kind} over persistence", None, ours, reference=known))
    for drift, name in _RUNGS.items():
        found = rolling_forecasts(
            counts, origins, _NUM_DAYS, drift=drift, num_samples=sizes.num_samples, key=key
        )
        median = np.asarray(found.median)
        band = np.stack([np.asarray(found.low), np.asarray(found.high)])
        scores = rolling_scores(counts, origins, median, band=band)
        title = f"Japan, {name}"
        low, high = (float(x) for x in scores.log_interval)
        judged = drift == "neural"
        rows += [
            Row(
                f"{title}: log-RMSE over persistence",
                None,
                scores.log_ratio,
                (low, high),
                agrees=bool(scores.log_ratio <= 0.60 and high < 0.80) if judged else None,
                bar="at most 0.6, 95% interval below 0.8" if judged else "",
            ),
            Row.most(
                f"{title}: raw RMSE over persistence",
                scores.raw_ratio,
                0.80,
                judged=judged,
                interval=tuple(float(x) for x in scores.raw_interval),
            ),
        ]
        covered = float(scores.coverage or 0.0)
        rows.append(
            Row(
                f"{title}: coverage of 90% bands",
                None,
                covered,
                agrees=bool(0.80 <= covered <= 0.97) if judged else None,
                bar="in [0.8, 0.97]" if judged else "",
            )
        )
        if judged:
            drawn = origins, median, band
    return rows, drawn


def windows(counts: Counts, sizes: Sizes, *, key: PRNGKeyArray) -> list[Row]:
    """Two single windows beside persistence there, without a bar: luck decides one."""
    days = {wave: [np.datetime64(day) for day in span] for wave, span in _WINDOWS.items()}
    places = {
        wave: [int((day - counts.dates[0]).astype(int)) for day in span]
        for wave, span in days.items()
    }
    origins = np.array([last for _, last in places.values()])
    found = rolling_forecasts(counts, origins, _NUM_DAYS, num_samples=sizes.num_samples, key=key)
    rows = []
    for path, (wave, (first, last)) in zip(np.asarray(found.median), places.items(), strict=True):
        seen = counts.active[last + 1 : last + 1 + _NUM_DAYS]
        error = np.sqrt(np.mean((path - seen) ** 2)) / counts.active[first : last + 1].max()
        title = f"Japan, 14 days after {_WINDOWS[wave][1]}: RMSE / max (reference: persistence)"
        rows.append(Row(title, None, float(error), reference=_PERSISTENCE[wave]))
    return rows


def peaks(
    counts: Counts, *, key: PRNGKeyArray
) -> tuple[list[Row], dict[str, Float[np.ndarray, "P D"]]]:
    """What the fit goes through, and what it makes of peaks that it did not see."""
    smooth = centred_mean(counts.active)
    fit = fit_epidemic(counts, key=key)
    fitted = centred_mean(np.asarray(fit.active_fitted))
    rows, paths = [], {}
    for day, height in PEAKS.items():
        place = int((np.datetime64(day) - counts.dates[0]).astype(int))
        near = slice(place - 10, place + 11)
        top = place - 10 + int(np.argmax(fitted[near]))
        rows.append(
            Row(
                f"Japan, fit, peak of {day}",
                None,
                float(fitted[top]),
                agrees=bool(abs(top - place) <= 3 and abs(fitted[top] / height - 1) <= 0.07),
                bar="within 3 days and 7%",
                reference=height,
            )
        )
    rows.append(
        Row("Japan, fit: exploitability of the learnt behaviour", None, float(fit.exploitability))
    )
    hidden = [
        np.arange(-10, 11) + int((np.datetime64(day) - counts.dates[0]).astype(int))
        for day in PEAKS
    ]
    cubic = [abs(cubic_gap(smooth, gap).max() / smooth[gap[10]] - 1) for gap in hidden]
    for drift, name in _RUNGS.items():
        if drift == "none":
            continue
        found = fill_peaks(counts, list(PEAKS), truth=smooth, drift=drift, key=key)
        errors, shifts = np.asarray(found.height_errors), np.asarray(found.shifts)
        paths[name] = np.asarray(found.filled)
        judged = drift == "neural"
        for day, error, shift in zip(PEAKS, errors, shifts, strict=True):
            rows.append(
                Row(
                    f"Japan, {name}, hidden peak of {day}: error of height",
                    None,
                    float(error),
                    agrees=bool(abs(error) <= 0.10 and abs(shift) <= 3) if judged else None,
                    bar=f"within 10% and 3 days (here {shift})" if judged else "",
                )
            )
        mean, bar = float(np.mean(np.abs(errors))), float(np.mean(cubic))
        rows.append(
            Row(
                f"Japan, {name}, hidden peaks: mean error of height (reference: a cubic)",
                None,
                mean,
                agrees=bool(mean < bar) if judged else None,
                bar="less than the cubic's" if judged else "",
                reference=bar,
            )
        )
    return rows, paths


def _draw_forecasts(
    counts: Counts, origins: np.ndarray, median: np.ndarray, band: np.ndarray
) -> Figure:
    figure, axes = new_figure(1, 1, 9.0, 4.0)
    ax = axes[0, 0]
    shown = slice(origins[0] - 14, origins[-1] + _NUM_DAYS + 1)
    ax.plot(counts.dates[shown], counts.active[shown], color="0.15", lw=1.2, label="counted")
    for place, (origin, path) in enumerate(zip(origins, median, strict=True)):
        if place % 2:
            continue  # every second one, or bands would hide each other
        days = counts.dates[origin + 1 : origin + 1 + _NUM_DAYS]
        label = {"label": "forecast, 90% band"} if place == 0 else {}
        ax.fill_between(days, band[0, place], band[1, place], color=PALETTE[0], alpha=0.2, lw=0)
        ax.plot(days, path, color=PALETTE[0], lw=1.2, **label)
    ax.set_yscale("log")
    ax.set_ylabel("active cases")
    ax.set_title("Japan: forecasts 14 days ahead, each from its past alone", fontsize=10)
    ax.legend(frameon=False)
    return figure


def _draw_peaks(counts: Counts, paths: dict[str, np.ndarray]) -> Figure:
    figure, axes = new_figure(1, 3, 10.0, 3.2)
    smooth = centred_mean(counts.active)
    for column, day in enumerate(PEAKS):
        ax = axes[0, column]
        place = int((np.datetime64(day) - counts.dates[0]).astype(int))
        days = slice(place - 25, place + 26)
        ax.axvspan(counts.dates[place - 10], counts.dates[place + 10], color="0.9", label="hidden")
        ax.plot(counts.dates[days], smooth[days] / 1000, color="0.15", label="counted, 7-day mean")
        for color, (name, filled) in zip(PALETTE, paths.items(), strict=False):
            ax.plot(counts.dates[days], filled[column, days] / 1000, color=color, label=name)
        ax.set_xticks(counts.dates[[place - 20, place, place + 20]])
        ax.tick_params(axis="x", labelsize=7)
        ax.set_ylim(bottom=0)
    axes[0, 0].set_ylabel("active cases (thousands)")
    axes[0, 0].legend(frameon=False, fontsize=7, loc="lower center")
    return figure
