"""Checks of single parameters; what jit traces cannot be checked."""

import math
from typing import Any

import jax.core
import numpy as np

from nashfield.results import ParameterError


def check_size(name: str, value: Any, least: int = 1) -> None:
    """Raises unless `value` is a whole number of at least `least`.

    Raises:
        ParameterError: it is not, or it is too small.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ParameterError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise ParameterError(f"{name} must be at least {least}, not {value}")


def check_number(
    name: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
) -> None:
    """Raises unless every entry of `value` is finite, in [least, most], and greater than `above`.

    Raises:
        ParameterError: it holds no numbers, or one outside.
    """
    if isinstance(value, jax.core.Tracer):
        return
    entries = np.asarray(value)
    if entries.dtype.kind not in "fiu":
        raise ParameterError(f"{name} must be a number, not {value!r}")
    wrong = ~(np.isfinite(entries) & (entries >= least) & (entries <= most) & (entries > above))
    if wrong.any():
        raise ParameterError(
            f"{name} must {_range(least, most, above)}, not {entries[wrong].flat[0]}"
        )


def check_draws(num_states: Any, num_actions: Any, horizon: Any, coupling: Any, seed: Any) -> None:
    """Checks what every random game is drawn from; errors as `check_size` and `check_number`."""
    check_size("num_states", num_states)
    check_size("num_actions", num_actions)
    check_size("horizon", horizon)
    check_number("coupling", coupling)
    check_size("seed", seed, least=0)


def check_probability(name: str, value: Any) -> None:
    """Raises unless every entry of `value` lies in [0, 1]; errors as `check_number`."""
    check_number(name, value, 0.0, 1.0)


def check_law(name: str, value: Any) -> None:
    """Raises unless the entries of `value` are probabilities that sum to 1.

    Raises:
        ParameterError: they are not.
    """
    check_probability(name, value)
    if not isinstance(value, jax.core.Tracer) and abs(np.sum(value) - 1) > 1e-6:
        raise ParameterError(f"{name} must sum to 1, not to {float(np.sum(value)):.6g}")


def _range(least: float, most: float, above: float) -> str:
    if above > -math.inf:
        return f"be finite and greater than {above:g}"
    if least > -math.inf and most < math.inf:
        return f"lie between {least:g} and {most:g}"
    if least > -math.inf:
        return f"be finite and at least {least:g}"
    return "be finite"
