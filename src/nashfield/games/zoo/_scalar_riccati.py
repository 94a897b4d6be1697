"""Riccati's equation with constant coefficients on a line, in closed form."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.typing import Array, ScalarLike


class ScalarRiccati(eqx.Module):
    """The solution of y' = a + b y - c y^2 in the time left, from y = end at 0.

    With y = u' / (c u) this is u'' = b u' + a c u, whose exponents are
    (b +- sqrt(b^2 + 4 a c)) / 2; a and c are nonnegative.

    Attributes:
        a: see above.
        b: see above.
        c: see above.
        end: y where no time is left, nonnegative.
    """

    a: Float[Array, ""]
    b: Float[Array, ""]
    c: Float[Array, ""]
    end: Float[Array, ""]

    def value(self, left: ScalarLike | Float[Array, "..."]) -> Float[Array, "..."]:
        """Solution when so much time is left."""
        slow, rise, decay, grown = self._parts(left)
        return (slow * decay + rise * (1 + slow * grown)) / (self.c * (decay + rise * grown))

    def integral(self, left: ScalarLike | Float[Array, "..."]) -> Float[Array, "..."]:
        """Integral of y over the last so much time: log u / c."""
        slow, rise, decay, grown = self._parts(left)
        fast = self.b - slow
        return (fast * left + jnp.log(decay + rise * grown)) / self.c

    def _parts(self, left) -> tuple[Array, Array, Array, Array]:
        """Of u exp(-fast left) = decay + rise grown."""
        gap = jnp.sqrt(self.b**2 + 4 * self.a * self.c)
        slow = (self.b - gap) / 2
        apart = gap > 0
        grown = -jnp.expm1(-gap * left) / jnp.where(apart, gap, 1)
        return (
            slow,
            self.c * self.end - slow,
            jnp.exp(-gap * left),
            jnp.where(apart, grown, left),
        )
