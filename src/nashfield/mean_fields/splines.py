"""Monotone rational-quadratic splines.

A spline on an interval has K bins; on each it is a quotient of quadratics that takes given values
and slopes at both knots, and has an inverse in closed form (Gregory and Delbourgo, 1982; Durkan,
Bekasov, Murray and Papamakarios, "Neural spline flows", 2019, equations 4 to 8).
"""

import math
from typing import Any

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
    """One increasing function, or one for every entry of a batch.

    Bins come first, so that what is done to one of them is done to a whole batch at once.

    Attributes:
        left: (K, *batch) left ends of the bins.
        width: (K, *batch).
        bottom: (K, *batch) values at the left ends.
        height: (K, *batch).
        slopes: (K + 1, *batch) at the knots.
        tails: whether it is the identity outside of its interval; else that is all there is.
    """

    left: Float[Array, "K *batch"]
    width: Float[Array, "K *batch"]
    bottom: Float[Array, "K *batch"]
    height: Float[Array, "K *batch"]
    slopes: Float[Array, "K1 *batch"]
    tails: bool = eqx.field(static=True)

    @staticmethod
    def num_parameters(num_bins: int, tails: bool) -> int:
        """How many numbers `of` takes."""
        return 3 * num_bins + (-1 if tails else 1)

    @classmethod
    def of(cls, raw: Float[Array, "P *batch"], num_bins: int, tails: bool) -> "Spline":
        """The spline of unconstrained numbers; of zeros it is the identity.

        Args:
            raw: K for widths, K for heights, the rest for slopes at the knots.
            num_bins: K.
            tails: on [-5, 5] with the identity beyond, or on [0, 1].
        """
        low, high = (-_BOUND, _BOUND) if tails else (0.0, 1.0)
        free = 1 - _LEAST * num_bins
        # A product; a cumulative sum is several times slower on CPUs.
        before = np.tri(num_bins, k=-1, dtype=np.float32)
        width, height = (
            (high - low) * (_LEAST + free * jax.nn.softmax(part, 0))
            for part in (raw[:num_bins], raw[num_bins : 2 * num_bins])
        )
        left, bottom = (
            low + jnp.tensordot(before, size, 1, precision="highest") for size in (width, height)
        )
        slopes = _LEAST + jax.nn.softplus(raw[2 * num_bins :] + _ONE)
        if tails:  # smooth where it meets the identity
            slopes = jnp.pad(slopes, [(1, 1)] + [(0, 0)] * (raw.ndim - 1), constant_values=1)
        return cls(left, width, bottom, height, slopes, tails)

    def forward(self, x: Float[Array, "*batch"]) -> tuple[Array, Array]:
        """Value and log of the slope, of every entry's own spline."""
        left, width, bottom, height, first, second = self._bin(x)
        part = jnp.clip((x - left) / width, 0, 1)
        steep = height / width
        mixed = part * (1 - part)
        below = steep + (first + second - 2 * steep) * mixed
        y = bottom + height * (steep * part**2 + first * mixed) / below
        return self._finish(x, y, part, steep, first, second)

    def inverse(self, y: Float[Array, "*batch"]) -> tuple[Array, Array]:
        """Argument and log of the slope of the inverse."""
        left, width, bottom, height, first, second = self._bin_of_value(y)
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

    def _parts(self) -> list[Array]:
        return [self.left, self.width, self.bottom, self.height, self.slopes[:-1], self.slopes[1:]]

    def _bin(self, x: Array) -> list[Array]:
        """Numbers of the bin of the argument `x`, by sums: their gradients are fast."""
        beyond = x >= self.left[1:]
        ends = jnp.ones((1, *beyond.shape[1:]), bool)
        there = jnp.concatenate([ends, beyond]) & ~jnp.concatenate([beyond, ~ends])
        return [jnp.sum(jnp.where(there, part, 0), 0) for part in self._parts()]

    def _bin_of_value(self, y: Array) -> list[Any]:
        """Numbers of the bin of the value `y`, bin after bin: several times faster to draw by."""
        found = [part[0] for part in self._parts()]
        for k in range(1, len(self.left)):
            beyond = y >= self.bottom[k]
            pairs = zip(self._parts(), found, strict=True)
            found = [jnp.where(beyond, part[k], old) for part, old in pairs]
        return found

    def _finish(self, x, y, part, steep, first, second) -> tuple[Array, Array]:
        mixed = part * (1 - part)
        above = second * part**2 + 2 * steep * mixed + first * (1 - part) ** 2
        below = steep + (first + second - 2 * steep) * mixed
        log_slope = 2 * jnp.log(steep) + jnp.log(above) - 2 * jnp.log(below)
        if not self.tails:
            return y, log_slope
        inside = jnp.abs(x) < _BOUND
        return jnp.where(inside, y, x), jnp.where(inside, log_slope, 0)
