"""What proximal policy optimisation minimises, its critic, and the advantages it reads."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.learners.faults import Fault
from nashfield.policies.gaussian_network import normal_log_density
from nashfield.policies.network import Network
from nashfield.typing import Array


class Critic(eqx.Module):
    """Returns to come, as location + scale * network.

    Attributes:
        network: of the policy's features.
        location: running mean of the returns to come.
        scale: their running standard deviation.
        count: how many rounds went into both.
        unit: running deviation of the returns to come among agents at the same time.
    """

    network: Network
    location: Float[Array, "*batch"]
    scale: Float[Array, "*batch"]
    count: Float[Array, "*batch"]
    unit: Float[Array, "*batch"]

    def __call__(self, features: Float[Array, "*N F1"]) -> Float[Array, "*N"]:
        """Values in the game's units."""
        return self.location + self.scale * self.network(features)[..., 0]

    def follow(self, returns: Float[Array, "T N"]) -> "Critic":
        """The same function of features, standardised by what `returns` add to the statistics."""
        share = 1 / jnp.minimum(self.count + 1, _MEMORY)
        location = (1 - share) * self.location + share * jnp.mean(returns)
        old = self.scale**2 + (self.location - location) ** 2
        square = (1 - share) * old + share * jnp.mean((returns - location) ** 2)
        # A game that pays nothing has deviation zero.
        least = 1e-8 * (1 + jnp.abs(location))
        scale = jnp.sqrt(square) + least
        among = jnp.mean(jnp.var(returns, -1))
        unit = jnp.sqrt((1 - share) * self.unit**2 + share * among) + least
        last = len(self.network.weights) - 1
        weight, bias = self.network.weights[last], self.network.biases[last]
        weight = weight * self.scale / scale
        bias = (bias * self.scale + self.location - location) / scale
        network = eqx.tree_at(
            lambda n: (n.weights[last], n.biases[last]), self.network, (weight, bias)
        )
        return Critic(network, location, scale, self.count + 1, unit)


# Rounds that the statistics of the critic remember.
_MEMORY = 10.0


class Round(eqx.Module):
    """What one round saw, one row a decision, the times outermost."""

    features: Float[Array, "K F1"]
    times: Array
    noise: Float[Array, "K C"]
    raw: Float[Array, "K C"]
    log_density: Float[Array, "K"]
    rewards: Float[Array, "T N"]
    fault: Fault


def advantages_of(learner: Any, critic: Critic, seen: Round) -> tuple[Float[Array, "K R"], Critic]:
    """One row a decision: all that the loss reads; and the critic in its new units."""
    values = critic(seen.features).reshape(seen.rewards.shape)
    later = jnp.concatenate([values[1:], jnp.zeros_like(values[:1])])

    def back(advantage: Array, delta: Array) -> Any:
        advantage = delta + learner.trace * advantage
        return advantage, advantage

    deltas = seen.rewards + later - values
    _, advantages = jax.lax.scan(back, jnp.zeros_like(values[0]), deltas, reverse=True)
    returns = advantages + values
    critic = critic.follow(returns)
    targets = (returns - critic.location) / critic.scale
    columns = [seen.log_density, (advantages / critic.unit).reshape(-1), targets.reshape(-1)]
    columns = [column[:, None] for column in (*columns, seen.times.astype(jnp.float32))]
    return jnp.concatenate([*columns, seen.features, seen.noise, seen.raw], 1), critic


def loss(weights: Any, learner: Any, unravel: Any, rest: Any, columns: Any) -> Float[Array, ""]:
    """Half the critic's squared error, less the clipped gain and the entropy bonus.

    Args:
        weights: as `unravel` takes them.
        learner: a `PPO`.
        unravel: makes the policy's trained part and the critic's network of one vector.
        rest: the policy's part that is not trained.
        columns: (R, B) what `advantages_of` gave, one column a decision.
    """
    trained, network = unravel(weights)
    policy = eqx.combine(trained, rest)
    old, advantages, targets, times = columns[:4]
    num_features, num_controls = policy.location.shape[0] + 1, policy.low.shape[0]
    places = [num_features, num_features + num_controls]
    features, noise, raw = (part.T for part in jnp.split(columns[4:], places))
    mean, log_sd = policy.heads(times.astype(jnp.int32), features)
    log_ratio = jnp.sum(normal_log_density(raw, mean, log_sd), -1) - old
    ratio = jnp.exp(log_ratio)
    if learner.step_size is None:
        advantages = (advantages - jnp.mean(advantages)) / (jnp.std(advantages) + 1e-8)
        gain = jnp.minimum(
            ratio * advantages, jnp.clip(ratio, 1 - learner.clip, 1 + learner.clip) * advantages
        )
    else:
        # Its greatest value over all ratios is at exp(step_size advantage).
        gain = ratio * learner.step_size * advantages - (ratio * log_ratio - ratio + 1)
    # Of the action, not of what is squashed: by the noise that it was drawn with.
    entropy = log_sd + policy.log_jacobian(mean + jnp.exp(log_sd) * noise)
    bonus = learner.entropy_bonus * jnp.sum(entropy, -1)
    error = network(features)[:, 0] - targets
    return jnp.mean(0.5 * error**2 - gain - bonus)
