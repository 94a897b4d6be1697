"""Boltzmann policy iteration."""

import equinox as eqx
from jaxtyping import Float, PRNGKeyArray

from nashfield.dynamics import sweep
from nashfield.games.base import Game
from nashfield.solvers._checks import check_number
from nashfield.solvers.base import AbstractSolver, StepInfo
from nashfield.solvers.best_response import SoftBestResponse
from nashfield.typing import Array, Scalar, scalar


class BoltzmannPolicyIteration(AbstractSolver):
    """Everyone goes over to the softmax of the optimal action values.

    pi <- softmax(Q* / temperature), where Q* are the action values of a best response to mu^pi. At
    a high enough temperature this contracts, to an equilibrium of its own that nears Nash as the
    temperature falls. Source: Cui and Koeppl (2021), "Approximately solving mean field games via
    entropy-regularized deep reinforcement learning", Boltzmann iteration (Guo et al. (2019) call it
    GMF-V).

    Attributes:
        temperature: tau > 0.
    """

    temperature: Scalar = eqx.field(converter=scalar, default=1.0)

    def __check_init__(self):
        check_number(self, "temperature", above=0.0)

    def init(
        self, game: Game, policy: Float[Array, "*T S A"], *, key: PRNGKeyArray
    ) -> Float[Array, "*T S A"]:
        """The policy itself."""
        return policy

    def step(
        self, game: Game, state: Float[Array, "*T S A"], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, "*T S A"], StepInfo]:
        """One sweep."""
        current = sweep(game, state)
        return SoftBestResponse(self.temperature)(game, current), StepInfo.of(current)

    def policy(self, game: Game, state: Float[Array, "*T S A"]) -> Float[Array, "*T S A"]:
        """The state itself."""
        return state
