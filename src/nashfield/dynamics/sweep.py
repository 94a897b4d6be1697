"""A policy against its own crowd: all that a solver's step needs, and the exploitability."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Bool, Float

from nashfield.dynamics.forward import crowd_slices, flow_and_kernels
from nashfield.dynamics.stationary import UNSETTLED_RESIDUAL, settle
from nashfield.dynamics.stationary_values import optimal_regrets, policy_values, stage
from nashfield.dynamics.time import scan_times
from nashfield.games.base import FiniteGame, Game, StationaryGame
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array

# Rounding stays far below this; rows that do not sum to 1 do not.
_MASS_TOLERANCE = 1e-3


class Sweep(eqx.Module):
    """A policy against its own crowd. Where the game is stationary nothing has a time axis.

    Attributes:
        flow: the population flow (FiniteFlow) of the policy, or its stationary mean field
            (FiniteMeanField).
        advantages: (T, S, A), Q_t(x, a) - V_t(x) of the policy.
        optimal_advantages: (T, S, A), Q*_t(x, a) - V_t(x): the same if play is optimal afterwards.
        state_values: (T, S), V_t(x) of the policy.
        regrets: (T, S), V*_t(x) - V_t(x) >= 0: what a best response gains from x at t on.
        value: J(pi; mu^pi).
        exploitability: J(best response; mu^pi) - J(pi; mu^pi).
        residual: how far the crowd is from rest, the sum of |Phi(z, pi) - z|; 0 with a horizon.
    """

    flow: Any
    advantages: Float[Array, "*T S A"]
    optimal_advantages: Float[Array, "*T S A"]
    state_values: Float[Array, "*T S"]
    regrets: Float[Array, "*T S"]
    value: Float[Array, ""]
    exploitability: Float[Array, ""]
    residual: Float[Array, ""]

    @property
    def settled(self) -> Bool[Array, ""]:
        """Whether the crowd has come to rest."""
        return self.residual <= UNSETTLED_RESIDUAL


def sweep(game: Game, policy: Float[Array, "*T S A"]) -> Sweep:
    """Evaluates `policy` against its own crowd, together with its best response.

    Args:
        game: the game.
        policy: (T, S, A), or (S, A) for a stationary game; rows sum to 1.
    """
    policy = jnp.asarray(policy, float)
    return _rest(game, policy) if isinstance(game, StationaryGame) else _sweep(game, policy)


def _rest(game: StationaryGame, policy: Float[Array, "S A"]) -> Sweep:
    """The stationary mean field, and values against it frozen (Subramanian and Mahajan 2019).

    Value and exploitability are NaN where the initial law or the transition rows do not sum to 1:
    a stationary law, scaled to 1, would not show it.
    """
    mean_field, residual = settle(game, policy)
    kernel, _, discount = stage(game, mean_field, policy.dtype)
    action_values = policy_values(game, policy, mean_field).action_values
    values = jnp.sum(policy * action_values, -1)
    advantages = action_values - values[:, None]
    # The policy gains nothing over itself, whatever the rounding of large values says.
    advantages = advantages - jnp.sum(policy * advantages, -1, keepdims=True)
    regrets, optimal = optimal_regrets(kernel, advantages, discount)
    initial = jnp.asarray(game.initial(), policy.dtype)
    value, gap = (jnp.dot(initial, x, precision="highest") for x in (values, regrets))
    sums = jnp.append(kernel.expect(jnp.ones_like(values)), jnp.sum(initial))
    value, gap = (
        jnp.where(jnp.all(jnp.abs(sums - 1) < _MASS_TOLERANCE), x, jnp.nan) for x in (value, gap)
    )
    return Sweep(mean_field, advantages, optimal, values, regrets, value, gap, residual)


def _sweep(game: FiniteGame, policy: Float[Array, "T S A"]) -> Sweep:
    """One pass forward for the flow, one backward for the values.

    The regret d = V* - V is carried in place of V*: d_t(x) = max_a [Q_t(x,a) - V_t(x) +
    sum_y P_t(y|x,a) d_{t+1}(y)]. This keeps the digits of a small exploitability, which the
    difference of two large values would lose (in float32 all of them).
    """
    flow, kernels = flow_and_kernels(game, policy)

    def step(carry, slices):
        t, (policy_t, crowd, kernel) = slices
        values, regrets = carry
        kernel = game.transition(t, crowd) if kernel is None else kernel
        action_values = game.reward(t, crowd) + kernel.expect(values)
        values = jnp.sum(policy_t * action_values, -1)
        advantages = action_values - values[:, None]
        optimal = advantages + kernel.expect(regrets)
        regrets = jnp.max(optimal, -1)
        carry = (values.astype(policy.dtype), regrets.astype(policy.dtype))
        return carry, (advantages, optimal, *carry)

    last = FiniteMeanField(flow.states[-1])
    terminal = jnp.asarray(game.terminal_reward(last), policy.dtype)
    slices = (policy, crowd_slices(flow), kernels)
    first, outputs = scan_times(
        step, (terminal, jnp.zeros_like(terminal)), slices, game, reverse=True
    )
    advantages, optimal, state_values, regrets = outputs
    initial = jnp.asarray(game.initial(), policy.dtype)
    value, gap = (jnp.dot(initial, x, precision="highest") for x in first)
    residual = jnp.zeros((), policy.dtype)
    return Sweep(flow, advantages, optimal, state_values, regrets, value, gap, residual)
