"""Affine policies."""

import equinox as eqx
import jax.numpy as jnp
import jax.scipy.linalg as linalg
from jaxtyping import Float

from nashfield.controls.base import AbstractControl
from nashfield.typing import Array, Time, array


class Affine(AbstractControl):
    """a = gain_t x + offset_t + spread_t noise.

    Attributes:
        gain: (T, C, D).
        offset: (T, C).
        spread: (T, C, C), a square root of the covariance of the action; None for none.
    """

    gain: Float[Array, "*batch T C D"] = eqx.field(converter=array)
    offset: Float[Array, "*batch T C"] = eqx.field(converter=array)
    spread: Float[Array, "*batch T C C"] | None = None

    def action(self, t: Time, x: Float[Array, "D"], noise: Float[Array, "C"]) -> Float[Array, "C"]:
        """See `AbstractControl.action`."""
        mean = jnp.asarray(self.gain)[t] @ x + jnp.asarray(self.offset)[t]
        return mean if self.spread is None else mean + jnp.asarray(self.spread)[t] @ noise

    def log_density(self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"]) -> Float[Array, ""]:
        """See `AbstractControl.log_density`."""
        mean = self.certain().action(t, x, a)
        if self.spread is None:
            return jnp.where(jnp.all(a == mean), jnp.inf, -jnp.inf)
        spread = jnp.asarray(self.spread)[t]
        covariance = spread @ spread.T
        root = jnp.linalg.cholesky(covariance)
        scaled = linalg.solve_triangular(root, a - mean, lower=True)
        log_det = jnp.sum(jnp.log(jnp.diag(root)))
        return -0.5 * (scaled @ scaled) - log_det - 0.5 * len(a) * jnp.log(2 * jnp.pi)

    def certain(self) -> "Affine":
        """See `AbstractControl.certain`."""
        return Affine(self.gain, self.offset)
