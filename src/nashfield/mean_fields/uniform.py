"""Uniform mean fields on boxes."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.mean_fields.base import AbstractMeanField
from nashfield.mean_fields.nodes import average, uniform_nodes
from nashfield.mean_fields.points import check_states, known
from nashfield.typing import Array, array


class Uniform(AbstractMeanField):
    """The uniform law on the box [low, high].

    Attributes:
        low: (D,).
        high: (D,), above `low` in every entry.

    Raises:
        ValueError: they do not have one shape, or an entry of `low` is not below that of `high`.
    """

    low: Float[Array, "*batch D"] = eqx.field(converter=array)
    high: Float[Array, "*batch D"] = eqx.field(converter=array)

    def __check_init__(self):
        if np.shape(self.low) != np.shape(self.high):
            raise ValueError(
                f"low and high must have one shape, not {self.low.shape} and {self.high.shape}"
            )
        if known(self.low, self.high) and not np.all(np.asarray(self.low) < np.asarray(self.high)):
            raise ValueError(f"low must lie below high, not {self.low} and {self.high}")

    def mean(self) -> Float[Array, "*batch D"]:
        """Mean state."""
        return (jnp.asarray(self.low) + self.high) / 2

    def expect(self, function: Callable[[Array], Array]) -> Array:
        """Mean of `function`, which takes one state (D,).

        By Gauss-Legendre quadrature with 64, 24^2 or 12^3 nodes up to D = 3; beyond by 4096
        quasi-random points.
        """
        nodes, weights = uniform_nodes(self.low.shape[-1])
        low = jnp.asarray(self.low)
        points = low + jnp.asarray(nodes, low.dtype) * (jnp.asarray(self.high) - low)
        return average(function, points, weights)

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        """Draws the states of `n` agents."""
        unit = jax.random.uniform(key, (n, self.low.shape[-1]))
        return self.low + unit * (jnp.asarray(self.high) - self.low)

    def log_density(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Log density at the states `x`; minus infinity outside.

        Raises:
            ValueError: the states are not of R^D.
        """
        x = check_states(x, self.low.shape[-1], "Uniform")
        inside = jnp.all((x >= self.low) & (x <= self.high), -1)
        volume = jnp.sum(jnp.log(jnp.asarray(self.high) - self.low), -1)
        return jnp.where(inside, -volume, -jnp.inf)
