"""What everyone gets if everyone plays the same policy."""

import equinox as eqx
from jaxtyping import Float

from nashfield.dynamics.sweep import sweep
from nashfield.games.base import Game
from nashfield.games.rate_equilibria import judge_actions
from nashfield.games.rates import RateGame
from nashfield.policies import AbstractPolicy, as_table
from nashfield.typing import Array


def social_welfare(
    game: Game | RateGame, policy: Float[Array, "..."] | AbstractPolicy
) -> Float[Array, ""]:
    """J(pi; mu^pi), the return of every agent if all of them play `policy`.

    Its maximum over policies is the social optimum (mean-field control), which no equilibrium
    exceeds (Carmona, Graves and Tan 2019, "Price of anarchy for mean field games").

    Args:
        game: the game.
        policy: (T, S, A), or (S, A) for a stationary game, rows sum to 1; there a policy with
            parameters will do as well. In a `RateGame` actions (K + 1, S) at evenly spaced times.
    """
    if isinstance(game, RateGame):
        return judge_actions(game, policy).value
    return _value(game, as_table(game, policy))


@eqx.filter_jit
def _value(game, policy) -> Float[Array, ""]:
    return sweep(game, policy).value
