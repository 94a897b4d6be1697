"""Two time scales: the mean field follows the policy, faster than the policy moves."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.checks import check_size
from nashfield.dynamics import partial_gradient, sweep
from nashfield.dynamics.agents import FiniteAgents, draw_states
from nashfield.dynamics.draws import Draws
from nashfield.dynamics.stationary import push
from nashfield.games.base import StationaryGame
from nashfield.learners import AbstractGradient
from nashfield.mean_fields import FiniteMeanField
from nashfield.policies import AbstractPolicy
from nashfield.results import ParameterError
from nashfield.solvers.base import Outcome, StepInfo
from nashfield.solvers.starts import check_start, gradient_for, length, moved
from nashfield.solvers.steps import PowerStep
from nashfield.solvers.training import AbstractTraining
from nashfield.typing import Array


class Following(eqx.Module):
    """State of `TwoTimeScales`.

    Attributes:
        parameters: of the policy, those that are learnt.
        states: (S,), the mean field that follows.
        num_steps: k, steps done.
    """

    parameters: Any
    states: Float[Array, "S"]
    num_steps: Int[Array, ""]


class TwoTimeScales(AbstractTraining):
    """Policy and mean field move together, the mean field on the faster time scale.

    theta <- [theta + alpha_k G]_Theta, with G the partial gradient dJ(theta, z)/dtheta, and z <- z
    + beta_k [PhiHat(z, pi_theta) - z], from z = the initial law. Both step sizes are scale / (1 +
    k)^power. Converges to local stationary mean-field equilibria (LSMFE) if sum alpha = sum beta =
    infinity, sum (alpha^2 + beta^2) < infinity and alpha / beta -> 0, all of which is checked, and
    if Phi and the gradient are Lipschitz, the estimates unbiased with bounded variance, and z' =
    Phi(z, pi_theta) - z has one globally stable point, Lipschitz in theta. Every report is exact,
    of the policy against its own stationary mean field, to which z is on its way (the gradient norm
    of a policy that jumps is that of the estimate, against z). Source: Subramanian and Mahajan
    (2019), "Reinforcement learning in stationary mean-field games", algorithm 1.

    Attributes:
        start: the first policy; None stands for `SoftThreshold` where there are two actions and one
            feature, else for `Gibbs`.
        gradient: how G is known; None stands for the exact one where there is one, else for an
            estimate.
        policy_step: alpha.
        mean_field_step: beta, at most 1.
        num_samples: m; PhiHat is the empirical law of Y in m triples X ~ z, A ~ pi_theta(.|X),
            Y ~ P(.|X, A, z). None stands for Phi itself.
    """

    start: AbstractPolicy | None
    gradient: AbstractGradient | None
    policy_step: PowerStep
    mean_field_step: PowerStep
    num_samples: int | None = eqx.field(static=True)

    games: ClassVar[tuple[type, ...]] = (StationaryGame,)

    def __init__(
        self,
        policy: AbstractPolicy | None = None,
        *,
        gradient: AbstractGradient | None = None,
        policy_step: PowerStep | None = None,
        mean_field_step: PowerStep | None = None,
        num_samples: int | None = None,
    ):
        """From the first policy, and the parts that the attributes describe.

        Args:
            policy: `start`.
            gradient: see the attributes.
            policy_step: None stands for .5 / (1 + k).
            mean_field_step: None stands for (1 + k)^-.6.
            num_samples: see the attributes.

        Raises:
            ParameterError: `policy` has no parameters, a step size breaks a condition, or
                num_samples is not at least 1.
        """
        check_start(policy)
        self.start = policy
        self.gradient = gradient
        self.policy_step = PowerStep(0.5, 1.0) if policy_step is None else policy_step
        self.mean_field_step = PowerStep(1.0, 0.6) if mean_field_step is None else mean_field_step
        self.num_samples = num_samples
        if num_samples is not None:
            check_size("num_samples", num_samples)
        _check_conditions(self.policy_step, self.mean_field_step)

    def init_uniform(self, game: StationaryGame, *, key: PRNGKeyArray) -> Following:
        """At `first_policy` and the initial law."""
        parameters = self.first_policy(game, key=key).split()[0]
        return Following(parameters, jnp.asarray(game.initial(), float), jnp.asarray(0))

    def step(
        self, game: StationaryGame, state: Following, *, key: PRNGKeyArray
    ) -> tuple[Following, StepInfo]:
        """One step of both."""
        policy = self.policy(game, state)
        gradient_key, sample_key = jax.random.split(key)
        gradient = self._gradient(game, policy, state, gradient_key)
        alpha = self.policy_step.size(state.num_steps)
        beta = self.mean_field_step.size(state.num_steps)
        parameters = moved(policy, jax.tree.map(lambda g: alpha * g, gradient))
        ahead = self._push(game, policy.table(game), state.states, sample_key)
        states = (state.states + beta * (ahead - state.states)).astype(state.states.dtype)
        info = self._report(game, policy, gradient).info
        return Following(parameters, states, state.num_steps + 1), info

    def outcome(self, game: StationaryGame, state: Following, *, key: PRNGKeyArray) -> Outcome:
        """See `AbstractSolver.outcome`."""
        policy = self.policy(game, state)
        gradient_key, _ = jax.random.split(key)
        return self._report(game, policy, self._gradient(game, policy, state, gradient_key))

    def _gradient(self, game: StationaryGame, policy: AbstractPolicy, state: Following, key: Any):
        gradient = gradient_for(game, policy, self.gradient, alone=True)
        mean_field = FiniteMeanField(state.states, policy.table(game))
        return gradient.partial(game, policy, mean_field, key=key)

    def _push(
        self,
        game: StationaryGame,
        table: Float[Array, "S A"],
        states: Float[Array, "S"],
        key: PRNGKeyArray,
    ) -> Float[Array, "S"]:
        """Phi(z, pi), or the law of `num_samples` draws from it."""
        if self.num_samples is None:
            return push(game, table.astype(states.dtype), states)
        agents, mean_field = FiniteAgents(game, table), FiniteMeanField(states, table)
        levels = Draws(key).levels(jnp.asarray(0), (2 + agents.num_levels, self.num_samples))
        before = draw_states(levels[0], states)
        actions = agents.act(before, levels[1])
        after = agents.move(before, actions, mean_field, levels[2:])
        return agents.mean_field(after).states

    def _report(self, game: StationaryGame, policy: AbstractPolicy, gradient: Any) -> Outcome:
        swept = sweep(game, policy.table(game))
        known = gradient if policy.certain else partial_gradient(game, policy, swept.flow)
        info = StepInfo(swept.exploitability, swept.value, length(known))
        return Outcome(policy, swept.flow, info, swept.settled)


def _check_conditions(policy_step: PowerStep, mean_field_step: PowerStep) -> None:
    """Raises ParameterError where step sizes break a condition; what jit traces is not checked."""
    numbers = (policy_step.power, mean_field_step.power, mean_field_step.scale)
    if any(isinstance(x, jax.core.Tracer) for x in numbers):
        return
    slow, fast, scale = map(float, numbers)
    for name, power in (("policy_step", slow), ("mean_field_step", fast)):
        where = f"TwoTimeScales: with {name}.power = {power:g} the"
        if power > 1:
            raise ParameterError(
                f"{where} step sizes have a finite sum, so that the iteration may stop on its way: "
                f"{name}.power must be at most 1"
            )
        if power <= 0.5:
            raise ParameterError(
                f"{where} squares of the step sizes have an infinite sum, so that noise does not "
                f"die out: {name}.power must be above 0.5"
            )
    if slow <= fast:
        raise ParameterError(
            f"TwoTimeScales: with policy_step.power = {slow:g} and mean_field_step.power = "
            f"{fast:g} the ratio of the step sizes does not go to 0, so that the mean field does "
            "not keep up: policy_step.power must be above mean_field_step.power"
        )
    if scale > 1:
        raise ParameterError(
            f"TwoTimeScales: with mean_field_step.scale = {scale:g} the first step goes beyond "
            "the law it leads to: mean_field_step.scale must be at most 1"
        )
