"""The worker that times nashfield, in one precision; started by finite_games.py."""

import time
from typing import Any

import jax
import numpy as np

import nashfield as nf
from _cases import find
from _link import serve
from nashfield.solve import solve

# Table entries of a policy times iterations: long enough to time, short enough to wait for.
_WORK = 4_000_000
_job: dict[str, Any] = {}


def prepare(label: str, algorithm: str, options: dict, file: str, scale: float) -> dict:
    """Builds the game from the peer's arrays in `file` and compiles two runs: n and 2 n iterations.

    Returns:
        n, and the wall seconds that the compilation of one run took.
    """
    with np.load(file) as arrays:
        arrays = dict(arrays)
    game = find(label).make(arrays)
    solver = getattr(nf.solvers, algorithm)(**options)
    policy = arrays.get("policy")
    entries = game.horizon * game.num_states * game.num_actions
    length = int(np.clip(_WORK * scale / entries, 20, 5000))

    def run(num_iterations: int) -> None:
        solution = solve(
            game, solver, num_iterations=num_iterations, initial_policy=policy, throw=False
        )
        jax.block_until_ready(solution.history)

    begin = time.perf_counter()
    run(length)
    first = time.perf_counter() - begin
    run(2 * length)
    begin = time.perf_counter()
    run(length)
    _job.update(run=run, length=length)
    return {"length": length, "compile": max(first - (time.perf_counter() - begin), 0.0)}


def measure() -> float:
    """CPU seconds an iteration of `nf.solve`, exploitability of every iterate included.

    The difference of the two runs, over n, is free of what is paid once a call.
    """
    seconds = []
    for length in (_job["length"], 2 * _job["length"]):
        begin = time.process_time()
        _job["run"](length)
        seconds.append(time.process_time() - begin)
    # Noise may swallow the difference of two short runs; a tenth of the mean is a bound.
    return max(seconds[1] - seconds[0], 0.05 * seconds[1]) / _job["length"]


if __name__ == "__main__":
    serve({"prepare": prepare, "measure": measure})
