"""Nodes and weights that stand for a vector of independent standard normal numbers."""

import math
from typing import NamedTuple

import numpy as np

_REACH = 6.0


class Nodes(NamedTuple):
    """Points (M, W) and weights (M,), which sum to 1."""

    points: np.ndarray
    weights: np.ndarray


def gauss_hermite(num: int, dim: int) -> Nodes:
    """The product rule with `num` nodes a dimension: exact for polynomials of degree 2 num - 1."""
    points, weights = np.polynomial.hermite_e.hermegauss(num)
    return _product(points, weights, dim)


def even(num: int, dim: int, reach: float = _REACH) -> Nodes:
    """Evenly spaced nodes over `reach` standard deviations to either side, of variance 1.

    For smooth functions as exact as any; and what is pushed along them lands in all the cells on
    its way, where few nodes far apart would leave gaps.
    """
    if num == 1:
        return _product(np.zeros(1), np.ones(1), dim)
    points = np.linspace(-reach, reach, num)
    weights = np.exp(-(points**2) / 2)
    return _product(points / np.sqrt(weights @ points**2 / weights.sum()), weights, dim)


def lattice(num: int, dim: int) -> np.ndarray:
    """(num, dim) points that fill the unit cube evenly: a Kronecker sequence and its mirror image.

    The steps are powers of the root of g^(dim + 1) = g + 1.
    """
    g = 2.0
    for _ in range(50):
        g = (1 + g) ** (1 / (dim + 1))
    half = -(-num // 2)
    points = (0.5 + np.arange(1, half + 1)[:, None] * g ** -np.arange(1.0, dim + 1)) % 1
    return np.concatenate([points, 1 - points])


def normal_lattice(num: int, dim: int) -> np.ndarray:
    """(num, dim) points of equal weight, mean 0 and variance 1 in each dimension."""
    from scipy.special import ndtri

    points = ndtri(lattice(num, dim))
    return points / np.sqrt(np.mean(points**2, 0))


def _product(points: np.ndarray, weights: np.ndarray, dim: int) -> Nodes:
    grid = np.stack(np.meshgrid(*[points] * dim, indexing="ij"), -1).reshape(-1, dim)
    index = np.meshgrid(*[np.arange(len(points))] * dim, indexing="ij")
    product = math.prod((weights[i] for i in index), start=np.ones(1)).reshape(-1)
    return Nodes(grid, product / product.sum())
