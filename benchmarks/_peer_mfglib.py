"""The worker that runs mfglib; started by finite_games.py with the peers' interpreter."""

import os
import time
from typing import Any

import mfglib
import mfglib.alg as algorithms
import mfglib.alg.abc
import mfglib.alg.mf_omo
import numpy as np
import torch
from mfglib.env import Environment
from mfglib.scoring import exploitability_score

from _link import serve

NEVER_STOP: dict[str, Any] = {"atol": None, "rtol": None}
_env: Environment


class _RaceOver(Exception):
    """Raised out of the peer's own loop when its time is up or the last target reached."""


def hello() -> dict:
    """Versions."""
    return {"mfglib": mfglib.__version__, "torch": torch.__version__, "cpus": os.cpu_count()}


def load(name: str, options: dict, precision: str, file: str) -> dict:
    """Builds a game; what it drew at random goes to `file`."""
    global _env
    torch.set_default_dtype(getattr(torch, precision))
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    _env = getattr(Environment, name)(**options)
    arrays = {}
    if name == "random_linear":
        arrays = {k: getattr(_env.transition_fn, k).numpy() for k in ("p1", "p2")}
        arrays |= {k: getattr(_env.reward_fn, k).numpy() for k in ("r1", "r2")}
    if name == "crowd_motion":  # where the bar stands: the cell with the best base reward
        base = np.stack([c.numpy()[..., 0] for c in _env.reward_fn.c1s])
        best = base.reshape(len(base), -1).argmax(1)
        arrays["bars"] = np.stack(np.unravel_index(best, base.shape[1:]), -1)
    np.savez(file, **arrays)
    return {"times": _env.T + 1, "states": _env.n_states, "actions": _env.n_actions}


def iterates(algorithm: str, options: dict, length: int, file: str) -> None:
    """Policies and exploitabilities of the start and the first `length` iterates."""
    solver = getattr(algorithms, algorithm)(**options)
    policies, scores, _ = solver.solve(_env, max_iter=length, **NEVER_STOP)
    shape = (len(policies), _env.T + 1, _env.n_states, _env.n_actions)
    policies = np.stack([p.detach().numpy() for p in policies]).reshape(shape)
    np.savez(file, policies=policies, exploitability=np.array(scores))


def cost(algorithm: str, options: dict, length: int, num_threads: int) -> dict:
    """CPU and wall seconds of solve() for `length` iterations, exploitability of each included."""
    torch.set_num_threads(num_threads)
    solver = getattr(algorithms, algorithm)(**options)
    cpu, wall = time.process_time(), time.perf_counter()
    solver.solve(_env, max_iter=length, **NEVER_STOP)
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def race(algorithm: str, options: dict, targets: list, cap: float, num_threads: int) -> list:
    """Wall seconds until the exploitability is below each target times the uniform policy's.

    Every exploitability that the peer's own loop computes is looked at; None: not within `cap`.
    """
    torch.set_num_threads(num_threads)
    solver = getattr(algorithms, algorithm)(**options)
    uniform = torch.ones((_env.T + 1, *_env.S, *_env.A)) / _env.n_actions
    scale = exploitability_score(_env, uniform)
    reached: list = [None] * len(targets)
    start = time.perf_counter()

    def watched(*arguments: Any, **keywords: Any) -> float:
        score = exploitability_score(*arguments, **keywords)
        seconds = time.perf_counter() - start
        for k, target in enumerate(targets):
            if reached[k] is None and seconds <= cap and 0 <= score <= target * scale:
                reached[k] = seconds
        if seconds > cap or all(r is not None for r in reached):
            raise _RaceOver
        return score

    mfglib.alg.abc.expl_score = watched
    mfglib.alg.mf_omo.exploitability_score = watched
    try:
        solver.solve(_env, max_iter=10**9, **NEVER_STOP)
    except _RaceOver:
        pass
    finally:
        mfglib.alg.abc.expl_score = exploitability_score
        mfglib.alg.mf_omo.exploitability_score = exploitability_score
    return reached


if __name__ == "__main__":
    serve({"hello": hello, "load": load, "iterates": iterates, "cost": cost, "race": race})
