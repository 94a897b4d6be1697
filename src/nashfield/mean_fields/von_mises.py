"""Von Mises mean fields on the circle."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.mean_fields.base import AbstractMeanField
from nashfield.mean_fields.points import check_states
from nashfield.typing import Array, array

_NUM_NODES = 256
# Draws invert the distribution function, which is linear between so many points.
_NUM_CELLS = 4096


class VonMises(AbstractMeanField):
    """The density exp(concentration cos(2 pi (x - location))) / I0(concentration) on [0, 1).

    Attributes:
        location: (1,), where it is densest.
        concentration: (1,), at least 0.
    """

    location: Float[Array, "*batch 1"] = eqx.field(converter=array)
    concentration: Float[Array, "*batch 1"] = eqx.field(converter=array)

    def mean(self) -> Float[Array, "1"]:
        """Mean of the number in [0, 1) that stands for the state."""
        return self.expect(lambda x: x)

    def expect(self, function: Callable[[Array], Array]) -> Array:
        """Mean of `function`, which takes one state (1,), by Gauss-Legendre quadrature.

        The weights sum to 1, however few nodes a sharp law falls upon.
        """
        nodes, weights = np.polynomial.legendre.leggauss(_NUM_NODES)
        points = jnp.asarray((nodes[:, None] + 1) / 2, self._dtype)
        logs = self.log_density(points) + jnp.asarray(np.log(weights), self._dtype)
        shares = jax.nn.softmax(logs)
        return jnp.tensordot(shares, jax.vmap(function)(points), 1, precision="highest")

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n 1"]:
        """Draws the states of `n` agents."""
        centres = jnp.asarray((np.arange(_NUM_CELLS) + 0.5) / _NUM_CELLS, self._dtype)
        masses = jnp.exp(self.log_density(centres[:, None])) / _NUM_CELLS
        below = jnp.append(jnp.zeros(1, self._dtype), jnp.cumsum(masses))
        edges = jnp.asarray(np.arange(_NUM_CELLS + 1) / _NUM_CELLS, self._dtype)
        level = jax.random.uniform(key, (n,), self._dtype) * below[-1]
        # Rounding may reach 1, which is 0.
        return jnp.mod(jnp.interp(level, below, edges), 1)[:, None]

    def log_density(self, x: Float[Array, "*batch 1"]) -> Float[Array, "*batch"]:
        """Log density at the states `x`, which have period 1.

        Raises:
            ValueError: the states are not of the line.
        """
        x = check_states(x, 1, "VonMises")
        sharp = jnp.asarray(self.concentration)
        angle = 2 * np.pi * (x - jnp.asarray(self.location))
        # log I0(k) = k + log i0e(k)
        log_scale = jnp.log(jax.scipy.special.i0e(sharp))
        return jnp.sum(sharp * (jnp.cos(angle) - 1) - log_scale, -1)

    @property
    def _dtype(self) -> np.dtype:
        return jnp.result_type(jnp.asarray(self.location))
