"""The system as its earlier version was: one network of 42 agents, one noise, paired losses.

Of El Farol it is known that the draw of who goes was frozen, not how: here by one level an agent,
below which its intention means staying.

Kept to reproduce that version's numbers and to show its faults, never to be used: the network is
tied to the number of agents, and it learns the one path of a noise that all agents share.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.papers.thoni2025.data import EL_FAROL, MEETING, Groups
from nashfield.typing import Array

NUM_TURNS = 15
_LEARNING_RATE = 5e-4
_MEETING_SIGMA = 2**0.5  # nu = 1


class Setting(eqx.Module):
    """One of the two games.

    Attributes:
        data: where its games come from.
        start: draws (B, N) starts.
        drift: minus the gradient of each agent's cost, of the states and of who went (N,).
        sigma: of the noise.
        activation: of the network's hidden layers.
        last: of its outputs.
    """

    data: Groups
    start: Callable[[PRNGKeyArray, tuple[int, ...]], Array]
    drift: Callable[[Array, Array], Array]
    sigma: float
    activation: Callable[[Array], Array]
    last: Callable[[Array], Array]


def meeting_drift(x: Float[Array, "N"], went: Any) -> Float[Array, "N"]:
    """Scheduled at 12, begun when 80% are there; unit weights."""
    begins = jax.lax.stop_gradient(jnp.quantile(x, 0.8))

    def cost(x: Array) -> Array:
        return jax.nn.relu(x - 12) + jax.nn.relu(x - begins) + jax.nn.relu(begins - x)

    return -jax.vmap(jax.grad(cost))(x)


def el_farol_drift(p: Float[Array, "N"], went: Any) -> Float[Array, "N"]:
    """Threshold .9, weights .33; the share is that of those who went."""
    share = jnp.mean(went.astype(p.dtype))
    full = share > 0.9

    def cost(p: Array, went: Array) -> Array:
        over = jnp.where(went & full, jax.nn.relu(p - 0.9), 0)
        under = jnp.where(~went & ~full, jax.nn.relu(0.9 - p), 0)
        return 0.33 * (over + under) + 0.33 * (p - share) ** 2

    return -jax.vmap(jax.grad(cost))(p, went)


def _meeting_start(key: PRNGKeyArray, shape: tuple[int, ...]) -> Array:
    return 12 + 0.5 * jax.random.normal(key, shape, jnp.float32)


def _bar_start(key: PRNGKeyArray, shape: tuple[int, ...]) -> Array:
    return jax.random.uniform(key, shape, jnp.float32)


def meeting() -> Setting:
    """Meeting arrival times."""
    bend = jax.nn.softplus
    return Setting(MEETING, _meeting_start, meeting_drift, _MEETING_SIGMA, bend, bend)


def el_farol() -> Setting:
    """El Farol bar."""
    bend = jax.nn.leaky_relu
    return Setting(EL_FAROL, _bar_start, el_farol_drift, 0.0, bend, bend)


class Trained(eqx.Module):
    """What a training found.

    Attributes:
        training_loss: on all the games it was trained on, from fresh starts.
        validation_loss: on fresh games, with the noise of the training.
        other_losses: (R,) on the same games, with other noises.
        num_parameters: of the network.
    """

    training_loss: Float[Array, ""]
    validation_loss: Float[Array, ""]
    other_losses: Float[Array, "R"]
    num_parameters: int


def train(
    setting: Setting,
    *,
    num_games: int,
    num_validation: int,
    batch_size: int,
    num_steps: int,
    num_others: int = 9,
    key: PRNGKeyArray,
) -> Trained:
    """Trains and judges; all in one program, in single precision.

    Args:
        setting: the game.
        num_games: to train on.
        num_validation: to validate on.
        batch_size: games a step, drawn with replacement.
        num_steps: of AdaBelief at 5e-4.
        num_others: noises to validate on that were not trained on.
        key: of everything.
    """
    size = setting.data.num_agents
    network = eqx.nn.MLP(
        size,
        size,
        8,
        3,
        activation=setting.activation,
        final_activation=setting.last,
        dtype=jnp.float32,
        key=jax.random.fold_in(key, 0),
    )
    count = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_array)))
    sizes = num_games, num_validation, batch_size, num_steps, num_others
    found = _train(setting, network, sizes, jax.random.fold_in(key, 1))
    return Trained(*found, num_parameters=count)


@eqx.filter_jit
def _train(
    setting: Setting, network: Any, sizes: tuple[int, ...], key: PRNGKeyArray
) -> tuple[Array, Array, Array]:
    import optax

    num_games, num_validation, batch_size, num_steps, num_others = sizes
    data_key, valid_key, noise_key, start_key, other_key, level_key, key = jax.random.split(key, 7)
    games = setting.data.draw(data_key, num_games)
    fresh = setting.data.draw(valid_key, num_validation)
    weights, form = eqx.partition(network, eqx.is_array)
    noise = jax.random.normal(noise_key, (NUM_TURNS,), jnp.float32)
    belief = optax.adabelief(_LEARNING_RATE)

    # Who goes is drawn from the same levels in every turn, game and step: the frozen draw.
    levels = jax.random.uniform(level_key, (setting.data.num_agents,), jnp.float32)

    def loss(weights: Any, targets: Array, noise: Array, key: PRNGKeyArray) -> Array:
        starts = setting.start(key, targets.shape)
        net = eqx.combine(weights, form)
        ends = jax.vmap(lambda x: _play(setting, net, x, levels, noise))(starts)
        return jnp.mean((ends - targets) ** 2)

    def step(carry: Any, index: Array) -> Any:
        weights, moments = carry
        pick_key, step_key = jax.random.split(jax.random.fold_in(key, index))
        chosen = games[jax.random.randint(pick_key, (batch_size,), 0, num_games)]
        value, slope = jax.value_and_grad(loss)(weights, chosen, noise, step_key)
        change, moments = belief.update(slope, moments, weights)
        return (optax.apply_updates(weights, change), moments), value

    begin = weights, belief.init(weights)
    (weights, _), _ = jax.lax.scan(step, begin, jnp.arange(num_steps))
    valid = loss(weights, fresh, noise, start_key)
    noises = jax.random.normal(other_key, (num_others, NUM_TURNS), jnp.float32)
    others = jax.vmap(lambda noise: loss(weights, fresh, noise, start_key))(noises)
    known = loss(weights, games, noise, jax.random.fold_in(start_key, 1))
    return known, valid, others


def _play(setting: Setting, network: Any, x: Array, levels: Array, noise: Array) -> Array:
    """15 turns of Euler with dt = 1; the noise is a number a turn, the same for all agents."""

    def turn(x: Array, kick: Array) -> tuple[Array, None]:
        went = levels < x
        return x + setting.drift(x, went) + network(x) + setting.sigma * kick, None

    return jax.lax.scan(turn, x, noise)[0]
