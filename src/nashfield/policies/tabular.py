"""Tabular policies: arrays (T, S, A) whose rows sum to 1."""

from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
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


def check_policy(game: FiniteGame, policy: Any, name: str = "policy") -> None:
    """Checks that `policy` is one of `game`; of a traced one only the shape is known.

    Raises:
        ValueError: the shape is wrong, a probability is negative or NaN, or a row does not sum
            to 1; the message calls it `name`.
    """
    shape = (game.horizon, game.num_states, game.num_actions)
    if jnp.shape(policy) != shape:
        raise ValueError(
            f"{name} has shape {jnp.shape(policy)}, but the game has (horizon, num_states, "
            f"num_actions) = {shape}"
        )
    if isinstance(policy, jax.core.Tracer):
        return
    table = np.asarray(policy)
    wrong = ~((table >= 0).all(-1) & (np.abs(table.sum(-1) - 1) < 1e-3))
    if wrong.any():
        t, x = np.argwhere(wrong)[0]
        raise ValueError(
            f"{name} must be probabilities that sum to 1 in each row, but at time {t}, state {x} "
            f"it is {table[t, x].tolist()}"
        )
