"""Agents that move towards their mean."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.games.quadratic import QuadraticGame
from nashfield.games.riccati import Stage
from nashfield.games.zoo._matrices import matrix, vector
from nashfield.mean_fields import Gaussian
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar


class Consensus(QuadraticGame):
    """Agents on the line come together, at a cost of their speed.

    dX = alpha dt + sigma dW on [0, duration], at the cost integral of alpha^2 / 2 + (X - m)^2 / 2
    with m the crowd's mean; played in `horizon` steps of Euler. Source: Nourian, Caines, Malhame
    and Huang (2013), "Nash, social and centralized solutions to consensus problems via mean field
    control theory", here with a finite horizon. In continuous time P' = P^2 - 1, P = 0 in the end,
    so that P = tanh(duration - t), alpha = -P (X - m), and m stays where it is: `gain`, `variance`
    and `cost` are those of continuous time, from which `equilibrium`, that of the steps, is O(dt)
    away.

    Attributes:
        sigma: of the noise.
        duration: how long it lasts.
        horizon: T, the number of steps.
        initial_mean: of the crowd.
        initial_variance: likewise.
    """

    sigma: Scalar = eqx.field(converter=scalar, default=0.5)
    duration: Scalar = eqx.field(converter=scalar, default=1.0)
    horizon: int = 50
    initial_mean: Scalar = eqx.field(converter=scalar, default=0.0)
    initial_variance: Scalar = eqx.field(converter=scalar, default=0.25)

    state_dim: int = eqx.field(init=False, default=1)
    control_dim: int = eqx.field(init=False, default=1)

    def __check_init__(self):
        check_size("horizon", self.horizon)
        check_number("duration", self.duration, above=0.0)
        check_number("initial_mean", self.initial_mean)
        for name in ("sigma", "initial_variance"):
            check_number(name, getattr(self, name), least=0.0)

    @property
    def dt(self) -> ScalarLike:
        """Length of a step."""
        return self.duration / self.horizon

    def initial(self) -> Gaussian:
        """Gaussian."""
        return Gaussian(vector(self.initial_mean, 1), matrix(self.initial_variance, 1))

    def stage(self, t: Time, mean_field: Any) -> Stage:
        """See `QuadraticGame.stage`."""
        half, mean = self.dt / 2, mean_field.mean()
        return Stage(
            matrix(1.0, 1),
            matrix(self.dt, 1),
            matrix(self.sigma * jnp.sqrt(self.dt), 1),
            matrix(half, 1),
            matrix(half, 1),
            q=-half * mean,
            c=half * jnp.sum(mean**2),
        )

    def gain(self, time: ScalarLike | Float[Array, "..."]) -> Float[Array, "..."]:
        """P, the share of their distance to the mean that agents make up per unit of time."""
        return jnp.tanh(self.duration - time)

    def variance(self, time: ScalarLike | Float[Array, "..."]) -> Float[Array, "..."]:
        """Of the crowd, the solution of v' = sigma^2 - 2 P v."""
        first, now = self.gain(0.0), self.gain(time)
        kept = self.initial_variance * (1 - first**2) + self.sigma**2 * (first - now)
        return kept * jnp.cosh(self.duration - time) ** 2

    def cost(self) -> Float[Array, ""]:
        """Of everyone, in continuous time: P v / 2 at first, and sigma^2 / 2 times P's integral."""
        spread = self.gain(0.0) * self.initial_variance
        return (spread + self.sigma**2 * jnp.log(jnp.cosh(self.duration))) / 2
