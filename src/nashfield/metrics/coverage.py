"""How evenly a crowd fills a space: its mass in each free cell and in walls."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array as JaxArray
from jaxtyping import Float, PRNGKeyArray

from nashfield.checks import check_size
from nashfield.games.continuous import ContinuousGame
from nashfield.mean_fields import AbstractMeanField, Particles
from nashfield.mean_fields.cells import Cells
from nashfield.mean_fields.points import known
from nashfield.results import ParameterError
from nashfield.typing import Array

# Points of a cell, along each dimension, at which a density is read.
_NUM_POINTS = 5


class Coverage(eqx.Module):
    """A crowd counted in cells.

    Attributes:
        cells: the cells; those whose centre lies in a wall are not free.
        masses: (*batch, S) share of the crowd in each free cell, 0 in the others.
        blocked: (*batch,) share of the crowd that is in a wall or outside the domain.
        num_counted: (*batch,) how many states were counted in free cells; infinite where a density
            was read.
    """

    cells: Cells
    masses: Float[Array, "*batch S"]
    blocked: Float[Array, "*batch"]
    num_counted: Float[Array, "*batch"]

    @property
    def coefficient_of_variation(self) -> Float[Array, "*batch"]:
        """Standard deviation of the masses of the free cells over their mean.

        0 for a uniform crowd, sqrt(M - 1) for one in a single cell of M; the chance of n states
        adds about M / n to its square.
        """
        return jnp.sqrt(self._square)

    @property
    def denoised_coefficient(self) -> Float[Array, "*batch"]:
        """sqrt(max(CV^2 - M / n, 0)): that of the law from which the n states were drawn."""
        return jnp.sqrt(jnp.maximum(self._square - self._num_free / self.num_counted, 0))

    @property
    def _num_free(self) -> Float[Array, ""]:
        return jnp.sum(jnp.asarray(self.cells.free), dtype=self.masses.dtype)

    @property
    def _square(self) -> Float[Array, "*batch"]:
        free = jnp.asarray(self.cells.free)
        mean = jnp.sum(self.masses, -1, keepdims=True) / self._num_free
        square = jnp.sum(jnp.where(free, (self.masses - mean) ** 2, 0), -1) / self._num_free
        return square / mean[..., 0] ** 2


def coverage(
    game: ContinuousGame,
    crowd: Float[Array, "*batch n D"] | AbstractMeanField,
    *,
    num_cells: int = 40,
    num_samples: int = 1_000_000,
    key: PRNGKeyArray | None = None,
) -> Coverage:
    """Counts a crowd in equal cells of the domain.

    The denoised coefficient of variation compares crowds that were sampled with different numbers
    of agents: with few of them most of the plain one is the chance of the draws.

    Args:
        game: a game with a bounded domain; cells whose centre is not `free` are left out.
        crowd: states, or a law. The states of `Particles` are counted. Of another law states are
            drawn and counted if there is a key, else its density is read at 5^D points of each
            cell.
        num_cells: cells along each dimension.
        num_samples: how many states to draw.
        key: of the draws.

    Raises:
        ParameterError: a size makes no sense, or the domain is infinite.
        ValueError: the states are not of the game's dimension, or there are none.
    """
    check_size("num_cells", num_cells)
    check_size("num_samples", num_samples)
    low, high = game.domain
    if known(low, high) and not np.isfinite([low, high]).all():
        raise ParameterError(
            f"coverage needs a bounded domain, and that of {type(game).__name__} goes from {low} "
            f"to {high}"
        )
    shape = (num_cells,) * game.state_dim
    cells = Cells(low, high, shape=shape, periodic=game.periodic)
    cells = Cells(low, high, jax.vmap(game.free)(cells.centres), shape, game.periodic)
    if isinstance(crowd, Particles):
        crowd = jnp.asarray(crowd.states)
    if isinstance(crowd, AbstractMeanField):
        if key is None:
            return _read(game, crowd, cells)
        crowd = crowd.sample(key, num_samples)
    states = jnp.asarray(crowd)
    if states.ndim < 2 or states.shape[-1] != game.state_dim or states.shape[-2] == 0:
        raise ValueError(
            f"crowd must be a law or states of shape (*batch, n, {game.state_dim}) with n of at "
            f"least 1, not {states.shape}"
        )
    count = functools.partial(_count, game, cells)
    for _ in range(states.ndim - 2):
        count = jax.vmap(count)
    masses, blocked, counted = count(states)
    return Coverage(cells, masses, blocked, counted)


def _count(game: Any, cells: Cells, states: Float[Array, "n D"]) -> tuple[JaxArray, ...]:
    index, free = jax.vmap(lambda x: (cells.locate(x), _may_be(game, cells, x)))(states)
    # Integers: single precision stops counting at 2^24.
    counts = jnp.zeros(cells.num_cells, int).at[index].add(free.astype(int))
    counts = jnp.where(jnp.asarray(cells.free), counts, 0)
    num = states.shape[0]
    number = states.dtype
    blocked = jnp.sum(~free) / num
    return (counts / num).astype(number), blocked.astype(number), jnp.sum(counts).astype(number)


def _read(game: Any, law: AbstractMeanField, cells: Cells) -> Coverage:
    dim = len(cells.shape)
    steps = (np.arange(_NUM_POINTS) + 0.5) / _NUM_POINTS - 0.5
    inner = np.stack(np.meshgrid(*[steps] * dim, indexing="ij"), -1).reshape(-1, dim)
    points = (cells.centres[:, None] + inner * cells.width).reshape(-1, dim)
    part = jnp.prod(cells.width) / len(inner)
    shares = jnp.exp(law.log_density(points)) * part
    free = jax.vmap(lambda x: _may_be(game, cells, x))(points)
    each = jnp.sum(jnp.where(free, shares, 0).reshape(-1, len(inner)), -1)
    masses = jnp.where(jnp.asarray(cells.free), each, 0)
    # What is missing inside the domain is outside.
    blocked = jnp.sum(jnp.where(free, 0, shares)) + jnp.maximum(1 - jnp.sum(shares), 0)
    return Coverage(cells, masses, blocked, jnp.full_like(blocked, jnp.inf))


def _may_be(game: Any, cells: Cells, x: Float[Array, "D"]) -> JaxArray:
    return game.free(x) & cells.contains(x)
