"""nashfield's side of the comparison, in double precision: iterates, and races to a target."""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import nashfield as nf
from nashfield.solve import iterate, start

_RACE_CHUNK = 50


def iterates(game, solver, policy, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Policies (length + 1, T, S, A) and exploitabilities of the start and the iterates."""
    key = jax.random.key(0)
    step = eqx.filter_jit(lambda state: solver.step(game, state, key=key)[0])
    read = eqx.filter_jit(lambda state: solver.policy(game, state))
    state = solver.init(game, policy, key=key)
    policies = [read(state)]
    for _ in range(length):
        state = step(state)
        policies.append(read(state))
    scores = [nf.exploitability(game, policy) for policy in policies]
    return np.stack(policies), np.array(scores)


def race(
    game, solver, targets: list[float], cap: float, policy=None
) -> tuple[list[float | None], float]:
    """Wall seconds until the exploitability is below each target times that of the start.

    The start is uniform unless `policy` is given. Steps run in compiled chunks; a target counts as
    reached at the end of its chunk.

    Returns:
        Seconds for each target (None: not within `cap`), and the seconds of compilation.
    """
    key = jax.random.key(0)
    begin = time.perf_counter()
    policy = jnp.asarray(nf.uniform_policy(game) if policy is None else policy)
    scale = float(nf.exploitability(game, policy))

    @eqx.filter_jit
    def begin_at(solver):
        return start(game, solver, policy, key=key)

    @eqx.filter_jit
    def chunk(solver, progress):
        return iterate(game, solver, progress, length=_RACE_CHUNK, key=key)

    progress = begin_at(solver)
    jax.block_until_ready(chunk(solver, progress))
    compile_seconds = time.perf_counter() - begin
    reached: list[float | None] = [None] * len(targets)
    begin = time.perf_counter()
    progress = begin_at(solver)
    while any(r is None for r in reached):
        progress, infos = chunk(solver, progress)
        best = float(np.nanmin(np.append(infos.exploitability, np.inf)))
        seconds = time.perf_counter() - begin
        if seconds > cap:
            break
        for k, target in enumerate(targets):
            if reached[k] is None and best <= target * scale:
                reached[k] = seconds
    return reached, compile_seconds
