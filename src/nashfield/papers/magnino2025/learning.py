"""Seeds of one solver of deep play side by side, iteration by iteration."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray


@dataclasses.dataclass(frozen=True)
class Learnt:
    """What M seeds of a solver found.

    Attributes:
        history: per name an array (M, K + 1), see `PlayInfo`.
        state: the solver's states, leading axis M.
        policy: the last policies, likewise.
        flow: the flows of these, likewise.
        seconds: from the start to the K-th iteration, compilation left out.
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


def learn(
    name: str,
    game: Any,
    solver: Any,
    *,
    num_iterations: int,
    num_seeds: int,
    key: PRNGKeyArray,
    tell: Callable[[str], None],
) -> Learnt:
    """Runs a solver from `num_seeds` keys in one program.

    The iterate of the K-th step is judged by a further step, which is then forgotten: it costs less
    than to compile a program that judges alone.

    Args:
        name: for progress.
        game: the game.
        solver: an `AbstractDeepPlay` with room for one iteration more.
        num_iterations: K.
        num_seeds: M.
        key: split over the seeds.
        tell: called with a line of text on what is being done.
    """
    keys = jax.random.split(key, num_seeds)

    def begin(key: PRNGKeyArray) -> Any:
        return solver.init_uniform(game, key=key)

    def advance(state: Any, key: PRNGKeyArray, k: Any) -> tuple[Any, Any]:
        moved, info = solver.step(game, state, key=jax.random.fold_in(key, k + 1))
        return moved, info.columns()

    def end(state: Any) -> tuple[Any, Any]:
        return solver.policy(game, state), solver.flow(game, state)

    tell(f"{name}: compiling")
    state = jax.block_until_ready(jax.jit(jax.vmap(begin))(keys))
    step = jax.jit(jax.vmap(advance, (0, 0, None))).lower(state, keys, jnp.asarray(0)).compile()
    rows, start, seconds = [], time.perf_counter(), 0.0
    for k in range(num_iterations + 1):
        moved, columns = jax.block_until_ready(step(state, keys, jnp.asarray(k)))
        rows.append({what: np.asarray(value) for what, value in columns.items()})
        found = rows[-1]["exploitability"].mean()
        done = f"{k}/{num_iterations} iterations of {num_seeds} seeds"
        tell(f"{name}: {done}, exploitability {found:.4g}")
        if k < num_iterations:
            state, seconds = moved, time.perf_counter() - start
    policy, flow = jax.jit(jax.vmap(end))(state)
    history = {what: np.stack([row[what] for row in rows], 1) for what in rows[0]}
    return Learnt(history, state, policy, flow, seconds)
