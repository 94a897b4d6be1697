"""What an agent does, where and when."""

import numpy as np

from nashfield.games.base import FiniteGame, StationaryGame
from nashfield.games.rates import RateGame
from nashfield.mean_fields import AbstractFlow, FiniteFlow
from nashfield.plotting.actions import draw_actions
from nashfield.plotting.canvas import (
    PROBABILITY,
    Axes,
    action_names,
    check_solution,
    display_of,
    integer_ticks,
    new_axes,
    state_names,
    title_of,
)
from nashfield.plotting.course import draw_actions_over_time
from nashfield.plotting.decision import decides_once, draw_decision
from nashfield.plotting.mosaic import (
    Grid,
    Mosaic,
    chosen_times,
    draw_table,
    mass_bar,
    mass_norm,
    new_colors,
)
from nashfield.plotting.points import draw_controls, off_grid
from nashfield.policies import as_table
from nashfield.solution import Solution

_MAX_PANELS = 12
_MAX_ARROWS = 24  # along the longer side of one map
_MAX_NAMES = 12
_MIN_MOVE = 0.03  # cells; a shorter arrow is a dot


def plot_policy(solution: Solution, *, ax: Axes | None = None) -> Axes:
    """The policy: on a grid arrows, else one map of probabilities for every action.

    An arrow is the expected move of an agent in that cell, as the game's own kernel makes it from
    the policy, over the crowd at that time (dark: many). A triangle marks a cell that agents leave
    for the floor above or below with probability 1/2 or more. Without a grid: the probability of
    every action, over time and state; of the second alone where there are two; the mean number of
    the action where there are more than twelve. Where all decide once, from one state: a bar an
    action. Without time: the probabilities over the states.

    Of a game on points: the mean action on the line, arrows in the plane, bands of every control
    beyond.

    Args:
        solution: what `solve` returned.
        ax: where to draw; a new figure if None.

    Returns:
        The axes; `.figure.savefig("picture.png")` keeps them.

    Raises:
        TypeError: something else than a Solution.
        ValueError: a batch of solutions.
    """
    solution = off_grid(check_solution(solution, "plot_policy"))
    if isinstance(solution.flow, AbstractFlow):
        ax = draw_controls(solution, ax)
        ax.set_title(title_of(solution))
        return ax
    if isinstance(solution.game, RateGame):
        ax = draw_actions_over_time(solution, ax)
        ax.set_title(title_of(solution))
        return ax
    grid = Grid.under(solution, "plot_policy")
    if grid is not None and isinstance(solution.game, FiniteGame | StationaryGame):
        ax = _arrows(solution, grid, ax)
        ax.set_title(title_of(solution))
        return ax
    if not isinstance(solution.flow, FiniteFlow):
        return draw_actions(solution, ax)
    policy = np.asarray(solution.policy, np.float64)
    names = action_names(solution, policy.shape[-1])
    if decides_once(solution):
        ax = draw_decision(solution, ax)
    elif len(names) > _MAX_PANELS:
        mean = policy @ np.arange(len(names))
        ax = _single(mean, solution, "mean number of the action", float(len(names) - 1), ax)
    elif len(names) == 2:
        ax = _single(policy[..., 1], solution, f"probability of “{names[1]}”", 1.0, ax)
    else:
        ax = _panels(policy, solution, ax)
    ax.set_title(title_of(solution))
    return ax


def _single(table: np.ndarray, solution: Solution, label: str, top: float, ax: Axes | None) -> Axes:
    ax = new_axes(ax)
    image = ax.imshow(
        table.T, origin="lower", aspect="auto", interpolation="nearest",
        cmap=PROBABILITY, vmin=0, vmax=top,
    )  # fmt: skip
    integer_ticks(ax.xaxis, table.shape[0])
    integer_ticks(ax.yaxis, table.shape[1])
    if display_of(solution).states and table.shape[1] <= _MAX_NAMES:
        ax.set_yticks(range(table.shape[1]), state_names(solution))
    ax.set_xlabel("time")
    ax.set_ylabel("state")
    ax.figure.colorbar(image, ax=ax, label=label)
    return ax


def _panels(policy: np.ndarray, solution: Solution, ax: Axes | None) -> Axes:
    horizon, num_states, num_actions = policy.shape
    mosaic = Mosaic.fit(num_actions, 1.0, 1.0)
    width, height = mosaic.size
    ax = new_axes(ax, 8.6, float(np.clip(7.4 * height / width, 3, 8)))
    colors = new_colors(PROBABILITY)
    for action in range(num_actions):
        # Time to the right, states upwards: the last state is the first row of the picture.
        table = policy[:, ::-1, action].T
        draw_table(ax, mosaic.corner(action), (mosaic.width, mosaic.height), table, colors)
    mosaic.frame(ax, action_names(solution, num_actions), equal=False)
    _panel_ticks(ax, mosaic, horizon, num_states, solution)
    ax.set_xlabel("time")
    ax.set_ylabel("state")
    ax.figure.colorbar(colors, ax=ax, label="probability of the action")
    return ax


def _panel_ticks(
    ax: Axes, mosaic: Mosaic, horizon: int, num_states: int, solution: Solution
) -> None:
    """Times under the lowest panels, states left of the first ones."""
    named = display_of(solution).states is not None and num_states <= _MAX_NAMES
    times = chosen_times(horizon - 1, 5)
    states = chosen_times(num_states - 1, _MAX_NAMES if named else 5)
    names = state_names(solution)
    rows = range(-(-mosaic.count // mosaic.across))
    lefts = [mosaic.corner(tile)[0] for tile in range(min(mosaic.across, mosaic.count))]
    tops = [mosaic.corner(row * mosaic.across)[1] for row in rows]
    ax.set_xticks(
        [left + (t + 0.5) / horizon for left in lefts for t in times],
        [str(t) for _ in lefts for t in times],
    )
    ax.set_yticks(
        [top + 1 - (x + 0.5) / num_states for top in tops for x in states],
        [names[x] if named else str(x) for _ in tops for x in states],
    )


def _arrows(solution: Solution, grid: Grid, ax: Axes | None) -> Axes:
    display = display_of(solution)
    assert display.cells is not None
    crowds = np.atleast_2d(np.asarray(solution.flow.states, np.float64))
    labels = {0: ""}
    if isinstance(solution.flow, FiniteFlow):
        count = 6 if grid.width * grid.height <= 400 else 4
        labels = {t: f"time {t}" for t in chosen_times(len(crowds) - 2, count)}
    times = list(labels)
    mosaic = Mosaic.fit(len(times), grid.height, grid.width)
    width, height = mosaic.size
    across = 10.0 if len(times) > 1 else 6.8
    ax = new_axes(ax, across, float(np.clip(0.84 * across * height / width, 3, 10)))
    colors = new_colors("Blues", mass_norm(crowds[times]))
    stride = max(1, -(-max(grid.height, grid.floor_width) // _MAX_ARROWS))
    cells = np.asarray(display.cells)
    shown = np.all(cells[:, -2:] % stride == stride // 2, axis=1)
    if display.walls is not None:
        shown &= ~np.asarray(display.walls, bool)
    for tile, t in enumerate(times):
        left, top = mosaic.corner(tile)
        grid.draw(ax, (left, top), crowds[t], colors)
        moves = expected_moves(solution, t)
        kept = shown & (np.hypot(moves[:, -1], moves[:, -2]) > _MIN_MOVE)
        x, y = left + grid.columns + 0.5, top + grid.rows + 0.5
        scale = 0.95 * stride
        ax.quiver(
            x[kept], y[kept], scale * moves[kept, -1], scale * moves[kept, -2],
            angles="xy", scale_units="xy", scale=1, pivot="mid", color="#B33A00",
            units="xy", width=0.11 * stride, headwidth=3.6, headlength=3.6, headaxislength=3.2,
            minlength=0.3,
        )  # fmt: skip
        for sign, marker in ((1, "^"), (-1, "v")) if moves.shape[1] == 3 else ():
            there = sign * moves[:, 0] >= 0.5
            ax.plot(x[there], y[there], marker, color="#7A0177", markersize=4, linestyle="none")
    mosaic.frame(ax, list(labels.values()), equal=True)
    mass_bar(ax, colors, crowds[times])
    return ax


def expected_moves(solution: Solution, t: int = 0) -> np.ndarray:
    """Expected displacement of an agent in each cell at time `t`, under the policy and its flow.

    Args:
        solution: of a game whose display has cells.
        t: the time of the decision; of no meaning in a stationary game.

    Returns:
        (S, 2) or (S, 3), in cells. On a torus the short way round counts.
    """
    import jax

    game = solution.game
    cells = np.asarray(display_of(solution).cells)
    if isinstance(game, StationaryGame):
        policy = np.asarray(as_table(game, solution.policy), np.float64)
        kernel = jax.jit(lambda flow: game.transition(flow))(solution.flow)
    else:
        assert isinstance(game, FiniteGame)
        policy = np.asarray(solution.policy, np.float64)[t]
        kernel = jax.jit(lambda flow, t: game.transition(t, flow[t]))(solution.flow, t)
    moves = np.zeros(cells.shape)
    for axis, extent in enumerate(cells.max(0) + 1):
        plain = cells[:, axis].astype(float)
        turned = (plain + extent // 2) % extent
        # Near the seam of a torus the turned coordinate has no jump; inside, the plain one.
        seam = np.minimum(plain, extent - 1 - plain) < extent / 4
        for coordinate, part in ((plain, ~seam), (turned, seam)) if extent > 4 else ((plain, ...),):
            moved = np.asarray(kernel.expect(coordinate), np.float64) - coordinate[:, None]
            moves[part, axis] = np.sum(policy * moved, -1)[part]
    return moves
