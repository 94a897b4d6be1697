"""Mean fields on points by the masses of cells."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Float, PRNGKeyArray

from nashfield.mean_fields.base import AbstractFlow, AbstractMeanField, Flow
from nashfield.mean_fields.cells import Cells
from nashfield.mean_fields.gaussian import Gaussian, GaussianMixture, _root
from nashfield.mean_fields.particles import Particles
from nashfield.mean_fields.points import check_states
from nashfield.mean_fields.uniform import Uniform
from nashfield.typing import Array

# Points of a cell, along each dimension, at which the density of a law of another kind is read.
_NUM_POINTS = 5

# Draws of such a law that tell how much of it lies outside the box, and where.
_NUM_DRAWS = 4096

# A Gaussian law in the plane is cut so finely along its first coordinate, in standard deviations.
_CUTS = np.linspace(-6.0, 6.0, 97)

# So many turns of a torus to either side are laid over each other.
_NUM_TURNS = 3


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

        Raises:
            ValueError: the states are not of the space that is cut into cells.
        """
        x = check_states(x, len(self.cells.shape), "GridLaw")
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

    What lies outside the box counts for the outer cells next to it; on a torus it is brought in.
    Exact for uniform laws and for Gaussian ones on the line, near it for these in more dimensions.
    Particles, and Gaussian coordinates without spread, are split among the nearest centres. Of
    other laws the density is read at 5^D points of each cell, and draws tell what is outside.
    """
    if isinstance(law, Uniform):
        masses = _uniform(law, cells)
    elif isinstance(law, Particles):
        masses = _split(jnp.asarray(law.states), cells)
    elif isinstance(law, Gaussian):
        masses = _gaussian(law, cells)
    elif isinstance(law, GaussianMixture):
        each = jax.vmap(lambda member: _gaussian(member, cells))(law.members)
        masses = jnp.dot(jnp.asarray(law.weights), each, precision="highest")
    else:
        masses = _read(law, cells)
    if cells.free is not None:
        masses = jnp.where(cells.free, masses, 0)
    return masses / jnp.sum(masses)


def _edges(cells: Cells, d: int) -> Float[Array, "E"]:
    """Where one cell ends and another one begins along a dimension: on a torus, for some turns."""
    size, turns = cells.shape[d], _NUM_TURNS if cells.periodic else 0
    steps = np.arange(-turns * size, (turns + 1) * size + 1)
    return cells.low[d] + (steps if cells.periodic else steps[1:-1]) * cells.width[d]


def _along(cells: Cells, d: int, below: Array, above: Array) -> Float[Array, "n"]:
    """Masses along a dimension, by the shares `below` and `above` the edges."""
    if not cells.periodic:
        below = jnp.concatenate([jnp.zeros(1), below, jnp.ones(1)])
        above = jnp.concatenate([jnp.ones(1), above, jnp.zeros(1)])
    # Each tail from its own side: far out 1 - tiny would be 1.
    masses = jnp.where(below[:-1] > 0.5, -jnp.diff(above), jnp.diff(below))
    return jnp.sum(masses.reshape(-1, cells.shape[d]), 0)


def _uniform(law: Uniform, cells: Cells) -> Float[Array, "S"]:
    masses = jnp.ones(())
    for d in range(len(cells.shape)):
        low, high = jnp.asarray(law.low)[d], jnp.asarray(law.high)[d]
        below = jnp.clip((_edges(cells, d) - low) / (high - low), 0, 1)
        masses = masses[..., None] * _along(cells, d, below, 1 - below)
    return masses.reshape(-1)


def _split(points: Float[Array, "N D"], cells: Cells) -> Float[Array, "S"]:
    index, weights = jax.vmap(cells.shares)(points)
    masses = jnp.zeros(cells.num_cells, weights.dtype).at[index].add(weights)
    return masses / points.shape[0]


def _gaussian(law: Gaussian, cells: Cells, d: int = 0, place: Any = None) -> Float[Array, "S"]:
    """Masses along the dimensions from `d` on, where those before have put the mean at `place`.

    Coordinate by coordinate: each is normal given those before it.
    """
    place = jnp.asarray(law.location) if place is None else place
    root = _root(jnp.asarray(law.covariance))
    mean, spread = place[d], root[d, d]
    there = spread > 0
    scale = jnp.where(there, spread, 1)
    low, high = (jnp.asarray(bound)[d : d + 1] for bound in (cells.low, cells.high))
    line = Cells(low, high, shape=cells.shape[d : d + 1], periodic=cells.periodic)
    z = (_edges(cells, d) - mean) / scale
    point = _split(mean[None, None], line)
    if d == len(cells.shape) - 1:
        return jnp.where(there, _along(cells, d, ndtr(z), ndtr(-z)), point)
    # Cut at the edges of cells and between, so that in each piece all that follows is as normal.
    cuts = jnp.sort(jnp.concatenate([z, jnp.asarray(_CUTS, z.dtype)]))
    below = jnp.concatenate([jnp.zeros(1), ndtr(cuts), jnp.ones(1)])
    above = jnp.concatenate([jnp.ones(1), ndtr(-cuts), jnp.zeros(1)])
    pieces = jnp.where(below[:-1] > 0.5, -jnp.diff(above), jnp.diff(below))
    ends = jnp.concatenate([cuts[:1], cuts, cuts[-1:]])
    middles = (ends[1:] + ends[:-1]) / 2
    index = jax.vmap(line.locate)(mean + scale * middles[:, None])
    shares = jnp.where(there, jnp.arange(cells.shape[d]) == index[:, None], point)
    column = root[:, d]

    def rest(z: Array) -> Array:
        return _gaussian(law, cells, d + 1, place + column * z)

    after = jax.vmap(rest)(jnp.clip(middles, _CUTS[0], _CUTS[-1]))
    return jnp.einsum("p,pi,pj->ij", pieces, shares, after, precision="highest").reshape(-1)


def _read(law: AbstractMeanField, cells: Cells) -> Float[Array, "S"]:
    dims = len(cells.shape)
    steps = (jnp.arange(_NUM_POINTS) + 0.5) / _NUM_POINTS - 0.5
    inner = jnp.stack(jnp.meshgrid(*[steps] * dims, indexing="ij"), -1).reshape(-1, dims)
    points = cells.centres[:, None] + inner * cells.width
    inside = jnp.mean(jnp.exp(law.log_density(points)), -1)
    draws = law.sample(jax.random.key(0), _NUM_DRAWS)
    left = ~jax.vmap(cells.contains)(draws)
    index, weights = jax.vmap(cells.shares)(draws)
    outside = jnp.zeros_like(inside).at[index].add(weights * left[:, None] / _NUM_DRAWS)
    total = jnp.sum(inside)
    return inside * jnp.mean(~left) / jnp.where(total > 0, total, 1) + outside
