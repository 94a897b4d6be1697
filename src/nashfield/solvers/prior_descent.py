"""Prior descent."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.dynamics import sweep
from nashfield.games.base import Game
from nashfield.solvers._checks import check_number
from nashfield.solvers.base import AbstractSolver, StepInfo
from nashfield.solvers.online_mirror_descent import logits
from nashfield.typing import Array, Scalar, scalar


class PriorAndPolicy(eqx.Module):
    """State of prior descent.

    Attributes:
        prior: (T, S, A), logits of the prior.
        policy: (T, S, A), logits of the policy.
        num_steps: steps done.
    """

    prior: Float[Array, "*T S A"]
    policy: Float[Array, "*T S A"]
    num_steps: Int[Array, ""]


class PriorDescent(AbstractSolver):
    """Boltzmann iteration around a prior that now and then moves to where the policy is.

    pi(a|x) ~ prior(a|x) exp(Q*(x,a) / temperature), where Q* are the action values of a best
    response to mu^pi; after every `num_inner` steps prior <- pi, so that the temperature does not
    keep the limit away from Nash. Source: Cui and Koeppl (2021), "Approximately solving mean field
    games via entropy-regularized deep reinforcement learning", prior descent.

    Attributes:
        temperature: tau > 0.
        num_inner: steps between two moves of the prior, at least 1.
    """

    temperature: Scalar = eqx.field(converter=scalar, default=1.0)
    num_inner: Scalar = eqx.field(converter=scalar, default=10)

    def __check_init__(self):
        check_number(self, "temperature", above=0.0)
        check_number(self, "num_inner", at_least=1.0, whole=True)

    def init(
        self, game: Game, policy: Float[Array, "*T S A"], *, key: PRNGKeyArray
    ) -> PriorAndPolicy:
        """Prior and policy are both `policy`."""
        start = logits(policy)
        return PriorAndPolicy(start, start, jnp.asarray(0))

    def step(
        self, game: Game, state: PriorAndPolicy, *, key: PRNGKeyArray
    ) -> tuple[PriorAndPolicy, StepInfo]:
        """One sweep."""
        current = sweep(game, jax.nn.softmax(state.policy))
        policy = state.prior + current.optimal_advantages / self.temperature
        policy = (policy - jnp.max(policy, -1, keepdims=True)).astype(state.policy.dtype)
        num_steps = state.num_steps + 1
        prior = jnp.where(num_steps % self.num_inner == 0, policy, state.prior)
        return PriorAndPolicy(prior, policy, num_steps), StepInfo.of(current)

    def policy(self, game: Game, state: PriorAndPolicy) -> Float[Array, "*T S A"]:
        """Softmax of the policy's logits."""
        return jax.nn.softmax(state.policy)
