"""The paper's figures: means and standard deviations over seeds, beside exact lines."""

from typing import Any

import numpy as np

from nashfield.papers.figures import Figure, new_figure
from nashfield.plotting.canvas import MASS, PALETTE, WALL, integer_ticks
from nashfield.plotting.errors import draw_band, draw_errors
from nashfield.plotting.history import floor_of
from nashfield.plotting.mosaic import chosen_times

_EXACT, _GRID, _PAPER = "#000000", "#000000", "#D55E00"


def curves(found: dict[str, np.ndarray], exact: np.ndarray) -> Figure:
    """Exploitability of all algorithms, (M, K + 1) each, and of exact fictitious play (K,)."""
    figure, axes = new_figure(1, 1, 7.0, 4.6)
    ax = axes[0, 0]
    floor = floor_of(list(found.values()))
    for (name, values), colour in zip(found.items(), PALETTE, strict=False):
        draw_band(ax, values, colour, name, floor)
    style = {"color": _EXACT, "linestyle": ":", "label": "exact fictitious play"}
    ax.plot(np.arange(1, exact.size + 1), exact, **style)
    integer_ticks(ax.xaxis, max(values.shape[1] for values in found.values()))
    ax.set(yscale="log", xlabel="iteration k", ylabel="exploitability")
    ax.grid(True, which="major", color="0.9")
    ax.legend(frameon=False, fontsize="small")
    return figure


def moments(
    crowd: np.ndarray, lines: dict[str, np.ndarray], paper: dict[int, tuple[float, float]]
) -> Figure:
    """Mean and deviation of the crowd over time: learnt (M, 2, T + 1), exact, and the paper's."""
    figure, axes = new_figure(1, 2, 10.0, 3.8)
    for i, (ax, label) in enumerate(zip(axes[0], ("mean", "standard deviation"), strict=True)):
        draw_band(ax, crowd[:, i], PALETTE[0], "DEDA-FP", -np.inf)
        for (name, exact), style in zip(lines.items(), (":", "--"), strict=True):
            ax.plot(exact[i], linestyle=style, color=_EXACT, label=name)
        points = [numbers[i] for numbers in paper.values()]
        ax.plot(list(paper), points, "s", color=_PAPER, label="paper (other constants)")
        integer_ticks(ax.xaxis, crowd.shape[2])
        ax.set(xlabel="time t", ylabel=f"{label} of the crowd")
    axes[0, 0].legend(frameon=False, fontsize="small")
    return figure


def budget(history: dict[str, np.ndarray]) -> Figure:
    """Exploitabilities and the errors of the learnt parts."""
    figure, axes = new_figure(1, 2, 11.0, 4.4)
    draw_errors(axes[0, 0], axes[0, 1], history)
    return figure


def densities(centres: np.ndarray, learnt: np.ndarray, exact: np.ndarray, title: str) -> Figure:
    """Learnt densities (M, T + 1, S) beside a grid's (T + 1, S): maps, and curves at some times."""
    figure, axes = new_figure(1, 3, 13.0, 3.8)
    mean, last = learnt.mean(0), len(exact) - 1
    shown = exact > 1e-3 * exact.max()
    low, high = centres[shown.any(0)][[0, -1]]
    top = float(np.quantile(exact[shown], 0.995))
    image: Any = None
    for ax, values, name in zip(axes[0], (mean, exact), ("DEDA-FP", "grid"), strict=False):
        image = ax.pcolormesh(np.arange(last + 1), centres, values.T, cmap=MASS, vmin=0, vmax=top)
        integer_ticks(ax.xaxis, last + 1)
        ax.set(xlabel="time t", ylabel="state", ylim=(low, high), title=f"{title}: {name}")
    figure.colorbar(image, ax=axes[0, :2], label="density of the crowd", extend="max")
    ax = axes[0, 2]
    # A learnt density with a spike must not flatten all the others.
    height = 1.05 * max(1.25 * top, min(float(mean[1:].max()), 4 * top))
    for t, colour in zip(chosen_times(last, 4), PALETTE, strict=False):
        spread = learnt[:, t].std(0)
        ax.plot(centres, mean[t], color=colour, label=f"t = {t}")
        low_edge, high_edge = mean[t] - spread, mean[t] + spread
        ax.fill_between(centres, low_edge, high_edge, color=colour, alpha=0.2, linewidth=0)
        ax.plot(centres, exact[t], color=colour, linestyle=":")
    ax.plot([], [], color=_GRID, linestyle=":", label="grid")
    ax.set(xlabel="state", ylabel="density", xlim=(low, high), ylim=(0, height))
    ax.legend(frameon=False, fontsize="small")
    return figure


def rooms(maps: dict[str, np.ndarray], free: np.ndarray) -> Figure:
    """Masses of cells (S,) in units of those of a uniform crowd, one small map each."""
    from matplotlib.colors import PowerNorm

    columns = min(4, len(maps))
    figure, axes = new_figure(-(-len(maps) // columns), columns, 3.0 * columns + 0.8, 6.0)
    side = int(np.sqrt(free.size))
    norm = PowerNorm(0.5, 0, 4)
    images: list[Any] = []
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (name, masses) in zip(axes.flat, maps.items(), strict=False):
        even = np.where(free, masses * free.sum(), np.nan).reshape(side, side)
        ax.set_facecolor(WALL)
        ax.set_axis_on()
        images.append(ax.imshow(even.T, origin="lower", cmap=MASS, norm=norm))
        ax.set(xticks=[], yticks=[])
        ax.set_title(name, fontsize="small")
    label = "density, 1 where the crowd is even"
    figure.colorbar(images[0], ax=axes, label=label, extend="max")
    return figure
