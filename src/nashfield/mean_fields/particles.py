"""Mean fields of points: a crowd known by samples of it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.mean_fields.base import AbstractMeanField
from nashfield.typing import Array


class Particles(AbstractMeanField):
    """Empirical law of N agents at points of R^D.

    Attributes:
        states: (N, D), where they are.
    """

    states: Float[Array, "*batch N D"]

    def mean(self) -> Float[Array, "*batch D"]:
        """Mean state."""
        return jnp.mean(self.states, -2)

    def expect(self, function: Callable[[Array], Array]) -> Array:
        """Mean of `function`, which takes one state (D,), over the agents."""
        return jnp.mean(jax.vmap(function)(jnp.asarray(self.states)), 0)

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        """Draws the states of `n` agents, with replacement."""
        return jax.random.choice(key, jnp.asarray(self.states), (n,))

    def log_density(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Log of a kernel density estimate at the states `x`."""
        raise NotImplementedError
