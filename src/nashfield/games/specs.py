"""What to write down of a game or a solver to get it back."""

import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from nashfield.games.loading import load_game, load_solver, sha256
from nashfield.parameters import build, parameters_of, parts_of
from nashfield.registry import GAMES, SOLVERS
from nashfield.results import GameError, NashfieldError


def spec_of(thing: Any) -> dict[str, Any] | None:
    """What `from_spec` makes an equal game or solver of, in terms that JSON can hold.

    Args:
        thing: a game or a solver.

    Returns:
        {"name", "parameters"} for those of the library; {"file", "class", "sha256", "parameters"}
        for a class in a user's file; None if no call of the constructor gives it back, as after
        `eqx.tree_at`.
    """
    cls = type(thing)
    head = head_of(cls)
    if head is None:
        return None
    try:
        parameters = _parameters(thing)
        again = build(cls, parameters, cls.__name__)
    except (TypeError, NashfieldError):
        return None
    return {**head, "parameters": parameters} if _equal(thing, again) else None


def from_spec(spec: Mapping[str, Any], *, run_file: bool = False) -> Any:
    """The game or solver that `spec_of` wrote down.

    Args:
        spec: what `spec_of` returned.
        run_file: whether a user's file may be run. A specification that comes from elsewhere could
            name any file.

    Raises:
        GameError: the specification names a file that may not be run, or that has changed since.
        UnknownNameError: as `load_game`.
        ParameterError: as `load_game`.
    """
    parameters = spec.get("parameters", {})
    if "file" not in spec:
        name = spec.get("name", "")
        return (load_solver if name in SOLVERS else load_game)(name, parameters)
    source = f"{spec['file']}:{spec['class']}"
    if not run_file:
        raise GameError(
            f"this game comes from a file, which is not run unasked: load it with {source!r} "
            "yourself, if you trust it"
        )
    path = Path(spec["file"])
    if path.is_file() and sha256(path) != spec["sha256"]:
        raise GameError(
            f"{path} has changed since this game was written down; if it is still the same game, "
            f"say so with --game {source}"
        )
    return load_game(source, parameters)


def head_of(cls: type) -> dict[str, str] | None:
    """How a specification names the class; None where nothing does."""
    for table in (GAMES, SOLVERS):
        for name, (module, attribute) in table.items():
            if (cls.__module__, cls.__qualname__) == (f"nashfield.{module}", attribute):
                return {"name": name}
    inside = "." in cls.__qualname__  # of a function or a class, where no loader finds it
    if inside or cls.__module__.startswith("nashfield."):
        return None
    try:
        path = Path(inspect.getfile(cls)).resolve()
        digest = vars(sys.modules[cls.__module__]).get("__sha256__") or sha256(path)
    except (OSError, TypeError, KeyError):
        return None
    return {"file": str(path), "class": cls.__name__, "sha256": digest}


def plain(value: Any) -> Any:
    """`value` in terms that JSON can hold.

    Raises:
        TypeError: there are none.
    """
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)  # strict JSON has no infinity
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return plain(np.asarray(value).tolist())
    if isinstance(value, eqx.Module):
        names = [name for name, cls in parts_of(type(value)).items() if cls is type(value)]
        if names:
            return {"name": names[0], "parameters": _parameters(value)}
    raise TypeError(value)


def _parameters(thing: Any) -> dict[str, Any]:
    """The constructor's parameters, read off the attributes of the same names.

    Raises:
        TypeError: a required one is not there, or JSON cannot hold it.
    """
    parameters = {}
    kept_as = getattr(thing, "kept_as", {})  # where a method bears the parameter's name
    for parameter in parameters_of(type(thing)):
        try:
            attribute = kept_as.get(parameter.name, parameter.name)
            parameters[parameter.name] = plain(getattr(thing, attribute))
        except (AttributeError, TypeError) as error:
            if parameter.required:
                raise TypeError(parameter.name) from error
    return parameters


def _equal(one: Any, other: Any) -> bool:
    """Whether two modules agree to the last digit, wherever their arrays are held."""
    leaves, structure = jax.tree.flatten(one)
    others, other_structure = jax.tree.flatten(other)
    if structure != other_structure:
        return False
    pairs = zip(leaves, others, strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs)
