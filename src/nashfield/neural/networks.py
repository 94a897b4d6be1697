"""What a neural drift or diffusion sees of an agent and its crowd."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.games.differential import DifferentialGame
from nashfield.typing import Array


class Look(eqx.Module):
    """Features of every agent: (t, x, what the crowd is, exogenous inputs), standardised.

    The crowd is seen by the game's own statistic, its mean and its standard deviation, so that a
    network of these features is permutation-equivariant and takes crowds of any size. Features far
    from what was seen are drawn in: 2 tanh(z / 2) of a standardised z, which is z near 0 and stays
    within -2 and 2, so that a network need not extrapolate.

    Attributes:
        location: (F,) what is subtracted; not trained.
        scale: (F,) what the rest is divided by; not trained.
    """

    location: Float[Array, "F"]
    scale: Float[Array, "F"]

    @classmethod
    def plain(cls, game: DifferentialGame, num_inputs: int) -> "Look":
        """One that leaves features as they are."""
        states = jax.ShapeDtypeStruct((2, game.state_dim), jnp.float32)
        inputs = jax.ShapeDtypeStruct((num_inputs,), jnp.float32)
        size = jax.eval_shape(
            lambda x, u: raw_features(game, jnp.float32(0), x, u), states, inputs
        ).shape[-1]
        return cls(jnp.zeros(size, jnp.float32), jnp.ones(size, jnp.float32))

    def __call__(self, features: Float[Array, "*N F"]) -> Float[Array, "*N F"]:
        """The features, standardised and drawn in."""
        return 2 * jnp.tanh((features - self.location) / (2 * self.scale))


def raw_features(
    game: DifferentialGame,
    t: Float[Array, ""],
    states: Float[Array, "N D"],
    inputs: Float[Array, "I"],
    statistic: Any = None,
    moments: Float[Array, "M"] | None = None,
) -> Float[Array, "N F"]:
    """What `Look` standardises: time in [-1, 1], state, crowd, inputs.

    Args:
        game: the game.
        t: the time.
        states: of the agents.
        inputs: exogenous ones.
        statistic: of a crowd that is frozen; that of the agents themselves if None.
        moments: its mean and standard deviation; those of the agents if None.
    """
    statistic = game.statistic(game.crowd_of(states)) if statistic is None else statistic
    moments = crowd_moments(states) if moments is None else moments
    parts = [jnp.ravel(leaf) for leaf in jax.tree.leaves(statistic)]
    shared = jnp.concatenate([2 * t[None] / game.duration - 1, *parts, moments, inputs])
    rows = jnp.broadcast_to(shared.astype(states.dtype), (len(states), len(shared)))
    return jnp.concatenate([states, rows], -1)


def crowd_moments(states: Float[Array, "N D"]) -> Float[Array, "M"]:
    """Mean and standard deviation of each coordinate."""
    mean = jnp.mean(states, 0)
    # The root has an infinite slope where all agents agree.
    tiny = jnp.finfo(states.dtype).eps
    return jnp.concatenate([mean, jnp.sqrt(jnp.mean((states - mean) ** 2, 0) + tiny)])
