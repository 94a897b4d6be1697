"""What policies are worth against the frozen crowd of a stationary game, and the best of them."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from nashfield.dynamics.elimination import solve
from nashfield.dynamics.linear import MAX_TABLE_STATES, discounted, frozen
from nashfield.games.base import StationaryGame
from nashfield.games.kernels import Kernel
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, ScalarLike

_MAX_IMPROVEMENTS = 200
_MAX_BACKUPS = 100_000
_NUM_BACKUPS, _MAX_GUESSES = 12, 20


class StationaryValues(eqx.Module):
    """What a policy is worth against a frozen mean field; `float(values)` is J.

    Attributes:
        value: J = sum_x xi_0(x) V(x), with xi_0 the initial law.
        state_values: (S,), V(x).
        action_values: (S, A), Q(x, a).
    """

    value: Float[Array, ""]
    state_values: Float[Array, "S"]
    action_values: Float[Array, "S A"]

    def __float__(self) -> float:
        return float(self.value)


def stage(
    game: StationaryGame, mean_field: FiniteMeanField, dtype: Any
) -> tuple[Kernel, Float[Array, "S A"], Float[Array, ""]]:
    """Kernel, reward and discount of one agent among the crowd."""
    kernel = game.transition(mean_field)
    return kernel, jnp.asarray(game.reward(mean_field), dtype), jnp.asarray(game.discount, dtype)


def policy_values(
    game: StationaryGame, policy: Float[Array, "S A"], mean_field: FiniteMeanField
) -> StationaryValues:
    """Solves V = r_pi + gamma P_pi V against the frozen crowd; differentiable."""
    kernel, reward, discount = stage(game, mean_field, policy.dtype)
    values = discounted(kernel, policy, jnp.sum(policy * reward, -1), discount)
    action_values = reward + discount * kernel.expect(values)
    value = jnp.dot(jnp.asarray(game.initial(), policy.dtype), values, precision="highest")
    return StationaryValues(value, values, action_values)


def optimal_regrets(
    kernel: Kernel, advantages: Float[Array, "S A"], discount: ScalarLike
) -> tuple[Float[Array, "S"], Float[Array, "S A"]]:
    """What optimal play gains over the policy with these advantages.

    d(x) = max_a [A(x, a) + gamma sum_y P(y | x, a) d(y)], by policy iteration (Howard 1960), or on
    many states by value iteration. Regrets keep the digits that the difference of two large values
    would lose.

    Args:
        kernel: how one agent moves.
        advantages: A(x, a) = Q(x, a) - V(x) of the policy.
        discount: gamma.

    Returns:
        d (S,), and A + gamma P d (S, A), whose largest entries the best response plays.
    """
    if advantages.shape[0] > MAX_TABLE_STATES:
        # The derivative is that of one more backup: the regrets ahead are held fixed.
        ahead = _iterate_values(*frozen((kernel, advantages, discount)))
    else:
        ahead = _iterate_policies(kernel, advantages, discount)
    optimal = advantages + discount * kernel.expect(ahead)
    return jnp.max(optimal, -1), optimal


@eqx.filter_custom_jvp
def _iterate_policies(kernel, advantages, discount) -> Float[Array, "S"]:
    """What the best of all policies gains."""
    return _howard(kernel, advantages, discount)[1]


@_iterate_policies.def_jvp
def _(primals, tangents):
    choice, gains = _howard(*primals)
    # The best policy stays the best one nearby.
    _, tangent = eqx.filter_jvp(partial(_gains, choice), primals, tangents)
    return gains, tangent


def _gains(choice, kernel, advantages, discount) -> Float[Array, "S"]:
    """What always playing `choice` gains."""
    policy = jax.nn.one_hot(choice, advantages.shape[1], dtype=advantages.dtype)
    reward = jnp.take_along_axis(advantages, choice[:, None], 1)[:, 0]
    return discounted(kernel, policy, reward, discount)


def _howard(kernel, advantages, discount) -> tuple[Int[Array, "S"], Float[Array, "S"]]:
    """Actions of an optimal policy, and what it gains."""
    eps = jnp.finfo(advantages.dtype).eps
    num_states = advantages.shape[0]
    table, identity = kernel.dense(), jnp.eye(num_states, dtype=advantages.dtype)

    def improving(carry):
        _, _, improved, count = carry
        return improved & (count < _MAX_IMPROVEMENTS)

    def improve(carry):
        choice, _, _, count = carry
        matrix, reward = _along(choice, table, advantages)
        gains = solve(identity - discount * matrix, reward)
        optimal = advantages + discount * kernel.expect(gains)
        kept = jnp.take_along_axis(optimal, choice[:, None], 1)[:, 0]
        scale = jnp.max(jnp.abs(optimal))
        # Better than rounding is coarse: ties could go in circles.
        better = jnp.max(optimal, -1) > kept + 16 * eps * scale
        choice = jnp.where(better, jnp.argmax(optimal, -1), choice)
        return choice, gains, jnp.any(better), count + 1

    start = (_guess(kernel, table, advantages, discount), jnp.zeros_like(advantages[:, 0]), True, 0)
    choice, gains, _, _ = jax.lax.while_loop(improving, improve, start)
    return choice, gains


def _guess(kernel, table, advantages, discount) -> Int[Array, "S"]:
    """Actions near the best, by improvements after a few backups each (Puterman and Shin 1978).

    Backups along one policy cost far less than the linear system of an exact improvement.
    """

    def changing(carry):
        _, choice, before, count = carry
        return jnp.any(choice != before) & (count < _MAX_GUESSES)

    def improve(carry):
        regrets, choice, _, count = carry
        matrix, reward = _along(choice, rough, advantages.astype(rough.dtype))
        regrets = jax.lax.fori_loop(
            0, _NUM_BACKUPS, lambda _, d: reward + factor * (matrix @ d), regrets
        )
        optimal = advantages + discount * kernel.expect(regrets.astype(advantages.dtype))
        regrets = jnp.max(optimal, -1).astype(rough.dtype)
        return regrets, jnp.argmax(optimal, -1), choice, count + 1

    rough, factor = table.astype(jnp.float32), jnp.asarray(discount, jnp.float32)
    first = jnp.argmax(advantages, -1)
    start = (jnp.zeros_like(rough[:, 0, 0]), first, jnp.full_like(first, -1), 0)
    return jax.lax.while_loop(changing, improve, start)[1]


def _along(choice, table, advantages) -> tuple[Float[Array, "S S"], Float[Array, "S"]]:
    """Chain and advantages of always playing `choice`."""
    matrix = jnp.take_along_axis(table, choice[:, None, None], 1)[:, 0]
    return matrix, jnp.take_along_axis(advantages, choice[:, None], 1)[:, 0]


def _iterate_values(kernel, advantages, discount) -> Float[Array, "S"]:
    eps = jnp.finfo(advantages.dtype).eps

    def moving(carry):
        regrets, change, count = carry
        limit = 4 * eps * jnp.max(jnp.abs(regrets))
        return (change > limit) & (count < _MAX_BACKUPS)

    def backup(carry):
        regrets, _, count = carry
        moved = jnp.max(advantages + discount * kernel.expect(regrets), -1)
        return moved, jnp.max(jnp.abs(moved - regrets)), count + 1

    start = jnp.max(advantages, -1)
    carry = (start, jnp.asarray(jnp.inf, start.dtype), 0)
    return jax.lax.while_loop(moving, backup, carry)[0]
