"""Affine policies."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
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

    @property
    def horizon(self) -> int:
        """T."""
        return self.gain.shape[-3]

    @property
    def control_dim(self) -> int:
        """C."""
        return self.offset.shape[-1]

    def action(self, t: Time, x: Float[Array, "D"], noise: Float[Array, "C"]) -> Float[Array, "C"]:
        """See `AbstractControl.action`."""
        mean = jnp.asarray(self.gain)[t] @ x + jnp.asarray(self.offset)[t]
        return mean if self.spread is None else mean + jnp.asarray(self.spread)[t] @ noise

    def log_density(self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"]) -> Float[Array, ""]:
        """See `AbstractControl.log_density`; infinite where a noise is zero."""
        mean = self.certain().action(t, x, a)
        if self.spread is None:
            return jnp.where(jnp.all(a == mean), jnp.inf, -jnp.inf)
        spread = jnp.asarray(self.spread)[t]
        covariance = jnp.dot(spread, spread.T, precision="highest")
        least = jnp.finfo(covariance.dtype).eps * len(a) * jnp.diag(covariance)

        # Written out, as policies are vmapped, and LAPACK is not called on batches.
        def eliminate(k, carry):
            covariance, missed, log, sure, possible = carry
            pivot = covariance[k, k]
            there = pivot > least[k]
            safe = jnp.where(there, pivot, 1)
            log = log - jnp.where(there, missed[k] ** 2 / safe + jnp.log(2 * np.pi * safe), 0) / 2
            sure = sure | ~there
            possible = possible & (there | (missed[k] ** 2 <= least[k]))
            column = jnp.where(there, covariance[:, k] / safe, 0)
            covariance = covariance - jnp.outer(column, covariance[k])
            return covariance, missed - column * missed[k], log, sure, possible

        log = jnp.zeros((), covariance.dtype)
        start = covariance, a - mean, log, jnp.asarray(False), jnp.asarray(True)
        _, _, log, sure, possible = jax.lax.fori_loop(0, len(a), eliminate, start)
        return jnp.where(sure, jnp.where(possible, jnp.inf, -jnp.inf), log)

    def certain(self) -> "Affine":
        """See `AbstractControl.certain`."""
        return Affine(self.gain, self.offset)
