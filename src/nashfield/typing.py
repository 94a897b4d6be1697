"""Array aliases and the library's dimension letters.

T times (decisions; T1 = T + 1), S states, A actions, K successors of one state-action pair,
N agents, D state dimension, C control dimension.
"""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, Real

Array = jax.Array | np.ndarray
Scalar = Float[Array, ""]
"""A number that stays traced: changing its value compiles nothing."""

ScalarLike = Real[jax.typing.ArrayLike, ""]
"""What a user may write where a `Scalar` is meant."""

Time = int | Int[Array, ""]
"""A decision time t in 0..T-1 (or T for the terminal mean field); traced inside a solver."""


def scalar(value: Any) -> Any:
    """Turns a number into a 0-d array, so that jit traces it and never compiles for its value.

    NumPy holds it (in float64) until a jitted function takes it in at JAX's own precision: no
    device work happens when a game or a solver is built. JAX arrays and tracers pass unchanged.

    Args:
        value: a Python, NumPy or JAX number.

    Returns:
        A 0-d array; whatever is not a number comes back as it was, for type checks to name it.
    """
    if isinstance(value, bool | str) or not isinstance(value, int | float | np.number):
        return value
    return np.asarray(value, dtype=np.float64)


def array(value: Any) -> Any:
    """Like `scalar` for arrays: NumPy in float64 unless JAX holds it already."""
    if isinstance(value, jax.Array):
        return value
    return np.asarray(value, dtype=np.float64)
