"""flowjax bijections made of splines, whose parameters are networks of time and of coordinates."""

import itertools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from flowjax.bijections import AbstractBijection
from jaxtyping import Float, PRNGKeyArray

from nashfield.mean_fields.noise import half_turn_sine
from nashfield.mean_fields.splines import Spline
from nashfield.results import ParameterError
from nashfield.typing import Array

# Beside time itself, networks see its sines and cosines, and functions that fall fast at the start,
# where a crowd that begins with an edge loses it in a few steps.
_WAVES = np.pi / 2 * np.arange(1, 5, dtype=np.float32)
_FALLS = 2.0 ** np.arange(1, 6, dtype=np.float32)
_NUM_SEEN = 1 + 2 * len(_WAVES) + len(_FALLS)
# Of a coordinate they see waves as well, down to an eighth of the box (or of 8 deviations): what
# walls leave free changes within a few hundredths. In half turns.
_RIPPLES = np.arange(1, 17, dtype=np.float32)
_EXTENT = 8.0

KINDS = ("autoregressive", "coupling")
BASES = ("normal", "uniform")


class Network(eqx.Module):
    """A multilayer perceptron with tanh between layers; of arrays alone, in single precision.

    Attributes:
        weights: (inputs, outputs) of each layer.
        biases: (outputs,) of each layer.
    """

    weights: tuple[Float[Array, "..."], ...]
    biases: tuple[Float[Array, "..."], ...]

    @classmethod
    def of(cls, sizes: tuple[int, ...], *, key: PRNGKeyArray) -> "Network":
        """Drawn with variance 1 / inputs; a tenth of that spread in the last layer.

        Args:
            sizes: of the input, of every hidden layer, and of the output.
            key: for the weights.
        """
        pairs = list(itertools.pairwise(sizes))
        # One draw for all, which compiles faster.
        normal = jax.random.normal(key, (sum(a * b for a, b in pairs),), jnp.float32)
        weights, start = [], 0
        for number, (a, b) in enumerate(pairs):
            spread = (0.1 if number == len(pairs) - 1 else 1.0) / math.sqrt(a)
            weights.append(spread * normal[start : start + a * b].reshape(a, b))
            start += a * b
        return cls(tuple(weights), tuple(jnp.zeros(b, jnp.float32) for b in sizes[1:]))

    def __call__(self, time: Float[Array, "S"], rest: Float[Array, "*batch R"]) -> Array:
        """What the last layer gives, (P, *batch); the inputs are `time` and `rest`."""
        size = len(time)
        first = self.weights[0]
        x = time @ first[:size] + self.biases[0]  # once for all
        if rest.shape[-1]:
            x = x + rest @ first[size:]
        for weight, bias in zip(self.weights[1:], self.biases[1:], strict=True):
            x = jnp.tanh(x) @ weight + bias
        return jnp.moveaxis(x, -1, 0)


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

    network: Network
    moved: tuple[int, ...] = eqx.field(static=True)
    given: tuple[int, ...] = eqx.field(static=True)
    num_bins: int = eqx.field(static=True)
    tails: bool = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    cond_shape: tuple[int, ...] | None = eqx.field(static=True)

    def _splines(self, x: Any, condition: Any) -> tuple[Spline, Array, Array]:
        waves = _WAVES * condition
        time = [condition, jnp.sin(waves), jnp.cos(waves), jnp.exp(-_FALLS * (1 + condition))]
        # Without others nothing below differs between states, and is done once a time.
        batch: tuple[int, ...] = (1,) * (x.ndim - 1)
        seen = [jnp.zeros(0, x.dtype)]
        if self.given:
            batch, seen = x.shape[1:], [jnp.moveaxis(_pick(x, self.given), 0, -1)]
            share = seen[0] / _EXTENT + 0.5 if self.tails else seen[0]
            for shift in (0.0, 0.5):
                # Smaller where they are faster, so that rounding of a coordinate stays small.
                waves = half_turn_sine(share[..., None] * _RIPPLES + shift) / _RIPPLES
                seen.append(waves.reshape(*batch, -1))
        raw = self.network(jnp.concatenate(time), jnp.concatenate(seen, -1))
        raw = jnp.moveaxis(raw.reshape(len(self.moved), -1, *batch), 0, 1)
        splines = Spline.of(raw[2:], self.num_bins, self.tails)
        if not self.tails:
            return splines, jnp.zeros_like(raw[0]), jnp.zeros_like(raw[1])
        return splines, raw[0], raw[1]

    def to_base(self, x: Float[Array, "D *batch"], condition: Any) -> tuple[jax.Array, jax.Array]:
        """Base points and log determinants of many states at one time."""
        splines, shift, log_scale = self._splines(x, condition)
        scaled = (_pick(x, self.moved) - shift) * jnp.exp(-log_scale)
        y, log_slope = splines.forward(scaled)
        return _put(x, self.moved, y), jnp.sum(log_slope - log_scale, 0)

    def to_states(self, y: Float[Array, "D *batch"], condition: Any) -> tuple[jax.Array, jax.Array]:
        """States and log determinants of many base points at one time."""
        splines, shift, log_scale = self._splines(y, condition)
        scaled, log_slope = splines.inverse(_pick(y, self.moved))
        x = shift + scaled * jnp.exp(log_scale)
        return _put(y, self.moved, x), jnp.sum(log_slope + log_scale, 0)

    def single(self, *arrays: Any) -> list[jax.Array]:
        """In the precision of the network; flowjax hands on what JAX takes for the default."""
        return [jnp.asarray(array, self.network.weights[0].dtype) for array in arrays]

    def transform_and_log_det(self, x: Any, condition: Any = None) -> tuple[jax.Array, jax.Array]:
        """Towards the base."""
        x, condition = self.single(x, condition)
        return self.to_base(x, condition)

    def inverse_and_log_det(self, y: Any, condition: Any = None) -> tuple[jax.Array, jax.Array]:
        """Towards the states."""
        y, condition = self.single(y, condition)
        return self.to_states(y, condition)


class Layers(AbstractBijection):
    """One bijection after another; unlike flowjax's chain it holds arrays alone, for any transform.

    Attributes:
        layers: the first acts first, towards the base.
    """

    layers: tuple[ConditionalSplines, ...]
    shape: tuple[int, ...] = eqx.field(static=True)
    cond_shape: tuple[int, ...] | None = eqx.field(static=True)

    def to_base(self, x: Any, condition: Any) -> tuple[jax.Array, jax.Array]:
        """Base points and log determinants of many states (D, *batch) at one time."""
        total = jnp.zeros((), jnp.float32)
        for layer in self.layers:
            x, log_det = layer.to_base(x, condition)
            total = total + log_det
        return x, total

    def to_states(self, y: Any, condition: Any) -> tuple[jax.Array, jax.Array]:
        """States and log determinants of many base points (D, *batch) at one time."""
        total = jnp.zeros((), jnp.float32)
        for layer in reversed(self.layers):
            y, log_det = layer.to_states(y, condition)
            total = total + log_det
        return y, total

    def transform_and_log_det(self, x: Any, condition: Any = None) -> tuple[jax.Array, jax.Array]:
        """Towards the base."""
        x, condition = self.layers[0].single(x, condition)
        return self.to_base(x, condition)

    def inverse_and_log_det(self, y: Any, condition: Any = None) -> tuple[jax.Array, jax.Array]:
        """Towards the states."""
        y, condition = self.layers[0].single(y, condition)
        return self.to_states(y, condition)


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
        inputs = _NUM_SEEN + len(given) * (1 + 2 * len(_RIPPLES))
        network = Network.of((inputs, *(width,) * depth, size), key=key)
        return ConditionalSplines(
            network=network,
            moved=moved,
            given=given,
            num_bins=num_bins,
            tails=tails,
            shape=(state_dim,),
            cond_shape=(1,),
        )

    layers = tuple(make(*move, key) for move, key in zip(moves, keys, strict=True))
    return Layers(layers=layers, shape=(state_dim,), cond_shape=(1,))


def towards_base(
    bijection: AbstractBijection, x: Float[Array, "n D"], condition: Float[Array, "1"]
) -> tuple[Float[Array, "n D"], Float[Array, "n"]]:
    """Base points of many states at one time, and the log determinants."""
    if not isinstance(bijection, Layers):
        return jax.vmap(lambda u: bijection.transform_and_log_det(u, condition))(x)
    z, log_det = bijection.to_base(jnp.moveaxis(x, -1, 0), condition)
    return jnp.moveaxis(z, 0, -1), jnp.broadcast_to(log_det, x.shape[:-1])


def towards_states(
    bijection: AbstractBijection, z: Float[Array, "n D"], condition: Float[Array, "1"]
) -> Float[Array, "n D"]:
    """States of many base points at one time."""
    if not isinstance(bijection, Layers):
        return jax.vmap(lambda u: bijection.inverse(u, condition))(z)
    return jnp.moveaxis(bijection.to_states(jnp.moveaxis(z, -1, 0), condition)[0], 0, -1)


def _pick(x: Any, places: tuple[int, ...]) -> jax.Array:
    """Some coordinates; by slices, whose gradients are no scatters."""
    return jnp.concatenate([x[k : k + 1] for k in places])


def _put(x: Any, places: tuple[int, ...], values: Array) -> jax.Array:
    parts: list[Array] = [x[k : k + 1] for k in range(len(x))]
    for number, k in enumerate(places):
        parts[k] = values[number : number + 1]
    return jnp.concatenate(parts)
