"""Seeds of one solver of deep play side by side, iteration by iteration."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

# Programs that are compiled at a time: each takes a core, and up to a gigabyte.
NUM_COMPILERS = 2


@dataclasses.dataclass(frozen=True)
class Learnt:
    """What M seeds of a solver found.

    Attributes:
        history: per name an array (M, K + 1), see `PlayInfo`.
        state: the solver's states, leading axis M.
        policy: the last policies, likewise.
        flow: the flows of these, likewise.
        seconds: from the start to the K-th iteration, its own compilation left out.
    """

    history: dict[str, np.ndarray]
    state: Any
    policy: Any
    flow: Any
    seconds: float

    def seed(self, index: int) -> tuple[Any, Any, Any]:
        """State, policy and flow of one seed."""
        parts = self.state, self.policy, self.flow
        return jax.tree.map(lambda x: x[index] if eqx.is_array(x) else x, parts)


@dataclasses.dataclass(frozen=True)
class Run:
    """What is to be learnt.

    Attributes:
        game: the game.
        solver: an `AbstractDeepPlay` with room for one iteration more.
        num_iterations: K.
        num_seeds: M, side by side in one program.
    """

    game: Any
    solver: Any
    num_iterations: int
    num_seeds: int

    def programs(self, keys: Any) -> tuple[Any, Any, Any]:
        """How to begin, to take a step and to end, for all seeds; nothing is compiled yet."""
        game, solver = self.game, self.solver

        def begin(key: PRNGKeyArray) -> Any:
            return solver.init_uniform(game, key=key)

        def advance(state: Any, key: PRNGKeyArray, k: Any) -> tuple[Any, Any]:
            moved, info = solver.step(game, state, key=jax.random.fold_in(key, k + 1))
            return moved, info.columns()

        def end(state: Any) -> tuple[Any, Any]:
            return solver.policy(game, state), solver.flow(game, state)

        first = jax.jit(jax.vmap(begin)).lower(keys)
        step = jax.jit(jax.vmap(advance, (0, 0, None)))
        return first, step.lower(first.out_info, keys, jnp.asarray(0)), jax.jit(jax.vmap(end))


def learn(
    runs: Mapping[str, Run], *, key: PRNGKeyArray, tell: Callable[[str], None]
) -> dict[str, Learnt]:
    """Does all runs, one after the other; while one learns, the next ones are compiled.

    The iterate of the K-th step is judged by a further step, which is then forgotten: it costs less
    than to compile a program that judges alone.

    Args:
        runs: by names, for progress.
        key: split over runs and seeds.
        tell: called with a line of text on what is being done.
    """
    found = {}
    with ThreadPoolExecutor(NUM_COMPILERS) as pool:
        waiting = {}
        for index, (name, run) in enumerate(runs.items()):
            tell(f"{name}: compiling")
            keys = jax.random.split(jax.random.fold_in(key, index), run.num_seeds)
            # Traced here, as settings may belong to this thread.
            *programs, end = run.programs(keys)
            waiting[name] = keys, [pool.submit(program.compile) for program in programs], end
        for name, run in runs.items():
            keys, programs, end = waiting.pop(name)
            begin, step = (program.result() for program in programs)
            found[name] = _learn(name, run, keys, begin, step, end, tell)
    return found


def _learn(
    name: str, run: Run, keys: Any, begin: Any, step: Any, end: Any, tell: Callable
) -> Learnt:
    start, seconds = time.perf_counter(), 0.0
    state, rows = begin(keys), []
    for k in range(run.num_iterations + 1):
        moved, columns = jax.block_until_ready(step(state, keys, jnp.asarray(k)))
        rows.append({what: np.asarray(value) for what, value in columns.items()})
        done = f"{k}/{run.num_iterations} iterations of {run.num_seeds} seeds"
        tell(f"{name}: {done}, exploitability {rows[-1]['exploitability'].mean():.4g}")
        if k < run.num_iterations:
            state, seconds = moved, time.perf_counter() - start
    policy, flow = end(state)
    history = {what: np.stack([row[what] for row in rows], 1) for what in rows[0]}
    return Learnt(history, state, policy, flow, seconds)
