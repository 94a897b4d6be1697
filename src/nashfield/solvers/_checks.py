"""One way to refuse a parameter that no algorithm can work with."""

from typing import Any

import jax
import jax.core
import numpy as np


def check_number(
    owner: object,
    name: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    whole: bool = False,
) -> None:
    """Checks the attribute `name` of `owner`, to be called from `__check_init__`.

    Traced values pass: what they will be is not known yet.

    Args:
        owner: the solver.
        name: its attribute, a single real number.
        above: the value must be larger than this.
        at_least: the value must not be smaller than this.
        at_most: the value must not be larger than this.
        below: the value must be smaller than this.
        whole: the value must have no fractional part.

    Raises:
        TypeError: the attribute is not a number.
        ValueError: it is an array of several numbers, or out of range (NaN always is).
    """
    value: Any = getattr(owner, name)
    where = f"{type(owner).__name__}: {name}"
    if not isinstance(value, np.ndarray | jax.Array) or value.dtype.kind not in "fiu":
        raise TypeError(f"{where} must be a number, not {value!r}")
    if value.ndim:
        raise ValueError(
            f"{where} must be a single number, not an array of shape {value.shape}; to try several "
            "values at once, build and run the solver inside jax.vmap"
        )
    if isinstance(value, jax.core.Tracer):
        return
    limits = (
        ("above", above, lambda x, limit: x > limit),
        ("at least", at_least, lambda x, limit: x >= limit),
        ("at most", at_most, lambda x, limit: x <= limit),
        ("below", below, lambda x, limit: x < limit),
    )
    given = [(word, limit, holds) for word, limit, holds in limits if limit is not None]
    number = float(value)
    inside = all(holds(number, limit) for _, limit, holds in given)
    if not inside or (whole and not number.is_integer()):
        wanted = " and ".join(f"{word} {limit:g}" for word, limit, _ in given)
        wanted = f"a whole number {wanted}" if whole else wanted
        raise ValueError(f"{where} must be {wanted}, not {number:g}")
