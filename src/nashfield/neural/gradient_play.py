"""The game's own part of a learnt crowd, with derivatives that training can use."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from nashfield.games.differential import DifferentialGame
from nashfield.typing import Array


def gradient_play(
    game: DifferentialGame,
    t: Float[Array, ""],
    states: Float[Array, "N D"],
    statistic: Any,
    diffusion: Float[Array, "N D"],
) -> Float[Array, "N D"]:
    """The game's drift, with derivatives that see the kinks of its cost.

    Where a cost has a kink its gradient jumps, and the derivative of a jump is 0 almost everywhere:
    training would not notice that agents are driven back to the kink. Noise carries agents across
    it, so derivatives are central differences as wide as the noise of a step; in the statistic as
    wide as in the state. They are shortened to what brings an agent to the kink in one step: longer
    ones would say that it is thrown beyond, and ever further, and would explode where agents do
    not. With respect to the game's own numbers and to time they are 0.
    """
    still = jax.lax.stop_gradient
    flat, unravel = ravel_pytree(jax.tree.map(jnp.asarray, statistic))
    arrays, rest = eqx.partition((game, t), eqx.is_array)
    fixed = eqx.combine(still(arrays), rest)
    states = jnp.asarray(states)
    width = jnp.sqrt(jnp.asarray(game.dt, states.dtype)) * jnp.mean(diffusion)
    width = still(jnp.maximum(width, jnp.finfo(states.dtype).eps ** 0.5))
    return _drift(states, flat, fixed=fixed, unravel=unravel, width=width)


def brought_inside(game: DifferentialGame, states: Float[Array, "N D"]) -> Float[Array, "N D"]:
    """The nearest states of the domain, with slopes as if there were no walls.

    The slope of those whom a wall holds is 0: a crowd that was all driven against it by a network
    that has learnt little could never learn to come back.
    """

    @jax.custom_jvp
    def inside(states: Array) -> Array:
        return game.inside(states)

    inside.defjvps(lambda dot, ans, states: dot)
    return inside(states)


@eqx.filter_custom_jvp
def _drift(states: Array, flat: Array, *, fixed: Any, unravel: Any, width: Array) -> Array:
    game, t = fixed
    return jax.vmap(lambda x: game.drift(t, x, unravel(flat)))(states)


@_drift.def_jvp
def _drift_jvp(primals: Any, tangents: Any, *, fixed: Any, unravel: Any, width: Any) -> Any:
    (states, flat), (states_dot, flat_dot) = primals, tangents
    (game, t), dtype = fixed, states.dtype

    def at(x: Array, seen: Array) -> Array:
        return game.drift(t, x, unravel(seen))

    def by_state(x: Array, step: Array) -> Array:
        # Nobody is outside the domain, where a cost need not be finite.
        ahead, behind = game.inside(x + step), game.inside(x - step)
        apart = jnp.sum(ahead - behind)
        change = at(ahead, flat) - at(behind, flat)
        return jnp.where(apart > 0, change / jnp.where(apart > 0, apart, 1), 0)

    def by_statistic(x: Array, step: Array) -> Array:
        return (at(x, flat + step) - at(x, flat - step)) / (2 * width)

    def agent(x: Array, x_dot: Any) -> Array:
        slopes = jax.vmap(by_state, (None, 0))(x, width * jnp.eye(len(x), dtype=dtype))
        steepest = jnp.max(jnp.abs(slopes)) * jnp.asarray(game.dt, dtype)
        moved = jnp.zeros_like(x)
        if x_dot is not None:
            moved += x_dot @ slopes
        if flat_dot is not None:
            steps = width.astype(flat.dtype) * jnp.eye(len(flat), dtype=flat.dtype)
            moved += (flat_dot @ jax.vmap(by_statistic, (None, 0))(x, steps)).astype(dtype)
        return moved / jnp.maximum(steepest, 1)

    value = _drift(states, flat, fixed=fixed, unravel=unravel, width=width)
    axes = (0, None) if states_dot is None else (0, 0)
    return value, jax.vmap(agent, axes)(states, states_dot)
