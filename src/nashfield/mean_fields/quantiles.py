"""Quantiles of crowds on the line."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Float

from nashfield.mean_fields.base import AbstractMeanField
from nashfield.mean_fields.gaussian import Gaussian
from nashfield.mean_fields.grid import GridLaw
from nashfield.mean_fields.particles import Particles, TabulatedParticles
from nashfield.mean_fields.uniform import Uniform
from nashfield.typing import Array, ScalarLike

# Halvings, and how far from the mean the search begins: no finite crowd is cut off by it.
_NUM_HALVINGS = 60
_FAR = 64.0


def quantile(mean_field: AbstractMeanField, level: ScalarLike) -> Float[Array, ""]:
    """The state below which a share `level` of the crowd is; states on the line.

    Of particles the order statistic, between two of them linearly; exact of Gaussian and uniform
    laws and of cells, each of which its share fills evenly; all of these with derivatives. Of other
    laws by halving on `expect`, as fine as that tells states apart.

    Args:
        mean_field: a law on R^1.
        level: in (0, 1).
    """
    if isinstance(mean_field, TabulatedParticles):
        mean_field = mean_field.particles
    if isinstance(mean_field, Particles):
        return jnp.quantile(jnp.asarray(mean_field.states)[..., 0], level)
    if isinstance(mean_field, Gaussian):
        deviation = jnp.sqrt(jnp.asarray(mean_field.covariance)[0, 0])
        return mean_field.mean()[0] + deviation * ndtri(jnp.asarray(level, deviation.dtype))
    if isinstance(mean_field, Uniform):
        low, high = jnp.asarray(mean_field.low)[0], jnp.asarray(mean_field.high)[0]
        return low + level * (high - low)
    if isinstance(mean_field, GridLaw):
        return _of_cells(mean_field, level)
    return _by_halving(mean_field, level)


def _of_cells(law: GridLaw, level: ScalarLike) -> Float[Array, ""]:
    masses = jnp.asarray(law.masses)
    below = jnp.cumsum(masses)
    share = jnp.asarray(level, below.dtype) * below[-1]
    cell = jnp.searchsorted(below, share)
    within = 1 - (below[cell] - share) / masses[cell]
    return law.cells.low[0] + (cell + within) * law.cells.width[0]


def _by_halving(law: AbstractMeanField, level: ScalarLike) -> Float[Array, ""]:
    middle = law.mean()[0]
    spread = jnp.sqrt(law.expect(lambda x: (x[0] - middle) ** 2))

    def halve(_: Any, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        cut = (low + high) / 2
        below = law.expect(lambda x: (x[0] <= cut).astype(cut.dtype)) < level
        return jnp.where(below, cut, low), jnp.where(below, high, cut)

    ends = (middle - _FAR * spread, middle + _FAR * spread)
    low, high = jax.lax.fori_loop(0, _NUM_HALVINGS, halve, ends)
    return (low + high) / 2
