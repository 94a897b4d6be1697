"""The linear-quadratic game on points, of any dimension."""

from typing import Any, Literal

import equinox as eqx
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.games.quadratic import QuadraticGame
from nashfield.games.riccati import Stage, StateCost
from nashfield.games.zoo._matrices import check_covariance, dimensions, matrix, vector
from nashfield.mean_fields import Gaussian, Uniform
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, ScalarLike, Time, array, scalar


class LinearQuadratic(QuadraticGame):
    """Go to a target, cheaply, together with the crowd.

    With m_t the crowd's mean, x' = A x + B a + A_bar m_t + sigma z and the reward
    -discount^t (c_x |x - target|^2 + c_a |a|^2 + c_m |x - m_t|^2); after the last decision
    -discount^T terminal_weight (c_x |x - target|^2 + c_m |x - m_T|^2). Source: Magnino et al.
    (2025), "Solving continuous mean field games: deep reinforcement learning for non-stationary
    dynamics", linear-quadratic environment; the constants are ours.

    D and C follow from whatever is given as a matrix or a vector; a number stands for a multiple of
    the identity, or for a vector of equal entries. The equilibrium is unique if and only if the
    matrices I + (discount / c_a) B B' Pi_t of its mean are invertible.

    Attributes:
        A: a number, or (D, D).
        B: a number, or (D, C).
        A_bar: a number, or (D, D).
        target: a number, or (D,).
        c_x: weight of the distance to the target.
        c_a: weight of the action, positive.
        c_m: weight of the distance to the crowd's mean.
        sigma: a number, or (D, D), a factor of the covariance of the noise.
        horizon: T.
        terminal_weight: of the cost after the last decision.
        initial_mean: a number, or (D,).
        initial_variance: a number, or the covariance (D, D).
        initial_law: "gaussian", or "uniform" (on the box of that mean and variance). The policy of
            the equilibrium and its value are the same; the laws of its flow are then Gaussians of
            the exact means and covariances.
        discount: in (0, 1].
    """

    A: Float[Array, "..."] = eqx.field(converter=array, default=0.95)
    B: Float[Array, "..."] = eqx.field(converter=array, default=1.0)
    A_bar: Float[Array, "..."] = eqx.field(converter=array, default=0.05)
    target: Float[Array, "..."] = eqx.field(converter=array, default=0.5)
    c_x: Scalar = eqx.field(converter=scalar, default=1.0)
    c_a: Scalar = eqx.field(converter=scalar, default=10.0)
    c_m: Scalar = eqx.field(converter=scalar, default=1.0)
    sigma: Float[Array, "..."] = eqx.field(converter=array, default=0.05)
    horizon: int = 20
    terminal_weight: Scalar = eqx.field(converter=scalar, default=0.0)
    initial_mean: Float[Array, "..."] = eqx.field(converter=array, default=0.0)
    initial_variance: Float[Array, "..."] = eqx.field(converter=array, default=1 / 3)
    initial_law: Literal["gaussian", "uniform"] = "gaussian"
    discount: Scalar = eqx.field(converter=scalar, default=1.0)

    state_dim: int = eqx.field(init=False)
    control_dim: int = eqx.field(init=False)

    def __post_init__(self):
        check_size("horizon", self.horizon)
        for name in ("A", "B", "A_bar", "target", "sigma", "initial_mean", "initial_variance"):
            check_number(name, getattr(self, name))
        for name in ("c_x", "c_m", "terminal_weight"):
            check_number(name, getattr(self, name), least=0.0)
        check_number("c_a", self.c_a, above=0.0)
        check_number("discount", self.discount, most=1.0, above=0.0)
        square = {name: getattr(self, name) for name in ("A", "A_bar", "sigma", "initial_variance")}
        vectors = {name: getattr(self, name) for name in ("target", "initial_mean")}
        self.state_dim, self.control_dim = dimensions(square, vectors, self.B)
        check_covariance("initial_variance", self.initial_variance)
        if self.initial_law not in ("gaussian", "uniform"):
            raise ParameterError(
                f"initial_law must be 'gaussian' or 'uniform', not {self.initial_law!r}"
            )
        variance = self.initial_variance
        if self.initial_law == "uniform" and not isinstance(variance, jax.core.Tracer):
            covariance = np.asarray(variance)
            if covariance.ndim and np.any(covariance != np.diag(np.diag(covariance))):
                raise ParameterError(
                    "initial_law 'uniform' is a law on a box, whose entries are independent: "
                    "initial_variance must be diagonal"
                )
            if np.any((covariance if covariance.ndim == 0 else np.diag(covariance)) <= 0):
                raise ParameterError(
                    "initial_law 'uniform' needs a box with sides: initial_variance must be "
                    "greater than 0 in every coordinate (or take initial_law='gaussian')"
                )

    def initial(self) -> Any:
        """Gaussian or uniform."""
        mean = vector(self.initial_mean, self.state_dim)
        covariance = matrix(self.initial_variance, self.state_dim)
        if self.initial_law == "gaussian":
            return Gaussian(mean, covariance)
        reach = jnp.sqrt(3 * jnp.diag(covariance))
        return Uniform(mean - reach, mean + reach)

    def stage(self, t: Time, mean_field: Any) -> Stage:
        """See `QuadraticGame.stage`."""
        D, C = self.state_dim, self.control_dim
        mean = mean_field.mean()
        weight = self.discount**t
        cost = self._state_cost(mean, weight)
        return Stage(
            matrix(self.A, D),
            matrix(self.B, D, C),
            matrix(self.sigma, D),
            cost.Q,
            weight * self.c_a * jnp.eye(C),
            d=matrix(self.A_bar, D) @ mean,
            q=cost.q,
            c=cost.c,
        )

    def terminal(self, mean_field: Any) -> StateCost:
        """See `QuadraticGame.terminal`."""
        weight = self.discount**self.horizon * self.terminal_weight
        return self._state_cost(mean_field.mean(), weight)

    def _state_cost(self, mean: Float[Array, "D"], weight: ScalarLike) -> StateCost:
        target = vector(self.target, self.state_dim)
        return StateCost(
            weight * (self.c_x + self.c_m) * jnp.eye(self.state_dim),
            weight * -(self.c_x * target + self.c_m * mean),
            weight * (self.c_x * jnp.sum(target**2) + self.c_m * jnp.sum(mean**2)),
        )
