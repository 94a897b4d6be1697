"""The game's own part of a learnt drift, with derivatives that training can use."""

from typing import Any

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
    it, so derivatives are central differences as wide as the noise of a step.
    """
    still = jax.lax.stop_gradient
    flat, unravel = ravel_pytree(jax.tree.map(jnp.asarray, statistic))
    width = still(jnp.sqrt(jnp.asarray(game.dt, states.dtype)) * jnp.mean(diffusion))
    width = jnp.maximum(width, jnp.finfo(states.dtype).eps ** 0.5)

    def at(x: Any, shift: Any, seen: Any) -> Array:
        return game.drift(t, still(x) + shift[: game.state_dim], unravel(seen))

    def agent(x: Array) -> Array:
        size = game.state_dim + len(flat)
        steps = width * jnp.eye(size, dtype=states.dtype)

        def slope(step: Array) -> Array:
            seen = step[game.state_dim :]
            ahead, behind = at(x, step, still(flat) + seen), at(x, -step, still(flat) - seen)
            return (ahead - behind) / (2 * width)

        moved = jnp.concatenate([jnp.asarray(x), jnp.asarray(flat, x.dtype)])
        slopes = still(jax.vmap(slope)(steps))
        value = still(at(x, jnp.zeros(size, x.dtype), flat))
        return value + (moved - still(moved)) @ slopes

    return jax.vmap(agent)(jnp.asarray(states))
