"""Random numbers for draws of many states: those of JAX, made in about half the time on CPUs."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import threefry_2x32
from jaxtyping import Float, PRNGKeyArray

from nashfield.typing import Array

# Of the series of sin(pi x), the highest power first.
_SINE = [(-1) ** k * math.pi ** (2 * k + 1) / math.factorial(2 * k + 1) for k in reversed(range(6))]


def uniform(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Uniform on (0, 1), in single precision: multiples of 2^-24 without the ends.

    Args:
        key: for the numbers.
        shape: of what is returned.
    """
    return _fractions(_words(key, math.prod(shape))).reshape(shape)


def normal(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Standard normal, in single precision, up to 5.8 in absolute value.

    Source: Box and Muller, "A note on the generation of random normal deviates" (1958).

    Args:
        key: for the numbers.
        shape: of what is returned.
    """
    size = math.prod(shape)
    half = -(-size // 2)
    words = _words(key, 2 * half)
    length = jnp.sqrt(-2 * jnp.log(_fractions(words[:half])))
    turns = 2 * _fractions(words[half:])
    pair = length * half_turn_sine(turns), length * half_turn_sine(turns + 0.5)
    return jnp.concatenate(pair)[:size].reshape(shape)


def half_turn_sine(x: jax.Array) -> jax.Array:
    """sin(pi x) to 2e-7, several times faster than CPUs' own for single precision."""
    turns = jnp.round(x)
    rest = x - turns
    odd = jnp.abs(turns - 2 * jnp.round(turns / 2))
    square, value = rest**2, jnp.zeros_like(rest)
    for coefficient in _SINE:
        value = value * square + coefficient
    return (1 - 2 * odd) * rest * value


def _words(key: PRNGKeyArray, size: int) -> jax.Array:
    """Random bits, (size,) of 32 each."""
    if str(jax.random.key_impl(key)) != "threefry2x32":
        return jax.random.bits(key, (size,), jnp.uint32)
    # `jax.random.bits` throws every other word away, so that its numbers do not hang on how an
    # array is spread over devices.
    return threefry_2x32(jax.random.key_data(key), jax.lax.iota(jnp.uint32, size))


def _fractions(words: jax.Array) -> jax.Array:
    # As signed integers, which CPUs turn into floats faster. With a bit more the last one is 1.
    return ((words >> 9).astype(jnp.int32).astype(jnp.float32) + 0.5) * np.float32(2.0**-23)
