"""An epidemic as a health office looks at it: counts, fit, forecast, and what lies behind them."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nashfield.neural.epidemics.counts import Counts
from nashfield.neural.epidemics.inputs import DailyInputs
from nashfield.plotting.canvas import PALETTE, Axes, new_axes

_FIT, _FORECAST, _CONTACT, _BEST, _RATE = (PALETTE[k] for k in (0, 5, 2, 3, 1))
_DATA, _EVENT = "0.55", "0.5"
# Characters of small print in a line.
_PRINT_WIDTH = 50
_WIDTH = 11.5
# Days of the panel that shows the end.
_NEAR = 28


def plot_epidemic(
    fit: Any,
    counts: Counts,
    *,
    forecast: Any = None,
    inputs: DailyInputs | None = None,
    notes: Sequence[str] = (),
) -> Axes:
    """Panels one below the other, with common days.

    Active cases (as reported, fitted, and forecast with its band); events, if there are any; the
    reproduction number, with 1 marked; the contact level that was learnt beside the best response
    to it; the rates. Beside them the last weeks of a long series once more, and in small print what
    was assumed.

    Args:
        fit: what `nashfield.neural.epidemics.fit_epidemic` found.
        counts: that were fitted, D days.
        forecast: has median, low and high, (H,), for the days after the last one; None for none.
        inputs: events to show; only those that are 0 or 1 are drawn.
        notes: the small print, one assumption each.

    Returns:
        The uppermost axes; `.figure.savefig("picture.png")` keeps them all.
    """
    lanes = _events(inputs)
    heights = [3.0, *([0.14 + 0.16 * len(lanes)] if lanes else []), 1.5, 1.5, 1.3]
    frame = new_axes(None, _WIDTH, sum(heights) + 1.0)
    figure = frame.figure
    figure.delaxes(frame)
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=[2.6, 1])
    panels = [figure.add_subplot(grid[0, 0])]
    panels += [figure.add_subplot(grid[k, 0], sharex=panels[0]) for k in range(1, len(heights))]
    # A short series has no end to be shown apart.
    near = figure.add_subplot(grid[0, 1]) if len(counts) > 2 * _NEAR else None
    _draw_cases(panels[0], fit, counts, forecast)
    first_row = 0 if near is None else 2 if lanes else 1
    _draw_notes(figure.add_subplot(grid[first_row:, 1]), notes)
    rest = panels[1:]
    if lanes:
        _draw_lanes(rest.pop(0), lanes)
    _draw_number(rest[0], fit, counts, forecast)
    _draw_contact(rest[1], fit, counts)
    _draw_rates(rest[2], fit, counts)
    if near is not None:
        _draw_near(near, fit, counts, forecast)
    for panel in (*panels, *([] if near is None else [near])):
        for _, spans in lanes:
            for first, last in spans:
                panel.axvspan(first, last, color=_EVENT, alpha=0.07, linewidth=0, zorder=0)
        if forecast is not None:
            panel.axvline(counts.dates[-1], color="0.3", linewidth=0.8, linestyle=(0, (4, 3)))
        panel.spines[["top", "right"]].set_visible(False)
    end = counts.dates[-1] + (0 if forecast is None else len(forecast.median)) + 1
    _set_days(panels[0], counts.dates[0], end, 12)
    if near is not None:
        _set_days(near, counts.dates[-1] - _NEAR, end, 6)
    for panel in panels[:-1]:
        panel.tick_params(labelbottom=False)
    figure.align_ylabels(panels)
    return panels[0]


def _set_days(ax: Axes, first: Any, last: Any, most: int) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=most)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    ax.set_xlim(first, last)


def _draw_cases(ax: Axes, fit: Any, counts: Counts, forecast: Any) -> None:
    _draw_paths(ax, fit, counts, forecast, markersize=3.0 if len(counts) > 2 * _NEAR else 7.0)
    ax.set_ylim(0, _top(counts, fit, forecast))
    ax.set_ylabel("active cases")
    _legend(ax)
    where = f"{Path(counts.name).stem}, {counts.population:,.0f} persons"
    span = f"{counts.dates[0]} to {counts.dates[-1]}"
    # Above the legend.
    ax.set_title(f"{where}, {span}", loc="left", fontsize="medium", pad=20)


def _draw_near(ax: Axes, fit: Any, counts: Counts, forecast: Any) -> None:
    """The last weeks and the days to come, large."""
    last = slice(max(0, len(counts) - 1 - _NEAR), None)
    near = counts.between(counts.dates[last][0], None)
    _draw_paths(ax, fit, counts, forecast, markersize=6.0)
    ax.set_ylim(0, _top(near, fit, forecast, np.asarray(fit.active_fitted)[last]))
    ax.set_title("the last weeks", loc="left", fontsize="medium")


def _draw_paths(ax: Axes, fit: Any, counts: Counts, forecast: Any, markersize: float) -> None:
    days = counts.dates
    ax.plot(
        days, counts.active, ".", color=_DATA, markersize=markersize, label="reported", zorder=1
    )
    ax.plot(days, fit.active_fitted, color=_FIT, linewidth=1.8, label="fit")
    if forecast is not None:
        ahead = _days_ahead(counts, forecast)
        median, low, high = (
            np.append(fit.active_fitted[-1], getattr(forecast, name))
            for name in ("median", "low", "high")
        )
        ax.fill_between(
            ahead, low, high, color=_FORECAST, alpha=0.25, linewidth=0, label="90% band"
        )
        ax.plot(ahead, median, color=_FORECAST, linewidth=1.8, label="forecast")
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.grid(True, axis="y", color="0.92")
    ax.set_axisbelow(True)


def _days_ahead(counts: Counts, forecast: Any) -> np.ndarray:
    """The last known day and those of the forecast, whose line begins where the fit ends."""
    return counts.dates[-1] + np.arange(len(forecast.median) + 1)


def _top(counts: Counts, fit: Any, forecast: Any, fitted: np.ndarray | None = None) -> float:
    """The band may reach far beyond anything seen: it is cut off at twice that."""
    fitted = np.asarray(fit.active_fitted) if fitted is None else fitted
    most = max(np.nanmax(counts.active), np.nanmax(fitted))
    if forecast is not None:
        most = max(most, float(np.max(forecast.median)))
        most = max(most, min(float(np.max(forecast.high)), 2 * most))
    return 1.05 * float(most)


def _draw_notes(ax: Axes, notes: Sequence[str]) -> None:
    """The small print."""
    ax.set_axis_off()
    if notes:
        ax.set_title("what was assumed", loc="left", fontsize="medium")
    lines = [textwrap.fill(note, _PRINT_WIDTH) for note in notes]
    ax.text(
        0, 1, "\n\n".join(lines), transform=ax.transAxes, va="top", fontsize=7.5, color="0.3",
        linespacing=1.35,
    )  # fmt: skip


def _draw_lanes(ax: Axes, lanes: list[tuple[str, list[tuple[Any, Any]]]]) -> None:
    for k, (_, spans) in enumerate(lanes):
        for first, last in spans:
            ax.barh(-k, last - first, left=first, height=0.55, color=_EVENT, linewidth=0)
    ax.set_yticks([-k for k in range(len(lanes))], [name for name, _ in lanes], fontsize="x-small")
    ax.set_ylim(0.6 - len(lanes), 0.6)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def _draw_number(ax: Axes, fit: Any, counts: Counts, forecast: Any) -> None:
    days, number = counts.dates, np.asarray(fit.reproduction_number)
    low, high = np.asarray(fit.reproduction_number_low), np.asarray(fit.reproduction_number_high)
    ax.axhline(1, color="0.2", linewidth=0.9)
    ax.fill_between(days, low, high, color=_FIT, alpha=0.2, linewidth=0)
    ax.plot(days, number, color=_FIT, linewidth=1.5)
    most = np.nanmax([number, high])
    if forecast is not None:
        ahead = _days_ahead(counts, forecast)
        ahead_number, ahead_low, ahead_high = (
            np.append(getattr(fit, name)[-1], getattr(forecast, name))
            for name in (
                "reproduction_number",
                "reproduction_number_low",
                "reproduction_number_high",
            )
        )
        ax.fill_between(ahead, ahead_low, ahead_high, color=_FORECAST, alpha=0.25, linewidth=0)
        ax.plot(ahead, ahead_number, color=_FORECAST, linewidth=1.5)
        # The band of the days ahead may reach far: it is cut off at twice what was seen.
        most = max(most, np.max(forecast.reproduction_number), min(ahead_high.max(), 2 * most))
    ax.set_ylabel("$R_t$")
    style: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "fontsize": "x-small"}
    ax.annotate("grows", (1.005, 1.08), color="0.3", va="bottom", **style)
    ax.annotate("shrinks", (1.005, 0.92), color="0.3", va="top", **style)
    ax.set_ylim(0, max(1.5, 1.05 * most))


def _draw_contact(ax: Axes, fit: Any, counts: Counts) -> None:
    ax.plot(counts.dates, fit.contact_level, color=_CONTACT, linewidth=1.5, label="learnt")
    ax.plot(
        counts.dates,
        fit.best_contact_level,
        color=_BEST,
        linewidth=1.2,
        linestyle="--",
        label="best response at the assumed costs",
    )
    ax.set_ylim(0, 1.05)
    ax.set_ylabel("contact level")
    _legend(ax)


def _draw_rates(ax: Axes, fit: Any, counts: Counts) -> None:
    rate = np.asarray(fit.transmission, float)
    ax.plot(counts.dates, rate, color=_RATE, linewidth=1.5, label="transmission")
    gamma = np.asarray(fit.gamma, float)
    ax.plot(counts.dates, gamma, color="0.3", linewidth=1.0, linestyle=":", label="recovery")
    ax.set_ylim(0, 1.15 * max(np.nanmax(rate), gamma.max()))
    ax.set_ylabel("rate a day")
    _legend(ax)


def _legend(ax: Axes) -> None:
    """Above the panel: within it any place may be where the epidemic peaks."""
    ax.legend(frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1, 0.96), fontsize="small")


def _events(inputs: DailyInputs | None) -> list[tuple[str, list[tuple[Any, Any]]]]:
    """Every input that is 0 or 1, with the spans of its ones; ends lie on the day after."""
    if inputs is None:
        return []
    lanes = []
    for name, values in zip(inputs.names, inputs.values.T, strict=True):
        if np.isin(values, (0.0, 1.0)).all() and values.any():
            edges = np.flatnonzero(np.diff(np.concatenate([[0], values, [0]])))
            spans = [
                (inputs.dates[first], inputs.dates[last - 1] + 1)
                for first, last in edges.reshape(-1, 2)
            ]
            lanes.append((name, spans))
    return lanes
