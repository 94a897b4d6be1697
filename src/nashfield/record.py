"""What a run folder says of a run: how to make it again, and whether it is the one meant."""

import hashlib
import json
import platform
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

import nashfield
from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.games.loading import from_spec, spec_of
from nashfield.mean_fields import FiniteFlow, FiniteMeanField, Particles
from nashfield.policies import AbstractPolicy, policy_shape
from nashfield.registry import GAMES, SOLVERS, find
from nashfield.results import NashfieldError, Result
from nashfield.storage import COLUMNS, CONFIG, SOLUTION, RunFolderError, read_arrays, read_config

_HISTORY_NAMES = tuple(f"history_{name}" for name in COLUMNS)


def make_config(game: Any, solver: Any, **settings: Any) -> dict[str, Any]:
    """What config.json says: game, solver, settings, precision, versions."""
    return {
        "game": _spec(game),
        "solver": _spec(solver),
        **settings,
        "dtype": str(jax.dtypes.canonicalize_dtype(float)),
        "versions": {
            "python": platform.python_version(),
            "nashfield": nashfield.__version__,
            **{module.__name__: module.__version__ for module in (jax, eqx, np)},
        },
    }


def _spec(thing: Any) -> dict[str, Any]:
    """How to make `thing` again, or (where nothing says how) a fingerprint to know it by."""
    spec = spec_of(thing)
    if spec is not None:
        return spec
    leaves, structure = jax.tree.flatten(thing)
    text = repr((structure, [leaf if np.ndim(leaf) == 0 else np.shape(leaf) for leaf in leaves]))
    digest = hashlib.sha256(text.encode())
    for leaf in leaves:
        digest.update(np.asarray(leaf).tobytes())
    cls = type(thing)
    return {"class": f"{cls.__module__}.{cls.__qualname__}", "fingerprint": digest.hexdigest()}


def rebuild_solver(folder: Path, config: dict[str, Any]) -> Any:
    """The recorded solver; None where it is none of the library's."""
    spec = _recorded(folder, config, "solver")
    return _build(folder, "solver", spec) if "name" in spec else None


def rebuild_game(folder: Path, config: dict[str, Any], *, run_file: bool = False) -> Any:
    """The recorded game.

    Args:
        folder: the run folder.
        config: its config.json.
        run_file: whether a user's file may be run. It must lie outside the run folder and be the
            one that was recorded, to the byte: whoever hands out a run folder cannot choose code.

    Returns:
        The game; None where it comes from a file and that may not be run.

    Raises:
        RunFolderError: the game cannot be had; the message says how to name it.
    """
    spec = _recorded(folder, config, "game")
    if "name" in spec:
        return _build(folder, "game", spec)
    if not run_file:
        return None
    way_out = "say which game it is with --game PATH.py:CLASS, if you trust that file"
    if "file" not in spec:
        raise RunFolderError(f"{folder}: nothing recorded says how to make its game; {way_out}")
    file = Path(str(spec["file"])).resolve()
    if file.is_relative_to(folder.resolve()):
        raise RunFolderError(
            f"{file} lies in the run folder itself, whose code is not run; {way_out}"
        )
    if not file.is_file():
        raise RunFolderError(f"{file}, the file of the game, is not there any more; {way_out}")
    return _build(folder, "game", spec, run_file=True)


def _recorded(folder: Path, config: dict[str, Any], kind: str) -> dict[str, Any]:
    spec = config.get(kind)
    if not isinstance(spec, dict) or not isinstance(spec.get("parameters", {}), dict):
        raise RunFolderError(f"{folder / CONFIG}: names no {kind}")
    return spec


def _build(folder: Path, kind: str, spec: dict[str, Any], *, run_file: bool = False) -> Any:
    table = GAMES if kind == "game" else SOLVERS
    try:
        if "name" in spec:
            find(table, spec["name"], kind)  # a name, never the path of a file
        return from_spec(spec, run_file=run_file)
    except (NashfieldError, KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{folder / CONFIG}: its {kind} cannot be made: {error}") from error


def check_same_run(folder: Path, config: dict[str, Any]) -> None:
    """Whether `folder` holds the run that `config` describes; iterations and tolerance are free.

    Args:
        folder: the run folder.
        config: of the run that is meant, see `make_config`.

    Raises:
        RunFolderError: it does not; the message names the first difference.
    """
    recorded = read_config(folder)
    for name in ("game", "solver", "key", "initial_policy", "dtype"):
        found = _difference(name, recorded.get(name), config.get(name))
        if found:
            where, old, new = found
            raise RunFolderError(
                f"{folder}: this run was begun with {where} = {old}, not {new}; resume it as it "
                "was begun, or name another folder"
            )


def _difference(where: str, old: Any, new: Any) -> tuple[str, str, str] | None:
    """The first place where two JSON values differ, and both values there."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            found = _difference(f"{where}.{name}", old.get(name), new.get(name))
            if found:
                return found
        return None
    texts = json.dumps(old), json.dumps(new)  # a tuple equals the list that was read
    return None if texts[0] == texts[1] else (where, *texts)


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


def rebuild_policy(
    folder: Path, game: Any, solver: Any, arrays: dict[str, np.ndarray]
) -> np.ndarray | AbstractPolicy:
    """The policy with parameters that the solver trained, or else the table.

    Raises:
        RunFolderError: the parameters are not those of the solver's policy, or there is neither.
    """
    leaves = [arrays[name] for name in arrays if name.startswith("parameter_")]
    if not leaves or game is None or solver is None:
        if "policy" not in arrays:
            raise RunFolderError(
                f"{folder}: its policy lives on points, and the game or the solver that says how "
                "to read it comes from elsewhere"
            )
        return arrays["policy"]
    parameters, rest = solver.first_policy(game, key=jax.random.key(0)).split()
    expected, structure = jax.tree.flatten(parameters)
    if [np.shape(x) for x in expected] != [np.shape(x) for x in leaves]:
        raise RunFolderError(
            f"{folder}: the parameters of its policy are {[np.shape(x) for x in leaves]}, but "
            f"{type(rest).__name__} has {[np.shape(x) for x in expected]}"
        )
    return eqx.combine(jax.tree.unflatten(structure, leaves), rest)


def rebuild_flow(arrays: dict[str, np.ndarray]) -> FiniteFlow | FiniteMeanField | Particles:
    """The population flow, or without time the mean field."""
    policy, states = arrays.get("policy"), arrays["flow"]
    if policy is None:
        return Particles(states)
    return (FiniteFlow if policy.ndim == 3 else FiniteMeanField)(states, policy)


def check_shape(game: Any, arrays: dict[str, np.ndarray], folder: Path) -> None:
    """Raises RunFolderError unless policy and flow of a solution belong to `game`."""
    way_out = "this is not the game that was solved"
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
