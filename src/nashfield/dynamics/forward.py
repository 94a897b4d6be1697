"""Forward in time: the flow of a population, and of one agent in a frozen crowd."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.dynamics.time import scan_times
from nashfield.games.base import FiniteGame, SeparableGame
from nashfield.games.kernels import Dense, Kernel
from nashfield.mean_fields import FiniteFlow, FiniteMeanField
from nashfield.typing import Array

# Entries of all kernels of a flow (8 MB in float64); larger ones are computed again when needed.
_KEPT_ENTRIES = 2**20


@eqx.filter_jit
def population_flow(game: FiniteGame, policy: Float[Array, "T S A"]) -> FiniteFlow:
    """The flow if everyone plays `policy`.

    mu_0 = initial law; mu_{t+1}(y) = sum_{x,a} mu_t(x) pi_t(a|x) P_t(y|x,a,mu_t), the
    McKean-Vlasov push-forward (Perrin et al. 2020, eq. 1).

    Args:
        game: the game.
        policy: (T, S, A), rows sum to 1.

    Returns:
        The flow, states (T + 1, S), with what the crowd does.
    """
    return flow_and_kernels(game, policy)[0]


def flow_and_kernels(
    game: FiniteGame, policy: Float[Array, "T S A"], initial: Float[Array, "S"] | None = None
) -> tuple[FiniteFlow, Kernel | None]:
    """The population flow, and the kernels met on the way where a second look would cost more.

    Args:
        game: the game.
        policy: (T, S, A), rows sum to 1.
        initial: the law at time 0; the game's own if None.

    Returns:
        The flow; and the kernels of t = 0..T-1, stacked along a leading axis, if they are small
        tables of a game that may let the crowd bend them, else None.
    """

    def step(states, slices):
        t, policy_t = slices
        mean_field = FiniteMeanField(states, policy_t)
        kernel = game.transition(t, mean_field)
        return kernel.push(mean_field.joint), (
            states,
            kernel if _worth_keeping(game, kernel) else None,
        )

    policy = jnp.asarray(policy, float)
    initial = jnp.asarray(game.initial() if initial is None else initial, policy.dtype)
    last, (states, kernels) = scan_times(step, initial, policy, game)
    return FiniteFlow(jnp.concatenate([states, last[None]]), policy), kernels


def _worth_keeping(game: FiniteGame, kernel: Kernel) -> bool:
    if isinstance(game, SeparableGame) or not isinstance(kernel, Dense):
        return False
    return game.horizon * kernel.probabilities.size <= _KEPT_ENTRIES


@eqx.filter_jit
def individual_flow(
    game: FiniteGame, policy: Float[Array, "T S A"], flow: FiniteFlow
) -> FiniteFlow:
    """Law of ONE agent that plays `policy` while the crowd's `flow` stays frozen.

    Equal to `population_flow(game, policy)` where transitions do not depend on the mean field.

    Args:
        game: the game.
        policy: (T, S, A), rows sum to 1.
        flow: the frozen crowd.

    Returns:
        The agent's flow, states (T + 1, S).
    """

    def step(states, slices):
        t, (policy_t, crowd) = slices
        return game.transition(t, crowd).push(states[:, None] * policy_t), states

    policy = jnp.asarray(policy, float)
    initial = jnp.asarray(game.initial(), policy.dtype)
    last, states = scan_times(step, initial, (policy, crowd_slices(flow)), game)
    return FiniteFlow(jnp.concatenate([states, last[None]]), policy)


def crowd_slices(flow: FiniteFlow) -> FiniteMeanField:
    """The mean fields at t = 0..T-1 stacked along a leading axis, to scan over."""
    return FiniteMeanField(jnp.asarray(flow.states)[:-1], flow.policy)
