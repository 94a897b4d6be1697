"""The worker that trains nashfield's neural mean-field game."""

import dataclasses
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import nashfield as nf
from _link import serve
from nashfield.dynamics.diffusions import AbstractDiffusion, Speeds, roll_crowd
from nashfield.neural.losses import Wasserstein
from nashfield.neural.model import NeuralMeanFieldGame
from nashfield.neural.observations import Observations
from nashfield.neural.training import Training, Weights, advance, first_weights, standardised
from nashfield.policies.gaussian_network import single

_job: dict[str, Any] = {}


class _Increments(AbstractDiffusion):
    """Whoever moves so is, after every step, where the noise of that step alone brings it."""

    dt: Any

    def speeds(self, t: Any, states: Any) -> Speeds:
        return Speeds(-states / self.dt, jnp.ones_like(states), jnp.zeros((), states.dtype))

    def inside(self, states: Any) -> Any:
        return states


def prepare(settings: dict) -> dict[str, float]:
    """Compiles; seconds of that, and the numbers of the game."""
    game = nf.games.MeetingArrival(horizon=settings["num_steps"])
    rng = np.random.default_rng(0)
    last = 15 + 0.8 * rng.standard_normal((settings["num_crowds"], settings["num_agents"]))
    seen = single(Observations.last_turn(game, last))
    hidden = tuple(settings["hidden"])
    model = NeuralMeanFieldGame(game, drift=hidden, diffusion=hidden, key=jax.random.key(0))
    training = Training(
        model=standardised(single(model), seen, jax.random.key(1)),
        loss=single(Wasserstein(power=2.0)),
        seen=seen,
        judged=seen,
        rate=jnp.asarray(settings["learning_rate"], jnp.float32),
        num_steps=jnp.asarray(settings["total"]),
        step_key=jax.random.key(2),
        look_key=jax.random.key(3),
        batch=settings["num_crowds"],
        crowds=settings["num_crowds"],
        length=settings["length"],
        seen_start=False,
        judged_start=False,
    )
    _job.update(training=training, weights=first_weights(training))
    begin = time.perf_counter()
    measure()
    names = ("scheduled", "quantile", "lateness", "inconvenience", "waiting")
    names = (*names, "initial_mean", "initial_deviation", "duration")
    numbers = {name: float(getattr(game, name)) for name in names}
    return {**numbers, "compile": time.perf_counter() - begin}


def first_step(file: str) -> None:
    """Writes what the first step of training begins with, and what becomes of it."""
    training = dataclasses.replace(_job["training"], length=1)
    weights = first_weights(training)
    start, increments, states = _paths(training, weights)
    moved, losses = advance(training, weights)
    model = training.model
    np.savez(
        file,
        observed=training.seen.states,
        location=model.look.location,
        scale=model.look.scale,
        unit=model.unit,
        start=start[..., 0],
        increments=jnp.moveaxis(increments[..., 0], 1, 0),
        states=states[..., 0],
        loss=losses[0],
        **_named("before", weights),
        **_named("after", moved),
    )


@eqx.filter_jit
def _paths(training: Training, weights: Weights) -> Any:
    """Starts (C, N, D), increments (C, T, N, D) and last states of the first step of training.

    Keys are split as the training does it; if that were to change, losses would differ.
    """
    game = training.model.game
    _, key = jax.random.split(jax.random.fold_in(training.step_key, 0))
    start_key, key = jax.random.split(key)
    num_crowds, num_agents = training.crowds, training.seen.states.shape[2]
    start = game.initial().sample(start_key, num_crowds * num_agents).astype(jnp.float32)
    start = start.reshape(num_crowds, num_agents, 1)
    keys = jax.random.split(key, num_crowds)
    model = training.with_networks(weights.networks)
    times = jnp.linspace(0, 1, game.horizon + 1, dtype=jnp.float32) * game.duration

    def increments(key: Any) -> Any:
        return roll_crowd(
            _Increments(jnp.asarray(game.dt, jnp.float32)),
            jnp.zeros((num_agents, 1), jnp.float32),
            times[1:],
            duration=game.duration,
            num_steps=game.horizon,
            key=key,
        )

    def last(start: Any, key: Any) -> Any:
        return model.roll(start, times[-1:], None, key=key)[0]

    return start, jax.vmap(increments)(keys), jax.vmap(last)(start, keys)


def _named(prefix: str, weights: Weights) -> dict[str, Any]:
    found = {}
    for name in ("drift", "diffusion"):
        network = getattr(weights.networks, name)
        for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            found[f"{prefix}_{name}_weight_{i}"] = weight
            found[f"{prefix}_{name}_bias_{i}"] = bias
    return found


def measure() -> dict[str, float]:
    """Wall and CPU seconds of a step of training, and the last loss."""
    training = _job["training"]
    begin, cpu = time.perf_counter(), time.process_time()
    weights, losses = jax.block_until_ready(advance(training, _job["weights"]))
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    _job["weights"] = weights
    length = training.length
    return {"wall": seconds / length, "cpu": cpu / length, "loss": float(losses[-1])}


if __name__ == "__main__":
    serve({"prepare": prepare, "first_step": first_step, "measure": measure})
