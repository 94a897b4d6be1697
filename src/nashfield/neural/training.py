"""The compiled part of a fit: steps of Adam through simulated crowds."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.neural.losses import AbstractLoss
from nashfield.neural.model import NeuralMeanFieldGame
from nashfield.neural.networks import Look, raw_features
from nashfield.neural.observations import Inputs, Observations
from nashfield.results import ParameterError
from nashfield.typing import Array

# Steps are shortened to this length of the gradient.
_LONGEST = 1.0
# Crowds of a look, where agents are not paired.
_LOOK_CROWDS = 60
# Looks are at a running mean of the weights that forgets a step at this rate.
_FORGET = 0.03
# Of moments of the crowd a feature of 1 is this share of the range of states, or more.
_LEAST_MOMENT = 0.1
# The learning rate falls to this share.
_LAST_RATE = 0.02


class Training(eqx.Module):
    """What does not change in a fit."""

    model: NeuralMeanFieldGame
    loss: AbstractLoss
    seen: Observations
    judged: Observations
    rate: Float[Array, ""]
    num_steps: Any
    step_key: PRNGKeyArray
    look_key: PRNGKeyArray
    batch: int = eqx.field(static=True)
    crowds: int = eqx.field(static=True)
    length: int = eqx.field(static=True)
    seen_start: bool = eqx.field(static=True)
    judged_start: bool = eqx.field(static=True)

    def with_networks(self, networks: Any) -> NeuralMeanFieldGame:
        """The model with these weights."""
        return eqx.combine(networks, self.model)


class Weights(eqx.Module):
    """What a step of training moves."""

    networks: Any
    averaged: Any
    moments: Any
    step: Any


def first_weights(training: Training) -> Weights:
    """Before the first step."""
    networks, _ = _split(training.model)
    return Weights(networks, networks, _adam().init(networks), jnp.asarray(0))


@eqx.filter_jit
def advance(training: Training, weights: Weights) -> tuple[Weights, Float[Array, "K"]]:
    """Some steps of Adam; those beyond the last one change nothing."""

    def step(now: Weights, _: Any) -> tuple[Weights, Float[Array, ""]]:
        key = jax.random.fold_in(training.step_key, now.step)
        loss, slope = jax.value_and_grad(_batch_loss)(now.networks, training, key)
        share = jnp.clip(now.step / training.num_steps, 0, 1)
        cosine = _LAST_RATE + (1 - _LAST_RATE) * (1 + jnp.cos(jnp.pi * share)) / 2
        change, moments = _adam().update(slope, now.moments)
        rate = jnp.where(now.step < training.num_steps, training.rate * cosine, 0)
        networks = jax.tree.map(lambda w, c: w - (rate * c).astype(w.dtype), now.networks, change)
        # At first it forgets faster, so that it does not remember the start.
        pull = jnp.maximum(_FORGET, 1 / (1 + now.step / 4))
        pull = jnp.where(now.step < training.num_steps, pull, 0)
        averaged = jax.tree.map(
            lambda old, new: old + (pull * (new - old)).astype(old.dtype), now.averaged, networks
        )
        return Weights(networks, averaged, moments, now.step + 1), loss

    after, losses = jax.lax.scan(step, weights, length=training.length)
    last = jnp.minimum(after.step, training.num_steps)
    return dataclasses.replace(after, step=last), losses


def _adam() -> Any:
    import optax

    return optax.chain(optax.clip_by_global_norm(_LONGEST), optax.scale_by_adam())


def _batch_loss(networks: Any, training: Training, key: PRNGKeyArray) -> Float[Array, ""]:
    pick_key, key = jax.random.split(key)
    order = jax.random.permutation(pick_key, training.seen.num_games)
    games = order[: training.batch]
    model, seen = training.with_networks(networks), training.seen
    return _loss_of(model, training.loss, seen, games, training.crowds, training.seen_start, key)


@eqx.filter_jit
def look_at(training: Training, networks: Any) -> Float[Array, ""]:
    """The loss of all games, always by the same random numbers."""
    model, seen = training.with_networks(networks), training.judged
    games = jnp.arange(seen.num_games)
    crowds = look_crowds(training.loss, seen)
    started = training.judged_start
    return _loss_of(model, training.loss, seen, games, crowds, started, training.look_key)


def _loss_of(
    model: NeuralMeanFieldGame,
    loss: AbstractLoss,
    seen: Observations,
    games: Any,
    crowds: int,
    started: bool,
    key: PRNGKeyArray,
) -> Float[Array, ""]:
    """Mean over times of the loss between simulated crowds and games; over games if apart."""
    states = jnp.asarray(seen.states)[games]
    times = jnp.asarray(seen.times)
    num_agents = states.shape[2]
    first = int(started)  # nothing is compared at time 0
    start_key, key = jax.random.split(key)
    # Crowd i starts as game i does, where that was seen, and has its inputs.
    places = jnp.arange(crowds) % states.shape[0]
    if first:
        starts = states[places, 0]
    else:
        drawn = model.game.initial().sample(start_key, crowds * num_agents)
        starts = drawn.astype(jnp.float32).reshape(crowds, num_agents, -1)

    def simulate(place: Any, start: Array, key: PRNGKeyArray) -> Float[Array, "M N D"]:
        return model.roll(start, times, _inputs_of(seen, games[place]), key=key)

    keys = jax.random.split(key, crowds)
    crowd = jax.vmap(simulate)(places, starts, keys)
    # Pooled, crowds would not say which game is whose: games with inputs of their own are compared
    # one by one.
    groups = states.shape[0] if seen.apart else 1

    def pool(x: Any) -> Float[Array, "..."]:
        x = jnp.moveaxis(x[:, first:], 0, 1)  # times, crowds, agents, dimensions
        x = x.reshape(x.shape[0], -1, groups, *x.shape[2:])
        return jnp.moveaxis(x, 2, 1).reshape(x.shape[0] * groups, -1, x.shape[-1])

    return jnp.mean(jax.vmap(loss)(pool(crowd), pool(states)))


def _inputs_of(seen: Observations, game: Any) -> Inputs | None:
    if seen.inputs is None or not seen.apart:
        return seen.inputs
    return dataclasses.replace(seen.inputs, values=jnp.asarray(seen.inputs.values)[game])


def _split(model: NeuralMeanFieldGame) -> tuple[Any, Any]:
    """The networks, and the rest."""
    trained = jax.tree.map(lambda _: False, model)
    names = [name for name in ("drift", "diffusion") if getattr(model, name) is not None]
    if not names:
        raise ParameterError("there is nothing to fit: give the model a drift or a diffusion")
    trained = eqx.tree_at(
        lambda m: [getattr(m, name) for name in names],
        trained,
        [jax.tree.map(lambda _: True, getattr(model, name)) for name in names],
    )
    return eqx.partition(model, trained)


def look_crowds(loss: AbstractLoss, seen: Observations) -> int:
    """How many crowds a look simulates: a multiple of the games."""
    if loss.paired:
        return seen.num_games
    return seen.num_games * -(-_LOOK_CROWDS // seen.num_games)


@eqx.filter_jit
def standardised(
    model: NeuralMeanFieldGame, seen: Observations, key: PRNGKeyArray
) -> NeuralMeanFieldGame:
    """The model with features measured by what they were in observed crowds, and at first."""
    game = model.game
    states = jnp.asarray(seen.states)
    start = game.initial().sample(key, states.shape[2]).astype(jnp.float32)
    crowds = jnp.concatenate([states.reshape(-1, *states.shape[2:]), start[None]])

    def features(states: Array) -> Array:
        none = jnp.zeros(model.num_inputs, jnp.float32)
        return raw_features(game, jnp.zeros((), jnp.float32), states, none)

    rows = jax.vmap(features)(crowds)
    rows = rows.reshape(-1, rows.shape[-1])
    low, high = rows.min(0), rows.max(0)
    if seen.inputs is not None:
        values = jnp.asarray(seen.inputs.values).reshape(-1, model.num_inputs)
        low = low.at[-model.num_inputs :].set(values.min(0))
        high = high.at[-model.num_inputs :].set(values.max(0))
    half = (high - low) / 2
    # Few games hardly differ in mean and deviation; noise must not fill the features' range.
    dim = game.state_dim
    first = rows.shape[-1] - model.num_inputs - 2 * dim
    least = _LEAST_MOMENT * jnp.tile(half[:dim], 2)
    half = half.at[first : first + 2 * dim].max(least)
    flat = half <= 1e-6 * (1 + jnp.abs(low))
    look = Look((low + high) / 2, jnp.where(flat, 1, half))
    # Times are between -1 and 1 as they are.
    time = game.state_dim
    location, scale = jnp.asarray(look.location), jnp.asarray(look.scale)
    look = Look(location.at[time].set(0), scale.at[time].set(1))
    return eqx.tree_at(lambda m: m.look, model, look)
