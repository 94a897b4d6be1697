"""Gaussian mean fields."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.mean_fields.base import AbstractMeanField
from nashfield.typing import Array, array


class Gaussian(AbstractMeanField):
    """N(location, covariance) on R^D; a covariance of zero is a crowd all in one point.

    Attributes:
        location: (D,).
        covariance: (D, D), symmetric and positive semidefinite.
    """

    location: Float[Array, "*batch D"] = eqx.field(converter=array)
    covariance: Float[Array, "*batch D D"] = eqx.field(converter=array)

    def mean(self) -> Float[Array, "*batch D"]:
        """Mean state."""
        return jnp.asarray(self.location)

    def expect(self, function: Callable[[Array], Array]) -> Array:
        """Mean of `function`, which takes one state (D,)."""
        raise NotImplementedError

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        """Draws the states of `n` agents."""
        noise = jax.random.normal(key, (n, self.location.shape[-1]))
        return self.location + noise @ _root(self.covariance).T

    def log_density(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Log density at the states `x`."""
        raise NotImplementedError


def _root(covariance: Float[Array, "D D"]) -> Float[Array, "D D"]:
    values, vectors = jnp.linalg.eigh(jnp.asarray(covariance))
    return vectors * jnp.sqrt(jnp.maximum(values, 0))
