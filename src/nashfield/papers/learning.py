"""Many seeds of one solver side by side, and what their policies were on the way."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

# Iterations between two reports of progress; also the length of the one compiled program.
_CHUNK = 10


def learn(
    game: Any,
    make_solver: Callable[[PRNGKeyArray], Any],
    watch: Callable[[Any], Any],
    *,
    num_iterations: int,
    num_seeds: int,
    key: PRNGKeyArray,
    tell: Callable[[int], None],
) -> tuple[Any, Any]:
    """Runs a solver from `num_seeds` starts in one program.

    Args:
        game: the game.
        make_solver: key of a seed -> solver with its own start.
        watch: policy -> what to keep of it.
        num_iterations: K, a multiple of 10.
        num_seeds: M.
        key: split over the seeds.
        tell: called with the number of iterations done.

    Returns:
        What `watch` saw of every iterate, leading axes (M, K + 1), and the last policies, leading
        axis (M,).
    """
    keys = jax.random.split(key, num_seeds)

    def start(key: PRNGKeyArray) -> Any:
        return make_solver(key).init_uniform(game, key=key)

    def advance(state: Any, key: PRNGKeyArray, first: Any) -> tuple[Any, Any]:
        solver = make_solver(key)

        def step(state: Any, k: Any) -> tuple[Any, Any]:
            seen = watch(solver.policy(game, state))
            # What the step reports about the policy is not asked for: XLA leaves it out.
            return solver.step(game, state, key=jax.random.fold_in(key, k))[0], seen

        return jax.lax.scan(step, state, first + jnp.arange(_CHUNK))

    states = eqx.filter_jit(eqx.filter_vmap(start))(keys)
    advance = eqx.filter_jit(eqx.filter_vmap(advance, in_axes=(0, 0, None)))
    seen = []
    for first in range(0, num_iterations, _CHUNK):
        states, part = jax.block_until_ready(advance(states, keys, jnp.asarray(first)))
        seen.append(part)
        tell(first + _CHUNK)

    def end(key: PRNGKeyArray, state: Any) -> tuple[Any, Any]:
        policy = make_solver(key).policy(game, state)
        return policy, watch(policy)

    policies, last = eqx.filter_jit(eqx.filter_vmap(end))(keys, states)
    last = jax.tree.map(lambda x: x[:, None], last)
    return jax.tree.map(lambda *parts: jnp.concatenate(parts, 1), *seen, last), policies
