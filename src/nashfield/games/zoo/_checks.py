"""Checks of a game's parameters, for `__check_init__`; what jit traces cannot be checked."""

import math
from collections.abc import Collection
from typing import Any

import jax.core
import numpy as np


def check_size(name: str, value: Any, least: int = 1) -> None:
    """Raises unless `value` is a whole number of at least `least`.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is too small.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def check_number(
    name: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
) -> None:
    """Raises unless every entry of `value` is finite, in [least, most], and greater than `above`.

    Raises:
        TypeError: it holds no numbers.
        ValueError: an entry lies outside.
    """
    if isinstance(value, jax.core.Tracer):
        return
    entries = np.asarray(value)
    if entries.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be a number, not {value!r}")
    wrong = ~(np.isfinite(entries) & (entries >= least) & (entries <= most) & (entries > above))
    if wrong.any():
        raise ValueError(f"{name} must {_range(least, most, above)}, not {entries[wrong].flat[0]}")


def check_probability(name: str, value: Any) -> None:
    """Raises unless every entry of `value` lies in [0, 1]; errors as `check_number`."""
    check_number(name, value, 0.0, 1.0)


def check_law(name: str, value: Any, num: int) -> None:
    """Raises unless `value` is a law on `num` outcomes.

    Raises:
        TypeError: it holds no numbers.
        ValueError: wrong shape, a negative entry, or a sum other than 1.
    """
    if isinstance(value, jax.core.Tracer):
        return
    if np.shape(value) != (num,):
        raise ValueError(f"{name} must have shape ({num},), not {np.shape(value)}")
    check_probability(name, value)
    total = float(np.sum(np.asarray(value)))
    if abs(total - 1) > 1e-6:
        raise ValueError(f"{name} must sum to 1, not {total}")


def check_choice(name: str, value: Any, choices: Collection[Any]) -> None:
    """Raises ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")


def _range(least: float, most: float, above: float) -> str:
    if above > -math.inf:
        return f"be finite and greater than {above:g}"
    if least > -math.inf and most < math.inf:
        return f"lie between {least:g} and {most:g}"
    if least > -math.inf:
        return f"be finite and at least {least:g}"
    return "be finite"
