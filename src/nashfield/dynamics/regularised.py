"""Entropy-regularised equilibria of games with a horizon: smooth in the game's numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from nashfield.dynamics.forward import flow_and_kernels
from nashfield.dynamics.sweep import sweep
from nashfield.dynamics.values import backward
from nashfield.games.base import FiniteGame
from nashfield.games.fixed_points import fixed_point
from nashfield.mean_fields import FiniteFlow
from nashfield.policies import uniform_policy
from nashfield.typing import Array, Scalar, ScalarLike, scalar


class RegularisedEquilibrium(eqx.Module):
    """A policy that is the regularised best response to its own crowd.

    Attributes:
        policy: (T, S, A).
        flow: its crowd.
        exploitability: of the policy, in the game without entropy; positive.
        residual: by how much the last iteration moved the policy.
        num_iterations: how many there were.
    """

    policy: Float[Array, "*batch T S A"]
    flow: FiniteFlow
    exploitability: Float[Array, "*batch"]
    residual: Float[Array, "*batch"]
    num_iterations: Int[Array, "*batch"]


def regularised_response(
    game: FiniteGame, flow: FiniteFlow, temperature: ScalarLike
) -> Float[Array, "T S A"]:
    """The best response to a frozen crowd of an agent who is paid for the entropy of its play.

    V_t(x) = temperature log sum_a exp(Q_t(x, a) / temperature), and the policy is
    softmax(Q_t / temperature): it maximises the return plus temperature times the entropy of all
    its decisions. Source: Cui and Koeppl (2021), "Approximately solving mean field games via
    entropy-regularized deep reinforcement learning", section on relative entropy, with a uniform
    prior.

    Args:
        game: the game.
        flow: the crowd.
        temperature: positive.
    """
    return jax.nn.softmax(_regularised_values(game, flow, temperature) / temperature)


def regularised_fixed_point(
    game: FiniteGame,
    temperature: ScalarLike,
    damping: ScalarLike,
    max_iterations: int,
    initial: Float[Array, "S"] | None = None,
) -> tuple[Float[Array, "T S A"], tuple[Float[Array, ""], Int[Array, ""]]]:
    """The policy that is the regularised best response to its own crowd.

    See `games.fixed_points.fixed_point`, also for derivatives.

    Args:
        game: the game.
        temperature: positive.
        damping: share of the old policy kept, in [0, 1).
        max_iterations: of the policy.
        initial: the law at time 0; the game's own if None.

    Returns:
        The policy; the last residual, and the number of iterations.
    """
    dtype = jnp.result_type(float)
    temperature = jnp.asarray(temperature, dtype)

    def residual(policy: Array) -> Array:
        flow = flow_and_kernels(game, policy, initial)[0]
        return regularised_response(game, flow, temperature) - policy

    start = jnp.asarray(uniform_policy(game), dtype)
    # Rounding of values is that of the greatest, and a temperature enlarges it.
    flow = flow_and_kernels(game, start, initial)[0]
    values = _regularised_values(game, flow, temperature)
    size = 1 + jnp.max(jnp.abs(values)) / temperature
    tolerance = 16 * jnp.finfo(dtype).eps * jax.lax.stop_gradient(size)
    step = 1 - jnp.asarray(damping, dtype)
    return fixed_point(residual, start, step, tolerance, max_iterations)


def regularised_equilibrium(
    game: FiniteGame,
    temperature: ScalarLike,
    *,
    damping: ScalarLike = 0.5,
    max_iterations: int = 1000,
) -> RegularisedEquilibrium:
    """The equilibrium among agents who are paid for the entropy of what they do.

    Unlike a Nash equilibrium it is a smooth function of the game's numbers; as the temperature
    falls it nears one. Derivatives follow from the implicit function theorem, forward and in
    reverse, at a memory that does not depend on the number of iterations. At a low temperature the
    iteration may not end: `residual` tells.

    Args:
        game: the game.
        temperature: of the entropy, positive.
        damping: share of the old policy kept, in [0, 1).
        max_iterations: of the policy.
    """
    # As arrays: another Python number would be another program.
    return _equilibrium(game, scalar(temperature), scalar(damping), max_iterations)


@eqx.filter_jit
def _equilibrium(
    game: FiniteGame, temperature: Scalar, damping: Scalar, max_iterations: int
) -> RegularisedEquilibrium:
    policy, (missed, count) = regularised_fixed_point(game, temperature, damping, max_iterations)
    swept = sweep(game, policy)
    return RegularisedEquilibrium(policy, swept.flow, swept.exploitability, missed, count)


def _regularised_values(
    game: FiniteGame, flow: FiniteFlow, temperature: ScalarLike
) -> Float[Array, "T S A"]:
    """Q of `regularised_response`."""

    def choose(_: None, action_values: Array) -> Array:
        return temperature * jax.nn.logsumexp(action_values / temperature, axis=-1)

    return backward(game, None, flow, choose).action_values
