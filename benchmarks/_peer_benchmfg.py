"""The worker that runs bench-mfg-suite; started by stationary_games.py with the peers' interpreter.

Its environments are built with its own constants, which its seed overrides, and read from there.
"""

import time
from importlib.metadata import version
from typing import Any

import benchmfg.envs.mfg_model_class_jit as model
import benchmfg.learner.jax.omd_jax as omd
import jax
import jax.numpy as jnp
import numpy as np
from benchmfg.api import load_config
from benchmfg.utility.create_environment import create_environment
from benchmfg.utility.create_solver import get_env_spec

from _link import serve

_pushes = omd.mean_field_by_transition_kernel_multi_jax
_job: dict[str, Any] = {}


def hello() -> dict:
    """Versions."""
    return {"bench-mfg-suite": version("bench-mfg-suite"), "its jax": jax.__version__}


def load(name: str, start: str, learning_rate: float, temperature: float, file: str) -> dict:
    """Builds an environment and a mirror descent; what the game is made of goes to `file`.

    Args:
        name: of its configuration.
        start: file with the policy to start from.
        learning_rate: of mirror descent.
        temperature: of its softmax.
        file: where to.
    """
    config = load_config([f"environment={name}"])
    env, _ = create_environment(config)
    with np.load(start) as arrays:
        policy = arrays["policy"].astype(jnp.zeros(()).dtype)
    _job.update(env=env, spec=get_env_spec(env, config.environment.name), policy=policy)
    _job.update(rates=(learning_rate, temperature), law=env.stationary_mean_field.copy())
    constants = {"discount": env.gamma, "initial": _job["law"], "noise": env.noise_prob}
    if name == "mf_garnet":
        names = ("base_weight", "bend_weight", "reward_weight", "crowd_weight")
        numbers = (env.cfg.cp, env.cfg.rho_p, env.cfg.cr, env.cfg.rho_r)
        constants |= dict(zip(names, numbers, strict=True))
        constants |= {"base": env.P0_dense, "bend": env.C, "base_reward": env.R0, "crowd": env.M}
    else:
        constants |= {"walls": env.obstacle_mask, "aversion": env.alpha, "floor": env.epsilon}
        constants["moves"] = np.array([env.index_to_move[a] for a in range(5)])
    np.savez(file, **constants)
    return {"states": env.N_states, "actions": env.N_actions, "backups": env.horizon - 1}


def tune(num_pushes: int | None, horizon: int) -> None:
    """Sets how often it moves the crowd in each place (None: as shipped), and its backups."""

    def pushes(policy, spec, num_iterations, initial_mean_field):
        return _pushes(policy, spec, num_pushes or num_iterations, initial_mean_field)

    omd.mean_field_by_transition_kernel_multi_jax = pushes
    model.MEAN_FIELD_FIXED_POINT_ITERATIONS = num_pushes or 50
    _job["env"].horizon = horizon
    jax.clear_caches()


def run(length: int) -> Any:
    """Its own loop, from the start."""
    _job["env"].stationary_mean_field = _job["law"].copy()
    rate, temperature = _job["rates"]
    solver = omd.OMD_jax(_job["spec"], _job["policy"], rate, length, temperature=temperature)
    return solver.eval()


def facts(length: int, file: str) -> None:
    """What it computes, at a crowd that is not uniform, and along its own loop."""
    env, spec, rng = _job["env"], _job["spec"], np.random.default_rng(0)
    crowd = jnp.asarray(rng.dirichlet(np.ones(env.N_states)))
    policy = jnp.asarray(_job["policy"])
    following = np.asarray(model._transition_tensor(crowd, spec))
    table = np.zeros((env.N_states, env.N_actions, env.N_states))
    rows, columns = np.ogrid[: env.N_states, : env.N_actions]
    np.add.at(table, (rows[..., None], columns[..., None], following), env.noise_prob)
    found = {
        "at": crowd,
        "table": table,
        "reward": model._reward_matrix(crowd, spec),
        "values": model.V_eval_jax(policy, crowd, spec),
    }
    if hasattr(env, "_transition_distribution"):
        law = env._transition_distribution
        pairs = np.ndindex(env.N_states, env.N_actions)
        smooth = np.stack([law(np.asarray(crowd), s, a) for s, a in pairs])
        found["smooth"] = smooth.reshape(table.shape)
    runs = [run(k) for k in range(length + 1)]
    found["policies"] = np.stack([np.asarray(r[0]) for r in runs])
    found["mean_fields"] = np.stack([np.asarray(r[1]) for r in runs])
    found["exploitability"] = np.array(runs[-1][2])
    np.savez(file, **found)


def residual(length: int) -> float:
    """Sum of |Phi(z, pi) - z| at the crowd of its exploitability, the worst of some iterates."""
    worst, spec = 0.0, _job["spec"]
    for k in (0, length // 2, length):
        policy, crowd, _ = run(k)
        steps = model.MEAN_FIELD_FIXED_POINT_ITERATIONS
        settled = _pushes(policy, spec, steps, jnp.asarray(crowd))
        worst = max(worst, float(jnp.sum(jnp.abs(_pushes(policy, spec, 1, settled) - settled))))
    return worst


def cost(length: int) -> dict:
    """CPU and wall seconds an iteration of its loop, exploitability of each included."""
    seconds = {}
    for number in (0, length):
        cpu, wall = time.process_time(), time.perf_counter()
        run(number)
        seconds[number] = (time.process_time() - cpu, time.perf_counter() - wall)
    cpu, wall = ((seconds[length][i] - seconds[0][i]) / length for i in (0, 1))
    return {"cpu": cpu, "wall": wall}


if __name__ == "__main__":
    serve({"hello": hello, "load": load, "tune": tune, "facts": facts, "residual": residual,
           "cost": cost})  # fmt: skip
