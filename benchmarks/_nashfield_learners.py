"""The worker that trains nashfield's learners against the exact flow of the reference game."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import nashfield as nf
from _link import serve
from nashfield.learners import PPO, SAC
from nashfield.learners.environment import Environment

_job: dict[str, Any] = {}


def constants(file: str) -> None:
    """Writes the game's numbers, the crowd's means, and a few moves with what they pay."""
    game = nf.games.LinearQuadratic()
    flow = game.equilibrium().flow
    _job.update(game=game, flow=flow)
    env, rng = Environment.of(game, flow), np.random.default_rng(0)
    x, a, noise = rng.standard_normal((3, game.horizon, 64, 1))
    move = jax.jit(jax.vmap(env.step))
    moved, rewards = move(jnp.arange(game.horizon), *(jnp.float32(v) for v in (x, a, noise)))
    names = ("A", "B", "A_bar", "target", "c_x", "c_a", "c_m", "sigma", "initial_variance")
    numbers = {name: getattr(game, name) for name in names}
    seen = {"x": x, "a": a, "noise": noise, "moved": moved, "rewards": rewards}
    means = np.asarray(flow.means())[:, 0]
    np.savez(file, horizon=game.horizon, means=means, **numbers, **seen)


def prepare(learner: str, options: dict, amount: str) -> float:
    """Compiles a training.

    Args:
        learner: "PPO" or "SAC".
        options: of the learner.
        amount: what is counted, "steps" of the environments or "updates" of the weights.

    Returns:
        Seconds of the first training, compilation included.
    """
    options["hidden"] = tuple(options["hidden"])
    _job["learner"] = {"PPO": PPO, "SAC": SAC}[learner](**options)
    rounds = options["num_updates"]
    a_round = {"steps": 20 * options["num_envs"], "updates": options.get("num_steps", 0)}
    _job["amount"] = rounds * a_round[amount]
    return _job["amount"] / measure(99)


def measure(seed: int) -> float:
    """How many a wall second, of one whole training with what it tells about itself at the end."""
    begin = time.perf_counter()
    response = _job["learner"].best_response(_job["game"], _job["flow"], key=jax.random.key(seed))
    jax.block_until_ready(response.value)
    return _job["amount"] / (time.perf_counter() - begin)


if __name__ == "__main__":
    serve({"constants": constants, "prepare": prepare, "measure": measure})
