"""Points and weights with which laws integrate; made by NumPy while a program is traced."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.typing import Array

# Nodes a coordinate of a Gauss rule in 1, 2 and 3 dimensions: 64, 576 and 1728 points.
_GAUSS = {1: 64, 2: 24, 3: 12}
_NUM_QUASI = 4096


def average(
    function: Callable[[Array], Array],
    points: Float[Array, "Q D"],
    weights: Float[Array, "Q"],
) -> Array:
    """Weighted sum of `function`, which takes one state (D,), over points."""
    values = jnp.asarray(jax.vmap(function)(jnp.asarray(points)))
    weights = jnp.asarray(weights, jnp.result_type(values, float))
    return jnp.tensordot(weights, values, 1, precision="highest")


@functools.lru_cache(maxsize=32)
def normal_nodes(dim: int) -> tuple[Float[np.ndarray, "Q D"], Float[np.ndarray, "Q"]]:
    """For means over N(0, I) on R^D: Gauss-Hermite up to D = 3, quasi-random points beyond.

    These are made from Sobol's, come in pairs +-z, and are turned and stretched until their
    covariance is I, so that polynomials of degree 3 have their exact means.

    Args:
        dim: D.
    """
    if dim in _GAUSS:
        return _tensor(*np.polynomial.hermite_e.hermegauss(_GAUSS[dim]), dim)
    from scipy.special import ndtri

    points = ndtri(sobol_pairs(_NUM_QUASI, dim))
    root = np.linalg.cholesky(points.T @ points / len(points))
    return np.linalg.solve(root, points.T).T, np.full(len(points), 1 / len(points))


@functools.lru_cache(maxsize=32)
def uniform_nodes(dim: int) -> tuple[Float[np.ndarray, "Q D"], Float[np.ndarray, "Q"]]:
    """For means over the box [0, 1]^D: Gauss-Legendre up to D = 3, quasi-random points beyond.

    These are Sobol's, in pairs x and 1 - x, so that linear functions have exact means.

    Args:
        dim: D.
    """
    if dim in _GAUSS:
        nodes, weights = np.polynomial.legendre.leggauss(_GAUSS[dim])
        return _tensor((nodes + 1) / 2, weights, dim)
    points = sobol_pairs(_NUM_QUASI, dim)
    return points, np.full(len(points), 1 / len(points))


@functools.lru_cache(maxsize=32)
def sobol_pairs(num_points: int, dim: int) -> Float[np.ndarray, "Q D"]:
    """Sobol's points in the middles of their cells, and each of them mirrored at the centre.

    Args:
        num_points: how many, a power of two.
        dim: D.
    """
    from scipy.stats import qmc

    half = qmc.Sobol(dim, scramble=False).random(num_points // 2) + 1 / num_points
    return np.concatenate([half, 1 - half])


def _tensor(nodes: np.ndarray, weights: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    grid = np.stack(np.meshgrid(*[nodes] * dim, indexing="ij"), -1).reshape(-1, dim)
    product = np.prod(np.stack(np.meshgrid(*[weights] * dim, indexing="ij"), -1), -1).reshape(-1)
    return grid, product / product.sum()
