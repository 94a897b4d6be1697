"""What an agent of a stationary game does, over the states."""

import numpy as np

from nashfield.mean_fields import Particles
from nashfield.plotting.canvas import (
    PALETTE,
    PROBABILITY,
    Axes,
    action_names,
    new_axes,
    title_of,
)
from nashfield.plotting.places import Places, points_of
from nashfield.policies import AbstractPolicy, as_table
from nashfield.solution import Solution

_MAX_AREAS = 8  # more actions than this are told apart by place, not by colour
_NUM_POINTS = 401
_NUM_BINS = 25


def draw_actions(solution: Solution, ax: Axes | None) -> Axes:
    """Probabilities of the actions over the states, stacked; see `plot_policy`.

    Where states are points of several dimensions each has a panel: what those agents do, newcomers
    and the crowd alike, whose state lies there in this dimension.

    Args:
        solution: of a stationary game.
        ax: where to draw; a new figure if None.
    """
    if isinstance(solution.flow, Particles):
        ax = _on_points(solution, ax)
    else:
        table = _table(solution)
        names = action_names(solution, table.shape[1])
        places = Places.of(solution)
        if len(names) > _MAX_AREAS:
            ax = _matrix(table, places, names, ax)
        else:
            ax = new_axes(ax)
            _areas(ax, places.edges, table[places.order], names)
            places.frame(ax)
    ax.set_title(title_of(solution))
    return ax


def _table(solution: Solution) -> np.ndarray:
    policy = solution.policy
    if isinstance(policy, AbstractPolicy):
        policy = as_table(solution.game, policy)
    return np.asarray(policy, np.float64)


def _areas(ax: Axes, edges: np.ndarray, table: np.ndarray, names: list[str]) -> None:
    """Stacked areas with one step a state; the probability of the second of two actions alone."""
    if len(names) == 2:
        ax.stairs(table[:, 1], edges, fill=True, color=PALETTE[0], alpha=0.3)
        ax.stairs(table[:, 1], edges, color=PALETTE[0], linewidth=1.4)
        ax.set_ylabel(f"probability of “{names[1]}”")
    else:
        tops = np.cumsum(table, 1)
        for action, name in enumerate(names):
            bottom = tops[:, action - 1] if action else np.zeros(len(table))
            ax.stairs(
                tops[:, action], edges, baseline=bottom, fill=True, label=name,
                color=PALETTE[action],
            )  # fmt: skip
        ax.set_ylabel("probability of the action")
        handles, labels = ax.get_legend_handles_labels()
        ax.legend(  # in the order in which the areas lie upon each other
            handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.01, 0.5),
            frameon=False,
        )  # fmt: skip
    ax.set_ylim(0, 1)


def _matrix(table: np.ndarray, places: Places, names: list[str], ax: Axes | None) -> Axes:
    ax = new_axes(ax)
    rows = np.arange(len(names) + 1) - 0.5
    image = ax.pcolormesh(
        places.edges, rows, table[places.order].T, cmap=PROBABILITY, vmin=0, vmax=1
    )
    places.frame(ax)
    few = len(names) <= 30
    ax.set_yticks(range(len(names)) if few else [0, len(names) - 1])
    if few:
        ax.set_yticklabels(names)
    ax.set_ylabel("action")
    ax.figure.colorbar(image, ax=ax, label="probability of the action")
    return ax


def _on_points(solution: Solution, ax: Axes | None) -> Axes:
    states = points_of(solution)
    low, high = float(states.min()), float(states.max())
    if states.shape[1] == 1:
        edges = np.linspace(low, high, _NUM_POINTS + 1)
        table = _probabilities(solution, (edges[1:, None] + edges[:-1, None]) / 2)
        ax = new_axes(ax)
        _areas(ax, edges, table, action_names(solution, table.shape[1]))
        ax.set_xlim(low, high)
        ax.set_xlabel("state")
        return ax
    table = _probabilities(solution, states)
    names = action_names(solution, table.shape[1])
    edges = np.linspace(low, high, _NUM_BINS + 1)
    num_panels = states.shape[1]
    ax = new_axes(ax, 8.6, 1.0 + 1.9 * num_panels)
    ax.axis("off")
    for dimension in range(num_panels):
        share = 1 / num_panels
        bounds = (0.0, 1 - (dimension + 1) * share + 0.08 * share, 1.0, 0.84 * share)
        panel = ax.inset_axes(bounds)
        _areas(panel, edges, _binned(states[:, dimension], table, edges), names)
        panel.set_xlim(low, high)
        panel.set_ylabel(f"dimension {dimension}")
        if dimension < num_panels - 1:
            panel.set_xticklabels([])
        else:
            panel.set_xlabel("state in this dimension; height: probability of the action")
        legend = panel.get_legend()
        if dimension and legend is not None:
            legend.remove()
    return ax


def _probabilities(solution: Solution, states: np.ndarray) -> np.ndarray:
    return np.asarray(solution.policy.probabilities(states), np.float64)


def _binned(places: np.ndarray, table: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean rows of `table` by cell; nothing where nobody is."""
    cell = np.clip(np.searchsorted(edges, places, side="right") - 1, 0, len(edges) - 2)
    sums = np.zeros((len(edges) - 1, table.shape[1]))
    np.add.at(sums, cell, table)
    counts = np.bincount(cell, minlength=len(sums))
    return sums / np.maximum(counts, 1)[:, None]
