"""Calls a game's methods as a solver does, and says at which line of the game one fails."""

import inspect
import linecache
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

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


def check_sizes(game: Any, *names: str) -> None:
    """Raises GameError unless the attributes `names` of the game are positive Python ints."""
    for name in names:
        value = getattr(game, name, None)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise GameError(
                f"{type(game).__name__}.{name} must be a positive Python int, because array shapes "
                f"follow from it, not {value!r}"
            )


def check_output(
    game: Any, method: str, shape: tuple[int, ...], means: str, *arguments: Any
) -> None:
    """Traces `game.method(*arguments)` and looks at what comes out.

    Args:
        game: the game.
        method: name of the method.
        shape: what it must return.
        means: `shape` in words, for the message.
        arguments: of the method, or their shapes.

    Raises:
        GameError: another shape, no real numbers, or the method fails.
    """

    def function(game: Any, *arguments: Any) -> Any:
        return jnp.asarray(getattr(game, method)(*arguments))

    found = shape_of(game, method, function, game, *arguments)
    text = f"{type(game).__name__}.{method}(...) must have shape {means} = {shape}"
    if found.shape != shape:
        raise GameError(f"{text}, but has shape {found.shape}")
    if found.dtype.kind not in "fiub":
        raise GameError(f"{text} and hold real numbers, not {found.dtype}")


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
