"""Many agents at a time, each alone against a frozen flow: where learners take what they see."""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.games.continuous import ContinuousGame
from nashfield.mean_fields import AbstractFlow
from nashfield.policies.gaussian_network import single
from nashfield.results import GameError
from nashfield.typing import Array, Time

# Points of each law that observations are standardised by.
_NUM_POINTS = 256
# How far from the crowd a bounded domain counts, in extents of the crowd: its bounds may be caps
# that nobody comes near.
_ROOM = 10.0


class Environment(eqx.Module):
    """Episodes of T decisions against a frozen flow, in single precision.

    Attributes:
        game: the game.
        flow: the crowd, prepared for many looks.
    """

    game: ContinuousGame
    flow: AbstractFlow

    @classmethod
    def of(cls, game: ContinuousGame, flow: AbstractFlow) -> "Environment":
        """Takes numbers in single precision, and prepares the flow."""
        return cls(single(game), single(flow.prepare()))

    def start(self, key: PRNGKeyArray, num_agents: int) -> Float[Array, "N D"]:
        """States at time 0."""
        return self.game.initial().sample(key, num_agents).astype(jnp.float32)

    def noise(self, key: PRNGKeyArray, num_agents: int) -> Float[Array, "N W"]:
        """What one move of each agent takes."""
        return jax.random.normal(key, (num_agents, self.game.noise_dim), jnp.float32)

    def step(
        self,
        t: Time,
        states: Float[Array, "N D"],
        actions: Float[Array, "N C"],
        noise: Float[Array, "N W"],
    ) -> tuple[Float[Array, "N D"], Float[Array, "N"]]:
        """Next states, and rewards (without the terminal one)."""
        mean_field = self.flow[t]
        move = jax.vmap(self.game.step, in_axes=(None, 0, 0, None, 0))
        reward = jax.vmap(self.game.reward, in_axes=(None, 0, 0, None))
        moved = move(t, states, actions, mean_field, noise).astype(jnp.float32)
        return moved, reward(t, states, actions, mean_field).astype(jnp.float32)

    def terminal_rewards(self, states: Float[Array, "N D"]) -> Float[Array, "N"]:
        """What agents who end in `states` get."""
        reward = jax.vmap(self.game.terminal_reward, in_axes=(0, None))
        return reward(states, self.flow[self.game.horizon]).astype(jnp.float32)

    def standardisation(self) -> tuple[Float[Array, "F"], Float[Array, "F"]]:
        """Mean and standard deviation of observations, where agents are or may come to be.

        In a bounded dimension of states over the domain (or as much of it as lies within a few
        extents of the crowd), as an early crowd may not have left its corner yet; else over the
        initial law and all of the flow. An observation in which nothing is spread has standard
        deviation 1. Not random: the same points whatever the key of a training.
        """
        keys = jax.random.split(jax.random.key(0), self.game.horizon + 3)

        def at(pair: Any) -> Float[Array, "n D"]:
            t, key = pair
            return self.flow.law(t).sample(key, _NUM_POINTS).astype(jnp.float32)

        points = jax.lax.map(at, (jnp.arange(self.game.horizon + 1), keys[2:]))
        points = jnp.concatenate([self.start(keys[1], _NUM_POINTS)[None], points])
        points = points.reshape(-1, points.shape[-1])
        low, high = (jnp.asarray(bound, jnp.float32) for bound in self.game.domain)
        least, most = jnp.min(points, 0), jnp.max(points, 0)
        room = _ROOM * (most - least)
        share = jax.random.uniform(keys[0], points.shape, jnp.float32)
        near, far = jnp.maximum(low, least - room), jnp.minimum(high, most + room)
        bounded = jnp.isfinite(low) & jnp.isfinite(high)
        points = jnp.where(bounded, near + share * (far - near), points)
        seen = jax.vmap(self.game.observe)(points).astype(jnp.float32)
        location, scale = jnp.mean(seen, 0), jnp.std(seen, 0)
        usable = jnp.isfinite(location) & jnp.isfinite(scale)
        location = jnp.where(usable, location, 0)
        flat = scale <= 1e-6 * (1 + jnp.abs(location))
        return location, jnp.where(usable & ~flat, scale, 1)


class Record(eqx.Module):
    """What N agents lived through; see `dynamics.Episodes`.

    Attributes:
        states: (T + 1, N, D).
        actions: (T, N, C).
        rewards: (T, N), the terminal reward in the last.
    """

    states: Float[Array, "T1 N D"]
    actions: Float[Array, "T N C"]
    rewards: Float[Array, "T N"]

    @property
    def returns(self) -> Float[Array, "N"]:
        """Sum of the rewards of each agent."""
        return jnp.sum(self.rewards, 0)


def play(env: Environment, policy: Any, *, num_agents: int, key: PRNGKeyArray) -> Record:
    """Whole episodes of N agents who all play `policy`; the same key brings the same chance.

    Args:
        env: game and crowd.
        policy: a control.
        num_agents: N.
        key: for starts, actions and moves.
    """
    game = env.game
    start_key, act_key, move_key = jax.random.split(key, 3)
    size = (game.horizon, num_agents)
    noises = (
        jax.random.normal(act_key, (*size, game.control_dim), jnp.float32),
        jax.random.normal(move_key, (*size, game.noise_dim), jnp.float32),
    )

    def step(states: Array, now: Any) -> tuple[Array, Any]:
        t, (act_noise, move_noise) = now
        actions = jax.vmap(policy.action, in_axes=(None, 0, 0))(t, states, act_noise)
        actions = actions.astype(jnp.float32)
        moved, rewards = env.step(t, states, actions, move_noise)
        return moved, (states, actions, rewards)

    start = env.start(start_key, num_agents)
    times = jnp.arange(game.horizon)
    last, (states, actions, rewards) = jax.lax.scan(step, start, (times, noises))
    rewards = rewards.at[-1].add(env.terminal_rewards(last))
    return Record(jnp.concatenate([states, last[None]]), actions, rewards)


def check_environment(game: ContinuousGame, flow: AbstractFlow) -> None:
    """Whether a learner can be sent into the game against the flow.

    Raises:
        GameError: bounds, dimensions or horizon do not fit together; says which.
    """
    name = type(game).__name__
    _check_bounds(name, game)
    if len(flow) != game.horizon + 1:
        raise GameError(
            f"the flow has {len(flow)} laws, but {name} has horizon {game.horizon} and needs one "
            f"for each t = 0..{game.horizon}: take the flow of a game with the same horizon"
        )
    D, C = game.state_dim, game.control_dim
    point = jax.ShapeDtypeStruct((D,), jnp.float32)
    action = jax.ShapeDtypeStruct((C,), jnp.float32)
    noise = jax.ShapeDtypeStruct((game.noise_dim,), jnp.float32)
    key = jax.random.key(0)
    for where, law in (("initial()", lambda: game.initial()), ("the flow", lambda: flow.law(0))):
        shape = eqx.filter_eval_shape(lambda law=law: law().sample(key, 1)).shape
        if shape != (1, D):
            raise GameError(
                f"the points of {where} have dimension {shape[-1]}, but {name}.state_dim is {D}"
            )
    parts = {
        "step": ((D,), lambda x, a, noise: game.step(0, x, a, flow[0], noise)),
        "reward": ((), lambda x, a, noise: game.reward(0, x, a, flow[0])),
        "terminal_reward": ((), lambda x, a, noise: game.terminal_reward(x, flow[game.horizon])),
    }
    for method, (wanted, function) in parts.items():
        shape = jnp.shape(eqx.filter_eval_shape(function, point, action, noise))
        if shape != wanted:
            raise GameError(
                f"{name}.{method} must return shape {wanted} for one agent at one point, not "
                f"{shape}"
            )


def _check_bounds(name: str, game: ContinuousGame) -> None:
    bounds = game.control_bounds
    for bound in bounds:
        if jnp.shape(bound) != (game.control_dim,):
            raise GameError(
                f"{name}.control_bounds must be two arrays of shape (control_dim,) = "
                f"({game.control_dim},), not {tuple(jnp.shape(b) for b in bounds)}"
            )
    if any(isinstance(bound, jax.core.Tracer) for bound in bounds):
        return
    low, high = (np.asarray(bound) for bound in bounds)
    for i, (least, most) in enumerate(zip(low, high, strict=True)):
        if not least < most:
            raise GameError(
                f"{name}.control_bounds: dimension {i} has least {least:g} and greatest {most:g}: "
                "the first array must be below the second"
            )
        if np.isfinite(least) != np.isfinite(most):
            raise GameError(
                f"{name}.control_bounds: dimension {i} is bounded on one side only, by "
                f"({least:g}, {most:g}): give it two finite bounds or none"
            )
