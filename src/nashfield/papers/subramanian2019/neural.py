"""Malware spread with a neural policy: REINFORCE without and with a baseline."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.dynamics import sweep
from nashfield.games.zoo.malware import MalwareSpread
from nashfield.learners import ExactCritic, LeastSquaresCritic, Reinforce
from nashfield.papers.learning import learn as learn_many
from nashfield.papers.report import Row
from nashfield.papers.subramanian2019 import pictures
from nashfield.papers.subramanian2019.malware import CROWD, NUM_ITERATIONS
from nashfield.policies import Neural
from nashfield.solvers.local_equilibrium import LocalEquilibrium
from nashfield.solvers.steps import Adam

# Learnt: median (lower quartile, upper quartile) at k = 200, and medians of J on the way.
_J, _MEAN = (-3.8418, -3.9583, -3.7967), (0.3347, 0.3128, 0.3577)
_CURVE = {0: -4.5081, 10: -4.2611, 20: -4.0040, 50: -3.9406, 100: -3.9243, 200: -3.8418}

# A policy that repairs less often than this, on average over the crowd, never learnt to.
_NEVER = 1e-3

_BASELINES = {
    "no baseline": None,
    "exact V": ExactCritic(),
    "learnt V": LeastSquaresCritic(10, 200, generator="hash"),
}


def learn(
    num_seeds: int, *, key: PRNGKeyArray, tell: Callable[[str], None]
) -> tuple[list[Row], dict[str, Callable]]:
    """Algorithm 3: two hidden layers of 5, ADAM .1, 10 trajectories of 200 steps.

    The paper subtracts nothing from the returns as printed. Run so, a good part of the seeds ends
    with policies that never repair; with the value of the state subtracted its numbers come back.
    """
    curves = {
        name: _learn(name, baseline, num_seeds, key, tell) for name, baseline in _BASELINES.items()
    }
    rows = []
    for name, curve in curves.items():
        rows += _rows(name, curve)
    low, high = np.quantile(curves["exact V"]["J"][:, -1], (0.25, 0.75))
    learnt = float(np.median(curves["learnt V"]["J"][:, -1]))
    text = "learnt local equilibrium, neural, learnt V: J beside that with exact V"
    agrees = bool(low <= learnt <= high)
    rows.append(Row(text, None, learnt, agrees=agrees, bar="in the quartiles with exact V"))
    drawn = {"malware-neural.png": lambda: pictures.neural(curves, _CURVE, _J, _MEAN)}
    return rows, drawn


def _learn(name: str, baseline: Any, num_seeds: int, key: PRNGKeyArray, tell) -> dict[str, Any]:
    game = MalwareSpread()
    gradient = Reinforce(10, 200, baseline, generator="hash")

    def make_solver(key: PRNGKeyArray) -> LocalEquilibrium:
        start = Neural((5, 5)).begin(game, key=jax.random.fold_in(key, NUM_ITERATIONS))
        return LocalEquilibrium(start, gradient=gradient, crowd=CROWD, optimizer=Adam(0.1))

    def report(k: int) -> None:
        tell(f"malware, neural policy, {name}: {k}/{NUM_ITERATIONS} steps of {num_seeds} seeds")

    sizes = {"num_iterations": NUM_ITERATIONS, "num_seeds": num_seeds}
    tables, _ = learn_many(
        game, make_solver, lambda policy: policy.table(game), **sizes, key=key, tell=report
    )
    return {what: np.asarray(x) for what, x in _judge(game, tables).items()}


@eqx.filter_jit
def _judge(game: MalwareSpread, tables: Any) -> dict[str, Any]:
    def one(table: Any) -> dict[str, Any]:
        found = sweep(game, table)
        return {
            "J": found.value,
            "<z>": found.flow.expect(game.features()[:, 0]),
            "exploitability": found.exploitability,
            "repairs": jnp.dot(found.flow.states, table[:, 1]),
        }

    flat = tables.reshape(-1, *tables.shape[-2:])
    found = jax.lax.map(one, flat, batch_size=200)
    return jax.tree.map(lambda x: x.reshape(tables.shape[:2]), found)


def _rows(name: str, curves: dict[str, np.ndarray]) -> list[Row]:
    quartiles = {what: np.quantile(x[:, -1], (0.25, 0.5, 0.75)) for what, x in curves.items()}
    label = f"learnt local equilibrium, neural, {name}"
    rows = []
    for what, (paper, low, high) in (("J", _J), ("<z>", _MEAN)):
        lower, median, upper = map(float, quartiles[what])
        text = f"{label}: {what} at k = {NUM_ITERATIONS}"
        if name == "no baseline" or what == "<z>":
            rows.append(Row(text, paper, median, (lower, upper)))
        else:
            rows.append(Row.within(text, paper, median, (low, high), interval=(lower, upper)))
    lower, median, upper = map(float, quartiles["exploitability"])
    rows.append(Row(f"{label}: exploitability", None, median, (lower, upper)))
    idle = float(np.mean(curves["repairs"][:, -1] < _NEVER))
    rows.append(Row(f"{label}: share of seeds that never repair", None, idle))
    return rows
