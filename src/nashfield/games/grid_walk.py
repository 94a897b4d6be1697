"""The kernel of a walk on a grid, for grids too large for lists of successors."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from nashfield.games.kernels import Kernel
from nashfield.typing import Array, Scalar

Result = TypeVar("Result")


class GridWalk(Kernel):
    """Five moves (down, up, right, left, stay) on a grid; sometimes the feet take another one.

    With probability `noise` the move is not the chosen one but one of the five, drawn evenly. A
    blocked move leaves the agent in place. Cells are numbered row by row, walls included, so that
    a move is a shift of the flat array: nothing is looked up, and no table of S * A entries is made
    unless it is asked for.

    Attributes:
        columns: cells in a row.
        open_moves: (5, S) whether a move is not blocked.
        noise: probability that the move is a random one.
    """

    columns: int = eqx.field(static=True)
    open_moves: Bool[Array, "A S"]
    noise: Scalar

    @property
    def offsets(self) -> tuple[int, ...]:
        """What each move adds to the cell's number."""
        return (self.columns, -self.columns, 1, -1, 0)

    def expect_each(
        self, values: Float[Array, "S"]
    ) -> tuple[list[Float[Array, "S"]], Float[Array, "S"]]:
        """`expect` in parts.

        Returns:
            For each action an array of all states, and what is to be added to all of them (which
            no choice between actions depends on).
        """
        reached = self._look(values)
        shared = self.noise / 5 * jnp.asarray(sum(reached))
        return [(1 - self.noise) * there for there in reached], shared

    def push_each(self, mass: Sequence[Float[Array, "S"]]) -> Float[Array, "S"]:
        """`push` of a table given by its columns."""
        slipping = self.noise / 5 * sum(mass)
        moving = [(1 - self.noise) * part + slipping for part in mass]
        return jnp.asarray(
            sum(
                _shifted(jnp.where(free, part, 0), -offset) + jnp.where(free, 0, part)
                for part, free, offset in zip(moving, self.open_moves, self.offsets, strict=True)
            )
        )

    def _look(self, values: Float[Array, "S"]) -> list[jax.Array]:
        """What stands where each move leads."""
        return [
            jnp.where(free, _shifted(values, offset), values)
            for free, offset in zip(self.open_moves, self.offsets, strict=True)
        ]

    def expect(self, values: Float[Array, "S"]) -> Float[Array, "S A"]:
        """See `Kernel.expect`."""
        each, shared = self.expect_each(jnp.asarray(values))
        return jnp.stack(each, -1) + shared[:, None]

    def push(self, mass: Float[Array, "S A"]) -> Float[Array, "S"]:
        """See `Kernel.push`."""
        return self.push_each(list(jnp.asarray(mass).T))

    def dense(self) -> Float[Array, "S A S"]:
        """See `Kernel.dense`."""
        identity = jnp.eye(self.open_moves.shape[1])
        return jnp.moveaxis(jax.vmap(self.expect)(identity), 0, -1)

    def quantile(
        self, level: Float[Array, "N"], states: Int[Array, "N"], actions: Int[Array, "N"]
    ) -> Int[Array, "N"]:
        """See `Kernel.quantile`: the chosen move, or one of five."""
        drawn = jnp.floor((level - (1 - self.noise)) / self.noise * 5).astype(int)
        # Rounding could make a level just below 1 a sixth move.
        moves = jnp.where(level < 1 - self.noise, actions, jnp.minimum(drawn, 4))
        free = jnp.asarray(self.open_moves)[moves, states]
        reached = states + jnp.where(free, jnp.asarray(self.offsets)[moves], 0)
        return reached.astype(states.dtype)

    def stored(self, compute: Callable[[], Result]) -> Result:
        """What `compute()` returns, which XLA then keeps in memory.

        On CPU it would rather compute an array again wherever it is read: five shifts of five
        exponentials each took eight times as long. The branches of a conditional are not merged
        with what surrounds them; the first of these is never taken.
        """
        shapes = jax.eval_shape(compute)

        def nothing() -> Result:
            return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

        return jax.lax.cond(self.noise < 0, nothing, lambda: compute())


def _shifted(values: Float[Array, "S"], offset: int) -> Float[Array, "S"]:
    """values[x + offset], and 0 beyond the ends."""
    margin = abs(offset)
    padded = jnp.pad(values, margin)
    return padded[margin + offset : margin + offset + values.shape[0]]


def open_moves(free: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "A S"]:
    """Which moves of a `GridWalk` a map allows.

    Args:
        free: False on walls; beyond the edge there is nowhere to go.
    """
    padded = np.pad(free, 1)
    rows, columns = free.shape
    steps = ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0))
    reached = [padded[1 + i : 1 + i + rows, 1 + j : 1 + j + columns] for i, j in steps]
    return np.stack([(free & there).reshape(-1) for there in reached])
