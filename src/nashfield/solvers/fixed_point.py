"""Damped fixed point iteration."""

from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import PRNGKeyArray

from nashfield.games.base import FiniteGame, StationaryGame
from nashfield.games.quadratic import QuadraticGame
from nashfield.solvers import affine_play
from nashfield.solvers._checks import check_number
from nashfield.solvers.base import AbstractSolver, Outcome, StepInfo
from nashfield.solvers.best_response import (
    AbstractBestResponse,
    ExactBestResponse,
    step_towards_best_response,
)
from nashfield.typing import Scalar, scalar


class FixedPoint(AbstractSolver):
    """Everyone goes over to the best response; with damping, only a part of the crowd.

    pi <- mixture of `damping` pi and (1 - damping) BR(mu^pi), weighted by occupation. Without
    damping this is the iteration mu -> mu^BR(mu), which cycles unless it contracts; a constant
    damping averages the past geometrically. Source: Cui and Koeppl (2021), "Approximately solving
    mean field games via entropy-regularized deep reinforcement learning", who show that on finite
    games it contracts only where it is constant.

    On a `QuadraticGame` policies are affine and damping mixes their actions: everyone plays damping
    a(x) + (1 - damping) a*(x). The start is the game's `starting_policy`. A local density in the
    reward needs a damping of about 0.95.

    Attributes:
        damping: share of the old policy kept, in [0, 1).
        best_response: what to go over to.
    """

    games: ClassVar[tuple[type, ...]] = (FiniteGame, StationaryGame, QuadraticGame)

    damping: Scalar = eqx.field(converter=scalar, default=0.0)
    best_response: AbstractBestResponse = eqx.field(default_factory=ExactBestResponse)

    def __check_init__(self):
        check_number(self, "damping", at_least=0.0, below=1.0)

    def init(self, game: Any, policy: Any, *, key: PRNGKeyArray) -> Any:
        """The policy itself."""
        if isinstance(game, QuadraticGame):
            return affine_play.start_from(game, policy, self.best_response)
        return policy

    def init_uniform(self, game: Any, *, key: PRNGKeyArray) -> Any:
        """See `AbstractSolver.init_uniform`; on a `QuadraticGame` the start is its own."""
        if isinstance(game, QuadraticGame):
            return self.init(game, None, key=key)
        return super().init_uniform(game, key=key)

    def step(self, game: Any, state: Any, *, key: PRNGKeyArray) -> tuple[Any, StepInfo]:
        """One sweep, and the flow of the best response."""
        if isinstance(game, QuadraticGame):
            return affine_play.step_mixed(game, state, self.damping)
        return step_towards_best_response(game, state, self.best_response, 1 - self.damping)

    def policy(self, game: Any, state: Any) -> Any:
        """The state itself."""
        return state

    def outcome(self, game: Any, state: Any, *, key: PRNGKeyArray) -> Outcome:
        """See `AbstractSolver.outcome`."""
        if isinstance(game, QuadraticGame):
            return affine_play.outcome(game, state)
        return super().outcome(game, state, key=key)
