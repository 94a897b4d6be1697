"""Tabular policies: arrays (T, S, A) whose rows sum to 1."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.games.base import FiniteGame
from nashfield.typing import Array


def uniform_policy(game: FiniteGame) -> Float[Array, "T S A"]:
    """Every action equally likely, everywhere and always."""
    shape = (game.horizon, game.num_states, game.num_actions)
    return jnp.full(shape, 1 / game.num_actions)


def random_policy(game: FiniteGame, *, key: PRNGKeyArray) -> Float[Array, "T S A"]:
    """Rows drawn uniformly from the simplex (flat Dirichlet), as a random start."""
    shape = (game.horizon, game.num_states)
    return jax.random.dirichlet(key, jnp.ones(game.num_actions), shape)
