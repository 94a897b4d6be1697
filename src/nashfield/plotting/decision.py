"""What agents choose where all of them decide once, and from one state."""

import numpy as np

from nashfield.mean_fields import FiniteFlow
from nashfield.plotting.canvas import PALETTE, Axes, action_names, new_axes
from nashfield.solution import Solution

_MAX_NAMES = 30
# Of many actions those are shown that more than this share takes, and some beside them.
_TAKEN, _BESIDE = 1e-3, 5


def decides_once(solution: Solution) -> bool:
    """Whether there is one decision, and one state that it is made in."""
    flow = solution.flow
    if not isinstance(flow, FiniteFlow) or len(flow.states) != 2:
        return False
    return bool(np.sum(np.asarray(flow.states[0]) > 0) == 1)


def draw_decision(solution: Solution, ax: Axes | None) -> Axes:
    """A bar an action: its probability.

    Args:
        solution: one that `decides_once`.
        ax: where to draw; a new figure if None.
    """
    ax = new_axes(ax)
    state = int(np.argmax(np.asarray(solution.flow.states[0])))
    shares = np.asarray(solution.policy, np.float64)[0, state]
    names = action_names(solution, len(shares))
    first, last = 0, len(shares) - 1
    if len(shares) > _MAX_NAMES:
        taken = np.flatnonzero(shares > min(_TAKEN, shares.max() / 2))
        first, last = max(first, taken[0] - _BESIDE), min(last, taken[-1] + _BESIDE)
    shown = np.arange(first, last + 1)
    ax.bar(shown, shares[shown], 0.8, color=PALETTE[0])
    every = -(-len(shown) // _MAX_NAMES)
    turned = sum(len(names[k]) for k in shown[::every]) > 60
    ax.set_xticks(shown[::every], [names[k] for k in shown[::every]], rotation=90 if turned else 0)
    ax.set_xlim(first - 0.6, last + 0.6)
    ax.set_ylim(0, 1.05 * shares.max())
    ax.set_xlabel("action")
    ax.set_ylabel("probability")
    return ax
