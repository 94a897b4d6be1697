"""Flows whose law at time 0 is known, and learnt from then on."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, PRNGKeyArray

from nashfield.mean_fields.base import AbstractFlow, AbstractMeanField
from nashfield.typing import Array, Time


class KnownStart(AbstractFlow):
    """A flow with its first law replaced.

    What a normalizing flow is worst at is often known exactly: a game's initial law, with its hard
    edges.

    Attributes:
        start: the law at time 0.
        later: the flow whose laws are taken from time 1 on.
    """

    start: AbstractMeanField
    later: AbstractFlow

    def __len__(self) -> int:
        return len(self.later)

    def law(self, t: Time) -> AbstractMeanField:
        """See `AbstractFlow.law`; at a known time it is one of the two."""
        if isinstance(t, int | np.integer):
            return self.start if t == 0 else self.later.law(t)
        return KnownStartMeanField(self.start, self.later.law(t), jnp.asarray(t) == 0)

    def sample_from(self, first: int, key: PRNGKeyArray, n: int) -> Float[Array, "S n D"]:
        """See `AbstractFlow.sample_from`."""
        if first > 0:
            return self.later.sample_from(first, key, n)
        start_key, key = jax.random.split(key)
        later = self.later.sample_from(1, key, n)
        return jnp.concatenate([self.start.sample(start_key, n)[None].astype(later.dtype), later])

    def prepare(self) -> "KnownStart":
        """See `AbstractFlow.prepare`."""
        prepared = self.start.prepare(), self.later.prepare()
        return KnownStart(*prepared, action_mean=self.action_mean)


class KnownStartMeanField(AbstractMeanField):
    """One of two laws, which one may be traced.

    Attributes:
        start: the one at time 0.
        later: the one from then on.
        first: whether this is time 0.
    """

    start: AbstractMeanField
    later: AbstractMeanField
    first: Bool[Array, "*batch"]

    def mean(self) -> Float[Array, "D"]:
        """Mean state."""
        return jnp.where(self.first, self.start.mean(), self.later.mean())

    def expect(self, function: Callable[[Array], Array]) -> Array:
        """See `AbstractMeanField.expect`."""
        return jnp.where(self.first, self.start.expect(function), self.later.expect(function))

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        """Draws the states of `n` agents."""
        return jnp.where(self.first, self.start.sample(key, n), self.later.sample(key, n))

    def log_density(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Log density at the states `x`."""
        return jnp.where(self.first, self.start.log_density(x), self.later.log_density(x))
