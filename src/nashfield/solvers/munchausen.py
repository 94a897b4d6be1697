"""Online mirror descent in its Munchausen form."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.dynamics import sweep
from nashfield.dynamics.linear import discounted
from nashfield.dynamics.stationary_values import stage
from nashfield.dynamics.values import backward
from nashfield.games.base import FiniteGame, Game, StationaryGame
from nashfield.mean_fields import FiniteFlow
from nashfield.solvers._checks import check_number
from nashfield.solvers.base import AbstractSolver, StepInfo
from nashfield.solvers.online_mirror_descent import logits
from nashfield.typing import Array, Scalar, ScalarLike, scalar


class MunchausenOnlineMirrorDescent(AbstractSolver):
    """Mirror descent that needs no sum of past action values: the policy itself remembers them.

    pi <- softmax(M / temperature) with the Munchausen values, evaluated along pi,
    M_t(x,a) = r_t(x,a,mu_t) + munchausen * temperature * log pi_t(a|x)
    + sum_y P_t(y|x,a,mu_t) sum_b pi_{t+1}(b|y) [M_{t+1}(y,b) - temperature * log pi_{t+1}(b|y)].
    With munchausen = 1 this is online mirror descent at learning rate 1 / temperature. Below 1 it
    forgets, and its limit is the equilibrium of the game with an entropy bonus of temperature
    (1 - munchausen) * temperature. Source: Lauriere et al. (2022), "Scalable deep reinforcement
    learning algorithms for mean field games", after Vieillard et al. (2020), "Munchausen
    reinforcement learning".

    Attributes:
        temperature: tau > 0.
        munchausen: share of log pi paid as a reward, in [0, 1].
    """

    temperature: Scalar = eqx.field(converter=scalar, default=10.0)
    munchausen: Scalar = eqx.field(converter=scalar, default=1.0)

    def __check_init__(self):
        check_number(self, "temperature", above=0.0)
        check_number(self, "munchausen", at_least=0.0, at_most=1.0)

    def init(
        self, game: Game, policy: Float[Array, "*T S A"], *, key: PRNGKeyArray
    ) -> Float[Array, "*T S A"]:
        """Logarithms of `policy`."""
        return logits(policy)

    def step(
        self, game: Game, state: Float[Array, "*T S A"], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, "*T S A"], StepInfo]:
        """One sweep, and once more the values, now with the entropy bonus."""
        log_policy = jax.nn.log_softmax(state)
        policy = jnp.exp(log_policy)
        current = sweep(game, policy)
        bonus = (1 - self.munchausen) * self.temperature
        if isinstance(game, StationaryGame):
            # V is linear in the reward: the bonus is worth what its own discounted sum is.
            kernel, _, discount = stage(game, current.flow, policy.dtype)
            entropy = -jnp.sum(policy * log_policy, -1)
            paid = discounted(kernel, policy, (bonus * entropy).astype(policy.dtype), discount)
            action_values = current.advantages + discount * kernel.expect(paid)
        else:
            action_values = _backward(game, policy, log_policy, current.flow, bonus)
        # Softmax does not see the shift by the maximum, and the logits keep their digits.
        scaled = self.munchausen * log_policy + action_values / self.temperature
        scaled = (scaled - jnp.max(scaled, -1, keepdims=True)).astype(state.dtype)
        return scaled, StepInfo.of(current)

    def policy(self, game: Game, state: Float[Array, "*T S A"]) -> Float[Array, "*T S A"]:
        """Softmax of the logits."""
        return jax.nn.softmax(state)


def _backward(
    game: FiniteGame,
    policy: Float[Array, "T S A"],
    log_policy: Float[Array, "T S A"],
    flow: FiniteFlow,
    bonus: ScalarLike,
) -> Float[Array, "T S A"]:
    """Action values along the policy with `bonus` times its entropy paid."""

    def choose(slices, action_values):
        # q = M - munchausen * temperature * log pi: V = sum_b pi [q - bonus * log pi].
        policy_t, log_policy_t = slices
        values = jnp.sum(policy_t * (action_values - bonus * log_policy_t), -1)
        return values.astype(policy_t.dtype)

    return backward(game, (policy, log_policy), flow, choose).action_values
