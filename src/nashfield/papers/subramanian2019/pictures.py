"""The paper's figures: medians and quartiles over seeds, beside its own."""

from typing import Any

import numpy as np

from nashfield.papers.figures import Figure, new_figure

_OURS, _PAPER, _LINE, _OTHERS = "#0072B2", "#D55E00", "#000000", ("#009E73", "#CC79A7")
_BASELINE_COLOURS = ("#999999", "#0072B2", "#009E73")


def _band(ax: Any, curves: np.ndarray, colour: str, label: str) -> None:
    lower, median, upper = np.quantile(curves, (0.25, 0.5, 0.75), axis=0)
    steps = np.arange(median.size)
    ax.fill_between(steps, lower, upper, color=colour, alpha=0.2, linewidth=0)
    ax.plot(steps, median, color=colour, label=label)


def _final(ax: Any, last: int, numbers: tuple[float, float, float]) -> None:
    median, low, high = numbers
    errors = [[median - low], [high - median]]
    style = {"fmt": "s", "color": _PAPER, "capsize": 3, "label": "paper, k = 200"}
    ax.errorbar([last], [median], yerr=errors, clip_on=False, zorder=3, **style)


def thresholds(curves: dict, lines: dict, learnt: dict, ways: dict) -> Figure:
    """theta, J and <z> of both algorithms on threshold policies."""
    figure, axes = new_figure(len(curves), 3, 12.0, 3.4 * len(curves))
    labels = {"theta": "threshold", "J": "social welfare J", "<z>": "mean state <z>"}
    for row, (name, found) in zip(axes, curves.items(), strict=True):
        theta, mean, value = lines[name]
        exact = {"theta": theta, "J": value, "<z>": mean}
        for ax, (what, label) in zip(row, labels.items(), strict=True):
            _band(ax, found[what], _OURS, "median and quartiles")
            ax.axhline(exact[what], color=_LINE, linestyle=":", label="exact line of the paper")
            _final(ax, found[what].shape[1] - 1, learnt[name][what])
            if what == "theta":
                ax.plot(*zip(*ways[name].items(), strict=True), "o", color=_PAPER, ms=4)
            ax.set(xlabel="policy step k", ylabel=label, title=name)
    axes[0, 0].legend(frameon=False, fontsize="small")
    return figure


def neural(curves: dict, way: dict, value: tuple, mean: tuple) -> Figure:
    """J, <z> and exploitability of neural policies, for each baseline."""
    figure, axes = new_figure(1, 3, 12.0, 3.6)
    labels = {"J": "social welfare J", "<z>": "mean state <z>", "exploitability": "exploitability"}
    for ax, (what, label) in zip(axes[0], labels.items(), strict=True):
        for (name, found), colour in zip(curves.items(), _BASELINE_COLOURS, strict=True):
            _band(ax, found[what], colour, name)
        ax.set(xlabel="policy step k", ylabel=label)
    _final(axes[0, 0], 200, value)
    _final(axes[0, 1], 200, mean)
    axes[0, 0].plot(*zip(*way.items(), strict=True), "o", color=_PAPER, ms=4)
    axes[0, 2].set_yscale("log")
    axes[0, 0].legend(frameon=False, fontsize="small")
    return figure


def investments(found: dict, clusters: dict, paper: dict) -> Figure:
    """J and exploitability of every run, by what its last policy invests in."""
    figure, axes = new_figure(1, 2, 11.0, 4.0)
    colours = (_OURS, *_OTHERS, "#999999")
    for ax, what in zip(axes[0], ("J", "exploitability"), strict=True):
        for place, (name, inside) in enumerate(clusters.items()):
            values = np.sort(found[what][inside])
            spread = (
                np.linspace(-0.3, 0.3, values.size) if values.size > 1 else np.zeros(values.size)
            )
            text = f"{name}\n{inside.mean():.0%}"
            ax.plot(place + spread, values, "o", ms=3, color=colours[place])
            style = {"ha": "center", "va": "bottom", "fontsize": "small"}
            ax.text(place, 1.01, text, transform=ax.get_xaxis_transform(), **style)
            if what == "J" and name in paper:
                ax.plot([place - 0.4, place + 0.4], [paper[name][1]] * 2, color=_PAPER)
        ax.set(xticks=[], xlim=(-0.6, len(clusters) - 0.4), ylabel=what)
    axes[0, 0].plot([], [], color=_PAPER, label="median of the paper's cluster")
    axes[0, 0].legend(frameon=False, fontsize="small", loc="upper right")
    return figure
