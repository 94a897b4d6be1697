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
from nashfield.dynamics.discretised import DiscretisedGame, discretise
from nashfield.games.specs import from_spec, spec_of
from nashfield.registry import GAMES, SOLVERS, find
from nashfield.results import NashfieldError
from nashfield.storage import CONFIG, RunFolderError, read_config


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
    if isinstance(thing, DiscretisedGame):
        return {**_spec(thing.game), "grid": thing.settings}
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
        made = from_spec(spec, run_file=run_file)
        if "grid" not in spec:
            return made
        return discretise(made, **{name: tuple(value) for name, value in spec["grid"].items()})
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
