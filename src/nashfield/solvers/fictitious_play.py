"""Fictitious play."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.games.base import Game
from nashfield.solvers.base import AbstractSolver, StepInfo
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

    Attributes:
        best_response: how one agent answers; `SoftBestResponse` makes this smoothed fictitious
            play.
    """

    best_response: AbstractBestResponse = eqx.field(default_factory=ExactBestResponse)

    def init(self, game: Game, policy: Float[Array, "*T S A"], *, key: PRNGKeyArray) -> Average:
        """An average of one."""
        return Average(policy, jnp.asarray(1))

    def step(self, game: Game, state: Average, *, key: PRNGKeyArray) -> tuple[Average, StepInfo]:
        """One sweep, and the flow of the best response."""
        num_averaged = state.num_averaged + 1
        policy, info = step_towards_best_response(
            game, state.policy, self.best_response, 1 / num_averaged
        )
        return Average(policy, num_averaged), info

    def policy(self, game: Game, state: Average) -> Float[Array, "*T S A"]:
        """The average."""
        return state.policy
