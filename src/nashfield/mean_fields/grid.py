"""Mean fields on points by the masses of cells."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Float, PRNGKeyArray

from nashfield.mean_fields.base import AbstractFlow, AbstractMeanField, Flow
from nashfield.mean_fields.cells import Cells
from nashfield.mean_fields.gaussian import Gaussian
from nashfield.mean_fields.particles import Particles
from nashfield.mean_fields.uniform import Uniform
from nashfield.typing import Array

# Points of a cell, along each dimension, at which the density of a law of another kind is read.
_NUM_POINTS = 5


class GridLaw(AbstractMeanField):
    """A law whose density is constant in each cell.

    Attributes:
        masses: (S,) share of the population in each cell; sums to 1.
        cells: the cells.
    """

    masses: Float[Array, "*batch S"]
    cells: Cells

    def mean(self) -> Float[Array, "D"]:
        """Mean state; on a torus that of the coordinates in the box."""
        return jnp.dot(self.masses, self.cells.centres, precision="highest")

    def expect(self, function: Callable[[Array], Array]) -> Array:
        """Mean of `function`, which takes one state (D,), by its values at the centres."""
        values = jax.vmap(function)(self.cells.centres)
        return jnp.tensordot(jnp.asarray(self.masses), values, 1, precision="highest")

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        """Draws the states of `n` agents."""
        cell_key, place_key = jax.random.split(key)
        cell = jax.random.choice(cell_key, self.cells.num_cells, (n,), p=jnp.asarray(self.masses))
        place = jax.random.uniform(place_key, (n, len(self.cells.shape))) - 0.5
        return self.cells.centres[cell] + place * self.cells.width

    def log_density(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Log density at the states `x`; minus infinity outside the box.

        In a cell where nobody is it is that of the least positive mass, about -708 (in single
        precision -87) plus the log of the number of cells to a unit: finite, so that derivatives
        of what is built on it are no NaN.
        """
        points = x.reshape(-1, x.shape[-1])
        masses = jnp.asarray(self.masses)[jax.vmap(self.cells.locate)(points)]
        tiny = jnp.finfo(masses.dtype).tiny
        log_density = jnp.log(jnp.maximum(masses, tiny)) - jnp.sum(jnp.log(self.cells.width))
        inside = jax.vmap(self.cells.contains)(points)
        return jnp.where(inside, log_density, -jnp.inf).reshape(x.shape[:-1])


def grid_laws(
    masses: Float[Array, "T1 S"], cells: Cells, action_mean: Float[Array, "T C"] | None
) -> AbstractFlow:
    """The flow of these masses, on the same cells at every time."""
    times = masses.shape[0]
    repeated = jax.tree.map(lambda x: jnp.broadcast_to(x, (times, *jnp.shape(x))), cells)
    return Flow(GridLaw(masses, repeated), action_mean=action_mean)


def cell_masses(law: AbstractMeanField, cells: Cells) -> Float[Array, "S"]:
    """What share of `law` lies in each cell; sums to 1.

    Exact for uniform laws and for Gaussian ones on the line. Particles, and a Gaussian law without
    spread, are split among the nearest centres. Of other laws the density is read at 5^D points
    of each cell.
    """
    if isinstance(law, Uniform):
        masses = _product(cells, lambda edges, d: jnp.clip(edges, law.low[d], law.high[d]))
    elif isinstance(law, Particles):
        masses = _split(jnp.asarray(law.states), cells)
    elif isinstance(law, Gaussian):
        masses = _gaussian(law, cells)
    else:
        masses = _read(law, cells)
    if cells.free is not None:
        masses = jnp.where(cells.free, masses, 0)
    return masses / jnp.sum(masses)


def _product(cells: Cells, cumulated: Callable) -> Float[Array, "S"]:
    """Masses of a law of independent coordinates, by its distribution functions at the edges."""
    masses = jnp.ones(())
    for d, size in enumerate(cells.shape):
        edges = cells.low[d] + jnp.arange(size + 1) * cells.width[d]
        masses = masses[..., None] * jnp.diff(cumulated(edges, d))
    return masses.reshape(-1)


def _split(points: Float[Array, "N D"], cells: Cells) -> Float[Array, "S"]:
    index, weights = jax.vmap(cells.shares)(points)
    return jnp.zeros(cells.num_cells, weights.dtype).at[index].add(weights)


def _gaussian(law: Gaussian, cells: Cells) -> Float[Array, "S"]:
    variances = jnp.diagonal(jnp.asarray(law.covariance))
    point = _split(jnp.asarray(law.location)[None], cells)
    spread = jnp.where(jnp.all(variances > 0), jnp.sqrt(variances), 1)
    if len(cells.shape) == 1:
        edges = cells.low[0] + jnp.arange(cells.num_cells + 1) * cells.width[0]
        z = (edges - jnp.asarray(law.location)[0]) / spread[0]
        # Each tail from its own side: far out 1 - tiny would be 1.
        masses = jnp.where(z[:-1] > 0, -jnp.diff(ndtr(-z)), jnp.diff(ndtr(z)))
    else:
        covariance = jnp.where(
            jnp.all(variances > 0), jnp.asarray(law.covariance), jnp.eye(len(cells.shape))
        )
        masses = _read(Gaussian(law.location, covariance), cells)
    return jnp.where(jnp.all(variances > 0), masses, point)


def _read(law: AbstractMeanField, cells: Cells) -> Float[Array, "S"]:
    dims = len(cells.shape)
    steps = (jnp.arange(_NUM_POINTS) + 0.5) / _NUM_POINTS - 0.5
    inner = jnp.stack(jnp.meshgrid(*[steps] * dims, indexing="ij"), -1).reshape(-1, dims)
    points = cells.centres[:, None] + inner * cells.width
    return jnp.mean(jnp.exp(law.log_density(points)), -1)
