"""Policy and flow of a solution as arrays, and back."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from nashfield.games.base import StationaryGame
from nashfield.games.continuous import ContinuousGame
from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.games.rates import RateGame
from nashfield.mean_fields import FiniteFlow, FiniteMeanField, Particles
from nashfield.policies import AbstractPolicy, policy_shape
from nashfield.results import Result
from nashfield.storage import COLUMNS, SOLUTION, RunFolderError, read_arrays
from nashfield.typing import Array

_HISTORY_NAMES = tuple(f"history_{name}" for name in COLUMNS)


def answer_arrays(game: Any, policy: Any, flow: Any) -> dict[str, Array]:
    """What a solution file holds of policy and flow.

    Args:
        game: the game that was solved.
        policy: of its solution.
        flow: likewise.
    """
    if isinstance(game, ContinuousGame | RateGame):
        return {
            f"{name}_{i}": leaf
            for name, thing in (("policy", policy), ("flow", flow))
            for i, leaf in enumerate(jax.tree.leaves(thing))
        }
    if not isinstance(policy, AbstractPolicy):
        return {"policy": policy, "flow": flow.states}
    leaves = jax.tree.leaves(policy.split()[0])
    arrays = {f"parameter_{i}": leaf for i, leaf in enumerate(leaves)}
    if isinstance(game, StationaryGame):
        arrays["policy"] = policy.table(game)
    return arrays | {"flow": flow.states}


def read_solution(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of solution.npz, after a look at their names and shapes.

    Args:
        folder: the run folder.

    Raises:
        RunFolderError: the file is missing, broken, or not a solution.
    """
    path = folder / SOLUTION
    arrays = read_arrays(path, "the run is not over: go on with it (--resume, resume=True)")
    # Without time there is an axis less, and on points there is no table at all.
    wanted = {"policy": (2, 3), "flow": (1, 2), "num_steps": (0,), "result_code": (0,)}
    wanted |= dict.fromkeys(_HISTORY_NAMES, (1,))
    if "parameter_0" in arrays and "policy" not in arrays:
        del wanted["policy"]
    if "flow_0" in arrays:
        del wanted["policy"], wanted["flow"]
    for name, ndims in wanted.items():
        kind = "iu" if name in ("num_steps", "result_code") else "f"
        found = arrays.get(name)
        if found is None or found.ndim not in ndims or found.dtype.kind not in kind:
            raise RunFolderError(f"{path}: not a solution ({name} is missing or not as it must be)")
    if "policy" in wanted:
        *horizon, num_states, _ = arrays["policy"].shape
        if arrays["flow"].shape != (*(n + 1 for n in horizon), num_states):
            raise RunFolderError(
                f"{path}: not a solution (policy is {arrays['policy'].shape} but flow is "
                f"{arrays['flow'].shape})"
            )
    if any(not arrays[name].size for name in _HISTORY_NAMES):
        raise RunFolderError(f"{path}: not a solution (an empty history)")
    if int(arrays["result_code"]) not in list(Result):
        raise RunFolderError(f"{path}: not a solution (result_code {arrays['result_code']})")
    return arrays


def rebuild_answer(
    folder: Path, game: Any, solver: Any, arrays: dict[str, np.ndarray]
) -> tuple[Any, Any]:
    """Policy and flow of a solution.

    Args:
        folder: the run folder, for messages.
        game: the game that was solved, or None.
        solver: what solved it, or None.
        arrays: what `read_solution` returned.

    Raises:
        RunFolderError: the arrays are not those of an answer of `solver` to `game`.
    """
    if "flow_0" not in arrays:
        return _rebuild_policy(folder, game, solver, arrays), _rebuild_flow(arrays)
    if game is None or solver is None:
        raise _comes_from_elsewhere(folder)

    leaves = [_numbered(arrays, name) for name in ("policy", "flow")]
    # In continuous time a first policy brings its own grid of times.
    first = leaves[0][0] if leaves[0] else np.zeros(0)
    timed = isinstance(game, RateGame) and first.shape[1:] == (game.num_states,)

    def outcome(game, solver, key):
        if timed:
            state = solver.init(game, jnp.asarray(first, float), key=key)
        else:
            state = solver.init_uniform(game, key=key)
        return solver.outcome(game, state, key=key)

    blank = eqx.filter_eval_shape(outcome, game, solver, jax.random.key(0))
    pair = [blank.policy, blank.flow]
    expected = [[x.shape for x in jax.tree.leaves(thing)] for thing in pair]
    if expected != [[x.shape for x in found] for found in leaves]:
        raise RunFolderError(
            f"{folder}: the arrays of its policy and flow have shapes "
            f"{[[x.shape for x in found] for found in leaves]}, but those of "
            f"{type(solver).__name__} on {type(game).__name__} have {expected}; this is not the "
            "game that was solved"
        )
    policy, flow = (
        jax.tree.unflatten(jax.tree.structure(thing), found)
        for thing, found in zip(pair, leaves, strict=True)
    )
    return policy, flow


def _numbered(arrays: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    """NAME_0, NAME_1, ..."""
    count = sum(key.startswith(f"{name}_") for key in arrays)
    return [arrays[key] for i in range(count) if (key := f"{name}_{i}") in arrays]


def _comes_from_elsewhere(folder: Path) -> RunFolderError:
    return RunFolderError(
        f"{folder}: its policy lives on points, and the game or the solver that says how to read "
        "it comes from elsewhere; for a game of your own write Solution.load(folder, game=MyGame())"
    )


def _rebuild_policy(
    folder: Path, game: Any, solver: Any, arrays: dict[str, np.ndarray]
) -> np.ndarray | AbstractPolicy:
    """The policy with parameters that the solver trained, or else the table."""
    leaves = _numbered(arrays, "parameter")
    if not leaves or game is None or solver is None:
        if "policy" not in arrays:
            raise _comes_from_elsewhere(folder)
        return arrays["policy"]
    parameters, rest = solver.first_policy(game, key=jax.random.key(0)).split()
    expected, structure = jax.tree.flatten(parameters)
    if [np.shape(x) for x in expected] != [np.shape(x) for x in leaves]:
        raise RunFolderError(
            f"{folder}: the parameters of its policy are {[np.shape(x) for x in leaves]}, but "
            f"{type(rest).__name__} has {[np.shape(x) for x in expected]}"
        )
    return eqx.combine(jax.tree.unflatten(structure, leaves), rest)


def _rebuild_flow(arrays: dict[str, np.ndarray]) -> FiniteFlow | FiniteMeanField | Particles:
    """The population flow, or without time the mean field."""
    policy, states = arrays.get("policy"), arrays["flow"]
    if policy is None:
        return Particles(states)
    return (FiniteFlow if policy.ndim == 3 else FiniteMeanField)(states, policy)


def check_shape(game: Any, arrays: dict[str, np.ndarray], folder: Path) -> None:
    """Raises RunFolderError unless policy and flow of a solution belong to `game`."""
    way_out = "this is not the game that was solved"
    if isinstance(game, ContinuousGame | RateGame):
        return  # `rebuild_answer` looks at every array
    if isinstance(game, ContinuousStationaryGame):
        found, expected = arrays["flow"].shape, game.state_dim
        if "policy" in arrays or found[-1] != expected:
            raise RunFolderError(
                f"{folder}: the states of {type(game).__name__} are points of {expected} "
                f"dimensions, but those of the run are not; {way_out}"
            )
        return
    expected = policy_shape(game)
    shape = arrays["policy"].shape if "policy" in arrays else ()
    if shape != expected:
        letters = ("horizon, " if len(expected) == 3 else "") + "num_states, num_actions"
        raise RunFolderError(
            f"{folder}: the policy has shape {shape}, but the game has ({letters}) = {expected}; "
            f"{way_out}"
        )
