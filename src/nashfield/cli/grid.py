"""Games on points from the shell, on a grid."""

import ast
import inspect
from collections.abc import Mapping
from typing import Any

from nashfield.registry import suggest
from nashfield.results import NashfieldError, ParameterError


def on_grid(name: str, game: Any, settings: Mapping[str, str]) -> Any:
    """`game` on a grid.

    Args:
        name: what the user calls the game.
        game: a game on points.
        settings: arguments of `discretise`, as text.

    Raises:
        NashfieldError: the game has finitely many states, or a setting is unknown or no number.
    """
    from nashfield.dynamics.discretised import discretise
    from nashfield.games.continuous import ContinuousGame

    if not isinstance(game, ContinuousGame):
        raise NashfieldError(f"--grid is for games on points with a horizon, which {name} is not")
    known = [p.name for p in inspect.signature(discretise).parameters.values()][1:]
    for key in settings:
        if key not in known:
            raise NashfieldError(f"--grid has no setting {key!r}; {suggest(key, known)}")
    for key in ("num_cells", "num_actions"):
        if key not in settings:
            size = 60 if key == "num_cells" else 21
            raise NashfieldError(f"--grid needs {key}: write {key}={size}")
    values = {key: _numbers(key, text) for key, text in settings.items()}
    try:
        return discretise(game, **values)
    except (ParameterError, ValueError) as error:
        raise NashfieldError(f"--grid: {error}") from error


def _numbers(key: str, text: str) -> Any:
    """A number, or a tuple of them."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = None
    parts = value if isinstance(value, tuple) else (value,)
    kinds = int if key.startswith("num_") else int | float
    if any(isinstance(part, bool) or not isinstance(part, kinds) for part in parts):
        kind = "a whole number" if kinds is int else "a number"
        raise NashfieldError(
            f"{key} of --grid must be {kind}, or several such as 1,2, not {text!r}"
        )
    return value
