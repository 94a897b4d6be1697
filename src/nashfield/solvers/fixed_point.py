"""Damped fixed point iteration."""

import equinox as eqx
from jaxtyping import Float, PRNGKeyArray

from nashfield.games.base import Game
from nashfield.solvers._checks import check_number
from nashfield.solvers.base import AbstractSolver, StepInfo
from nashfield.solvers.best_response import (
    AbstractBestResponse,
    ExactBestResponse,
    step_towards_best_response,
)
from nashfield.typing import Array, Scalar, scalar


class FixedPoint(AbstractSolver):
    """Everyone goes over to the best response; with damping, only a part of the crowd.

    pi <- mixture of `damping` pi and (1 - damping) BR(mu^pi), weighted by occupation. Without
    damping this is the iteration mu -> mu^BR(mu), which cycles unless it contracts; a constant
    damping averages the past geometrically. Source: Cui and Koeppl (2021), "Approximately solving
    mean field games via entropy-regularized deep reinforcement learning", who show that on finite
    games it contracts only where it is constant.

    Attributes:
        damping: share of the old policy kept, in [0, 1).
        best_response: what to go over to.
    """

    damping: Scalar = eqx.field(converter=scalar, default=0.0)
    best_response: AbstractBestResponse = eqx.field(default_factory=ExactBestResponse)

    def __check_init__(self):
        check_number(self, "damping", at_least=0.0, below=1.0)

    def init(
        self, game: Game, policy: Float[Array, "*T S A"], *, key: PRNGKeyArray
    ) -> Float[Array, "*T S A"]:
        """The policy itself."""
        return policy

    def step(
        self, game: Game, state: Float[Array, "*T S A"], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, "*T S A"], StepInfo]:
        """One sweep, and the flow of the best response."""
        return step_towards_best_response(game, state, self.best_response, 1 - self.damping)

    def policy(self, game: Game, state: Float[Array, "*T S A"]) -> Float[Array, "*T S A"]:
        """The state itself."""
        return state
