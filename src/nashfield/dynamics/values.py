"""Backward in time: what a policy is worth against a frozen crowd."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.dynamics.forward import crowd_slices
from nashfield.dynamics.time import scan_times
from nashfield.games.base import FiniteGame
from nashfield.mean_fields import FiniteFlow, FiniteMeanField
from nashfield.typing import Array


class PolicyValues(eqx.Module):
    """What a policy is worth against a frozen flow; `float(values)` is J.

    Attributes:
        value: J(pi; mu) = sum_x mu_0(x) V_0(x).
        state_values: (T + 1, S), V_t(x); the last row is the terminal reward.
        action_values: (T, S, A), Q_t(x, a).
    """

    value: Float[Array, ""]
    state_values: Float[Array, "T1 S"]
    action_values: Float[Array, "T S A"]

    def __float__(self) -> float:
        return float(self.value)


@eqx.filter_jit
def evaluate(
    game: FiniteGame, policy: Float[Array, "T S A"], flow: FiniteFlow | Float[Array, "T1 S"]
) -> PolicyValues:
    """Values of `policy` against the frozen `flow`.

    V_T = terminal reward; Q_t(x,a) = r_t(x,a,mu_t) + sum_y P_t(y|x,a,mu_t) V_{t+1}(y);
    V_t(x) = sum_a pi_t(a|x) Q_t(x,a) (Perrin et al. 2020, section 2).

    Args:
        game: the game.
        policy: (T, S, A), rows sum to 1.
        flow: the crowd, (T + 1, S); a bare array will do where the game reads only its states.

    Returns:
        The value from the game's initial law, and the tables it came from.
    """
    policy = jnp.asarray(policy, float)

    def choose(policy_t, action_values):
        return jnp.sum(policy_t * action_values, -1)

    return backward(game, policy, as_flow(flow), choose)


def backward(game: FiniteGame, slices: object, flow: FiniteFlow, choose) -> PolicyValues:
    """Dynamic programming against a frozen flow.

    Args:
        game: the game.
        slices: pytree with leading axis T, handed to `choose` one time at a time.
        flow: the frozen crowd.
        choose: (slices_t, action values (S, A)) -> state values (S,).
    """

    def step(values, slices):
        t, (slices_t, crowd) = slices
        expected = game.transition(t, crowd).expect(values)
        action_values = jnp.asarray(game.reward(t, crowd) + expected, values.dtype)
        values = choose(slices_t, action_values)
        return values, (values, action_values)

    states = jnp.asarray(flow.states, float)
    terminal = jnp.asarray(game.terminal_reward(FiniteMeanField(states[-1])), states.dtype)
    slices = (slices, crowd_slices(flow))
    first, (state_values, action_values) = scan_times(step, terminal, slices, game, reverse=True)
    value = jnp.dot(game.initial(), first, precision="highest")
    return PolicyValues(value, jnp.concatenate([state_values, terminal[None]]), action_values)


def as_flow(flow: FiniteFlow | Float[Array, "T1 S"]) -> FiniteFlow:
    """Wraps the bare states of a flow."""
    return flow if isinstance(flow, FiniteFlow) else FiniteFlow(jnp.asarray(flow))
