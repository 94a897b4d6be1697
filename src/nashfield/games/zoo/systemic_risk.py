"""Banks that lend to and borrow from one another."""

from typing import Any

import equinox as eqx
import jax.core
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.games.quadratic import QuadraticGame
from nashfield.games.riccati import Stage, StateCost
from nashfield.games.zoo._matrices import matrix, vector
from nashfield.games.zoo._scalar_riccati import ScalarRiccati
from nashfield.mean_fields import Gaussian
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar


class SystemicRisk(QuadraticGame):
    """Banks whose log reserves X are drawn to the mean m, and which pay to be near it.

    dX = (a (m - X) + alpha) dt + sigma dW on [0, duration], with the cost integral of
    alpha^2 / 2 - q alpha (m - X) + eps (m - X)^2 / 2, and c (m - X)^2 / 2 in the end; played in
    `horizon` steps of Euler. Source: Carmona, Fouque and Sun (2015), "Mean field games and systemic
    risk", without common noise, for many banks. `equilibrium` is that of the steps; `eta` and
    `borrowing` are those of continuous time, from which it is O(dt) away.

    Attributes:
        a: rate of the drift to the mean.
        q: incentive to borrow below the mean and to lend above it.
        eps: weight of the distance to the mean, at least q^2.
        c: weight of that distance in the end.
        sigma: of the noise.
        duration: how long it lasts.
        horizon: T, the number of steps.
        initial_mean: of the log reserves.
        initial_variance: their variance.
    """

    a: Scalar = eqx.field(converter=scalar, default=1.0)
    q: Scalar = eqx.field(converter=scalar, default=1.0)
    eps: Scalar = eqx.field(converter=scalar, default=10.0)
    c: Scalar = eqx.field(converter=scalar, default=0.0)
    sigma: Scalar = eqx.field(converter=scalar, default=1.0)
    duration: Scalar = eqx.field(converter=scalar, default=1.0)
    horizon: int = 50
    initial_mean: Scalar = eqx.field(converter=scalar, default=0.0)
    initial_variance: Scalar = eqx.field(converter=scalar, default=0.25)

    state_dim: int = eqx.field(init=False, default=1)
    control_dim: int = eqx.field(init=False, default=1)

    def __post_init__(self):
        check_size("horizon", self.horizon)
        check_number("duration", self.duration, above=0.0)
        for name in ("a", "q", "eps", "c", "sigma", "initial_variance"):
            check_number(name, getattr(self, name), least=0.0)
        check_number("initial_mean", self.initial_mean)
        traced = any(isinstance(x, jax.core.Tracer) for x in (self.q, self.eps))
        # Rounding of q and eps, which may be in single precision, decides nothing.
        if not traced and self.q**2 > self.eps * (1 + 1e-6):
            raise ParameterError(
                f"eps must be at least q^2 = {float(self.q) ** 2:g}, not {float(self.eps):g}, or "
                "the cost is not convex"
            )

    @property
    def dt(self) -> ScalarLike:
        """Length of a step."""
        return self.duration / self.horizon

    def initial(self) -> Gaussian:
        """Gaussian."""
        return Gaussian(vector(self.initial_mean, 1), matrix(self.initial_variance, 1))

    def stage(self, t: Time, mean_field: Any) -> Stage:
        """See `QuadraticGame.stage`."""
        dt, mean = self.dt, mean_field.mean()
        cost = self._apart(self.eps * dt, mean)
        return Stage(
            matrix(1 - self.a * dt, 1),
            matrix(dt, 1),
            matrix(self.sigma * jnp.sqrt(dt), 1),
            cost.Q,
            matrix(dt / 2, 1),
            d=self.a * dt * mean,
            q=cost.q,
            c=cost.c,
            S=matrix(self.q * dt / 2, 1),
            r=-self.q * dt / 2 * mean,
        )

    def terminal(self, mean_field: Any) -> StateCost:
        """See `QuadraticGame.terminal`."""
        return self._apart(self.c, mean_field.mean())

    def eta(self, time: ScalarLike | Float[Array, "..."]) -> Float[Array, "..."]:
        """The eta of eta' = 2 (a + q) eta + eta^2 - (eps - q^2), eta = c in the end."""
        parts = (self.eps - self.q**2, -2 * (self.a + self.q), 1.0, self.c)
        riccati = ScalarRiccati(*(jnp.asarray(part, jnp.result_type(float)) for part in parts))
        return riccati.value(self.duration - time)

    def borrowing(
        self,
        time: ScalarLike | Float[Array, "..."],
        x: Float[Array, "..."],
        mean: Float[Array, "..."],
    ) -> Float[Array, "..."]:
        """The optimal rate (q + eta) (m - x)."""
        return (self.q + self.eta(time)) * (mean - x)

    def _apart(self, weight: ScalarLike, mean: Float[Array, "D"]) -> StateCost:
        """The cost weight (m - x)^2 / 2."""
        half = weight / 2
        return StateCost(matrix(half, 1), -half * mean, half * jnp.sum(mean**2))
