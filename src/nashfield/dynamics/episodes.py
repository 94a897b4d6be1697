"""Episodes of a game on points: among one another, and against a frozen flow."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.controls import AbstractControl
from nashfield.controls.pool import Teams
from nashfield.games.continuous import ContinuousGame
from nashfield.games.continuous_checks import check_control
from nashfield.mean_fields import AbstractFlow, Flow
from nashfield.typing import Array, Time


class Episodes(eqx.Module):
    """What N agents lived through in T decisions.

    Attributes:
        states: (T + 1, N, D).
        actions: (T, N, C).
        rewards: (T + 1, N), the terminal reward last.
    """

    states: Float[Array, "T1 N D"]
    actions: Float[Array, "T N C"]
    rewards: Float[Array, "T1 N"]

    @property
    def returns(self) -> Float[Array, "N"]:
        """Sum of the rewards of each agent."""
        return jnp.sum(self.rewards, 0)

    def flow(self, game: ContinuousGame) -> Flow:
        """The crowd that these agents of `game` are."""
        return Flow(game.crowd_of(self.states), action_mean=jnp.mean(self.actions, 1))


def play_among(
    game: ContinuousGame,
    policy: Any,
    *,
    num_agents: int,
    deviation: AbstractControl | None = None,
    key: PRNGKeyArray,
) -> Episodes:
    """N agents among one another: each meets the empirical law of all N, oneself included.

    Args:
        game: the game.
        policy: what all play; of a `Pool` every agent keeps one member.
        num_agents: N.
        deviation: what agent 0 plays in place of it, with the same random numbers.
        key: for starts, members, actions and moves.
    """
    return _play(game, policy, None, num_agents, key, deviation=deviation)


def play_against(
    game: ContinuousGame, policy: Any, flow: AbstractFlow, *, num_agents: int, key: PRNGKeyArray
) -> Episodes:
    """N independent agents, each alone against the frozen `flow`.

    Args:
        game: the game.
        policy: what they play; of a `Pool` every agent keeps one member.
        flow: the crowd.
        num_agents: N.
        key: for starts, members, actions and moves.
    """
    return _play(game, policy, flow, num_agents, key)


def rollout_flow(game: ContinuousGame, policy: Any, *, num_agents: int, key: PRNGKeyArray) -> Flow:
    """The crowd of N agents who all play `policy`, as particles at every time.

    Converges to the population flow as N grows (propagation of chaos).

    Args:
        game: the game.
        policy: what all play; of a `Pool` every agent keeps one member.
        num_agents: N.
        key: for starts, members, actions and moves.

    Raises:
        TypeError: it is no policy of a game on points.
        ValueError: it is one of another game, or there are no agents.
    """
    check_num_agents(num_agents)
    check_control(game, policy)
    return _rollout(game, policy, num_agents, key)


@eqx.filter_jit
def _rollout(game, policy, num_agents: int, key) -> Flow:
    return _play(game, policy, None, num_agents, key, paid=False).flow(game)


def _play(
    game, policy, flow, num_agents: int, key, *, deviation=None, paid: bool = True
) -> Episodes:
    start_key, team_key, key = jax.random.split(key, 3)
    start = game.initial().sample(start_key, num_agents)
    teams = Teams.of(policy, num_agents, key=team_key)
    times = jnp.arange(game.horizon)

    def crowd(t: Time, states: Array, actions: Array | None) -> Any:
        if flow is not None:
            return flow[t]
        return game.crowd_of(states, actions)

    def step(states: Array, t: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        act_key, move_key = jax.random.split(jax.random.fold_in(key, t))
        noise = jax.random.normal(act_key, (num_agents, game.control_dim), states.dtype)
        actions = teams.act(t, states, noise)
        if deviation is not None:
            actions = jnp.asarray(actions).at[0].set(deviation.action(t, states[0], noise[0]))
        mean_field = crowd(t, states, actions)
        rewards = jnp.zeros(num_agents, states.dtype)
        if paid:
            reward = jax.vmap(game.reward, in_axes=(None, 0, 0, None))
            rewards = reward(t, states, actions, mean_field)
        noise = jax.random.normal(move_key, (num_agents, game.noise_dim), states.dtype)
        move = jax.vmap(game.step, in_axes=(None, 0, 0, None, 0))
        moved = move(t, states, actions, mean_field, noise).astype(states.dtype)
        return moved, (states, actions, rewards.astype(states.dtype))

    last, (states, actions, rewards) = jax.lax.scan(step, start, times)
    terminal = jnp.zeros(num_agents, rewards.dtype)
    if paid:
        law = crowd(game.horizon, last, None)
        terminal = jax.vmap(game.terminal_reward, in_axes=(0, None))(last, law)
    return Episodes(
        jnp.concatenate([states, last[None]]),
        actions,
        jnp.concatenate([rewards, terminal[None].astype(rewards.dtype)]),
    )


def check_num_agents(num_agents: int) -> None:
    """Raises ValueError unless there is at least one agent."""
    if num_agents < 1:
        raise ValueError(f"num_agents must be at least 1, not {num_agents}")
