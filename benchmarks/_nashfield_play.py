"""The worker that plays nashfield's deep fictitious play, all seeds in one program."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import nashfield as nf
from _link import serve
from nashfield.learners import PPO

_job: dict[str, Any] = {}


def constants(file: str) -> None:
    """Writes the game's numbers."""
    game = nf.games.LinearQuadratic()
    names = ("A", "B", "A_bar", "target", "c_x", "c_a", "c_m", "sigma", "initial_variance")
    np.savez(file, horizon=game.horizon, **{name: getattr(game, name) for name in names})


def begin(settings: dict, num_seeds: int, first: int, later: int, capacity: int) -> float:
    """Compiles; seconds of that."""
    start = time.perf_counter()
    known = ("num_envs", "num_epochs", "num_minibatches", "learning_rate", "trace", "log_sd")
    options: dict[str, Any] = {name: settings[name] for name in known}
    solver = nf.DeepFictitiousPlay(
        learner=PPO(num_updates=first, hidden=tuple(settings["hidden"]), **options),
        later_updates=later,
        num_agents=settings["num_agents"],
        capacity=capacity,
    )
    game, keys = nf.games.LinearQuadratic(), jax.random.split(jax.random.key(0), num_seeds)
    state = jax.jit(jax.vmap(lambda key: solver.init_uniform(game, key=key)))(keys)

    def advance(state: Any, key: Any, k: Any) -> tuple[Any, Any]:
        moved, info = solver.step(game, state, key=jax.random.fold_in(key, k))
        return moved, info.exploitability

    step = jax.jit(jax.vmap(advance, (0, 0, None))).lower(state, keys, jnp.asarray(0)).compile()
    _job.update(state=state, keys=keys, step=step, count=0)
    jax.block_until_ready(state)
    return time.perf_counter() - start


def iterate(num_updates: int) -> float:
    """One iteration of all seeds, with what the library tells about it; CPU seconds.

    The solver knows `num_updates`: the first iteration takes more.
    """
    start = time.process_time()
    step, count = _job["step"], jnp.asarray(_job["count"])
    state, _ = jax.block_until_ready(step(_job["state"], _job["keys"], count))
    _job.update(state=state, count=_job["count"] + 1)
    return time.process_time() - start


def tables(file: str, points: list[float]) -> None:
    """Writes what all members do at these states, (seeds, K, T, points)."""
    members = jax.tree.map(lambda x: x[:, : _job["count"]], _job["state"].pool.members)
    times, x = jnp.arange(members.horizon), jnp.asarray(points)[:, None]

    def act(member: Any, t: Any, x: Any) -> Any:
        return member.action(t, x, jnp.zeros(1))[0]

    over = jax.vmap(jax.vmap(act, (None, None, 0)), (None, 0, None))
    every = jax.jit(jax.vmap(jax.vmap(over, (0, None, None)), (0, None, None)))
    np.savez(file, actions=np.asarray(every(members, times, x), float))


if __name__ == "__main__":
    serve({"constants": constants, "begin": begin, "iterate": iterate, "tables": tables})
