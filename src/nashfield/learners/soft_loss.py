"""What soft actor-critic minimises, and what it reads for that."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from nashfield.learners.environment import Record
from nashfield.policies.gaussian_network import GaussianNetwork, normal_log_density
from nashfield.policies.network import Network
from nashfield.typing import Array, Scalar


class Memory(eqx.Module):
    """What a warm start takes over beside the policy.

    Attributes:
        critics: two networks of features and action, in units of `scale`.
        copies: what slowly follows them.
        log_temperature: of the entropy, in units of `scale`.
        potential: (T + 1,) what the critics leave out of the returns to come at each time.
        scale: what they divide the rest by.
        fresh: whether nothing was trained yet.
    """

    critics: tuple[Network, Network]
    copies: tuple[Network, Network]
    log_temperature: Float[Array, "*batch"]
    potential: Float[Array, "*batch T1"]
    scale: Float[Array, "*batch"]
    fresh: Bool[Array, "*batch"]


class SoftLoss(eqx.Module):
    """The critics' error, the policy's loss and the temperature's, each for its own weights.

    Attributes:
        unravel: makes critics, policy and log temperature of one vector.
        rest: the policy's part that is not trained.
        unit: what the critics divide actions by.
        goal: the entropy of actions that the temperature aims at.
    """

    unravel: Any = eqx.field(static=True)
    rest: GaussianNetwork
    unit: Scalar
    goal: Scalar

    @classmethod
    def of(cls, unravel: Any, policy: GaussianNetwork, target_sd: Any) -> "SoftLoss":
        """Unit and goal of actions of deviation `target_sd`."""
        half = (jnp.asarray(policy.high) - policy.low) / 2
        target_sd = jnp.asarray(target_sd, jnp.float32)
        sd = target_sd * jnp.where(jnp.isfinite(half), half, 1)
        goal = jnp.sum(jnp.log(sd) + 0.5 * math.log(2 * math.pi * math.e))
        return cls(unravel, policy.split()[1], 2 * target_sd, goal)

    def rows(self, policy: GaussianNetwork, memory: Memory, record: Record) -> Float[Array, "K R"]:
        """What the loss reads, one row a decision, the times outermost.

        Features before and after the move, the action as the critics see it, the reward in their
        units, and whether anything comes after.
        """
        times = jnp.arange(record.states.shape[0])
        look = jax.vmap(jax.vmap(policy.features, in_axes=(None, 0)))
        features = look(times, record.states)
        # What is left out at t comes back at t + 1: only the level of the returns changes.
        shift = (memory.potential[1:] - memory.potential[:-1])[:, None]
        rewards = (record.rewards + shift) / memory.scale
        more = jnp.broadcast_to((times[1:] < times[-1])[:, None], rewards.shape)
        actions = self.seen(policy, policy.unsquash(record.actions))
        columns = features[:-1], features[1:], actions, rewards[..., None], more[..., None]
        return jnp.concatenate(columns, -1).reshape(rewards.size, -1)

    def seen(self, policy: GaussianNetwork, raw: Float[Array, "*N C"]) -> Float[Array, "*N C"]:
        """What the critics see of an action: it, or where it is bounded its place in [-1, 1].

        In units in which its deviation is of order 1, because small differences decide.
        """
        return jnp.where(jnp.isfinite(policy.high), jnp.tanh(raw), raw) / self.unit

    def __call__(
        self,
        weights: Float[Array, "P"],
        copies: tuple[Network, Network],
        rows: Float[Array, "B R"],
        noise: Float[Array, "2 B C"],
        acts: Any,
    ) -> Float[Array, ""]:
        """The sum of the three on one batch.

        Args:
            weights: as `unravel` takes them.
            copies: of the critics.
            rows: see `rows`.
            noise: for the actions after the move, and for those before.
            acts: 0 where only the critics learn, else 1.
        """
        critics, trained, log_temperature = self.unravel(weights)
        policy, stop = eqx.combine(trained, self.rest), jax.lax.stop_gradient
        still = eqx.combine(stop(trained), self.rest)
        temperature = stop(jnp.exp(log_temperature))
        num_features, num_controls = policy.location.shape[0] + 1, policy.low.shape[0]
        places = [num_features, 2 * num_features, 2 * num_features + num_controls]
        features, later, actions, rest = jnp.split(rows, places, 1)

        chosen, log_density = self.draw(still, later, noise[0])
        soft_value = _least(copies, later, chosen) - temperature * log_density
        target = stop(rest[:, 0] + rest[:, 1] * soft_value)
        given = jnp.concatenate([features, actions], 1)
        error = sum(jnp.mean(_huber(critic(given)[:, 0] - target)) for critic in critics)

        chosen, log_density = self.draw(policy, features, noise[1])
        regret = jnp.mean(temperature * log_density - _least(stop(critics), features, chosen))
        missing = stop(jnp.mean(log_density) + self.goal)
        return error + acts * (regret - log_temperature * missing)

    def draw(
        self, policy: GaussianNetwork, features: Float[Array, "B F1"], noise: Float[Array, "B C"]
    ) -> tuple[Float[Array, "B C"], Float[Array, "B"]]:
        """Actions as the critics see them, and their log densities."""
        # The last feature is the time; a policy that another learner made may look it up.
        times = jnp.round((features[:, -1] + 1) * policy.horizon / 2).astype(jnp.int32)
        mean, log_sd = policy.heads(jnp.minimum(times, policy.horizon - 1), features)
        raw = mean + jnp.exp(log_sd) * noise
        log_density = normal_log_density(raw, mean, log_sd) - policy.log_jacobian(raw)
        return self.seen(policy, raw), jnp.sum(log_density, -1)


def _least(critics: Any, features: Array, actions: Array) -> Float[Array, "B"]:
    given = jnp.concatenate([features, actions], 1)
    first, second = (critic(given)[:, 0] for critic in critics)
    return jnp.minimum(first, second)


def _huber(error: Array) -> Array:
    """error^2 / 2 up to 1, then in proportion (Huber 1964)."""
    size = jnp.abs(error)
    return jnp.where(size < 1, 0.5 * size**2, size - 0.5)
