"""A box cut into equal cells: where a point lies, and what a table says between the centres."""

import itertools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from nashfield.typing import Array, array

# Beyond the box a line goes on with the mean slope of this part of it.
_SLOPE = 8


class Cells(eqx.Module):
    """A box [low, high] of R^D in shape[0] x ... x shape[D-1] equal cells, numbered row by row.

    Attributes:
        low: (D,).
        high: (D,).
        free: (S,) cells that are no walls; None where all are.
        shape: cells along each dimension; their product is S.
        periodic: whether the box closes into a torus.
    """

    low: Float[Array, "*batch D"] = eqx.field(converter=array)
    high: Float[Array, "*batch D"] = eqx.field(converter=array)
    free: Bool[Array, "*batch S"] | None = None
    shape: tuple[int, ...] = eqx.field(static=True, default=(1,))
    periodic: bool = eqx.field(static=True, default=False)

    @property
    def num_cells(self) -> int:
        """S."""
        return int(np.prod(self.shape))

    @property
    def width(self) -> Float[Array, "*batch D"]:
        """Extent of one cell."""
        return (jnp.asarray(self.high) - self.low) / np.array(self.shape)

    @property
    def centres(self) -> Float[Array, "S D"]:
        """Midpoints of the cells."""
        units = np.stack(np.unravel_index(np.arange(self.num_cells), self.shape), -1) + 0.5
        return jnp.asarray(self.low) + units * self.width

    def position(self, x: Float[Array, "D"]) -> Float[Array, "D"]:
        """`x` counted in cells: 0 at the first centre, 1 at the next one."""
        return (x - jnp.asarray(self.low)) / self.width - 0.5

    def locate(self, x: Float[Array, "D"]) -> Int[Array, ""]:
        """Number of the cell that holds `x`; outside the box the nearest one."""
        index = jnp.floor(self.position(x) + 0.5).astype(int)
        sizes = np.array(self.shape)
        index = index % sizes if self.periodic else jnp.clip(index, 0, sizes - 1)
        return jnp.asarray(sum(index[d] * s for d, s in enumerate(self._strides)))

    def contains(self, x: Float[Array, "D"]) -> Bool[Array, ""]:
        """Whether `x` lies in the box; on a torus everything does."""
        if self.periodic:
            return jnp.asarray(True)
        return jnp.all((x >= self.low) & (x <= self.high))

    def shares(self, x: Float[Array, "D"]) -> tuple[Int[Array, "K"], Float[Array, "K"]]:
        """Splits one agent in `x` among the nearest centres; K = 2^D.

        The split keeps its place on average and is linear in x. Beyond the outer centres it goes
        to them. Walls get nothing.

        Returns:
            Numbers of the cells and the shares, >= 0 with sum 1.
        """
        index, weights = [], []
        for u, size in zip(self.position(x), self.shape, strict=True):
            if self.periodic:
                first = jnp.floor(u)
            else:
                u = jnp.clip(u, 0, size - 1)
                first = jnp.clip(jnp.floor(u), 0, max(size - 2, 0))
            part = u - first
            index.append([first.astype(int), first.astype(int) + 1])
            weights.append([1 - part, part])
        return self._without_walls(*self._combine(index, weights))

    def stencil(self, x: Float[Array, "D"]) -> tuple[Int[Array, "K"], Float[Array, "K"]]:
        """Which centres tell the value of a smooth table at `x`, and with which weights.

        Cubic (Keys 1981: exact for quadratics, K = 4^D) where two centres lie on either side, and
        linear near the edge of the box. Beyond it a line goes on with the mean slope of the last
        eighth of the box: the slope of the last two centres would make errors grow, step by step,
        where agents jump far. Where there are walls the weights are those of `shares`: a table
        means nothing inside them.
        """
        if self.free is not None:
            return self.shares(x)
        index, weights = [], []
        for u, size in zip(self.position(x), self.shape, strict=True):
            first = jnp.floor(u).astype(int)
            span = jnp.ones_like(first)
            if not self.periodic:
                first = jnp.clip(first, 0, max(size - 2, 0))
                wide = max(1, size // _SLOPE)
                span = jnp.where((u < 0) | (u > size - 1), wide, span)
                first = jnp.where(u > size - 1, size - 1 - wide, first)
            s = (u - first) / span
            cubic = [
                s * (-0.5 + s * (1 - 0.5 * s)),
                1 + s * s * (-2.5 + 1.5 * s),
                s * (0.5 + s * (2 - 1.5 * s)),
                s * s * (-0.5 + 0.5 * s),
            ]
            if not self.periodic:
                inner = (first >= 1) & (first <= size - 3) & (u <= size - 1)
                linear = [jnp.zeros_like(s), 1 - s, s, jnp.zeros_like(s)]
                cubic = [jnp.where(inner, c, l) for c, l in zip(cubic, linear, strict=True)]
            index.append([first - 1, first, first + span, first + 2])
            weights.append(cubic)
        return self._combine(index, weights)

    def interpolate(self, table: Float[Array, "S *rest"], x: Float[Array, "D"]) -> Array:
        """What `table`, known at the centres, says at `x`; see `stencil`."""
        index, weights = self.stencil(x)
        return jnp.tensordot(weights, jnp.asarray(table)[index], 1, precision="highest")

    @property
    def _strides(self) -> tuple[int, ...]:
        return tuple(int(np.prod(self.shape[d + 1 :])) for d in range(len(self.shape)))

    def _combine(self, index: list, weights: list) -> tuple[Array, Array]:
        """Products over the dimensions."""
        cells, products = [], []
        kept = [
            [i % n if self.periodic else jnp.clip(i, 0, n - 1) for i in row]
            for row, n in zip(index, self.shape, strict=True)
        ]
        for choice in itertools.product(*(range(len(row)) for row in kept)):
            cell, product = jnp.asarray(0), jnp.asarray(1.0)
            for d, k in enumerate(choice):
                cell = cell + kept[d][k] * self._strides[d]
                product = product * weights[d][k]
            cells.append(cell)
            products.append(product)
        return jnp.stack(cells), jnp.stack(products)

    def _without_walls(self, cells: Array, weights: Array) -> tuple[Array, Array]:
        if self.free is None:
            return cells, weights
        kept = jnp.where(jnp.asarray(self.free)[cells], weights, 0)
        total = jnp.sum(kept)
        some = total > 0
        return cells, jnp.where(some, kept / jnp.where(some, total, 1), weights)
