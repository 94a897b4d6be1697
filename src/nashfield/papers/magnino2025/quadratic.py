"""The linear-quadratic game: exploitability of all algorithms, the crowd, and the error budget."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.games.zoo.continuous_linear_quadratic import LinearQuadratic
from nashfield.papers.magnino2025 import pictures
from nashfield.papers.magnino2025.learning import Learnt, Run, learn
from nashfield.papers.magnino2025.sizes import Sizes
from nashfield.papers.report import Row
from nashfield.solve import solve
from nashfield.solvers import (
    DEDAFP,
    AveragePolicyFictitiousPlay,
    DeepFictitiousPlay,
    DeepMirrorDescent,
    FictitiousPlay,
)

ALGORITHMS = {
    "algorithm 1": DeepFictitiousPlay,
    "algorithm 2": AveragePolicyFictitiousPlay,
    "DEDA-FP": DEDAFP,
}
OURS = "deep mirror descent"
# Mean and standard deviation of the crowd in the paper's figure, by time.
PAPER_CROWD = {0: (0.007, 0.576), 19: (0.464, 0.133)}
# Of the reproduction: how much more than exact fictitious play, how much in all, and how far the
# crowd's mean and deviation may lie from that of exact fictitious play.
_MOST_RATIO, _MOST, _MOST_OF_MEAN_ACTION, _MOST_OF_OURS = 1.3, 0.07, 0.03, 0.02
_MOST_APART = (0.02, 0.015)
# A shorter run is held to no bar.
_FULL = 20
_NUM_SAMPLES = 20_000
_GAME = "linear-quadratic"


def play(
    sizes: Sizes, *, key: PRNGKeyArray, tell: Callable[[str], None]
) -> tuple[list[Row], dict[str, Callable], LinearQuadratic, Learnt]:
    """All algorithms on one game; also the game, and what DEDA-FP learnt."""
    # The paper's start, U[-1, 1]; other constants of it are not published.
    game, num_iterations = LinearQuadratic(initial_law="uniform"), sizes.num_iterations
    runs = {
        name: Run(game, sizes.fictitious(solver, num_iterations), num_iterations, sizes.num_seeds)
        for name, solver in ALGORITHMS.items()
    }
    descent = DeepMirrorDescent(num_agents=sizes.num_agents)
    runs[OURS] = Run(game, descent, sizes.descent_iterations, sizes.num_seeds)
    learn_key, draw_key = jax.random.split(key)
    labelled = {f"{_GAME}, {name}": run for name, run in runs.items()}
    learnt = learn(labelled, key=learn_key, tell=tell)
    found = dict(zip(runs, learnt.values(), strict=True))
    exact, crowds = _exact_play(game, num_iterations)
    deda = found["DEDA-FP"]
    crowd = _moments(deda, draw_key)
    rows = (
        _curve_rows(found, exact)
        + _crowd_rows(crowd, crowds[1], full=num_iterations >= _FULL)
        + _budget_rows(deda)
    )
    lines = dict(
        zip(
            ("exact equilibrium", f"exact fictitious play, k = {num_iterations}"),
            crowds,
            strict=True,
        )
    )
    drawn = {
        "exploitability.png": lambda: pictures.curves(
            {name: learnt.history["exploitability"] for name, learnt in found.items()}, exact
        ),
        "quadratic-crowd.png": lambda: pictures.moments(crowd, lines, PAPER_CROWD),
        "error-budget.png": lambda: pictures.budget(deda.history),
    }
    return rows, drawn, game, deda


def _exact_play(game: LinearQuadratic, num_iterations: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Exact fictitious play, whose start is the first best response: that to a crowd at rest.

    Returns:
        Exploitability (K,) of 1..K best responses, and mean and deviation (2, T + 1) of the
        equilibrium's crowd and of that of the K.
    """
    steps = num_iterations - 1
    solver = FictitiousPlay(capacity=max(steps, 1))
    solution = solve(game, solver, num_iterations=steps, key=jax.random.key(0))
    crowds = [_exact_moments(flow.laws) for flow in (game.equilibrium().flow, solution.flow)]
    return np.asarray(solution.history["exploitability"]), crowds


def _exact_moments(laws: Any) -> np.ndarray:
    mean, square = jax.vmap(lambda law: (law.mean()[0], law.expect(lambda x: x[0] ** 2)))(laws)
    return np.stack([mean, np.sqrt(np.asarray(square) - np.asarray(mean) ** 2)])


def _moments(learnt: Learnt, key: PRNGKeyArray) -> np.ndarray:
    """(M, 2, T + 1) mean and standard deviation of samples of the learnt crowds."""
    keys = jax.random.split(key, len(learnt.history["exploitability"]))
    draw = jax.jit(jax.vmap(lambda flow, key: flow.sample(key, _NUM_SAMPLES)))
    states = np.asarray(draw(learnt.flow, keys))[..., 0]
    return np.stack([states.mean(-1), states.std(-1)], 1)


def _curve_rows(found: dict[str, Learnt], exact: np.ndarray) -> list[Row]:
    rows, last = [], len(exact)
    full = last >= _FULL
    for k in sorted({min(5, last), min(10, last), last}):
        text = f"{_GAME}, {{}}: exploitability at k = {k}"
        best = float(exact[k - 1])
        rows.append(Row(text.format("exact fictitious play"), None, best))
        for name in ALGORITHMS:
            most = round(_MOST_RATIO * best, 4) if full and name == "DEDA-FP" else None
            values = found[name].history["exploitability"][:, k]
            rows.append(Row.mean(text.format(name), None, values, most))
    deda = found["DEDA-FP"].history
    rows += [
        Row.mean(f"{_GAME}, DEDA-FP: {what} at k = {last}", None, deda[name][:, last], most)
        for what, name, most in (
            ("exploitability, in all", "exploitability", _MOST if full else None),
            (
                "exploitability of its mean action",
                "mean_action_exploitability",
                _MOST_OF_MEAN_ACTION if full else None,
            ),
        )
    ]
    ours = found[OURS].history["exploitability"]
    k = ours.shape[1] - 1
    text = f"{_GAME}, {OURS}: exploitability at k = {k}"
    rows.append(Row.mean(text, None, ours[:, k], _MOST_OF_OURS if full else None))
    rows += [
        Row(f"{_GAME}, {name}: seconds of {len(learnt.history['exploitability'])} seeds", None,
            learnt.seconds)
        for name, learnt in found.items()
    ]  # fmt: skip
    return rows


def _crowd_rows(crowd: np.ndarray, exact: np.ndarray, *, full: bool) -> list[Row]:
    names = "mean", "standard deviation"
    rows = [
        Row.mean(f"{_GAME}, DEDA-FP: {name} of the crowd at t = {t}", paper, crowd[:, i, t])
        for t, numbers in PAPER_CROWD.items()
        for i, (name, paper) in enumerate(zip(names, numbers, strict=True))
    ]
    apart = np.abs(crowd.mean(0) - exact).max(-1)
    for name, gap, most in zip(names, apart, _MOST_APART, strict=True):
        text = f"{_GAME}, DEDA-FP: {name}, greatest distance from exact fictitious play"
        rows.append(Row.mean(text, None, gap, most if full else None))
    return rows


def _budget_rows(learnt: Learnt) -> list[Row]:
    last = learnt.history["exploitability"].shape[1] - 1
    names = ("mixture_exploitability", "eps_br", "eps_sl", "eps_cnf")
    return [
        Row.mean(
            f"{_GAME}, DEDA-FP: {name.replace('_exp', ' exp')} at k = {last}",
            None,
            learnt.history[name][:, last],
        )
        for name in names
    ]
