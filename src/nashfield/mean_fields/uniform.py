"""Uniform mean fields on boxes."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.mean_fields.base import AbstractMeanField
from nashfield.typing import Array, array


class Uniform(AbstractMeanField):
    """The uniform law on the box [low, high].

    Attributes:
        low: (D,).
        high: (D,), above `low` in every entry.
    """

    low: Float[Array, "*batch D"] = eqx.field(converter=array)
    high: Float[Array, "*batch D"] = eqx.field(converter=array)

    def mean(self) -> Float[Array, "*batch D"]:
        """Mean state."""
        return (jnp.asarray(self.low) + self.high) / 2

    def expect(self, function: Callable[[Array], Array]) -> Array:
        """Mean of `function`, which takes one state (D,)."""
        raise NotImplementedError

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        """Draws the states of `n` agents."""
        unit = jax.random.uniform(key, (n, self.low.shape[-1]))
        return self.low + unit * (jnp.asarray(self.high) - self.low)

    def log_density(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Log density at the states `x`; minus infinity outside."""
        inside = jnp.all((x >= self.low) & (x <= self.high), -1)
        return jnp.where(inside, -jnp.sum(jnp.log(jnp.asarray(self.high) - self.low), -1), -jnp.inf)
