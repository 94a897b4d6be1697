"""Games and solvers by name, a user's game from a file, and what to write down to get them back."""

import hashlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import equinox as eqx
import jax
import numpy as np

from nashfield.games.base import AbstractGame, FiniteGame
from nashfield.games.checks import check_game
from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.parameters import Parameter, build, parameters_of, parts_of
from nashfield.registry import GAMES, SOLVERS, find, suggest
from nashfield.results import GameError, NashfieldError

_GAMES = (AbstractGame, ContinuousStationaryGame)
_NO_PARAMETERS: Mapping[str, Any] = {}


def load_game(spec: str, parameters: Mapping[str, Any] = _NO_PARAMETERS) -> Any:
    """A game by its name, or from a user's file.

    Args:
        spec: a name of the zoo ("beach-bar"), or "path/to/my_game.py:MyGame"; such a file is run.
        parameters: of the constructor, as text or of the right type.

    Returns:
        The game; one from a file has passed `check_game`.

    Raises:
        UnknownNameError: no game, or no parameter, of that name.
        ParameterError: see `parameters.build`.
        GameError: the file cannot be read or run, it has no such class, or its game is wrong.
    """
    if not _is_file(spec):
        return build(find(GAMES, spec, "game"), parameters, spec)
    path, _, name = spec.rpartition(":") if re.search(r"\.py:[^/\\]*$", spec) else (spec, "", "")
    cls = _game_class(Path(path), name)
    game = build(cls, parameters, name)
    check_game(game)
    return game


def load_solver(name: str, parameters: Mapping[str, Any] = _NO_PARAMETERS) -> Any:
    """A solver by its name.

    Args:
        name: such as "online-mirror-descent".
        parameters: of the constructor, as text or of the right type; a part, such as a best
            response, is named.

    Raises:
        UnknownNameError: no solver, or no parameter, of that name.
        ParameterError: see `parameters.build`.
    """
    return build(find(SOLVERS, name, "solver"), parameters, name)


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
    head = _head_of(cls)
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
    if path.is_file() and _sha256(path) != spec["sha256"]:
        raise GameError(
            f"{path} has changed since this game was written down; if it is still the same game, "
            f"say so with --game {source}"
        )
    return load_game(source, parameters)


def describe(cls: type) -> dict[str, Any]:
    """What a listing says of a class of games or solvers, in terms that JSON can hold.

    Returns:
        name; kind ("finite", "stationary", or "solver"); summary (first sentence of the docstring);
        parameters (a list of name, default, type; no default where it is required); source (the
        sentence after "Source:", or None).
    """
    kind = "solver"
    if issubclass(cls, _GAMES):
        kind = "finite" if issubclass(cls, FiniteGame) else "stationary"
    text = " ".join((cls.__doc__ or "").split("Attributes:")[0].split())
    _, found, source = text.partition("Source: ")
    head = _head_of(cls) or {}
    return {
        "name": head.get("name", cls.__name__),
        "kind": kind,
        "summary": _first_sentence(text),
        "parameters": [_listed(p) for p in parameters_of(cls)],
        "source": _first_clause(source) if found else None,
    }


def _first_sentence(text: str) -> str:
    return re.split(r"\.(?=\s|$)", text, maxsplit=1)[0]


def _first_clause(text: str) -> str:
    """Up to the first full stop, colon or semicolon outside of quotes and parentheses."""
    depth, quoted = 0, False
    for i, letter in enumerate(text):
        quoted ^= letter == '"'
        depth += (letter == "(") - (letter == ")")
        # "et al. (2022)" and "section 5.1" go on behind the stop.
        ends = letter in ":;." and re.match(r"\s+[^\s(]|\s*$", text[i + 1 :])
        if ends and not quoted and depth == 0:
            return text[:i]
    return text


def _listed(parameter: Parameter) -> dict[str, Any]:
    listed: dict[str, Any] = {"name": parameter.name, "type": parameter.kind}
    if not parameter.required:
        try:
            listed["default"] = _plain(parameter.default)
        except TypeError:
            listed["default"] = repr(parameter.default)
    if parameter.choices:
        listed["choices"] = list(parameter.choices)
    return listed


def _is_file(spec: str) -> bool:
    return spec.endswith(".py") or ".py:" in spec or "/" in spec or "\\" in spec


def _game_class(path: Path, name: str) -> type:
    """The class of games `name` of a user's file."""
    if path.suffix != ".py":
        raise GameError(f"{path} names no Python file: write path/to/my_game.py:MyGame")
    if not path.is_file():
        raise GameError(f"there is no file {path}")
    module = _run(path.resolve())
    games = [
        key
        for key, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, _GAMES)
        and value.__module__ == module.__name__
    ]
    has = f"it has {', '.join(games)}" if games else "it has no game"
    if not name:
        raise GameError(f"say which game of {path.name}: write {path}:NAME; {has}")
    cls = getattr(module, name, None)
    if cls is None:
        near = f"; {suggest(name, games)}" if games else ""
        raise GameError(f"{path} has no class {name}; {has}{near}")
    if not isinstance(cls, type) or not issubclass(cls, _GAMES):
        raise GameError(
            f"{name} of {path} is no game: derive it from nashfield.FiniteGame, "
            "nashfield.SeparableGame, nashfield.StationaryGame, or "
            "nashfield.ContinuousStationaryGame"
        )
    lacking = sorted(
        {*getattr(cls, "__abstractmethods__", ()), *getattr(cls, "__abstractvars__", ())}
    )
    if lacking:
        raise GameError(f"{name} of {path} lacks {', '.join(lacking)}")
    return cls


def _run(path: Path) -> ModuleType:
    """Runs a user's file as a module of its own; its neighbours can be imported by it."""
    digest = _sha256(path)
    spec = importlib.util.spec_from_file_location(f"nashfield_user_{digest[:16]}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__sha256__"] = digest
    sys.modules[module.__name__] = module  # dataclasses look their module up
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno for f in frames if f.filename == str(path)]
        if isinstance(error, SyntaxError):
            lines = [error.lineno]
        at = f" at line {lines[-1]}" if lines else ""
        raise GameError(f"{path} fails{at}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _head_of(cls: type) -> dict[str, str] | None:
    """How a specification names the class."""
    for table in (GAMES, SOLVERS):
        for name, (module, attribute) in table.items():
            if (cls.__module__, cls.__qualname__) == (f"nashfield.{module}", attribute):
                return {"name": name}
    inside = "." in cls.__qualname__  # of a function or a class, where no loader finds it
    if inside or cls.__module__.startswith("nashfield."):
        return None
    try:
        path = Path(inspect.getfile(cls)).resolve()
        digest = vars(sys.modules[cls.__module__]).get("__sha256__") or _sha256(path)
    except (OSError, TypeError, KeyError):
        return None
    return {"file": str(path), "class": cls.__name__, "sha256": digest}


def _plain(value: Any) -> Any:
    """`value` in terms that JSON can hold.

    Raises:
        TypeError: there are none.
    """
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)  # strict JSON has no infinity
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return _plain(np.asarray(value).tolist())
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
            parameters[parameter.name] = _plain(getattr(thing, attribute))
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
