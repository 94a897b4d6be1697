"""Uniform random numbers for long loops over many agents."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray, UInt32

from nashfield.results import ParameterError
from nashfield.typing import Array

# 2^32 over the golden ratio, so that no bits are mixed while they are all zero.
_OFFSET = 0x9E3779B9


class AbstractDraws(eqx.Module):
    """Levels in [0, 1): those of step k depend on the key and k alone.

    Attributes:
        key: where they come from.
    """

    key: eqx.AbstractVar[PRNGKeyArray]

    @abc.abstractmethod
    def levels(self, step: Int[Array, ""], shape: tuple[int, int]) -> Float[Array, "U N"]:
        """The levels of one step, in single precision.

        Args:
            step: k.
            shape: (U, N), so many levels for each of so many agents.
        """


class Draws(AbstractDraws):
    """Levels from JAX's generator.

    Attributes:
        key: where they come from.
    """

    key: PRNGKeyArray

    def levels(self, step: Int[Array, ""], shape: tuple[int, int]) -> Float[Array, "U N"]:
        """See `AbstractDraws.levels`."""
        return jax.random.uniform(jax.random.fold_in(self.key, step), shape, "float32")


class HashDraws(AbstractDraws):
    """Levels hashed from key, step, number of the level and number of the agent.

    Several times faster than JAX's generator, since a level is a few integer operations that are
    done where it is used, and never stored. The number of the agent runs through a permutation of
    the 32-bit integers whose two round keys are hashes of everything else. The mixing of the bits
    is that of C. Wellons' "hash prospector" (constants 21f0aaad and 735a2d97, bias 0.107). Good
    for simulation, not for secrets.

    Attributes:
        key: where they come from.
    """

    key: PRNGKeyArray

    def levels(self, step: Int[Array, ""], shape: tuple[int, int]) -> Float[Array, "U N"]:
        """See `AbstractDraws.levels`; no two agents have the same 32 bits in the same place."""
        num_levels, num_agents = shape
        agents = _mix(jnp.arange(num_agents, dtype=jnp.uint32))  # a loop over steps does it once
        words = [*jax.random.key_data(self.key).reshape(-1), step.astype(jnp.uint32)]
        first, second = _hash(1, words), _hash(2, words)

        def row(number: int) -> Float[Array, "N"]:
            bits = _mix(agents ^ _hash(first, [number]), _hash(second, [number]))
            # The upper 24 bits; signed integers become floats faster.
            return (bits >> 8).astype(jnp.int32).astype(jnp.float32) * jnp.float32(2**-24)

        return jnp.stack([row(number) for number in range(num_levels)])


GENERATORS: dict[str, type[AbstractDraws]] = {"jax": Draws, "hash": HashDraws}


def draws_of(key: PRNGKeyArray, generator: str = "jax") -> AbstractDraws:
    """Draws of a kind that the user names.

    Args:
        key: where they come from.
        generator: "jax" (`Draws`) or "hash" (`HashDraws`).
    """
    check_generator(generator)
    return GENERATORS[generator](key)


def check_generator(generator: str) -> None:
    """Checks the name of a kind of draws.

    Raises:
        ParameterError: there is no such kind.
    """
    if generator not in GENERATORS:
        raise ParameterError(f'generator must be "jax" or "hash", not {generator!r}')


def _mix(bits: UInt32[Array, "*N"], word: UInt32[Array, ""] | int = 0) -> UInt32[Array, "*N"]:
    """A permutation of the 32-bit integers, one for every `word`."""
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x21F0AAAD)
    bits = bits ^ jnp.asarray(word, jnp.uint32)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x735A2D97)
    return bits ^ (bits >> 15)


def _hash(seed: UInt32[Array, ""] | int, words: list) -> UInt32[Array, ""]:
    """32 bits from a seed and some words."""
    bits = jnp.asarray(seed, jnp.uint32)
    for word in words:
        bits = _mix((bits ^ jnp.asarray(word, jnp.uint32)) + jnp.uint32(_OFFSET))
    return bits
