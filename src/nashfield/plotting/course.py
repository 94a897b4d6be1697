"""Shares and actions in continuous time: a line a state."""

import numpy as np

from nashfield.games.rates import RateGame
from nashfield.plotting.canvas import PALETTE, Axes, new_axes, state_names
from nashfield.solution import Solution


def draw_course(
    rows: np.ndarray, solution: Solution, names: list[str], label: str, ax: Axes | None
) -> Axes:
    """Draws (K + 1, S) rows over the time of the game.

    Args:
        rows: what is drawn.
        solution: of a RateGame.
        names: of the S columns.
        label: what the rows are.
        ax: where to draw; a new figure if None.
    """
    assert isinstance(solution.game, RateGame)
    ax = new_axes(ax)
    times = np.linspace(0, float(solution.game.duration), len(rows))
    for i, name in enumerate(names):
        ax.plot(times, rows[:, i], label=name, color=PALETTE[i % len(PALETTE)])
    ax.set_xlim(0, times[-1])
    ax.set_xlabel("time")
    ax.set_ylabel(label)
    ax.legend(title="state", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return ax


def draw_actions_over_time(solution: Solution, ax: Axes | None) -> Axes:
    """The actions in the states where they are not the same at all times."""
    policy = np.asarray(solution.policy, np.float64)
    moves = np.ptp(policy, axis=0) > 0
    moves = moves if moves.any() else np.full(policy.shape[1], True)
    names = [name for name, shown in zip(state_names(solution), moves, strict=True) if shown]
    return draw_course(policy[:, moves], solution, names, "action", ax)
