"""One pass forward and one backward: all that a solver's step needs, and the exploitability."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.dynamics.forward import crowd_slices, flow_and_kernels
from nashfield.dynamics.time import scan_times
from nashfield.games.base import FiniteGame
from nashfield.mean_fields import FiniteFlow, FiniteMeanField
from nashfield.typing import Array


class Sweep(eqx.Module):
    """A policy against its own flow.

    Attributes:
        flow: the population flow of the policy.
        advantages: (T, S, A), Q_t(x, a) - V_t(x) of the policy.
        optimal_advantages: (T, S, A), Q*_t(x, a) - V_t(x): the same if play is optimal afterwards.
        state_values: (T, S), V_t(x) of the policy.
        regrets: (T, S), V*_t(x) - V_t(x) >= 0: what a best response gains from x at t on.
        value: J(pi; mu^pi).
        exploitability: J(best response; mu^pi) - J(pi; mu^pi).
    """

    flow: FiniteFlow
    advantages: Float[Array, "T S A"]
    optimal_advantages: Float[Array, "T S A"]
    state_values: Float[Array, "T S"]
    regrets: Float[Array, "T S"]
    value: Float[Array, ""]
    exploitability: Float[Array, ""]


def sweep(game: FiniteGame, policy: Float[Array, "T S A"]) -> Sweep:
    """Evaluates `policy` against its own flow, together with its best response.

    The regret d = V* - V is carried in place of V*: d_t(x) = max_a [Q_t(x,a) - V_t(x) +
    sum_y P_t(y|x,a) d_{t+1}(y)]. This keeps the digits of a small exploitability, which the
    difference of two large values would lose (in float32 all of them).

    Args:
        game: the game.
        policy: (T, S, A), rows sum to 1.
    """
    policy = jnp.asarray(policy, float)
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
    return Sweep(flow, advantages, optimal, state_values, regrets, value, gap)
