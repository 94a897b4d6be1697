"""What a solver plays against the present crowd, and the step from there towards it."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.dynamics import Sweep, population_flow, sweep
from nashfield.games.base import Game, StationaryGame
from nashfield.learners import greedy
from nashfield.policies import occupation_mixture
from nashfield.solvers._checks import check_number
from nashfield.solvers.base import StepInfo
from nashfield.typing import Array, Scalar, ScalarLike, scalar


class AbstractBestResponse(eqx.Module):
    """How one agent answers a frozen crowd; a field of the solvers that need an answer."""

    @abc.abstractmethod
    def __call__(self, game: Game, current: Sweep) -> Float[Array, "*T S A"]:
        """The answer.

        Args:
            game: the game.
            current: the crowd's policy against its own flow.

        Returns:
            (T, S, A), rows sum to 1.
        """


class ExactBestResponse(AbstractBestResponse):
    """An optimal policy; where several actions are optimal they share the mass evenly."""

    def __call__(self, game: Game, current: Sweep) -> Float[Array, "*T S A"]:
        """See `AbstractBestResponse.__call__`."""
        return greedy(current.optimal_advantages)


class SoftBestResponse(AbstractBestResponse):
    """The Boltzmann policy softmax(Q* / temperature) of the optimal action values Q*.

    Source: Cui and Koeppl (2021), "Approximately solving mean field games via entropy-regularized
    deep reinforcement learning", Boltzmann policies.

    Attributes:
        temperature: tau > 0.
    """

    temperature: Scalar = eqx.field(converter=scalar, default=1.0)

    def __check_init__(self):
        check_number(self, "temperature", above=0.0)

    def __call__(self, game: Game, current: Sweep) -> Float[Array, "*T S A"]:
        """See `AbstractBestResponse.__call__`."""
        # The advantages differ from Q* by V(x) alone, which softmax does not see.
        scaled = current.optimal_advantages / self.temperature
        return jax.nn.softmax(scaled.astype(current.optimal_advantages.dtype))


def step_towards_best_response(
    game: Game,
    policy: Float[Array, "*T S A"],
    best_response: AbstractBestResponse,
    share: ScalarLike,
) -> tuple[Float[Array, "*T S A"], StepInfo]:
    """Lets the share `share` of the crowd go over to the best response.

    Args:
        game: the game.
        policy: what everyone plays at present.
        best_response: what some go over to.
        share: how many, in [0, 1].

    Returns:
        What the crowd does afterwards, and what is known of `policy`.
    """
    current = sweep(game, policy)
    response = best_response(game, current)
    if isinstance(game, StationaryGame):
        # Row by row: weights by mean fields would never change what is done in states that the
        # response leaves for good, and a game may start there.
        share = jnp.asarray(share, policy.dtype)
        return policy + share * (response - policy), StepInfo.of(current)
    # Everyone's flow under the response, as in Perrin et al. (2020). What the crowd makes of the
    # mixture is computed afresh by the next sweep: where transitions depend on the mean field the
    # mixture of two flows is not the flow of the mixture.
    response_flow = population_flow(game, response)
    mixed = occupation_mixture(
        policy, current.flow.states[:-1], response, response_flow.states[:-1], share
    )
    return mixed, StepInfo.of(current)
