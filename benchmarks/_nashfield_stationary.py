"""The worker that runs nashfield on stationary games, in one precision."""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import nashfield as nf
from _link import serve
from nashfield.dynamics import sweep
from nashfield.dynamics.stationary import push
from nashfield.dynamics.stationary_values import policy_values
from nashfield.solve import solve

# Of the random step as of the agent's own: down, up, right, left, stay.
_MOVES = [(1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)]
_job: dict[str, Any] = {}


def load(name: str, file: str, policy: str, learning_rate: float, settling_steps: int) -> None:
    """Builds the game from the peer's constants.

    Args:
        name: "rooms", "smooth" or "quantised" (the last two Garnet).
        file: the peer's constants.
        policy: file with the policy to start from, in the peer's order of actions.
        learning_rate: of mirror descent.
        settling_steps: of the quantised kernel.
    """
    with np.load(file) as arrays:
        constants = dict(arrays)
    order = np.arange(6)
    if name == "rooms":
        order = np.array([constants["moves"].tolist().index(list(move)) for move in _MOVES])
        game = _rooms(constants, order)
    else:
        game = _garnet(constants, name == "quantised", settling_steps)
    with np.load(policy) as arrays:
        start = arrays["policy"][:, order]
    solver = nf.OnlineMirrorDescent(learning_rate=learning_rate)
    _job.update(game=game, order=order, start=jnp.asarray(start, float), solver=solver)


def _rooms(constants: dict, order: np.ndarray) -> Any:
    walls = constants["walls"]
    return nf.games.StationaryFourRooms(
        rows=tuple("".join("#" if wall else "." for wall in row) for row in walls),
        noise=constants["noise"][order],
        aversion=float(constants["aversion"]),
        floor=float(constants["floor"]),
        discount=float(constants["discount"]),
        initial_law=np.where(walls, 0, 1).ravel() / np.sum(~walls),
    )


def _garnet(constants: dict, quantised: bool, settling_steps: int) -> Any:
    weights = ("base_weight", "bend_weight", "reward_weight", "crowd_weight", "discount")
    num_states, num_actions = constants["base_reward"].shape
    game = nf.games.StationaryGarnet(
        num_states=num_states,
        num_actions=num_actions,
        num_noises=len(constants["noise"]) if quantised else 0,
        settling_steps=settling_steps if quantised else 10_000,
        **{name: float(constants[name]) for name in weights},
    )
    names = ("base", "bend", "base_reward", "crowd")
    constants["bend"] = np.moveaxis(constants["bend"], -1, 0)
    arrays = [np.asarray(constants[name], np.float64, order="C") for name in names]
    return eqx.tree_at(lambda g: [getattr(g, name) for name in names], game, arrays)


def facts(at: str, length: int, file: str) -> None:
    """What the peer's `facts` computes, on our side; in the peer's order of actions."""
    game, solver, policy = _job["game"], _job["solver"], _job["start"]
    back = np.argsort(_job["order"][: game.num_actions])
    with np.load(at) as arrays:
        states, first = arrays["at"], arrays["policies"][1]
    crowd = nf.FiniteMeanField(jnp.asarray(states, float), policy)
    values = policy_values(game, policy, crowd).state_values
    found = {
        "table": game.transition(crowd).dense()[:, back],
        "reward": np.asarray(game.reward(crowd))[:, back],
        "values": values,
    }
    swept = [eqx.filter_jit(sweep)(game, policy)]
    key = jax.random.key(0)
    step = eqx.filter_jit(lambda state: solver.step(game, state, key=key)[0])
    # The peer's first iterate forgets its start; from there on ours takes the same steps.
    state = solver.init(game, jnp.asarray(first[:, _job["order"][: game.num_actions]]), key=key)
    policies = [policy]
    for number in range(length):
        state = step(state) if number else state
        policies.append(solver.policy(game, state))
        swept.append(eqx.filter_jit(sweep)(game, policies[-1]))
    found["policies"] = np.stack(policies)[..., back]
    found["mean_fields"] = np.stack([s.flow.states for s in swept])
    # The peer weighs regrets by the stationary mean field.
    found["exploitability"] = np.array([float(s.flow.states @ s.regrets) for s in swept])
    np.savez(file, **found)


def prepare(length: int) -> dict:
    """Compiles two runs, of n and 2 n iterations.

    Returns:
        The worst residual of some iterates, how a run ends, and the seconds of compilation.
    """
    _job["length"] = length
    begin = time.perf_counter()
    _run(length)
    compiled = time.perf_counter() - begin
    solution = _run(2 * length)
    residuals = []
    for policy in (_job["start"], solution.policy):
        states = eqx.filter_jit(sweep)(_job["game"], policy).flow.states
        moved = eqx.filter_jit(push)(_job["game"], policy, states)
        residuals.append(float(jnp.sum(jnp.abs(moved - states))))
    return {"residual": max(residuals), "result": solution.result.name, "compile": compiled}


def cost() -> dict:
    """CPU and wall seconds an iteration of `nf.solve`, exploitability of each included."""
    seconds = []
    for length in (_job["length"], 2 * _job["length"]):
        cpu, wall = time.process_time(), time.perf_counter()
        _run(length)
        seconds.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = ((seconds[1][i] - seconds[0][i]) / _job["length"] for i in (0, 1))
    return {"cpu": cpu, "wall": wall}


def _run(length: int) -> Any:
    solution = solve(
        _job["game"],
        _job["solver"],
        num_iterations=length,
        initial_policy=_job["start"],
        throw=False,
    )
    jax.block_until_ready(solution.history)
    return solution


if __name__ == "__main__":
    serve({"load": load, "facts": facts, "prepare": prepare, "cost": cost})
