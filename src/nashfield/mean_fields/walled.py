"""Flows that know where nobody can be."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.mean_fields.base import AbstractFlow, AbstractMeanField, one_by_one
from nashfield.typing import Array, Time

# Draws inside of walls are drawn anew in so many rounds. In one round, one draw stands by for
# each group of so many, and replaces its first one inside of a wall.
_MAX_ROUNDS = 1000
_GROUP = 16


class Walled(AbstractFlow):
    """A learnt flow without what leaked into walls; the rest has mass 1.

    Samples inside of walls are drawn anew, and densities are divided by the mass outside.

    Attributes:
        flow: the flow.
        free: takes one state (D,); whether an agent may be there.
        log_mass: (T + 1,) log of the mass that is free.
        means: (T + 1, D) mean states of it.
    """

    flow: AbstractFlow
    free: Callable[[Array], Array]
    log_mass: Float[Array, "*batch T1"]
    means: Float[Array, "*batch T1 D"]

    @classmethod
    def of(cls, flow: AbstractFlow, free: Callable[[Array], Array]) -> "Walled":
        """Finds masses and means by the flow's own way to expectations.

        Args:
            flow: the flow.
            free: such as `games.views.Free.of(game)`.
        """

        def at(t: Array) -> tuple[Array, Array]:
            def look(x: Array) -> Array:
                return jnp.where(free(x), jnp.append(x, 1), 0)

            found = flow.law(t).expect(look)
            return jnp.log(found[-1]), found[:-1] / found[-1]

        log_mass, means = jax.lax.map(at, jnp.arange(len(flow)))
        return cls(flow, free, log_mass, means, action_mean=flow.action_mean)

    def __len__(self) -> int:
        return len(self.flow)

    def law(self, t: Time) -> "WalledMeanField":
        """See `AbstractFlow.law`."""
        mass, mean = jnp.asarray(self.log_mass)[t], jnp.asarray(self.means)[t]
        return WalledMeanField(self.flow.law(t), self.free, mass, mean)

    def sample_from(self, first: int, key: PRNGKeyArray, n: int) -> Float[Array, "S n D"]:
        """See `AbstractFlow.sample_from`."""
        return one_by_one(self, first, key, n)

    def prepare(self) -> "Walled":
        """See `AbstractFlow.prepare`."""
        return eqx.tree_at(lambda walled: walled.flow, self, self.flow.prepare())


class WalledMeanField(AbstractMeanField):
    """The law of a `Walled` flow at one time.

    Attributes:
        whole: the law with what leaked.
        free: see `Walled`.
        log_mass: log of the mass that is free.
        location: (D,) mean state of it.
    """

    whole: AbstractMeanField
    free: Callable[[Array], Array]
    log_mass: Float[Array, "*batch"]
    location: Float[Array, "*batch D"]

    def mean(self) -> Float[Array, "D"]:
        """Mean state."""
        return self.location

    def expect(self, function: Callable[[Array], Array]) -> Array:
        """See `AbstractMeanField.expect`."""

        def there(x: Array) -> Array:
            return jnp.where(self.free(x), function(x), 0)

        return self.whole.expect(there) / jnp.exp(self.log_mass)

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        """Draws the states of `n` agents."""
        num_groups = -(-n // _GROUP)
        free = jax.vmap(self.free)

        def draw(number: Any, count: int) -> Array:
            return self.whole.sample(jax.random.fold_in(key, number), count)

        def again(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            number, x, blocked = carry
            spare = draw(number, num_groups)
            # Which one it replaces does not depend on it: what is kept has the law outside.
            first = jnp.cumsum(blocked, 0) == 1
            new = blocked & first & free(spare)
            return number + 1, jnp.where(new[..., None], spare, x), blocked & ~new

        def going(carry: tuple[Array, Array, Array]) -> Array:
            return (carry[0] <= _MAX_ROUNDS) & jnp.any(carry[2])

        x = draw(0, n)
        missing = num_groups * _GROUP - n
        blocked = jnp.pad(~free(x), (0, missing)).reshape(_GROUP, num_groups)
        x = jnp.pad(x, ((0, missing), (0, 0))).reshape(_GROUP, num_groups, -1)
        _, x, _ = jax.lax.while_loop(going, again, (jnp.asarray(1), x, blocked))
        return x.reshape(_GROUP * num_groups, -1)[:n]

    def log_density(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Log density at the states `x`; minus infinity inside of walls."""
        x = jnp.asarray(x)
        free = jax.vmap(self.free)(x.reshape(-1, x.shape[-1])).reshape(x.shape[:-1])
        return jnp.where(free, self.whole.log_density(x) - self.log_mass, -jnp.inf)
