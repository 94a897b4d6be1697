"""Optimal execution with permanent price impact of the crowd's trades."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.games.quadratic import QuadraticGame
from nashfield.games.riccati import Stage, StateCost
from nashfield.games.zoo._matrices import matrix, vector
from nashfield.games.zoo._scalar_riccati import ScalarRiccati
from nashfield.mean_fields import Gaussian
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar


class PriceImpact(QuadraticGame):
    """Traders who wind down inventories X at speeds a, and move the price together.

    dX = a dt + sigma dW on [0, duration], with the cost integral of c_a a^2 / 2 + c_x X^2 / 2 -
    gamma X E[a], and c_g X^2 / 2 in the end; played in `horizon` steps of Euler. Source: Carmona
    and Lacker (2015), "A probabilistic weak formulation of mean field games and applications";
    solution as in Magnino et al. (2025), "Solving continuous mean field games: deep reinforcement
    learning for non-stationary dynamics", appendix. `equilibrium` is that of the steps; `eta`,
    `eta_bar`, `mean_share` and `speed` are those of continuous time, from which it is O(dt) away.

    Attributes:
        c_a: weight of the speed, positive.
        c_x: weight of the inventory.
        c_g: weight of the inventory that is left.
        gamma: the impact of the crowd's mean speed on the price.
        sigma: of the inventory's noise.
        duration: how long trading lasts.
        horizon: T, the number of steps.
        initial_mean: mean inventory in the beginning.
        initial_variance: its variance.
    """

    c_a: Scalar = eqx.field(converter=scalar, default=1.0)
    c_x: Scalar = eqx.field(converter=scalar, default=2.0)
    c_g: Scalar = eqx.field(converter=scalar, default=0.3)
    gamma: Scalar = eqx.field(converter=scalar, default=1.0)
    sigma: Scalar = eqx.field(converter=scalar, default=0.5)
    duration: Scalar = eqx.field(converter=scalar, default=1.0)
    horizon: int = 50
    initial_mean: Scalar = eqx.field(converter=scalar, default=1.0)
    initial_variance: Scalar = eqx.field(converter=scalar, default=0.25)

    state_dim: int = eqx.field(init=False, default=1)
    control_dim: int = eqx.field(init=False, default=1)

    def __post_init__(self):
        check_size("horizon", self.horizon)
        for name in ("c_a", "duration"):
            check_number(name, getattr(self, name), above=0.0)
        for name in ("c_x", "c_g", "sigma", "initial_variance"):
            check_number(name, getattr(self, name), least=0.0)
        for name in ("gamma", "initial_mean"):
            check_number(name, getattr(self, name))

    @property
    def dt(self) -> ScalarLike:
        """Length of a step."""
        return self.duration / self.horizon

    def initial(self) -> Gaussian:
        """Gaussian."""
        return Gaussian(vector(self.initial_mean, 1), matrix(self.initial_variance, 1))

    def stage(self, t: Time, mean_field: Any) -> Stage:
        """See `QuadraticGame.stage`."""
        dt = self.dt
        return Stage(
            jnp.eye(1),
            matrix(dt, 1),
            matrix(self.sigma * jnp.sqrt(dt), 1),
            matrix(self.c_x * dt / 2, 1),
            matrix(self.c_a * dt / 2, 1),
            q=-self.gamma * dt / 2 * mean_field.mean_action(),
        )

    def terminal(self, mean_field: Any) -> StateCost:
        """See `QuadraticGame.terminal`."""
        Q = matrix(self.c_g / 2, 1)
        return StateCost(Q, jnp.zeros_like(Q[0]), jnp.zeros_like(Q[0, 0]))

    def eta(self, time: ScalarLike | Float[Array, "..."]) -> Float[Array, "..."]:
        """The eta of eta' = eta^2 / c_a - c_x, eta = c_g in the end."""
        return self._riccati(0.0).value(self.duration - time)

    def eta_bar(self, time: ScalarLike | Float[Array, "..."]) -> Float[Array, "..."]:
        """As `eta` with -(gamma / c_a) eta_bar added to the right-hand side."""
        return self._riccati(self.gamma).value(self.duration - time)

    def mean_share(self, time: ScalarLike | Float[Array, "..."]) -> Float[Array, "..."]:
        """What is left of the mean inventory, m / m_0, where m' = -eta_bar m / c_a."""
        riccati = self._riccati(self.gamma)
        ahead = riccati.integral(self.duration - time)
        return jnp.exp((ahead - riccati.integral(self.duration)) / self.c_a)

    def speed(
        self,
        time: ScalarLike | Float[Array, "..."],
        x: Float[Array, "..."],
        mean: Float[Array, "..."],
    ) -> Float[Array, "..."]:
        """The optimal speed -(eta (x - m) + eta_bar m) / c_a."""
        return -(self.eta(time) * (x - mean) + self.eta_bar(time) * mean) / self.c_a

    def _riccati(self, gamma: ScalarLike) -> ScalarRiccati:
        parts = (self.c_x, gamma / self.c_a, 1 / self.c_a, self.c_g)
        return ScalarRiccati(*(jnp.asarray(part, jnp.result_type(float)) for part in parts))
