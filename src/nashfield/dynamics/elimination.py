"""Dense linear systems, one at a time.

Batches of factorisations are never handed to LAPACK: where two of them meet in one program, those
of jaxlib (0.10) wait for each other for ever on machines with few cores, each holding a thread that
the other needs (batches spread over the very threads that wait for them). Under vmap systems are
solved one after the other here, which costs little: for a few hundred states one system keeps a
core busy.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from nashfield.typing import Array


@jax.custom_batching.sequential_vmap
def factor(matrix: Float[Array, "S S"]) -> tuple[Float[Array, "S S"], Int[Array, "S"]]:
    """LU factors of a matrix and their pivots, for `resolve`; not differentiable."""
    return jax.scipy.linalg.lu_factor(matrix)


@jax.custom_batching.sequential_vmap
def resolve(
    factors: tuple[Float[Array, "S S"], Int[Array, "S"]], right: Float[Array, "S *K"]
) -> Float[Array, "S *K"]:
    """Solves matrix x = right, columns at once, given the factors; not differentiable."""
    return jax.scipy.linalg.lu_solve(factors, right)


@jax.custom_batching.sequential_vmap
def _resolve_transposed(factors, right):
    return jax.scipy.linalg.lu_solve(factors, right, trans=1)


@jax.custom_batching.sequential_vmap
def least_squares(matrix: Float[Array, "M S"], right: Float[Array, "M"]) -> Float[Array, "S"]:
    """The x of the smallest norm that minimises |matrix x - right|; not differentiable."""
    return jnp.linalg.lstsq(matrix, right)[0]


def solve(matrix: Float[Array, "S S"], right: Float[Array, "S"]) -> Float[Array, "S"]:
    """Solves matrix x = right; differentiable in both.

    Args:
        matrix: not singular.
        right: the right-hand side.
    """
    return solver(matrix)(right)


def solver(matrix: Float[Array, "S S"]) -> Callable[[Array], Array]:
    """`solve` as a function of the right-hand side, factorised once."""
    factors = factor(jax.lax.stop_gradient(matrix))

    def times(x):
        return jnp.dot(matrix, x, precision="highest")

    def forward(_, right):
        return resolve(factors, right)

    def backward(_, right):
        return _resolve_transposed(factors, right)

    return lambda right: jax.lax.custom_linear_solve(times, right, forward, backward)
