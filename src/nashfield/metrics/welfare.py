"""What everyone gets if everyone plays the same policy."""

import equinox as eqx
from jaxtyping import Float

from nashfield.dynamics.sweep import sweep
from nashfield.games.base import FiniteGame
from nashfield.typing import Array


@eqx.filter_jit
def social_welfare(game: FiniteGame, policy: Float[Array, "T S A"]) -> Float[Array, ""]:
    """J(pi; mu^pi), the return of every agent if all of them play `policy`.

    Its maximum over policies is the social optimum (mean-field control), which no equilibrium
    exceeds (Carmona, Graves and Tan 2019, "Price of anarchy for mean field games").

    Args:
        game: the game.
        policy: (T, S, A), rows sum to 1.
    """
    return sweep(game, policy).value
