"""What keeps a learnt answer from Nash: the error budget of deep play."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nashfield.plotting.canvas import PALETTE, Axes, check_solution, integer_ticks, new_axes
from nashfield.plotting.history import floor_of, mark_floor, title_of_solutions
from nashfield.solution import Solution

# In units of rewards, and in units of states: columns of a history by what to call them.
REWARDS = {
    "exploitability": "exploitability of the policy",
    "mean_action_exploitability": "of its mean action",
    "mixture_exploitability": "of the mixture of best responses",
    "eps_br": "eps_br: what the last best response missed",
}
STATES = {
    "eps_sl": "eps_sl: average policy beside the mixture",
    "eps_cnf": "eps_cnf: learnt crowd beside the roll-out",
}


def has_errors(solution: Solution) -> bool:
    """Whether the solver kept an error budget."""
    return any(name in solution.history for name in ("eps_br", *STATES))


def plot_errors(solution: Solution, *, ax: Axes | None = None) -> Axes:
    """The errors of learnt parts beside the exploitability, over the iterations.

    Above in units of rewards: exploitabilities, and what best responses missed. Below in units of
    states: distances of the average policy's crowd from that of the mixture, and of the normalizing
    flow from the crowd. Of a batch of solutions (say, over seeds) the mean, and a band of one
    standard deviation. Values that a log axis cannot show lie on a dotted floor line.

    Args:
        solution: of `DEDAFP` or another solver whose history holds eps_br, eps_sl or eps_cnf.
        ax: where to draw, in a grid of subplots; a new figure if None.

    Returns:
        The upper axes; `.figure.savefig("picture.png")` keeps them.

    Raises:
        TypeError: something else than a Solution.
        ValueError: a history without an error, or axes in no grid.
    """
    check_solution(solution, "plot_errors", batch=True)
    if not has_errors(solution):
        raise ValueError(
            "this history has no error budget, which solvers of deep play keep; it has "
            f"{', '.join(solution.history)}"
        )
    rows = 2 if _known(solution.history, STATES) else 1
    frame = new_axes(ax, 6.8, 3.5 * rows)
    spec = frame.get_subplotspec()
    if spec is None:
        raise ValueError("ax must lie in a grid of subplots: take one of Figure.subplots()")
    frame.axis("off")
    figure = frame.figure
    panels = [figure.add_subplot(cell) for cell in spec.subgridspec(rows, 1)]
    draw_errors(panels[0], panels[1] if rows == 2 else None, solution.history)
    panels[0].set_title(title_of_solutions([solution]))
    return panels[0]


def draw_errors(upper: Axes, lower: Axes | None, history: Mapping[str, Any]) -> None:
    """Draws the budget of `plot_errors`, its columns of shape (*batch, K + 1), on two axes.

    Without `lower` what is in units of states is left out.
    """
    colours = iter(PALETTE)
    for ax, names, unit in ((upper, REWARDS, "rewards"), (lower, STATES, "states")):
        known = _known(history, names)
        if ax is None:
            continue
        if not known:
            ax.set_axis_off()
            continue
        floor = floor_of(list(known.values()))
        for label, values in known.items():
            draw_band(ax, values, next(colours), label, floor)
        if any(np.any(values <= floor) for values in known.values()):
            mark_floor(ax, floor)
        ax.set(yscale="log", xlabel="iteration", ylabel=f"in units of {unit}")
        # All panels begin at the start, whether or not all is known of it.
        last = max(values.shape[1] for values in known.values()) - 1
        ax.set_xlim(-0.03 * last, 1.03 * last)
        integer_ticks(ax.xaxis, last + 1)
        ax.grid(True, which="major", color="0.9")
        ax.legend(frameon=False, fontsize="small")


def _known(history: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, np.ndarray]:
    """By what to call them, columns (M, K + 1) of the history in which something is known."""
    columns = {
        label: np.asarray(history[name], float).reshape(-1, np.shape(history[name])[-1])
        for name, label in names.items()
        if name in history
    }
    return {label: values for label, values in columns.items() if np.isfinite(values).any()}


def draw_band(ax: Axes, values: np.ndarray, colour: str, label: str, floor: float) -> None:
    """Mean over seeds of values (M, K + 1), and of several seeds a band of one deviation."""
    mean, spread = values.mean(0), values.std(0)
    steps = np.arange(mean.size)
    shown = np.where(np.isfinite(mean), np.maximum(mean, floor), np.nan)
    ax.plot(steps, shown, color=colour, marker="o", markersize=3, label=label)
    if len(values) > 1:
        low, high = (np.maximum(edge, floor) for edge in (mean - spread, mean + spread))
        ax.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
