"""Crowds that avoid one another: the learnt density over time beside a grid's equilibrium."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.dynamics.discretised import DiscretisedGame, discretise
from nashfield.games.zoo.beach_bar_line import BeachBarLine
from nashfield.games.zoo.local_entropy import LocalEntropy
from nashfield.papers.magnino2025 import pictures
from nashfield.papers.magnino2025.learning import Learnt, Run, learn
from nashfield.papers.magnino2025.sizes import Sizes
from nashfield.papers.report import Row
from nashfield.solve import solve
from nashfield.solvers import DEDAFP, OnlineMirrorDescent

_NUM_CELLS, _NUM_ACTIONS, _NUM_SAMPLES = 100, 41, 20_000
_MOST_VARIANCE = 0.2


@dataclasses.dataclass(frozen=True)
class _Case:
    """A game, the box of its grid, the step of mirror descent there, and the bar."""

    game: Any
    box: dict[str, Any]
    step: float
    most: float
    gaussian: bool


def cases() -> dict[str, _Case]:
    """The games; constants are the library's, the paper's are not published."""
    box: dict[str, Any] = {"low": -2.5, "high": 3.5, "action_low": -1.0, "action_high": 1.0}
    return {
        "beach-bar": _Case(BeachBarLine(), {}, 5.0, 0.08, False),
        # An agent far out must not be paid without bound.
        "local-entropy": _Case(LocalEntropy(floor=1e-2), box, 1.0, 0.05, True),
    }


def play(
    sizes: Sizes, *, key: PRNGKeyArray, tell: Callable[[str], None]
) -> tuple[list[Row], dict[str, Callable]]:
    """DEDA-FP on both games."""
    games, num_iterations = cases(), sizes.num_iterations
    solver = sizes.fictitious(DEDAFP, num_iterations)
    learn_key, draw_key = jax.random.split(key)
    runs = {
        f"{name}, DEDA-FP": Run(case.game, solver, num_iterations, sizes.num_seeds)
        for name, case in games.items()
    }
    found = learn(runs, key=learn_key, tell=tell)
    rows, drawn = [], {}
    for (name, case), learnt in zip(games.items(), found.values(), strict=True):
        tell(f"{name}: equilibrium on a grid")
        more, picture = _compare(name, case, learnt, sizes, draw_key)
        rows += more
        drawn[f"{name}.png"] = picture
    return rows, drawn


def _compare(
    name: str, case: _Case, learnt: Learnt, sizes: Sizes, key: PRNGKeyArray
) -> tuple[list[Row], Callable]:
    sides: dict[str, Any] = {"num_cells": _NUM_CELLS, "num_actions": _NUM_ACTIONS}
    grid = discretise(case.game, **sides, **case.box)
    yardstick = solve(
        grid,
        OnlineMirrorDescent(learning_rate=case.step),
        num_iterations=sizes.grid_iterations,
        key=jax.random.key(0),
    )
    masses, exact = _masses(learnt, grid), np.asarray(yardstick.flow.states)
    history, last = learnt.history["exploitability"], sizes.num_iterations
    full = last >= 20
    rows = [
        Row(f"{name}, grid: exploitability", None, float(yardstick.exploitability)),
        Row.mean(f"{name}, DEDA-FP: exploitability at k = {last}", None, history[:, last]),
        Row.mean(
            f"{name}, DEDA-FP: total variation from the grid, mean over t",
            None,
            variation(masses, exact).mean(-1),
            case.most if full else None,
        ),
    ]
    if case.gaussian:
        text = f"{name}, DEDA-FP: variance beside the grid's, greatest relative error"
        errors = _variance_errors(learnt, grid, exact, key)
        rows.append(Row.mean(text, None, errors, _MOST_VARIANCE if full else None))
    rows.append(Row(f"{name}, DEDA-FP: seconds of {len(history)} seeds", None, learnt.seconds))
    centres, width = (np.asarray(x)[..., 0] for x in (grid.cells.centres, grid.cells.width))
    return rows, lambda: pictures.densities(centres, masses / width, exact / width, name)


def _masses(learnt: Learnt, grid: DiscretisedGame) -> np.ndarray:
    """(M, T + 1, S) masses of cells by the learnt density at their centres."""
    times = jnp.arange(grid.horizon + 1)
    centres, width = grid.cells.centres, jnp.prod(grid.cells.width)

    def at(flow: Any, t: Any) -> Any:
        return jnp.exp(flow.law(t).log_density(centres)) * width

    return np.asarray(jax.jit(jax.vmap(jax.vmap(at, (None, 0)), (0, None)))(learnt.flow, times))


def variation(masses: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Total variation at each time; what a learnt crowd has outside of the box counts in full.

    Args:
        masses: (M, T + 1, S) of cells, with a sum of at most about 1.
        exact: (T + 1, S), with sums of 1.
    """
    outside = np.abs(1 - masses.sum(-1))
    return (np.abs(masses - exact).sum(-1) + outside) / 2


def _variance_errors(
    learnt: Learnt, grid: DiscretisedGame, exact: np.ndarray, key: PRNGKeyArray
) -> np.ndarray:
    """(M,) greatest relative error of a variance over t = 1..T."""
    x = np.asarray(grid.cells.centres)[:, 0]
    wanted = exact @ x**2 - (exact @ x) ** 2
    keys = jax.random.split(key, len(learnt.history["exploitability"]))
    draw = jax.jit(jax.vmap(lambda flow, key: flow.sample(key, _NUM_SAMPLES)))
    found = np.asarray(draw(learnt.flow, keys))[..., 0].var(-1)
    return np.abs(found / wanted - 1)[:, 1:].max(-1)
