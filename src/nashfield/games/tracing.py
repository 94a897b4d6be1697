"""Calls a game's methods as a solver does, and says at which line of the game one fails."""

import inspect
import linecache
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

from nashfield.results import GameError

_TRACER_ERRORS = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerBoolConversionError,
    jax.errors.TracerIntegerConversionError,
)


def shape_of(game: Any, method: str, function: Callable, *arguments: Any) -> Any:
    """Traces `function(*arguments)` and gives the shapes of what comes out; errors as `call`."""
    return call(game, method, lambda: eqx.filter_eval_shape(function, *arguments))


def call(game: Any, method: str, function: Callable[[], Any]) -> Any:
    """Runs `function`, which calls the game's `method`.

    Args:
        game: the game.
        method: name of the method, for the message.
        function: what to run.

    Returns:
        What `function` returns.

    Raises:
        GameError: it raised something; the message holds the line of the game and the error.
    """
    name = type(game).__name__
    try:
        return function()
    except GameError:
        raise
    except _TRACER_ERRORS as error:
        raise GameError(
            f"{name}.{method} cannot be compiled{_line(game, error)}: t, the mean field and the "
            "game's arrays are traced, so Python's `if`, `int()`, `range()` and NumPy cannot look "
            "at their values. Write jnp.where(t == 0, a, b) in place of `if t == 0`, and jnp in "
            "place of np"
        ) from error
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        raise GameError(f"{name}.{method} fails{_line(game, error)}: {text}") from error


def _line(game: Any, error: Exception) -> str:
    """Where in the game's own file the error arose."""
    try:
        file = inspect.getfile(type(game))
    except (OSError, TypeError):
        return ""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [number for frame, number in frames if frame.f_code.co_filename == file]
    if not lines:
        return ""
    source = linecache.getline(file, lines[-1]).strip()
    return f" at line {lines[-1]} of {Path(file).name} (`{source}`)"
