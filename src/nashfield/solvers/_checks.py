"""Checks of a solver's numbers, for `__check_init__`; what jit traces cannot be checked."""

import math
from typing import Any

import equinox as eqx
import jax.core
import numpy as np

from nashfield.results import ParameterError


def check_number(
    owner: eqx.Module,
    name: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    whole: bool = False,
) -> None:
    """Checks the attribute `name` of `owner`: one finite number in range.

    Args:
        owner: the solver.
        name: its attribute.
        above: the value must be larger than this.
        at_least: the value must not be smaller than this.
        at_most: the value must not be larger than this.
        below: the value must be smaller than this.
        whole: the value must have no fractional part.

    Raises:
        ParameterError: it is no number, several numbers, NaN, infinite, or out of range.
    """
    value: Any = getattr(owner, name)
    where = f"{type(owner).__name__}: {name}"
    if np.result_type(getattr(value, "dtype", object)).kind not in "fiu":
        raise ParameterError(f"{where} must be a number, not {value!r}")
    if value.ndim:
        raise ParameterError(
            f"{where} must be a single number, not an array of shape {value.shape}; to try several "
            "values at once, build and run the solver inside jax.vmap"
        )
    if isinstance(value, jax.core.Tracer):
        return
    number = float(value)
    limits = [
        ("above", above, above is None or number > above),
        ("at least", at_least, at_least is None or number >= at_least),
        ("at most", at_most, at_most is None or number <= at_most),
        ("below", below, below is None or number < below),
    ]
    inside = math.isfinite(number) and all(holds for _, _, holds in limits)
    if inside and (number.is_integer() or not whole):
        return
    kind = "a whole number," if whole else "finite,"
    wanted = " and ".join(f"{word} {limit:g}" for word, limit, _ in limits if limit is not None)
    raise ParameterError(f"{where} must be {kind} {wanted}, not {number:g}")
