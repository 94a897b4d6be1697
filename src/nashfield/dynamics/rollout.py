"""Played, not computed: the crowd that N agents make, and what single agents get against it."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, Real

from nashfield.dynamics.draws import AbstractDraws
from nashfield.typing import Array


class Paths(eqx.Module):
    """What N agents lived through in T steps.

    Attributes:
        states: (T, N), or (T, N, D) where states are points; where they were before they acted.
        actions: (T, N), what they did there.
        rewards: (T, N), what they got for it, in single precision.
    """

    states: Real[Array, "T N *D"]
    actions: Int[Array, "T N"]
    rewards: Float[Array, "T N"]


def play_snapshots(
    agents: Any, draws: AbstractDraws, *, num_agents: int, num_steps: int
) -> tuple[Real[Array, "N *D"], Real[Array, "N *D"]]:
    """Where agents who start from the initial law are after half of their moves, and after all.

    They move among one another: the mean field of each move is their own empirical law.

    Args:
        agents: game and policy, see `agents_of`.
        draws: the random numbers.
        num_agents: N.
        num_steps: B.
    """
    num_levels = agents.num_levels

    def step(k, states):
        levels = draws.levels(k, (1 + num_levels, num_agents))
        actions = agents.act(states, levels[0])
        return agents.move(states, actions, agents.mean_field(states), levels[1:])

    def half(states, bounds):
        states = jax.lax.fori_loop(bounds[0], bounds[1], step, states)
        return states, states

    start = agents.start(draws.levels(jnp.asarray(num_steps), (num_levels, num_agents)))
    middle = num_steps // 2
    # One loop for both halves: it is compiled once.
    snapshots = jax.lax.scan(half, start, jnp.asarray([[0, middle], [middle, num_steps]]))[1]
    return snapshots[0], snapshots[1]


def play_returns(
    agents: Any,
    mean_field: Any,
    draws: AbstractDraws,
    *,
    num_trajectories: int,
    num_steps: int,
) -> Float[Array, "N"]:
    """Discounted returns of independent agents against the frozen `mean_field`.

    Args:
        agents: game and policy, see `agents_of`.
        mean_field: the crowd.
        draws: the random numbers.
        num_trajectories: N.
        num_steps: length of each; what would come later is left out.
    """
    num_levels = agents.num_levels
    rewards_at = agents.rewards(mean_field)
    discount = jnp.asarray(agents.game.discount, jnp.float32)

    def step(carry, k):
        states, total, weight = carry
        levels = draws.levels(k, (1 + num_levels, num_trajectories))
        actions = agents.act(states, levels[0])
        total += weight * rewards_at(states, actions)
        states = agents.move(states, actions, mean_field, levels[1:])
        return (states, total, weight * discount), None

    start = agents.start(draws.levels(jnp.asarray(num_steps), (num_levels, num_trajectories)))
    zeros = jnp.zeros(num_trajectories, jnp.float32)
    carry = (start, zeros, jnp.ones((), jnp.float32))
    (_, total, _), _ = jax.lax.scan(step, carry, jnp.arange(num_steps))
    return total


def play_paths(
    agents: Any,
    mean_field: Any,
    draws: AbstractDraws,
    *,
    num_trajectories: int,
    num_steps: int,
) -> Paths:
    """Every step of independent agents against the frozen `mean_field`.

    With the same draws these are the agents whose returns `play_returns` sums.

    Args:
        agents: game and policy, see `agents_of`.
        mean_field: the crowd.
        draws: the random numbers.
        num_trajectories: N.
        num_steps: T.
    """
    num_levels = agents.num_levels
    rewards_at = agents.rewards(mean_field)

    def step(states, k):
        levels = draws.levels(k, (1 + num_levels, num_trajectories))
        actions = agents.act(states, levels[0])
        rewards = rewards_at(states, actions)
        moved = agents.move(states, actions, mean_field, levels[1:])
        return moved, (states, actions, rewards)

    start = agents.start(draws.levels(jnp.asarray(num_steps), (num_levels, num_trajectories)))
    return Paths(*jax.lax.scan(step, start, jnp.arange(num_steps))[1])
