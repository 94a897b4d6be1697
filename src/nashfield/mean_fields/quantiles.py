"""Quantiles of crowds on the line."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.mean_fields.base import AbstractMeanField
from nashfield.mean_fields.particles import Particles, TabulatedParticles
from nashfield.typing import Array, ScalarLike

# Halvings, and how far from the mean the search begins: no finite crowd is cut off by it.
_NUM_HALVINGS = 60
_FAR = 64.0


def quantile(mean_field: AbstractMeanField, level: ScalarLike) -> Float[Array, ""]:
    """The state below which a share `level` of the crowd is; states on the line.

    Of particles the order statistic, between two of them linearly, with derivatives; of other laws
    by halving on `expect`, as fine as that tells states apart (a cell of a grid).

    Args:
        mean_field: a law on R^1.
        level: in (0, 1).
    """
    if isinstance(mean_field, TabulatedParticles):
        mean_field = mean_field.particles
    if isinstance(mean_field, Particles):
        return jnp.quantile(jnp.asarray(mean_field.states)[..., 0], level)
    middle = mean_field.mean()[0]
    spread = jnp.sqrt(mean_field.expect(lambda x: (x[0] - middle) ** 2))

    def halve(_: Any, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        cut = (low + high) / 2
        below = mean_field.expect(lambda x: (x[0] <= cut).astype(cut.dtype)) < level
        return jnp.where(below, cut, low), jnp.where(below, high, cut)

    ends = (middle - _FAR * spread, middle + _FAR * spread)
    low, high = jax.lax.fori_loop(0, _NUM_HALVINGS, halve, ends)
    return (low + high) / 2
