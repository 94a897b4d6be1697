"""Kolmogorov's equation forward and that of Hamilton, Jacobi and Bellman backward, on a grid."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, ScalarLike


def time_step(game: Any, num_steps: int) -> Float[Array, ""]:
    """Length of a step."""
    return jnp.asarray(game.duration, jnp.result_type(float)) / num_steps


def crowd_of(
    game: Any, policy: Float[Array, "K1 S"], initial: Float[Array, "S"] | None = None
) -> Float[Array, "K1 S"]:
    """The flow if everyone plays `policy`.

    Args:
        game: a RateGame.
        policy: actions at the times of the grid; between them a cubic, kept within the bounds.
        initial: the law at time 0; the game's own if None.
    """
    start = game.initial() if initial is None else initial
    dtype = jnp.result_type(float)
    h = time_step(game, len(policy) - 1)

    def speed(t: Array, states: Array, action: Array) -> Array:
        rates = off_diagonal(game.rates(t, FiniteMeanField(states), action))
        leaving = jnp.sum(rates, -1) * states
        return jnp.sum(states[:, None] * rates, 0) - leaving

    middle = between(policy, game.action_bounds)

    def step(states: Array, slices: tuple[Array, ...]) -> tuple[Array, Array]:
        t, *given = slices
        moved = runge_kutta(speed, h, states, t, *given)
        return moved, moved

    first = jnp.asarray(start, dtype)
    slices = (jnp.arange(len(policy) - 1) * h, policy[:-1], middle, policy[1:])
    return jnp.concatenate([first[None], jax.lax.scan(step, first, slices)[1]])


def optimal_values(game: Any, flow: Float[Array, "K1 S"]) -> Float[Array, "K1 S"]:
    """What a best response to the frozen flow gets from every time and state on."""

    def speed(t: Array, values: Array, states: Array) -> Array:
        crowd = FiniteMeanField(states)
        action = game.best_action(t, crowd, gains_of(values))
        return hamiltonian(game, t, crowd, action, values)

    return _backward(game, speed, flow, flow, between(flow))


def policy_values(
    game: Any, policy: Float[Array, "K1 S"], flow: Float[Array, "K1 S"]
) -> Float[Array, "K1 S"]:
    """What an agent who plays `policy` gets among the frozen flow."""

    def speed(t: Array, values: Array, given: tuple[Array, Array]) -> Array:
        states, action = given
        return hamiltonian(game, t, FiniteMeanField(states), action, values)

    middle = between(flow), between(policy, game.action_bounds)
    return _backward(game, speed, flow, (flow, policy), middle)


def best_actions(
    game: Any, values: Float[Array, "K1 S"], flow: Float[Array, "K1 S"]
) -> Float[Array, "K1 S"]:
    """The policy that belongs to optimal values."""
    times = jnp.arange(len(flow)) * time_step(game, len(flow) - 1)

    def act(t: Array, values: Array, states: Array) -> Array:
        return game.best_action(t, FiniteMeanField(states), gains_of(values))

    return jax.vmap(act)(times, values, flow)


def hamiltonian(
    game: Any,
    t: ScalarLike,
    mean_field: FiniteMeanField,
    action: Float[Array, "S"],
    values: Float[Array, "S"],
) -> Float[Array, "S"]:
    """reward_i + sum_j rates_ij (V_j - V_i)."""
    rates = off_diagonal(game.rates(t, mean_field, action))
    return game.reward(t, mean_field, action) + jnp.sum(rates * gains_of(values), -1)


def gains_of(values: Float[Array, "S"]) -> Float[Array, "S S"]:
    """V_j - V_i, what a jump from i to j is worth."""
    return values[None, :] - values[:, None]


def off_diagonal(rates: Float[Array, "S S"]) -> Float[Array, "S S"]:
    """The rates of true jumps."""
    return jnp.where(jnp.eye(rates.shape[0], dtype=bool), 0, rates)


def between(nodes: Float[Array, "K1 S"], bounds: Any = None) -> Float[Array, "K S"]:
    """A path halfway between the times of its grid, by cubics, kept within `bounds`."""
    inner = (9 * (nodes[1:-2] + nodes[2:-1]) - (nodes[:-3] + nodes[3:])) / 16
    first = (5 * nodes[0] + 15 * nodes[1] - 5 * nodes[2] + nodes[3]) / 16
    last = (5 * nodes[-1] + 15 * nodes[-2] - 5 * nodes[-3] + nodes[-4]) / 16
    middle = jnp.concatenate([first[None], inner, last[None]])
    return middle if bounds is None else jnp.clip(middle, *bounds)


def _backward(
    game: Any, speed: Callable, flow: Array, nodes: Any, middle: Any
) -> Float[Array, "K1 S"]:
    """Solves -dV/dt = speed(t, V, what is given at t) from the terminal reward on."""
    num_steps = len(flow) - 1
    h = time_step(game, num_steps)
    end = jnp.asarray(game.terminal_reward(FiniteMeanField(flow[-1])), flow.dtype)
    ends = jnp.arange(1, num_steps + 1) * h
    before = jax.tree.map(lambda x: x[:-1], nodes)
    after = jax.tree.map(lambda x: x[1:], nodes)

    def step(values: Array, slices: tuple[Any, ...]) -> tuple[Array, Array]:
        t, *given = slices
        moved = runge_kutta(speed, h, values, t, *given, sign=-1)
        return moved, moved

    slices = (ends, after, middle, before)
    _, values = jax.lax.scan(step, end, slices, reverse=True)
    return jnp.concatenate([values, end[None]])


def runge_kutta(
    speed: Callable,
    h: Array,
    x: Array,
    t: Array,
    here: Any,
    middle: Any,
    there: Any,
    *,
    sign: int = 1,
) -> Array:
    """A step of length h from time t; with sign -1 to t - h, where speed is -dx/dt."""
    one = speed(t, x, here)
    two = speed(t + sign * h / 2, x + h / 2 * one, middle)
    three = speed(t + sign * h / 2, x + h / 2 * two, middle)
    four = speed(t + sign * h, x + h * three, there)
    return x + h / 6 * (one + 2 * two + 2 * three + four)
