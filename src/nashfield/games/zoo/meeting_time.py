"""When to set out for a meeting that begins once enough are there."""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.games.base import Display
from nashfield.games.zoo._one_shot import OneShot
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, ScalarLike, scalar

# Of the interval in which a quantile is sought; a step of Newton's method follows.
_NUM_HALVINGS = 40
# Nobody is so many standard deviations early or late.
_FAR = 10.0


class MeetingEquilibrium(eqx.Module):
    """Where all intentions are continuous.

    Attributes:
        intention: when everyone means to arrive.
        start: when the meeting begins.
    """

    intention: Float[Array, "*batch"]
    start: Float[Array, "*batch"]


class MeetingTime(OneShot):
    """Choose when to arrive at a meeting that begins once a share of all are there.

    Who means to arrive at tau arrives at X = tau + sigma Z, Z standard normal. The meeting is
    scheduled for t and begins at T, when the share `quantile` has come, but not before t. The cost
    is lateness (X - t)_+ + inconvenience (X - T)_+ + waiting (T - X)_+, here in its mean. Source:
    Guéant, Lasry and Lions (2011), "Mean field games and applications", the meeting. With a, b, c
    the weights, theta the share and r = (c theta - b (1 - theta)) / a, everyone means to arrive at
    t + sigma Phi^-1(r); or, if r <= 1 - theta, at t + sigma Phi^-1(c / (a + b + c)), early enough
    for T = t. If r >= 1 there is no finite equilibrium: whatever the others do, it is better to
    come later.

    Actions are `num_actions` evenly spaced intentions; `equilibrium` is exact on the line.

    Attributes:
        scheduled: t, in hours.
        quantile: share of the crowd that has to be there, in (0, 1).
        sigma: standard deviation of an arrival around its intention.
        lateness: a, cost of an hour after the scheduled time, positive.
        inconvenience: b, cost of an hour after the beginning.
        waiting: c, cost of an hour before the beginning, positive.
        reach: intentions lie at most so many hours from the scheduled time.
        num_actions: how many there are.
    """

    scheduled: Scalar = eqx.field(converter=scalar, default=12.0)
    quantile: Scalar = eqx.field(converter=scalar, default=0.8)
    sigma: Scalar = eqx.field(converter=scalar, default=0.5)
    lateness: Scalar = eqx.field(converter=scalar, default=1.0)
    inconvenience: Scalar = eqx.field(converter=scalar, default=1.0)
    waiting: Scalar = eqx.field(converter=scalar, default=1.0)
    reach: Scalar = eqx.field(converter=scalar, default=1.0)
    num_actions: int = 101

    num_states: int = eqx.field(init=False)

    def __post_init__(self):
        check_size("num_actions", self.num_actions, 2)
        self.num_states = self.num_actions + 1

    def __check_init__(self):
        check_number("scheduled", self.scheduled)
        check_number("quantile", self.quantile, most=1 - 1e-6, above=0.0)
        check_number("inconvenience", self.inconvenience, least=0.0)
        for name in ("sigma", "lateness", "waiting", "reach"):
            check_number(name, getattr(self, name), above=0.0)
        if any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(self)):
            return
        ratio = float(self._ratio())
        if ratio >= 1:
            raise ParameterError(
                "there is no finite equilibrium: whatever the others do, it is better to come "
                "later, since (waiting quantile - inconvenience (1 - quantile)) / lateness = "
                f"{ratio:.4g} is not below 1; raise lateness or inconvenience, or lower waiting or "
                "quantile"
            )
        # By Python's own normal law: nothing is computed by JAX at construction.
        away = float(self.sigma) * abs(NormalDist().inv_cdf(float(self._level(ratio, np.where))))
        if away > float(self.reach):
            raise ParameterError(
                f"at equilibrium everyone means to arrive {away:.4g} hours from the scheduled "
                f"time: reach = {float(self.reach):g} is too short"
            )

    @property
    def intentions(self) -> Float[Array, "A"]:
        """When one can mean to arrive, in hours."""
        return self.scheduled + self.reach * np.linspace(-1, 1, self.num_actions)

    def start(self, shares: Float[Array, "A"]) -> Float[Array, ""]:
        """When the meeting begins, if so much of the crowd has each intention."""
        shares = jnp.asarray(shares, jnp.result_type(float))
        means, sigma = jnp.asarray(self.intentions, shares.dtype), self.sigma
        # Rounding must not ask for more than there are.
        wanted = self.quantile * jnp.sum(shares)

        def there(time: Array) -> Array:
            return jnp.dot(shares, norm.cdf((time - means) / sigma), precision="highest")

        def halve(_: Any, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
            early, late = bounds
            middle = (early + late) / 2
            enough = there(middle) > wanted
            return jnp.where(enough, early, middle), jnp.where(enough, middle, late)

        bounds = jax.lax.stop_gradient((means[0] - _FAR * sigma, means[-1] + _FAR * sigma))
        bounds = jax.tree.map(lambda x: jnp.asarray(x, shares.dtype), bounds)
        held = jax.lax.stop_gradient
        early, late = held(jax.lax.fori_loop(0, _NUM_HALVINGS, halve, bounds))
        time = (early + late) / 2
        slope = held(jnp.dot(shares, norm.pdf((time - means) / sigma) / sigma))
        # Where hardly anybody comes for a while the slope is nearly zero.
        step = (there(time) - wanted) / jnp.maximum(slope, jnp.finfo(shares.dtype).tiny)
        time = jnp.clip(time - step, 2 * early - late, 2 * late - early)
        return jnp.maximum(time, self.scheduled)

    def cost(
        self, intention: Float[Array, "..."], start: ScalarLike | Float[Array, "..."]
    ) -> Float[Array, "..."]:
        """Mean cost of meaning to arrive at `intention` when the meeting begins at `start`."""
        late = self._after(intention - self.scheduled)
        missed = self._after(intention - start)
        waited = self._after(start - intention)
        return self.lateness * late + self.inconvenience * missed + self.waiting * waited

    def payoffs(self, shares: Float[Array, "A"]) -> Float[Array, "A"]:
        """Minus the cost of every intention."""
        return -self.cost(jnp.asarray(self.intentions), self.start(shares))

    def equilibrium(self) -> MeetingEquilibrium:
        """The exact equilibrium on the line; see the class."""
        dtype = jnp.result_type(float)
        level = jnp.asarray(self._level(self._ratio(), jnp.where), dtype)
        intention = self.scheduled + self.sigma * norm.ppf(level)
        there = intention + self.sigma * norm.ppf(jnp.asarray(self.quantile, dtype))
        return MeetingEquilibrium(intention, jnp.maximum(there, self.scheduled))

    @property
    def display(self) -> Display:
        """Intentions as times of day."""
        if isinstance(self.scheduled, jax.core.Tracer) or isinstance(self.reach, jax.core.Tracer):
            return Display()
        names = tuple(f"{time:.4g}" for time in np.asarray(self.intentions, float))
        return Display(states=("undecided", *names), actions=names)

    def _ratio(self) -> Any:
        """The r of the class."""
        gain = self.waiting * self.quantile - self.inconvenience * (1 - self.quantile)
        return gain / self.lateness

    def _level(self, ratio: Any, where: Callable) -> Any:
        """Probability of arriving after t at equilibrium; `where` is that of NumPy or JAX."""
        on_time = self.waiting / (self.lateness + self.inconvenience + self.waiting)
        return where(ratio <= 1 - self.quantile, on_time, ratio)

    def _after(self, distance: Float[Array, "..."]) -> Float[Array, "..."]:
        """Mean of (distance + sigma Z)_+."""
        z = distance / self.sigma
        return self.sigma * (norm.pdf(z) + z * norm.cdf(z))
