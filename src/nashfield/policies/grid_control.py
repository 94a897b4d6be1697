"""Policies of games on points that are tables on a grid of states."""

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jaxtyping import Float

from nashfield.controls import AbstractControl
from nashfield.mean_fields.cells import Cells
from nashfield.typing import Array, Time, array


class GridActions(AbstractControl):
    """One action for each cell, interpolated linearly between the centres.

    Attributes:
        actions: (T, S, C).
        cells: the cells.
    """

    actions: Float[Array, "*batch T S C"]
    cells: Cells

    @property
    def horizon(self) -> int:
        """T."""
        return self.actions.shape[-3]

    @property
    def control_dim(self) -> int:
        """C."""
        return self.actions.shape[-1]

    def action(self, t: Time, x: Float[Array, "D"], noise: Float[Array, "C"]) -> Float[Array, "C"]:
        """See `AbstractControl.action`."""
        index, shares = self.cells.shares(x)
        return jnp.dot(shares, jnp.asarray(self.actions)[t, index], precision="highest")

    def log_density(self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"]) -> Float[Array, ""]:
        """Infinite at the action played, minus infinity elsewhere."""
        return jnp.where(jnp.all(a == self.action(t, x, a)), jnp.inf, -jnp.inf)

    def certain(self) -> "GridActions":
        """Itself."""
        return self


class GridControl(AbstractControl):
    """Probabilities of evenly spaced actions for each cell of a grid.

    Noise becomes a level in [0, 1] for every dimension of the action, and a level an action: the
    quantile of the first coordinate, then that of the second one given the first. Between the
    centres of cells the quantiles are interpolated linearly: at a centre the actions are exactly
    those of the table, and a table whose every row is certain is a certain policy.

    Attributes:
        table: (T, S, A), rows sum to 1; actions are numbered row by row.
        low: (C,) least action.
        high: (C,) greatest action.
        cells: the cells.
        shape: actions along each dimension; their product is A.
    """

    table: Float[Array, "*batch T S A"]
    low: Float[Array, "*batch C"] = eqx.field(converter=array)
    high: Float[Array, "*batch C"] = eqx.field(converter=array)
    cells: Cells
    shape: tuple[int, ...] = eqx.field(static=True)

    @property
    def horizon(self) -> int:
        """T."""
        return self.table.shape[-3]

    @property
    def control_dim(self) -> int:
        """C."""
        return len(self.shape)

    def action(self, t: Time, x: Float[Array, "D"], noise: Float[Array, "C"]) -> Float[Array, "C"]:
        """See the class; noise zero draws medians, and `certain()` plays the mean."""
        index, shares = self.cells.shares(x)
        rows = jnp.asarray(self.table)[t, index]
        quantiles = jax.vmap(self._quantile, in_axes=(0, None))(rows, ndtr(noise))
        return jnp.dot(shares, quantiles, precision="highest")

    def log_density(self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"]) -> Float[Array, ""]:
        """There is none.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "a GridControl plays finitely many actions in each cell, which have no density; "
            "control.table holds their probabilities"
        )

    def certain(self) -> GridActions:
        """See `AbstractControl.certain`; means of the table."""
        lattice = action_lattice(self.low, self.high, self.shape)
        means = jnp.einsum("tsa,ac->tsc", self.table, lattice, precision="highest")
        return GridActions(means, self.cells)

    def _quantile(self, row: Float[Array, "A"], level: Float[Array, "C"]) -> Float[Array, "C"]:
        rest = row.reshape(self.shape)
        index: list[Any] = []
        for c, size in enumerate(self.shape):
            cumulated = jnp.cumsum(jnp.sum(rest, tuple(range(1, rest.ndim))))
            choice = jnp.sum(cumulated <= level[c] * cumulated[-1])
            choice = jnp.minimum(choice, size - 1)
            index.append(choice)
            rest = rest[choice]
        steps = np.maximum(np.array(self.shape) - 1, 1)
        step = (jnp.asarray(self.high) - self.low) / steps
        return self.low + jnp.stack(index) * step


def action_lattice(
    low: Float[Array, "C"], high: Float[Array, "C"], shape: tuple[int, ...]
) -> Float[Array, "A C"]:
    """(A, C) evenly spaced actions from `low` to `high`, row by row."""
    units = [np.linspace(0.0, 1.0, n) if n > 1 else np.zeros(1) for n in shape]
    points = np.array(list(itertools.product(*units)))
    return jnp.asarray(low) + points * (jnp.asarray(high) - low)
