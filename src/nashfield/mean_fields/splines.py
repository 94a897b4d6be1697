"""Monotone rational-quadratic splines.

A spline on an interval has K bins; on each it is a quotient of quadratics that takes given values
and slopes at both knots, and has an inverse in closed form (Gregory and Delbourgo, 1982; Durkan,
Bekasov, Murray and Papamakarios, "Neural spline flows", 2019, equations 4 to 8).
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.typing import Array

# A bin takes at least this share of the interval, and a slope is at least this steep.
_LEAST = 1e-3
# Splines with tails live on [-_BOUND, _BOUND]; beyond, they are the identity.
_BOUND = 5.0
# The softplus of this, and the least slope, are 1.
_ONE = math.log(math.expm1(1 - _LEAST))


class Spline(eqx.Module):
    """One increasing function.

    Attributes:
        left: (K,) left ends of the bins.
        width: (K,).
        bottom: (K,) values at the left ends.
        height: (K,).
        slopes: (2, K) at the left and the right ends.
        tails: whether it is the identity outside of its interval; else that is all there is.
    """

    left: Float[Array, "K"]
    width: Float[Array, "K"]
    bottom: Float[Array, "K"]
    height: Float[Array, "K"]
    slopes: Float[Array, "2 K"]
    tails: bool = eqx.field(static=True)

    @staticmethod
    def num_parameters(num_bins: int, tails: bool) -> int:
        """How many numbers `of` takes."""
        return 3 * num_bins + (-1 if tails else 1)

    @classmethod
    def of(cls, raw: Float[Array, "P"], num_bins: int, tails: bool) -> "Spline":
        """The spline of unconstrained numbers; of zeros it is the identity.

        Args:
            raw: K for widths, K for heights, the rest for slopes at the knots.
            num_bins: K.
            tails: on [-5, 5] with the identity beyond, or on [0, 1].
        """
        low, high = (-_BOUND, _BOUND) if tails else (0.0, 1.0)
        free = 1 - _LEAST * num_bins
        shares = _LEAST + free * jax.nn.softmax(raw[: 2 * num_bins].reshape(2, num_bins), -1)
        sizes = (high - low) * shares
        # A product; a cumulative sum is several times slower on CPUs.
        before = np.triu(np.ones((num_bins, num_bins), np.float32), 1)
        starts = low + jnp.dot(sizes, before, precision="highest")
        slopes = _LEAST + jax.nn.softplus(raw[2 * num_bins :] + _ONE)
        if tails:
            slopes = jnp.pad(slopes, 1, constant_values=1)  # smooth where it meets the identity
        pairs = jnp.stack([slopes[:-1], slopes[1:]])
        return cls(starts[0], sizes[0], starts[1], sizes[1], pairs, tails)

    def forward(self, x: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Value and log of the slope."""
        left, width, bottom, height, first, second = self._bin(x, self.left)
        part = jnp.clip((x - left) / width, 0, 1)
        steep = height / width
        mixed = part * (1 - part)
        below = steep + (first + second - 2 * steep) * mixed
        y = bottom + height * (steep * part**2 + first * mixed) / below
        return self._finish(x, y, part, steep, first, second)

    def inverse(self, y: Float[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Argument and log of the slope of the inverse."""
        left, width, bottom, height, first, second = self._bin(y, self.bottom)
        up = jnp.clip(y - bottom, 0, height)
        steep = height / width
        bend = up * (first + second - 2 * steep)
        a = height * (steep - first) + bend
        b = height * first - bend
        c = steep * up
        root = jnp.sqrt(jnp.maximum(b**2 + 4 * a * c, 0))
        part = jnp.clip(2 * c / (b + root), 0, 1)
        x, log_slope = self._finish(y, left + part * width, part, steep, first, second)
        return x, -log_slope

    def _bin(self, x: Array, knots: Float[Array, "K"]) -> list[Array]:
        """Numbers of the bin of `x`; by sums, since reading single entries has slow gradients."""
        beyond = x >= knots[1:]
        ends = jnp.ones(1, bool)
        there = jnp.concatenate([ends, beyond]) & ~jnp.concatenate([beyond, ~ends])
        rows = (self.left, self.width, self.bottom, self.height, *self.slopes)
        return [jnp.sum(jnp.where(there, row, 0)) for row in rows]

    def _finish(self, x, y, part, steep, first, second) -> tuple[Array, Array]:
        mixed = part * (1 - part)
        above = second * part**2 + 2 * steep * mixed + first * (1 - part) ** 2
        below = steep + (first + second - 2 * steep) * mixed
        log_slope = 2 * jnp.log(steep) + jnp.log(above) - 2 * jnp.log(below)
        if not self.tails:
            return y, log_slope
        inside = jnp.abs(x) < _BOUND
        return jnp.where(inside, y, x), jnp.where(inside, log_slope, 0)
