"""Fictitious play."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.games.base import FiniteGame, StationaryGame
from nashfield.games.quadratic import QuadraticGame
from nashfield.policies import Pool
from nashfield.results import ParameterError
from nashfield.solvers import affine_play
from nashfield.solvers.base import AbstractSolver, Outcome, StepInfo
from nashfield.solvers.best_response import (
    AbstractBestResponse,
    ExactBestResponse,
    step_towards_best_response,
)
from nashfield.typing import Array


class Average(eqx.Module):
    """State of fictitious play.

    Attributes:
        policy: (T, S, A), the average so far.
        num_averaged: how many policies are in it, the start included.
    """

    policy: Float[Array, "*T S A"]
    num_averaged: Int[Array, ""]


class FictitiousPlay(AbstractSolver):
    """Best responses to the average of all best responses so far.

    Step k = 0, 1, ... mixes 1 / (k + 2) of the best response into the policy, weighted by
    occupation, so that the start counts as once played. Exploitability falls like 1 / k on monotone
    games. Source: Perrin et al. (2020), "Fictitious play for mean field games: continuous time
    analysis and applications", algorithm 1. Where transitions depend on the mean field the flow of
    the averaged policy is recomputed, never taken as the average of flows.

    On a `QuadraticGame` the average is the `Pool` of all policies so far, of which every agent
    keeps one, drawn uniformly, for the whole episode; best responses, and the crowd of the pool,
    are exact. The start is the best response to a crowd that stays at its initial law.

    Attributes:
        best_response: how one agent answers; `SoftBestResponse` makes this smoothed fictitious
            play (on finitely many states).
        capacity: on a `QuadraticGame`, for how many best responses there is room: at most so many
            iterations.
    """

    games: ClassVar[tuple[type, ...]] = (FiniteGame, StationaryGame, QuadraticGame)

    best_response: AbstractBestResponse = eqx.field(default_factory=ExactBestResponse)
    capacity: int = 1000

    def __check_init__(self):
        if self.capacity < 1:
            raise ParameterError(f"capacity must be at least 1, not {self.capacity}")

    def init(self, game: Any, policy: Any, *, key: PRNGKeyArray) -> Average | Pool:
        """An average of one."""
        if isinstance(game, QuadraticGame):
            first = affine_play.start_from(game, policy, self.best_response)
            return affine_play.start_pool(game, first, self.capacity)
        return Average(policy, jnp.asarray(1))

    def init_uniform(self, game: Any, *, key: PRNGKeyArray) -> Average | Pool:
        """See `AbstractSolver.init_uniform`; on a `QuadraticGame` the start is its own."""
        if isinstance(game, QuadraticGame):
            return self.init(game, None, key=key)
        return super().init_uniform(game, key=key)

    def most_iterations(self, game: Any) -> int | None:
        """See `AbstractSolver.most_iterations`; a pool holds `capacity` best responses."""
        return self.capacity if isinstance(game, QuadraticGame) else None

    def check_iterations(self, game: Any, num_iterations: int) -> None:
        """See `AbstractSolver.check_iterations`."""
        most = self.most_iterations(game)
        if most is not None and num_iterations > most:
            raise ParameterError(
                "FictitiousPlay keeps the best response of every iteration: "
                f"{num_iterations} iterations need capacity={num_iterations}, not {most}"
            )

    def step(
        self, game: Any, state: Average | Pool, *, key: PRNGKeyArray
    ) -> tuple[Average | Pool, StepInfo]:
        """One sweep, and the flow of the best response."""
        if isinstance(state, Pool):
            return affine_play.step_pool(game, state)
        num_averaged = state.num_averaged + 1
        policy, info = step_towards_best_response(
            game, state.policy, self.best_response, 1 / num_averaged
        )
        return Average(policy, num_averaged), info

    def policy(self, game: Any, state: Average | Pool) -> Any:
        """The average; on a `QuadraticGame` the pool."""
        return state if isinstance(state, Pool) else state.policy

    def outcome(self, game: Any, state: Average | Pool, *, key: PRNGKeyArray) -> Outcome:
        """See `AbstractSolver.outcome`."""
        if isinstance(state, Pool):
            return affine_play.outcome(game, state)
        return super().outcome(game, state, key=key)
