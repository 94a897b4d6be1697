"""Tabular policies: arrays (T, S, A), or (S, A) without time, whose rows sum to 1."""

from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.games.base import Game, StationaryGame
from nashfield.policies.parametric import AbstractPolicy
from nashfield.results import ParameterError
from nashfield.typing import Array


def policy_shape(game: Game) -> tuple[int, ...]:
    """(T, S, A), or (S, A) for a stationary game."""
    if not hasattr(game, "num_states"):
        raise TypeError(
            f"states of {getattr(game, '__name__', type(game).__name__)} are points, of which "
            "there is no table: nashfield.discretise(game) makes a game of it that has tables, and "
            "nashfield.rollout_flow, exploitability and the learners take it as it is"
        )
    pairs = (game.num_states, game.num_actions)
    return pairs if isinstance(game, StationaryGame) else (game.horizon, *pairs)


def uniform_policy(game: Game) -> Float[Array, "*T S A"]:
    """Every action equally likely, everywhere and always."""
    return jnp.full(policy_shape(game), 1 / game.num_actions)


def random_policy(game: Game, *, key: PRNGKeyArray) -> Float[Array, "*T S A"]:
    """Rows drawn uniformly from the simplex (flat Dirichlet), as a random start."""
    return jax.random.dirichlet(key, jnp.ones(game.num_actions), policy_shape(game)[:-1])


def check_policy(game: Game, policy: Any, name: str = "policy") -> None:
    """Checks that `policy` is one of `game`; of a traced one only the shape is known.

    Raises:
        ValueError: the shape is wrong, a probability is negative or NaN, or a row does not sum
            to 1; the message calls it `name`.
    """
    shape = policy_shape(game)
    if jnp.shape(policy) != shape:
        letters = "(horizon, num_states, num_actions)"
        if isinstance(game, StationaryGame):
            letters = "(num_states, num_actions)"
        raise ValueError(
            f"{name} has shape {jnp.shape(policy)}, but the game has {letters} = {shape}"
        )
    if isinstance(policy, jax.core.Tracer):
        return
    table = np.asarray(policy)
    wrong = ~((table >= 0).all(-1) & (np.abs(table.sum(-1) - 1) < 1e-3))
    if wrong.any():
        *t, x = np.argwhere(wrong)[0]
        row = table[(*t, x)].tolist()
        where = f"time {t[0]}, state {x}" if t else f"state {x}"
        raise ValueError(
            f"{name} must be probabilities that sum to 1 in each row, but at {where} it is {row}"
        )


def as_table(game: Game, policy: Any, name: str = "policy") -> Any:
    """The table of a policy on a game, which it must fit.

    Args:
        game: the game.
        policy: a table, or a policy with parameters (for a stationary game).
        name: what messages call it.

    Raises:
        ParameterError: a policy with parameters and a game with a horizon.
        ValueError: see `check_policy`.
    """
    if isinstance(policy, AbstractPolicy):
        if not isinstance(game, StationaryGame):
            raise ParameterError(
                f"{type(policy).__name__} knows no time: {name} of {type(game).__name__}, a game "
                "with a horizon, must be a table (horizon, num_states, num_actions)"
            )
        return policy.table(game)
    check_policy(game, policy, name)
    return policy
