"""Damped fixed point iteration in continuous time."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.checks import check_size
from nashfield.games.rate_equilibria import answer_policy, judge
from nashfield.games.rates import RateGame
from nashfield.solvers._checks import check_number
from nashfield.solvers.base import AbstractSolver, Outcome, StepInfo
from nashfield.typing import Array, Scalar, scalar


class Picard(AbstractSolver):
    """Values backward, the crowd forward, and everyone goes over to a part of the best response.

    Actions become damping a + (1 - damping) a*, where a* answers the crowd of a, on a grid of
    times. `RateGame.equilibrium` iterates on the crowd instead, takes care of the damping, and has
    derivatives; this one keeps the history.

    Attributes:
        num_steps: time steps of Runge-Kutta's method of order 4, at least 4.
        damping: share of the old actions kept, in [0, 1).
    """

    games: ClassVar[tuple[type, ...]] = (RateGame,)

    num_steps: int = 400
    damping: Scalar = eqx.field(converter=scalar, default=0.5)

    def __check_init__(self):
        check_size("num_steps", self.num_steps, 4)
        check_number(self, "damping", at_least=0.0, below=1.0)

    def init(self, game: RateGame, policy: Float[Array, "K1 S"], *, key: PRNGKeyArray) -> Any:
        """The policy itself."""
        return policy

    def init_uniform(self, game: RateGame, *, key: PRNGKeyArray) -> Any:
        """Actions in the middle of their bounds."""
        low, high = game.action_bounds
        middle = (jnp.asarray(low, float) + high) / 2
        return jnp.broadcast_to(middle, (self.num_steps + 1, game.num_states))

    def step(self, game: RateGame, state: Any, *, key: PRNGKeyArray) -> tuple[Any, StepInfo]:
        """The crowd of the actions, and the best response to it."""
        found = _judged(game, state)
        best = answer_policy(game, found.flow.states)
        moved = self.damping * state + (1 - self.damping) * best
        return moved.astype(state.dtype), StepInfo(found.exploitability, found.value)

    def policy(self, game: RateGame, state: Any) -> Float[Array, "K1 S"]:
        """The state itself."""
        return state

    def outcome(self, game: RateGame, state: Any, *, key: PRNGKeyArray) -> Outcome:
        """See `AbstractSolver.outcome`."""
        found = _judged(game, state)
        info = StepInfo(found.exploitability, found.value)
        return Outcome(state, found.flow, info, jnp.asarray(True))


def _judged(game: RateGame, policy: Float[Array, "K1 S"]) -> Any:
    return judge(game, policy, jnp.asarray(jnp.nan, policy.dtype), jnp.asarray(0))
