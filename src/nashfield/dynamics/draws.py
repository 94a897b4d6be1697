"""Uniform random numbers for long loops over many agents."""

import equinox as eqx
import jax
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.typing import Array


class Draws(eqx.Module):
    """Levels in [0, 1) from JAX's generator: those of step k depend on the key and k alone.

    Attributes:
        key: where they come from.
    """

    key: PRNGKeyArray

    def levels(self, step: Int[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
        """The levels of one step, in single precision."""
        return jax.random.uniform(jax.random.fold_in(self.key, step), shape, "float32")
