"""Policies with parameters that climb a gradient: what such solvers share."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.checks import check_size
from nashfield.dynamics import sweep
from nashfield.dynamics.agents import agents_of
from nashfield.dynamics.draws import Draws
from nashfield.dynamics.rollout import play_returns
from nashfield.games.base import StationaryGame
from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.learners import AbstractCrowd, AbstractGradient, ExactCrowd, ExactGradient
from nashfield.policies import AbstractPolicy
from nashfield.solvers.base import Outcome, StepInfo
from nashfield.solvers.starts import (
    check_start,
    crowd_for,
    length,
    moved,
    on_points,
)
from nashfield.solvers.steps import AbstractOptimizer, Adam
from nashfield.solvers.training import AbstractTraining
from nashfield.typing import Array


class Climb(eqx.Module):
    """State of an ascent.

    Attributes:
        parameters: of the policy, those that are learnt.
        optimizer: state of the optimizer.
    """

    parameters: Any
    optimizer: Any


class AbstractAscent(AbstractTraining):
    """theta <- [theta + step of the optimizer along a gradient of J]_Theta.

    Where states are finitely many, what a step reports is exact, however the gradient is estimated:
    exploitability and social welfare of the policy that entered it, against its own stationary mean
    field, and the length of the exact gradient there; of a policy that jumps (`Threshold`), which
    has none, it is the length of the estimate. On points everything is estimated: social welfare is
    the mean return of `num_evaluations` agents against the crowd of the step, the exploitability is
    `game.optimal_value` of that crowd less this (noise may take it below 0), and the length is that
    of the gradient that is followed.

    Attributes:
        start: the first policy; None stands for `SoftThreshold` where there are two actions and one
            feature, else for `Gibbs`, and for `Neural` where states are points.
        gradient: how the gradient is known; None stands for the exact one where there is one, else
            for an estimate.
        crowd: how the mean field of a policy is known; None stands for the exact one, and for a
            played one where states are points.
        optimizer: how parameters follow the gradient.
        num_evaluations: on points, how many agents are played for what is reported.
        num_evaluation_steps: on points, for how many steps.
    """

    start: AbstractPolicy | None
    gradient: AbstractGradient | None
    crowd: AbstractCrowd | None
    optimizer: AbstractOptimizer
    num_evaluations: int = eqx.field(static=True, default=1000)
    num_evaluation_steps: int = eqx.field(static=True, default=200)

    games: ClassVar[tuple[type, ...]] = (StationaryGame, ContinuousStationaryGame)

    def __init__(
        self,
        policy: AbstractPolicy | None = None,
        *,
        gradient: AbstractGradient | None = None,
        crowd: AbstractCrowd | None = None,
        optimizer: AbstractOptimizer | None = None,
        num_evaluations: int = 1000,
        num_evaluation_steps: int = 200,
    ):
        """From the first policy, and the parts that the attributes describe.

        Args:
            policy: `start`.
            gradient: see the attributes.
            crowd: see the attributes.
            optimizer: None stands for `Adam()`.
            num_evaluations: see the attributes.
            num_evaluation_steps: see the attributes.

        Raises:
            ParameterError: `policy` has no parameters, or a number is not at least 1.
        """
        check_start(policy)
        self.start = policy
        self.gradient = gradient
        self.crowd = crowd
        self.optimizer = Adam() if optimizer is None else optimizer
        self.num_evaluations = num_evaluations
        self.num_evaluation_steps = num_evaluation_steps
        check_size("num_evaluations", num_evaluations)
        check_size("num_evaluation_steps", num_evaluation_steps)

    @abc.abstractmethod
    def estimate(
        self, game: Any, policy: AbstractPolicy, mean_field: Any, *, key: PRNGKeyArray
    ) -> Any:
        """The gradient to follow, as `gradient` knows it.

        Args:
            game: the game.
            policy: where.
            mean_field: of the policy, as `crowd` knows it.
            key: for gradients that are estimated.
        """

    @abc.abstractmethod
    def exact(self, game: StationaryGame, policy: AbstractPolicy, mean_field: Any) -> Any:
        """What `estimate` stands for; `mean_field` is the stationary one."""

    def init_uniform(self, game: Any, *, key: PRNGKeyArray) -> Climb:
        """At `first_policy`."""
        parameters = self.first_policy(game, key=key).split()[0]
        return Climb(parameters, self.optimizer.init(parameters))

    def step(self, game: Any, state: Climb, *, key: PRNGKeyArray) -> tuple[Climb, StepInfo]:
        """One gradient, one step of the optimizer, one projection."""
        policy = self.policy(game, state)
        gradient, outcome = self._look(game, policy, key)
        change, optimizer = self.optimizer.step(gradient, state.optimizer)
        return Climb(moved(policy, change), optimizer), outcome.info

    def outcome(self, game: Any, state: Climb, *, key: PRNGKeyArray) -> Outcome:
        """See `AbstractSolver.outcome`; on points the flow is a crowd that was played."""
        return self._look(game, self.policy(game, state), key)[1]

    def _look(self, game: Any, policy: AbstractPolicy, key: PRNGKeyArray) -> tuple[Any, Outcome]:
        """The gradient at `policy`, and what is reported of it."""
        crowd_key, gradient_key, play_key = jax.random.split(key, 3)
        crowd = crowd_for(game, self.crowd)
        if on_points(game):
            found = crowd.estimate(game, policy, key=crowd_key)
            mean_field = found.mean_field
            gradient = self.estimate(game, policy, mean_field, key=gradient_key)
            value = self._play(game, policy, mean_field, play_key)
            gap = jnp.asarray(game.optimal_value(mean_field), value.dtype) - value
            info = StepInfo(gap, value, length(gradient))
            return gradient, Outcome(policy, mean_field, info, found.settled)
        swept = sweep(game, policy.table(game))
        exactly = isinstance(crowd, ExactCrowd)
        mean_field, settled = swept.flow, swept.settled
        if not exactly:
            found = crowd.estimate(game, policy, key=crowd_key)
            mean_field, settled = found.mean_field, settled & found.settled
        gradient = known = self.estimate(game, policy, mean_field, key=gradient_key)
        followed = isinstance(self.gradient, ExactGradient | None) and exactly
        if not (followed or policy.certain):
            known = self.exact(game, policy, swept.flow)
        info = StepInfo(swept.exploitability, swept.value, length(known))
        return gradient, Outcome(policy, swept.flow, info, settled)

    def _play(
        self, game: ContinuousStationaryGame, policy: AbstractPolicy, mean_field: Any, key: Any
    ) -> Float[Array, ""]:
        """J against a frozen crowd, from returns."""
        returns = play_returns(
            agents_of(game, policy),
            mean_field,
            Draws(key),
            num_trajectories=self.num_evaluations,
            num_steps=self.num_evaluation_steps,
        )
        return jnp.asarray(jnp.mean(returns), float)
