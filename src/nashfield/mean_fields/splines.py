"""Monotone rational-quadratic splines, and flowjax bijections that are made of them.

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
from flowjax.bijections import AbstractBijection, Chain
from jaxtyping import Float, PRNGKeyArray

from nashfield.results import ParameterError
from nashfield.typing import Array

# A bin takes at least this share of the interval, and a slope is at least this steep.
_LEAST = 1e-3
# Splines with tails live on [-_BOUND, _BOUND]; beyond, they are the identity.
_BOUND = 5.0
# Beside time itself, networks see its sines and cosines, and functions that fall fast at the start,
# where a crowd that begins with an edge loses it in a few steps.
_WAVES = np.pi / 2 * np.arange(1, 5, dtype=np.float32)
_FALLS = 2.0 ** np.arange(1, 6, dtype=np.float32)
_NUM_SEEN = 1 + 2 * len(_WAVES) + len(_FALLS)

# The softplus of this, and the least slope, are 1.
_ONE = math.log(math.expm1(1 - _LEAST))

KINDS = ("autoregressive", "coupling")
BASES = ("normal", "uniform")


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


class ConditionalSplines(AbstractBijection):
    """Moves some coordinates by splines whose parameters are a network of time and of others.

    With tails, coordinates are shifted and scaled before, as the network says.

    Attributes:
        network: from time and the `given` coordinates to the parameters.
        moved: which coordinates move.
        given: which coordinates the network sees; none of them moves.
        num_bins: K.
        tails: see `Spline.of`.
    """

    network: eqx.nn.MLP
    moved: tuple[int, ...] = eqx.field(static=True)
    given: tuple[int, ...] = eqx.field(static=True)
    num_bins: int = eqx.field(static=True)
    tails: bool = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    cond_shape: tuple[int, ...] | None = eqx.field(static=True)

    def _splines(self, x: Any, condition: Any) -> tuple[Spline, Array, Array]:
        waves = _WAVES * condition
        seen = [condition, jnp.sin(waves), jnp.cos(waves), jnp.exp(-_FALLS * (1 + condition))]
        if self.given:  # else nothing below differs between states, and is done once a time
            seen.append(_pick(x, self.given))
        raw = self.network(jnp.concatenate(seen)).reshape(len(self.moved), -1)
        splines = jax.vmap(lambda row: Spline.of(row, self.num_bins, self.tails))(raw[:, 2:])
        still = 0.0 if not self.tails else 1.0
        return splines, still * raw[:, 0], still * raw[:, 1]

    def _single(self, *arrays: Any) -> list[jax.Array]:
        """In the precision of the network; flowjax hands on what JAX takes for the default."""
        return [jnp.asarray(array, self.network.layers[0].weight.dtype) for array in arrays]

    def transform_and_log_det(self, x: Any, condition: Any = None) -> tuple[jax.Array, jax.Array]:
        """Towards the base."""
        x, condition = self._single(x, condition)
        splines, shift, log_scale = self._splines(x, condition)
        scaled = (_pick(x, self.moved) - shift) * jnp.exp(-log_scale)
        y, log_slope = jax.vmap(Spline.forward)(splines, scaled)
        return _put(x, self.moved, y), jnp.sum(log_slope - log_scale)

    def inverse_and_log_det(self, y: Any, condition: Any = None) -> tuple[jax.Array, jax.Array]:
        """Towards the states."""
        y, condition = self._single(y, condition)
        splines, shift, log_scale = self._splines(y, condition)
        scaled, log_slope = jax.vmap(Spline.inverse)(splines, _pick(y, self.moved))
        x = shift + scaled * jnp.exp(log_scale)
        return _put(y, self.moved, x), jnp.sum(log_slope + log_scale)


def spline_bijection(
    state_dim: int,
    *,
    kind: str,
    num_layers: int,
    num_bins: int,
    width: int,
    depth: int,
    tails: bool,
    key: PRNGKeyArray,
) -> AbstractBijection:
    """From states to the base, given scaled time; close to the identity.

    Both directions cost one pass through every network.

    Args:
        state_dim: D.
        kind: "autoregressive", where a layer moves every coordinate given those before it (in the
            next layer, those after it), or "coupling", where it moves one half of them given the
            other, which the next layer moves. In one dimension all parameters are functions of
            time alone.
        num_layers: how many layers.
        num_bins: of every spline.
        width: of the networks.
        depth: hidden layers of the networks.
        tails: on R^D, or on the box [0, 1]^D.
        key: for the networks.

    Raises:
        ParameterError: there is no such kind.
    """
    if kind not in KINDS:
        raise ParameterError(
            f'kind must be "autoregressive", "coupling" or a flowjax bijection, not {kind!r}'
        )
    moves: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    for layer in range(num_layers):
        order = tuple(range(state_dim))[:: 1 if layer % 2 == 0 else -1]
        if kind == "autoregressive":
            # Towards the base the last one moves first, and every network sees states.
            moves += [((order[k],), order[:k]) for k in reversed(range(state_dim))]
        else:
            half = state_dim // 2
            moves.append((order[half:], order[:half]))
    if not moves:
        raise ParameterError(f"num_layers must be at least 1, not {num_layers}")
    keys = jax.random.split(key, len(moves))

    def make(moved: tuple[int, ...], given: tuple[int, ...], key: PRNGKeyArray):
        size = len(moved) * (2 + Spline.num_parameters(num_bins, tails))
        inputs = _NUM_SEEN + len(given)
        network = eqx.nn.MLP(inputs, size, width, depth, jax.nn.silu, key=key, dtype=jnp.float32)
        last: Any = network.layers[-1]
        small = (0.1 * last.weight, 0 * last.bias)
        network = eqx.tree_at(
            lambda net: (net.layers[-1].weight, net.layers[-1].bias), network, small
        )
        return ConditionalSplines(
            network=network,
            moved=moved,
            given=given,
            num_bins=num_bins,
            tails=tails,
            shape=(state_dim,),
            cond_shape=(1,),
        )

    return Chain([make(*move, key) for move, key in zip(moves, keys, strict=True)])


def _pick(x: jax.Array, places: tuple[int, ...]) -> jax.Array:
    """Some coordinates; by slices, whose gradients are no scatters."""
    return jnp.concatenate([x[k : k + 1] for k in places])


def _put(x: jax.Array, places: tuple[int, ...], values: Array) -> jax.Array:
    parts: list[Array] = [x[k : k + 1] for k in range(len(x))]
    for number, k in enumerate(places):
        parts[k] = values[number : number + 1]
    return jnp.concatenate(parts)
