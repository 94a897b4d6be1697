"""Mirror descent that stores (T, S) numbers in place of (T, S, A), for walks on large grids.

Where transitions and the action's part of the reward do not depend on the crowd, the logits after
k steps from uniform are, up to terms that all actions share,
y(t, x, a) = eta [k c(t, x, a) + sum_y P_t(y | x, a) W(t + 1, y)],
with c the action's part of the reward and W the sum of the k state values so far. So W is the whole
state; policies are made from it one time at a time and never stored.
"""

from typing import Any, TypeGuard

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from nashfield.dynamics.time import scan_times
from nashfield.games.base import Game, SeparableGame
from nashfield.games.grid_walk import GridWalk
from nashfield.mean_fields import FiniteMeanField
from nashfield.solvers.base import StepInfo
from nashfield.typing import Array, Scalar, Time


class ValueForm(eqx.Module):
    """State of mirror descent in values.

    Attributes:
        summed_values: (T, S), W(t + 1, x): the values ahead of each decision, summed over steps.
        lost: (T, S), what rounding has cost the sum so far (Kahan 1965), so that thousands of
            steps in single precision lose no more digits than one.
        num_steps: k.
    """

    summed_values: Float[Array, "T S"]
    lost: Float[Array, "T S"]
    num_steps: Int[Array, ""]


def applies(game: Game) -> TypeGuard[SeparableGame]:
    """Whether `game` is a walk on a grid with the crowd in the state's reward alone."""
    if not isinstance(game, SeparableGame) or not isinstance(game.kernel(0), GridWalk):
        return False
    # A subclass may have laid its own reward or transition over the parts that are used here.
    kind = type(game)
    whole = (kind.reward, kind.transition)
    return whole == (SeparableGame.reward, SeparableGame.transition)


def init(game: SeparableGame) -> ValueForm:
    """The uniform policy."""
    zeros = jnp.zeros((game.horizon, game.num_states))
    return ValueForm(zeros, zeros, jnp.asarray(0))


def step(game: SeparableGame, state: ValueForm, learning_rate: Scalar) -> tuple[Any, StepInfo]:
    """One iteration: forward for the flow, backward for values and regrets."""
    dtype = state.summed_values.dtype

    def forward(states, slices):
        t, summed = slices
        weights, total = _weights(game, state.num_steps, learning_rate, t, summed)
        each = states / total
        return _walk(game, t).push_each([each * weight for weight in weights]), states

    def backward(carry, slices):
        t, (summed, lost, states) = slices
        values, regrets = carry
        weights, total = _weights(game, state.num_steps, learning_rate, t, summed)
        walk = _walk(game, t)
        costs = game.action_reward(t).T
        each, shared = walk.expect_each(values)
        played = [c + v for c, v in zip(costs, each, strict=True)]
        mean = sum(w * q for w, q in zip(weights, played, strict=True)) / total
        ahead, shared_ahead = walk.expect_each(regrets)
        best = _maximum([q + d for q, d in zip(played, ahead, strict=True)])
        crowd = game.state_reward(t, FiniteMeanField(states))
        values_now = (mean + shared + crowd).astype(dtype)
        moved = (values_now, (best - mean + shared_ahead).astype(dtype))
        # Added here, the sum is written where it will lie.
        whole = values - lost
        grown = summed + whole
        return moved, (grown, (grown - summed) - whole)

    initial = jnp.asarray(game.initial(), dtype)
    last, flow = scan_times(forward, initial, state.summed_values, game)
    terminal = jnp.asarray(game.terminal_reward(FiniteMeanField(last)), dtype)
    start = (terminal, jnp.zeros_like(terminal))
    slices = (state.summed_values, state.lost, flow)
    (values, regrets), sums = scan_times(backward, start, slices, game, reverse=True)
    value, exploitability = (jnp.dot(initial, x, precision="highest") for x in (values, regrets))
    summed, lost = sums
    moved = ValueForm(summed, lost, state.num_steps + 1)
    return moved, StepInfo(exploitability, value)


def policy(game: SeparableGame, state: ValueForm, learning_rate: Scalar) -> Float[Array, "T S A"]:
    """The whole table (T, S, A)."""

    def row(carry, slices):
        t, summed = slices
        weights, total = _weights(game, state.num_steps, learning_rate, t, summed)
        return carry, jnp.stack(weights, -1) / total[:, None]

    return scan_times(row, (), state.summed_values, game)[1]


def _walk(game: SeparableGame, t: Time) -> GridWalk:
    walk = game.kernel(t)
    assert isinstance(walk, GridWalk)  # as `applies` found
    return walk


def _weights(
    game: SeparableGame, num_steps: Array, learning_rate: Scalar, t: Time, summed: Array
) -> tuple[list[jax.Array], jax.Array]:
    """Unnormalised policy, one array of all states for each action, and what it sums to."""
    costs = game.action_reward(t).T
    walk = _walk(game, t)
    expected, _ = walk.expect_each(summed)
    logits = [
        (learning_rate * (num_steps * c + e)).astype(summed.dtype)
        for c, e in zip(costs, expected, strict=True)
    ]
    top = walk.stored(lambda: _maximum(logits))
    weights = walk.stored(lambda: [jnp.exp(logit - top) for logit in logits])
    return weights, jnp.asarray(sum(weights))


def _maximum(arrays: list[jax.Array]) -> jax.Array:
    top = arrays[0]
    for array in arrays[1:]:
        top = jnp.maximum(top, array)
    return top
