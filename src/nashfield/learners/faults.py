"""Where a game pays or sends an agent what is no usable number."""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from nashfield.results import GameError
from nashfield.typing import Array

LIMIT = 1e12
"""Rewards and states beyond this count as unbounded."""


class Fault(eqx.Module):
    """The first reward or state that is NaN, infinite or beyond 1e12.

    Attributes:
        found: whether there was one; the rest means nothing without.
        time: t.
        state: (D,) x.
        action: (C,) a.
        reward: what was paid; at the last decision with the terminal reward.
        moved: (D,) where the agent went.
    """

    found: Bool[Array, "*batch"]
    time: Int[Array, "*batch"]
    state: Float[Array, "*batch D"]
    action: Float[Array, "*batch C"]
    reward: Float[Array, "*batch"]
    moved: Float[Array, "*batch D"]

    @classmethod
    def none(cls, state_dim: int, control_dim: int) -> "Fault":
        """None yet."""
        point, action = jnp.zeros(state_dim, jnp.float32), jnp.zeros(control_dim, jnp.float32)
        zero = jnp.zeros((), jnp.float32)
        return cls(jnp.asarray(False), jnp.zeros((), jnp.int32), point, action, zero, point)

    @classmethod
    def among(
        cls,
        times: Int[Array, "K"],
        states: Float[Array, "K D"],
        actions: Float[Array, "K C"],
        rewards: Float[Array, "K"],
        moved: Float[Array, "K D"],
    ) -> "Fault":
        """The first one in K moves."""
        good = jnp.abs(rewards) <= LIMIT  # False for NaN
        good &= jnp.all(jnp.abs(moved) <= LIMIT, -1)
        first = jnp.argmin(good)
        return cls(
            ~jnp.all(good),
            times[first].astype(jnp.int32),
            states[first],
            actions[first],
            rewards[first],
            moved[first],
        )

    @classmethod
    def during(cls, record: Any) -> "Fault":
        """The first one in what agents lived through, an `environment.Record`."""
        num_times, num_agents = record.rewards.shape
        moves = record.states[:-1], record.actions, record.rewards, record.states[1:]
        flat = (x.reshape(num_times * num_agents, *x.shape[2:]) for x in moves)
        return cls.among(jnp.repeat(jnp.arange(num_times), num_agents), *flat)

    def otherwise(self, other: "Fault") -> "Fault":
        """This one if it was found, else `other`."""
        return jax.tree.map(lambda mine, its: jnp.where(self.found, mine, its), self, other)

    def check(self, game: Any) -> None:
        """Raises if there was one; of a batch (leading axes) the first. Nothing inside jit.

        Raises:
            GameError: names t, x, a and what to change.
        """
        if isinstance(self.found, jax.core.Tracer):
            return
        found = np.asarray(self.found).reshape(-1)
        if not found.any():
            return
        i = int(np.argmax(found))
        state, action, moved = (
            np.asarray(part).reshape(len(found), -1)[i]
            for part in (self.state, self.action, self.moved)
        )
        t = int(np.asarray(self.time).reshape(-1)[i])
        reward = float(np.asarray(self.reward).reshape(-1)[i])
        name = type(game).__name__
        if abs(reward) <= LIMIT:
            what = f"{name}.step sends the agent to {_text(moved)}"
        else:
            what = f"{name}.reward"
            if t == game.horizon - 1:
                what += " and terminal_reward, summed,"
            what += f" pays {reward:g}"
        raise GameError(
            f"training failed: at t = {t}, x = {_text(state)}, a = {_text(action)} {what}; "
            f"rewards and states must stay finite and below {LIMIT:g} in absolute value: bound the "
            "actions with control_bounds, cap states in step, put log(density + eps) for "
            "log(density), or lower the learning rate"
        )


def _text(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"
