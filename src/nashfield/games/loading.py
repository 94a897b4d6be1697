"""Games and solvers by name, and a user's game from a file."""

import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from nashfield.games.base import AbstractGame
from nashfield.games.checks import check_game
from nashfield.games.continuous import ContinuousGame
from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.games.rates import RateGame
from nashfield.parameters import build
from nashfield.registry import GAMES, SOLVERS, find, suggest
from nashfield.results import GameError

GAME_KINDS = (AbstractGame, ContinuousGame, ContinuousStationaryGame, RateGame)
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
        and issubclass(value, GAME_KINDS)
        and value.__module__ == module.__name__
    ]
    has = f"it has {', '.join(games)}" if games else "it has no game"
    if not name:
        raise GameError(f"say which game of {path.name}: write {path}:NAME; {has}")
    cls = getattr(module, name, None)
    if cls is None:
        near = f"; {suggest(name, games)}" if games else ""
        raise GameError(f"{path} has no class {name}; {has}{near}")
    if not isinstance(cls, type) or not issubclass(cls, GAME_KINDS):
        raise GameError(
            f"{name} of {path} is no game: derive it from nashfield.FiniteGame, "
            "nashfield.SeparableGame, nashfield.StationaryGame, nashfield.ContinuousGame, or "
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
    digest = sha256(path)
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


def sha256(path: Path) -> str:
    """Digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
