"""Where the crowd is over time."""

import numpy as np

from nashfield.games.rates import RateGame
from nashfield.mean_fields import AbstractFlow, FiniteFlow
from nashfield.plotting.canvas import (
    MASS,
    PALETTE,
    Axes,
    check_solution,
    display_of,
    integer_ticks,
    new_axes,
    state_names,
    title_of,
)
from nashfield.plotting.course import draw_course
from nashfield.plotting.mean_field import plot_mean_field
from nashfield.plotting.mosaic import Grid, Mosaic, chosen_times, mass_bar, mass_norm, new_colors
from nashfield.plotting.points import draw_points, off_grid
from nashfield.solution import Solution

_MAX_AREAS = 8  # more states than this are told apart by place, not by colour
_MAX_NAMES = 30


def plot_flow(solution: Solution, *, ax: Axes | None = None) -> Axes:
    """The mean-field flow: areas for few states, a heat map for many, small maps on a grid.

    Of a stationary game it is the mean field: see `plot_mean_field`. Of a game on points: its
    density on the line, small maps in the plane, bands of every coordinate beyond.

    On a grid every map is one time; walls are dark, and the floors of a building stand side by
    side. Colours go with the square root of the share, so that thin crowds can be seen.

    Args:
        solution: what `solve` returned.
        ax: where to draw; a new figure if None.

    Returns:
        The axes; `.figure.savefig("picture.png")` keeps them.

    Raises:
        TypeError: something else than a Solution.
        ValueError: a batch of solutions.
    """
    solution = off_grid(check_solution(solution, "plot_flow"))
    if isinstance(solution.flow, AbstractFlow):
        ax = draw_points(solution, ax)
        ax.set_title(title_of(solution))
        return ax
    grid = Grid.under(solution, "plot_flow")
    if not isinstance(solution.flow, FiniteFlow):
        return plot_mean_field(solution, ax=ax)
    states = np.asarray(solution.flow.states, np.float64)
    if isinstance(solution.game, RateGame):
        ax = draw_course(states, solution, state_names(solution), "share of the population", ax)
    elif grid is not None:
        ax = _maps(states, grid, ax)
    elif states.shape[1] <= _MAX_AREAS:
        ax = _areas(states, state_names(solution), ax)
    else:
        ax = _heat_map(states, solution, ax)
    ax.set_title(title_of(solution))
    return ax


def _areas(states: np.ndarray, names: list[str], ax: Axes | None) -> Axes:
    ax = new_axes(ax)
    times = np.arange(len(states))
    if len(times) <= 12:
        bottom = np.zeros(len(times))
        for state, name in enumerate(names):
            color = PALETTE[state]
            share = states[:, state]
            ax.bar(times, share, 0.8, bottom, label=name, color=color, edgecolor="white")
            bottom += share
        ax.set_xlim(-0.6, len(times) - 0.4)
    else:
        ax.stackplot(
            times,
            states.T,
            labels=names,
            colors=PALETTE[: len(names)],
            edgecolor="white",
            linewidth=0.6,
        )
        ax.set_xlim(0, len(times) - 1)
    ax.set_ylim(0, 1)
    integer_ticks(ax.xaxis, len(times))
    ax.set_xlabel("time")
    ax.set_ylabel("share of the population")
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(  # in the order in which the areas lie upon each other
        handles[::-1], labels[::-1], title="state", loc="center left",
        bbox_to_anchor=(1.01, 0.5), frameon=False,
    )  # fmt: skip
    return ax


def _heat_map(states: np.ndarray, solution: Solution, ax: Axes | None) -> Axes:
    ax = new_axes(ax)
    norm = mass_norm(states)
    image = ax.imshow(
        states.T, origin="lower", aspect="auto", interpolation="nearest", cmap=MASS, norm=norm
    )
    integer_ticks(ax.xaxis, states.shape[0])
    integer_ticks(ax.yaxis, states.shape[1])
    if display_of(solution).states:
        names, count = state_names(solution), states.shape[1]
        places = range(count) if count <= _MAX_NAMES else chosen_times(count - 1, 8)
        ax.set_yticks(places, [names[k] for k in places], fontsize="small")
    ax.set_xlabel("time")
    ax.set_ylabel("state")
    mass_bar(ax, image, states)
    return ax


def _maps(states: np.ndarray, grid: Grid, ax: Axes | None) -> Axes:
    times = chosen_times(len(states) - 1, 6)
    mosaic = Mosaic.fit(len(times), grid.height, grid.width)
    width, height = mosaic.size
    ax = new_axes(ax, 8.6, float(np.clip(7.2 * height / width, 3, 9)))
    colors = new_colors(MASS, mass_norm(states[times]))
    for tile, t in enumerate(times):
        grid.draw(ax, mosaic.corner(tile), states[t], colors)
    mosaic.frame(ax, [f"time {t}" for t in times], equal=True)
    mass_bar(ax, colors, states[times])
    return ax
