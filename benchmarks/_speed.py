"""CPU seconds an iteration, ours beside theirs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import _cases
import _report
import nashfield as nf
from _bench import Bench
from _cases import Case, Setting
from _link import PeerError
from _ours import iterates
from nashfield.games.base import FiniteGame

# Differences of iterates that count as agreement, and of open_spiel's values.
CLOSE, CLOSE_VALUE = 1e-5, 1e-6
_HEADER = ("game", "T,S,A", "agrees", "difference", "theirs us", "f64 us", "f32 us", "compile s")
_HEADER = (*_HEADER, "ratio")


def mfglib_cost(bench: Bench, setting: Setting) -> tuple[Callable[[], float], int]:
    """How to measure mfglib's iteration, with the number of threads that costs it least."""
    ask = {"algorithm": setting.algorithm, "options": setting.options}

    def seconds(length: int, num_threads: int) -> float:
        return bench.mfglib.ask("cost", **ask, length=length, num_threads=num_threads)["cpu"]

    costs = {}
    for num_threads in sorted({1, bench.num_cpus}):
        seconds(1, num_threads)  # warms it up
        length, cost = 1, seconds(1, num_threads) - seconds(0, num_threads)
        while length < 50 and length * cost < 0.2 * bench.budget:
            length *= 4
            cost = (seconds(length, num_threads) - seconds(0, num_threads)) / length
        costs[num_threads] = max(cost, 1e-6)
        if cost > 2:
            break  # so long an iteration is not worth a second guess
    # One thread, unless more of them spend clearly less.
    num_threads = min(costs, key=lambda k: costs[k] * (1 if k == 1 else 1.1))
    length = int(np.clip(bench.budget / costs[num_threads], 1, 200))

    def measure() -> float:
        start = seconds(0, num_threads)
        return (seconds(length, num_threads) - start) / length

    return measure, num_threads


def agreement(bench: Bench, game: FiniteGame, setting: Setting, solver, length: int) -> dict:
    """Largest differences between the iterates of mfglib and ours, in double precision."""
    file = str(bench.folder / "iterates.npz")
    bench.mfglib.ask(
        "iterates",
        algorithm=setting.algorithm,
        options=setting.options,
        length=length,
        file=file,
    )
    policies, scores = iterates(game, solver, nf.uniform_policy(game), length)
    with np.load(file) as theirs:
        differences = np.abs(theirs["policies"] - policies)
        gaps = np.abs(theirs["exploitability"] - scores)
    if setting.algorithm == "FictitiousPlay":
        # Where nobody comes an average of policies is a matter of taste.
        flows = [nf.population_flow(game, jnp.asarray(policy)) for policy in policies]
        differences *= np.stack([f.states[:-1] for f in flows])[..., None] > 0
    return {"policy": float(differences.max()), "exploitability": float(gaps.max())}


def has_ties(game: FiniteGame, length: int) -> bool:
    """Whether a best response that fictitious play meets is not unique, to rounding."""
    solver = nf.solvers.FictitiousPlay()
    policies, _ = iterates(game, solver, nf.uniform_policy(game), length - 1)
    for policy in policies:
        flow = nf.population_flow(game, jnp.asarray(policy))
        values = np.asarray(nf.learners.optimal_values(game, flow).action_values)[:-1]
        best, second = np.moveaxis(-np.sort(-values, -1)[..., :2], -1, 0)
        if np.any(best - second <= 1e-9 * (1 + np.abs(best))):
            return True
    return False


def speed(bench: Bench, cases: list[Case], algorithm: str) -> list[dict]:
    """CPU seconds an iteration beside mfglib, after a check of the iterates."""
    mirror = algorithm == "OnlineMirrorDescent"
    setting = Setting(algorithm, {"alpha": 1.0} if mirror else {})
    ours = Setting(algorithm, {"learning_rate": 1.0} if mirror else {})
    rows = []
    for case in cases:
        row: dict[str, Any] = {"game": case.label, "agrees": "", "theirs": None}
        rows.append(row)
        try:
            game, arrays = bench.load_mfglib(case, "float64")
            row["size"] = [game.horizon, game.num_states, game.num_actions]
            difference = agreement(
                bench,
                game,
                setting,
                getattr(nf.solvers, ours.algorithm)(**ours.options),
                bench.length,
            )
            row["difference"] = difference
            if difference["policy"] <= CLOSE:
                row["agrees"] = "yes"
            else:
                tied = not mirror and has_ties(game, bench.length)
                row["agrees"] = "ties" if tied else "NO"
            bench.load_mfglib(case, "float32")
            measure, row["num_threads"] = mfglib_cost(bench, setting)
            row |= bench.alternate(case, ours, arrays, measure)
        except (PeerError, AttributeError, TypeError) as error:
            row["agrees"] = "n/a"
            row["error"] = f"{type(error).__name__}: {error}"
            continue
        print(f"  {case.label}: {_report.number(row['ratio'])}", flush=True)
    return rows


def open_spiel(bench: Bench) -> list[dict]:
    """CPU seconds an iteration beside open_spiel, after a check of the uniform policy's value."""
    rows = []
    for case in bench.chosen(_cases.OPEN_SPIEL):
        row: dict[str, Any] = {"game": case.label, "agrees": "NO", "theirs": None}
        rows.append(row)
        game, arrays = bench.load_open_spiel(case)
        policy = legal_uniform(game, arrays["table"])
        row["size"] = [game.horizon, game.num_states, game.num_actions]
        mine = float(nf.evaluate(game, policy, nf.population_flow(game, policy)))
        theirs = bench.open_spiel.ask("uniform_value")
        # Its crowd at t = 0 is spread over all cells of the square (walls too) whatever the
        # initial law is: a constant of the reward.
        initial = np.asarray(game.initial())
        size = case.options.get("size", 13) ** 2 if "garnet" not in case.label else len(initial)
        there = initial > 0
        mine += float(np.log(size) + initial[there] @ np.log(initial[there]))
        row["difference"] = {
            "value": abs(mine - theirs["value"]),
            "exploitability": abs(
                float(nf.exploitability(game, policy)) - theirs["exploitability"]
            ),
        }
        solver = nf.OnlineMirrorDescent(learning_rate=0.01)
        ask = {"algorithm": "MirrorDescent", "options": {"lr": 0.01}}
        # One iteration only: from the second on its evaluation reads tables that it is just
        # writing, where several paths lead to one place.
        (score,) = bench.open_spiel.ask("scores", **ask, length=1)
        _, mine_scores = iterates(game, solver, policy, 1)
        row["difference"]["first iterate"] = abs(score - float(mine_scores[1]))
        if max(row["difference"].values()) <= CLOSE_VALUE:
            row["agrees"] = "yes"

        def measure(ask=ask) -> float:
            length = 1 if bench.options.quick else 3
            return bench.open_spiel.ask("cost", **ask, length=length)["cpu"] / length

        ours = Setting("OnlineMirrorDescent", {"learning_rate": 0.01})
        row |= bench.alternate(case, ours, {**arrays, "policy": np.asarray(policy)}, measure)
        print(f"  {case.label}: {_report.number(row['ratio'])}", flush=True)
    return rows


def legal_uniform(game: FiniteGame, table: np.ndarray) -> jax.Array:
    """Uniform over the actions that open_spiel allows, in our order of actions.

    Raises:
        ValueError: the transitions differ.
    """
    ours = np.asarray(
        game.transition(0, nf.population_flow(game, nf.uniform_policy(game))[0]).dense()
    )
    legal = table.sum(-1) > 0.5
    order = []
    for action in range(table.shape[1]):
        allowed = legal[:, action]
        gaps = np.abs(ours[allowed] - table[allowed, action][:, None]).max((0, 2))
        order.append(int(gaps.argmin()))
        if gaps.min() > 1e-9:
            raise ValueError(f"transitions differ by {gaps.min():.2g}")
    mask = np.zeros(legal.shape)
    mask[:, order] = legal
    policy = mask / mask.sum(-1, keepdims=True)
    return jnp.asarray(np.broadcast_to(policy, (game.horizon, *policy.shape)))


def print_speed(title: str, rows: list[dict], mean: float, least: float | None) -> dict:
    """A table of costs; returns its summary."""
    _report.table(
        title,
        _HEADER,
        [
            (
                row["game"],
                ",".join(map(str, row.get("size", []))),
                row["agrees"],
                f"{max(row['difference'].values()):.1e}" if "difference" in row else "-",
                _report.micro(row["theirs"]),
                _report.micro(row.get("float64")),
                _report.micro(row.get("float32")),
                _report.number(row.get("compile")),
                _report.number(row.get("ratio")),
            )
            for row in rows
        ],
    )
    for row in rows:
        if "error" in row:
            print(f"{row['game']}: {row['error']}")
    same = [row["ratio"] for row in rows if row["agrees"] in ("yes", "ties")]
    return _report.summary(same, mean, least)
