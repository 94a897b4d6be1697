"""Where the crowd of a stationary game comes to rest."""

import numpy as np

from nashfield.mean_fields import Particles
from nashfield.plotting.canvas import MASS, PALETTE, Axes, new_axes, title_of
from nashfield.plotting.mosaic import Grid, Mosaic, mass_bar, mass_norm, new_colors
from nashfield.plotting.places import Places, points_of
from nashfield.solution import Solution

_NUM_BINS = 50
# A peak so many times higher than the middle would hide the rest on a linear axis.
_STEEP = 8


def plot_mean_field(solution: Solution, *, ax: Axes | None = None) -> Axes:
    """The stationary mean field: bars over the states, a map on a grid, histograms of points.

    Where a few states hold most of the crowd the axis of the shares is that of their square roots,
    so that thin crowds can be seen.

    Args:
        solution: what `solve` returned for a stationary game.
        ax: where to draw; a new figure if None.

    Returns:
        The axes; `.figure.savefig("picture.png")` keeps them.

    Raises:
        TypeError: something else than a Solution.
        ValueError: a batch of solutions.
    """
    grid = Grid.under(solution, "plot_mean_field")
    states = np.asarray(solution.flow.states, np.float64)
    if isinstance(solution.flow, Particles):
        ax = _histograms(states, points_of(solution), ax)
    elif grid is not None:
        ax = _map(states, grid, ax)
    else:
        ax = _bars(states, Places.of(solution), ax)
    ax.set_title(title_of(solution))
    return ax


def _bars(states: np.ndarray, places: Places, ax: Axes | None) -> Axes:
    ax = new_axes(ax)
    width = 0.8 if places.names is not None else 1.0
    ax.bar(places.at, states[places.order], width * np.diff(places.edges), color=PALETTE[0])
    places.frame(ax)
    _share_axis(ax, states)
    return ax


def _histograms(states: np.ndarray, points: np.ndarray, ax: Axes | None) -> Axes:
    """One outline for every dimension, all over the same cells, which hold `points`."""
    ax = new_axes(ax)
    edges = np.linspace(min(states.min(), points.min()), max(states.max(), points.max()), _NUM_BINS)
    shares = [np.histogram(column, edges)[0] / len(states) for column in states.T]
    for dimension, share in enumerate(shares):
        color = PALETTE[dimension % len(PALETTE)]
        label = f"dimension {dimension}" if len(shares) > 1 else None
        fill = len(shares) == 1
        ax.stairs(share, edges, color=color, fill=fill, linewidth=1.4, label=label)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_xlabel("state")
    _share_axis(ax, np.concatenate(shares))
    if len(shares) > 1:
        ax.legend(frameon=False)
    return ax


def _share_axis(ax: Axes, shares: np.ndarray) -> None:
    label = "share of the population"
    if shares.max() > _STEEP * np.median(shares[shares > 0]):
        ax.set_yscale("function", functions=(_root, np.square))
        label += " (square-root scale)"
    ax.set_ylim(0)
    ax.set_ylabel(label)


def _root(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(values, 0))


def _map(states: np.ndarray, grid: Grid, ax: Axes | None) -> Axes:
    mosaic = Mosaic.fit(1, grid.height, grid.width)
    width, height = mosaic.size
    ax = new_axes(ax, 6.4, float(np.clip(5.6 * height / width, 3, 9)))
    colors = new_colors(MASS, mass_norm(states[None]))
    grid.draw(ax, mosaic.corner(0), states, colors)
    mosaic.frame(ax, [""], equal=True)
    mass_bar(ax, colors, states[None])
    return ax
