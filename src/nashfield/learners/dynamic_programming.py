"""Exact best responses by backward induction."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.dynamics.values import PolicyValues, as_flow, backward
from nashfield.games.base import FiniteGame
from nashfield.mean_fields import FiniteFlow
from nashfield.typing import Array


@eqx.filter_jit
def optimal_values(game: FiniteGame, flow: FiniteFlow | Float[Array, "T1 S"]) -> PolicyValues:
    """Values of the best response to the frozen `flow` (Bellman's optimality equation).

    Args:
        game: the game.
        flow: the crowd, (T + 1, S).
    """

    def choose(_, action_values):
        return jnp.max(action_values, -1)

    return backward(game, None, as_flow(flow), choose)


@eqx.filter_jit
def best_response(
    game: FiniteGame, flow: FiniteFlow | Float[Array, "T1 S"]
) -> Float[Array, "T S A"]:
    """An optimal policy against the frozen `flow`.

    Args:
        game: the game.
        flow: the crowd, (T + 1, S); a bare array will do where the game reads only its states.

    Returns:
        (T, S, A); where several actions are optimal to the last digit they share the mass evenly.
    """
    return greedy(optimal_values(game, flow).action_values)


def greedy(action_values: Float[Array, "*batch A"]) -> Float[Array, "*batch A"]:
    """The policy that plays the best action, ties shared evenly."""
    best = action_values == jnp.max(action_values, -1, keepdims=True)
    return best / jnp.sum(best, -1, keepdims=True, dtype=action_values.dtype)
