"""What all environments share: bounds, checks, and compiled starts and moves."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from nashfield.games.continuous import ContinuousGame
from nashfield.games.differential import check_no_common_noise
from nashfield.mean_fields import AbstractFlow
from nashfield.results import ParameterError
from nashfield.typing import Array


class Moves:
    """Starts and moves of N agents, against a frozen flow or among one another.

    Every environment of one game and flow runs the same two programs, whatever their numbers.
    """

    def __init__(self, game: ContinuousGame, flow: AbstractFlow | None):
        """Puts game and flow on the device, and traces one move for what it has to say."""
        self.game = game
        if flow is not None:
            flow = eqx.filter_jit(lambda flow: flow.prepare())(flow)
        leaves, treedef = jax.tree.flatten((game, flow))
        traced = [isinstance(leaf, jax.Array | np.ndarray | np.generic) for leaf in leaves]
        self._arrays = [
            jnp.asarray(leaf) for leaf, is_array in zip(leaves, traced, strict=True) if is_array
        ]
        rest = (None if is_array else leaf for leaf, is_array in zip(leaves, traced, strict=True))
        self._rest = (treedef, tuple(traced), tuple(rest))
        floats = jnp.zeros(()).dtype

        def shape(*sizes: int) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(sizes, floats)

        dims = game.state_dim, game.control_dim, game.noise_dim
        move = jax.eval_shape(
            lambda *args: _move(self._rest, self._arrays, 0, *args), *(shape(1, d) for d in dims)
        )
        self.observation_size = move[1].shape[1]

    def start(self, seed: int, num_agents: int) -> tuple[Array, Array]:
        """States (N, D) and observations (N, 1 + F) at time 0."""
        return _start(self._rest, num_agents, self._arrays, np.uint32(seed))

    def move(
        self, t: int, states: Array, actions: Array, noise: Array
    ) -> tuple[Array, Array, Array]:
        """States, observations and rewards (N,) after the decision at time `t`."""
        return _move(self._rest, self._arrays, np.int32(t), states, actions, noise)


def _whole(rest: tuple, arrays: list[Array]) -> tuple[ContinuousGame, AbstractFlow | None]:
    treedef, traced, others = rest
    array = iter(arrays)
    leaves = [
        next(array) if is_array else other for is_array, other in zip(traced, others, strict=True)
    ]
    return jax.tree.unflatten(treedef, leaves)


def _observe(game: ContinuousGame, t: Any, states: Array) -> Array:
    seen = jax.vmap(game.observe)(states).astype(jnp.float32)
    time = jnp.full((len(states), 1), t / game.horizon, jnp.float32)
    return jnp.concatenate([time, seen], 1)


@jax.jit(static_argnums=(0, 1))
def _start(rest: tuple, num_agents: int, arrays: list[Array], seed: Array) -> tuple[Array, Array]:
    game, _ = _whole(rest, arrays)
    states = game.initial().sample(jax.random.key(seed), num_agents)
    states = states.astype(jnp.zeros(()).dtype)
    return states, _observe(game, 0, states)


@jax.jit(static_argnums=0)
def _move(
    rest: tuple, arrays: list[Array], t: Array, states: Array, actions: Array, noise: Array
) -> tuple[Array, Array, Array]:
    game, flow = _whole(rest, arrays)
    actions, noise = actions.astype(states.dtype), noise.astype(states.dtype)
    crowd = game.crowd_of(states, actions) if flow is None else flow[t]
    rewards = jax.vmap(game.reward, in_axes=(None, 0, 0, None))(t, states, actions, crowd)
    move = jax.vmap(game.step, in_axes=(None, 0, 0, None, 0))
    moved = move(t, states, actions, crowd, noise).astype(states.dtype)

    def terminal(moved: Array) -> Array:
        crowd = game.crowd_of(moved) if flow is None else flow[game.horizon]
        return jax.vmap(game.terminal_reward, in_axes=(0, None))(moved, crowd).astype(states.dtype)

    last = t == game.horizon - 1
    last_rewards = jax.lax.cond(last, terminal, lambda moved: jnp.zeros_like(moved[:, 0]), moved)
    return moved, _observe(game, t + 1, moved), rewards.astype(states.dtype) + last_rewards


def check_game(game: Any) -> None:
    """Raises ParameterError unless `game` is a ContinuousGame; GameError if they share a noise."""
    if not isinstance(game, ContinuousGame):
        raise ParameterError(
            f"environments are made of games on points (nashfield.ContinuousGame), not of "
            f"{type(game).__name__}"
        )
    check_no_common_noise(game)


def check_flow(game: ContinuousGame, flow: Any) -> None:
    """Raises ParameterError unless `flow` is one of points of the game's dimension at t = 0..T."""
    if not isinstance(flow, AbstractFlow):
        raise ParameterError(
            f"the flow must be one on points, as rollout_flow(game, policy) gives it, not "
            f"{type(flow).__name__}"
        )
    name = type(game).__name__
    if len(flow) != game.horizon + 1:
        raise ParameterError(
            f"the flow has laws at {len(flow)} times, but {name} with horizon {game.horizon} needs "
            f"{game.horizon + 1}: is it that of another game?"
        )
    means = jax.eval_shape(lambda flow: flow[0].mean(), flow).shape
    if means != (game.state_dim,):
        raise ParameterError(
            f"the flow's laws have means of shape {means}, but the states of {name} have shape "
            f"({game.state_dim},): is it that of another game?"
        )


def box(game: ContinuousGame, action_bounds: Any) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest actions (C,), all finite, in single precision.

    Raises:
        ParameterError: they do not fit the game, are infinite, or the wrong way round.
    """
    least, greatest = (np.asarray(bound, np.float64) for bound in game.control_bounds)
    if action_bounds is None:
        low = np.where(np.isfinite(least), least, np.where(np.isfinite(greatest), greatest - 2, -1))
        high = np.where(np.isfinite(greatest), greatest, low + 2)
        return low.astype(np.float32), high.astype(np.float32)
    try:
        low, high = (
            np.broadcast_to(np.asarray(bound, np.float64), (game.control_dim,))
            for bound in action_bounds
        )
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"action_bounds must be (low, high), numbers or arrays ({game.control_dim},), not "
            f"{action_bounds!r}"
        ) from error
    if not (np.all(np.isfinite(low) & np.isfinite(high)) and np.all(low < high)):
        raise ParameterError(
            f"action_bounds must be finite, the first below the second, not {low} and {high}"
        )
    if np.any(low < least) or np.any(high > greatest):
        raise ParameterError(
            f"action_bounds {low} to {high} leave the bounds of {type(game).__name__}, {least} to "
            f"{greatest}"
        )
    return low.astype(np.float32), high.astype(np.float32)


def clipped(actions: Any, low: np.ndarray, high: np.ndarray, *sizes: int) -> np.ndarray:
    """Actions of shape `sizes`, in the box.

    Raises:
        ValueError: their shape is another, or one is not a number.
    """
    actions = np.asarray(actions)
    if actions.shape != sizes:
        raise ValueError(f"the action must have shape {sizes}, not {actions.shape}")
    if np.isnan(actions).any():
        raise ValueError(f"the action is not a number: {actions}")
    return np.clip(actions, low, high)
