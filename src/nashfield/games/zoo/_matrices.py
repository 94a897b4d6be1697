"""Parameters of linear games, which may be numbers, vectors or matrices."""

from collections.abc import Mapping
from typing import Any

import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.results import ParameterError
from nashfield.typing import Array


def dimensions(square: Mapping[str, Any], vectors: Mapping[str, Any], B: Any) -> tuple[int, int]:
    """D and C, as the parameters of a game have them.

    Args:
        square: by name, numbers or matrices (D, D).
        vectors: by name, numbers or vectors (D,).
        B: a number or a matrix (D, C); a number stands for C = D.

    Raises:
        ParameterError: one has too many axes, or two of them do not fit together.
    """
    found: dict[str, int] = {}
    for name, value in {**square, **vectors, "B": B}.items():
        shape, wanted = np.shape(value), 1 if name in vectors else 2
        if not shape:
            continue
        if len(shape) != wanted or (name in square and shape[0] != shape[1]):
            kind = "a vector" if wanted == 1 else "a matrix"
            kind = f"{kind} with as many rows as columns" if name in square else kind
            raise ParameterError(f"{name} must be a number or {kind}, not of shape {shape}")
        found[name] = shape[0]
    if not found:
        return 1, 1
    first, size = next(iter(found.items()))
    for name, other in found.items():
        if other != size:
            raise ParameterError(
                f"{first} says that states have {size} entries, but {name} says {other}"
            )
    return size, np.shape(B)[1] if np.ndim(B) else size


def check_covariance(name: str, value: Any, *, definite: bool = False) -> None:
    """Raises unless `value` is symmetric and has no negative eigenvalue.

    Args:
        name: of the parameter.
        value: a number or a matrix.
        definite: whether no eigenvalue may be zero.

    Raises:
        ParameterError: it is not.
    """
    if isinstance(value, jax.core.Tracer):
        return
    covariance = np.atleast_2d(np.asarray(value, np.float64))
    if not np.allclose(covariance, covariance.T):
        raise ParameterError(f"{name} must be symmetric: it is a covariance")
    least = np.min(np.linalg.eigvalsh(covariance))
    if least < -1e-7 * np.max(np.abs(covariance)):
        raise ParameterError(f"{name} is no covariance: it has the negative eigenvalue {least:.3g}")
    if definite and least <= 1e-12 * np.max(np.abs(covariance)):
        raise ParameterError(f"{name} must be positive definite: the crowd must have a density")


def matrix(value: Any, rows: int, columns: int | None = None) -> Float[Array, "R C"]:
    """The matrix that `value` stands for; a number is a multiple of the identity."""
    value = jnp.asarray(value, jnp.result_type(float))
    return value if value.ndim else value * jnp.eye(rows, columns)


def vector(value: Any, size: int) -> Float[Array, "D"]:
    """The vector that `value` stands for; a number is one of equal entries."""
    return jnp.broadcast_to(jnp.asarray(value, jnp.result_type(float)), (size,))
