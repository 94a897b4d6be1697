"""How the exploitability fell, and what else is known of every iterate."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nashfield.plotting.canvas import (
    PALETTE,
    Axes,
    check_solution,
    integer_ticks,
    new_axes,
    title_of,
    words,
)
from nashfield.registry import SOLVERS
from nashfield.solution import Solution

# Below this share of the largest value nothing but rounding is left in double precision.
_SHARE_OF_ROUNDING = 1e-16
# What may be of either sign has a linear axis.
_SIGNED = ("social_welfare",)
# Up to so many iterations each has a marker, and a linear axis.
_FEW = 40


def plot_exploitability(
    solutions: Solution | Mapping[str, Solution], *, ax: Axes | None = None
) -> Axes:
    """Exploitability of every iterate on log axes, one line a solver; see `plot_history`."""
    return _plot(solutions, "exploitability", "plot_exploitability", ax)


def plot_history(
    solutions: Solution | Mapping[str, Solution],
    name: str = "social_welfare",
    *,
    ax: Axes | None = None,
) -> Axes:
    """One number of every iterate, one line a solver.

    The iteration's axis is linear up to 40 iterations; of more it is logarithmic, and linear from
    0 to 1, so that the start is in the picture. The other axis is logarithmic, but for the social
    welfare; values that it cannot show (zero, or negative by rounding or noise) lie on a dotted
    floor line. A batch of solutions (say, over seeds) becomes lines of one colour.

    Args:
        solutions: one solution, or solutions by the names that the legend gives them.
        name: "exploitability", "social_welfare", or whatever else `solution.history` holds.
        ax: where to draw; a new figure if None.

    Returns:
        The axes; `.figure.savefig("picture.png")` keeps them.

    Raises:
        TypeError: something else than solutions.
        ValueError: an empty mapping, or a history without that name.
    """
    return _plot(solutions, name, "plot_history", ax)


def _plot(solutions: Any, name: str, function: str, ax: Axes | None) -> Axes:
    named = dict(solutions) if isinstance(solutions, Mapping) else {"": solutions}
    if not named:
        raise ValueError(f"{function} needs at least one solution, the mapping is empty")
    runs = {
        label: _histories(check_solution(solution, function, batch=True), name)
        for label, solution in named.items()
    }
    ax = new_axes(ax)
    signed = name in _SIGNED
    floor = -np.inf if signed else floor_of([v for histories in runs.values() for v in histories])
    floored = False
    for index, (label, histories) in enumerate(runs.items()):
        for number, values in enumerate(histories):
            shown = np.where(values > floor, values, floor)
            shown[~np.isfinite(values)] = np.nan
            floored |= bool(np.any(values <= floor))
            few = values.size <= _FEW + 1
            ax.plot(
                np.arange(values.size),
                shown,
                color=PALETTE[index % len(PALETTE)],
                linestyle=("-", "--", "-.")[index // len(PALETTE) % 3],
                marker="o" if few else None,
                markersize=3.5,
                alpha=1.0 if len(histories) == 1 else 0.6,
                label=label if label and number == 0 else None,
            )
    most = max(1, *(len(h) - 1 for histories in runs.values() for h in histories))
    if most > _FEW:
        ax.set_xscale("symlog", linthresh=1)
        ax.set_xlim(0, 1.1 * most)
    else:
        ax.set_xlim(0, 1.02 * most)
        integer_ticks(ax.xaxis, most + 1)
    ax.set_yscale("linear" if signed else "log")
    if floored:
        mark_floor(ax, floor)
    ax.set_xlabel("iteration")
    ax.set_ylabel(name.replace("_", " "))
    ax.grid(True, which="major", color="0.9")
    ax.set_axisbelow(True)
    ax.set_title(title_of_solutions(list(named.values())))
    if any(named):
        ax.legend(frameon=False)
    return ax


def mark_floor(ax: Axes, floor: float) -> None:
    """Draws the line on which values lie that a log axis cannot show."""
    ax.axhline(floor, color="0.4", linestyle=":", linewidth=1.2, zorder=0)
    ax.annotate(
        "zero or below",
        (1, floor),
        xycoords=("axes fraction", "data"),
        xytext=(-3, 3),
        textcoords="offset points",
        ha="right",
        color="0.4",
        fontsize="small",
    )


def _histories(solution: Solution, name: str) -> list[np.ndarray]:
    """One history a solution of the batch, each up to its last step."""
    if name not in solution.history:
        raise ValueError(f"this history has no {name!r}; it has {', '.join(solution.history)}")
    values = np.asarray(solution.history[name], np.float64)
    values = values.reshape(-1, values.shape[-1])
    steps = np.broadcast_to(np.asarray(solution.num_steps).reshape(-1), values.shape[:1])
    return [row[: step + 1] for row, step in zip(values, steps, strict=True)]


def floor_of(histories: list[np.ndarray]) -> float:
    """Where that line is: below all positive values but those that rounding left."""
    values = np.concatenate([history.ravel() for history in histories])
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size:
        return _SHARE_OF_ROUNDING
    lowest = _SHARE_OF_ROUNDING * positive.max()
    return float(max(positive[positive > lowest].min() / 3, lowest))


def title_of_solutions(solutions: list[Solution]) -> str:
    """The game, where it is the same one, and the solver of a single solution."""
    titles = {title_of(solution) for solution in solutions}
    title = titles.pop() if len(titles) == 1 else ""
    solver = solutions[0].solver
    if len(solutions) == 1 and solver is not None:
        name = _solver_name(type(solver).__name__)
        return f"{title}, {name}" if title else name
    return title


def _solver_name(name: str) -> str:
    """In words; an abbreviation as the command line writes it."""
    if not name.isupper():
        return words(name).lower()
    return next((known for known, (_, cls) in SOLVERS.items() if cls == name), name)
