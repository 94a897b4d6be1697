"""Linear moves, quadratic costs, and a crowd that is avoided where it is dense."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.controls import Affine
from nashfield.games.quadratic import QuadraticGame
from nashfield.games.riccati import Stage, StateCost, log_determinant, solve_positive
from nashfield.games.zoo._matrices import check_covariance, dimensions, matrix, vector
from nashfield.mean_fields import Gaussian
from nashfield.results import GameError
from nashfield.typing import Array, Scalar, Time, array, scalar

# How many times wider than any crowd worth being in the first crowd of iterations is.
_WIDE = 4.0


class LocalEntropy(QuadraticGame):
    """Go to a target, cheaply, where the crowd is thin.

    x' = A x + B a + sigma z, with the reward -c_x |x - target|^2 - c_a |a|^2 - c_m log mu_t(x),
    where mu_t(x) is the crowd's density where the agent is; after the last decision
    terminal_weight (-c_x |x - target|^2 - c_m log mu_T(x)). Source: Magnino et al. (2025),
    "Solving continuous mean field games: deep reinforcement learning for non-stationary dynamics",
    linear-quadratic environment, with the local reward of its four rooms; the constants are ours.

    Among a Gaussian crowd N(m, V) the density's part is c_m (x - m)' V^-1 (x - m) / 2 and a
    constant, and the crowd of an affine policy stays Gaussian: `equilibrium` is exact. It is
    unique, as the game is monotone. Best responses exist only against crowds that are wide enough:
    solve with FixedPoint(damping=0.95), which starts from a very wide one.

    Attributes:
        A: a number, or (D, D).
        B: a number, or (D, C).
        target: a number, or (D,).
        c_x: weight of the distance to the target.
        c_a: weight of the action, positive.
        c_m: weight of the log density.
        sigma: a number, or (D, D), a factor of the covariance of the noise.
        horizon: T.
        terminal_weight: of the reward after the last decision.
        initial_mean: a number, or (D,).
        initial_variance: a number, or the covariance (D, D), positive definite.
        floor: added to the density in `reward`, log(mu + floor): where a learnt density vanishes
            the reward would have no bound. Exact numbers are those of floor 0; the default changes
            the equilibrium's value by less than 1e-6.
    """

    A: Float[Array, "..."] = eqx.field(converter=array, default=1.0)
    B: Float[Array, "..."] = eqx.field(converter=array, default=1.0)
    target: Float[Array, "..."] = eqx.field(converter=array, default=0.5)
    c_x: Scalar = eqx.field(converter=scalar, default=1.0)
    c_a: Scalar = eqx.field(converter=scalar, default=5.0)
    c_m: Scalar = eqx.field(converter=scalar, default=0.5)
    sigma: Float[Array, "..."] = eqx.field(converter=array, default=0.1)
    horizon: int = 10
    terminal_weight: Scalar = eqx.field(converter=scalar, default=1.0)
    initial_mean: Float[Array, "..."] = eqx.field(converter=array, default=0.0)
    initial_variance: Float[Array, "..."] = eqx.field(converter=array, default=0.04)
    floor: Scalar = eqx.field(converter=scalar, default=1e-9)

    state_dim: int = eqx.field(init=False)
    control_dim: int = eqx.field(init=False)

    reads_covariance = True

    def __post_init__(self):
        check_size("horizon", self.horizon)
        for name in ("A", "B", "target", "sigma", "initial_mean", "initial_variance"):
            check_number(name, getattr(self, name))
        for name in ("c_x", "c_m", "terminal_weight", "floor"):
            check_number(name, getattr(self, name), least=0.0)
        check_number("c_a", self.c_a, above=0.0)
        square = {name: getattr(self, name) for name in ("A", "sigma", "initial_variance")}
        vectors = {name: getattr(self, name) for name in ("target", "initial_mean")}
        self.state_dim, self.control_dim = dimensions(square, vectors, self.B)
        check_covariance("initial_variance", self.initial_variance, definite=True)

    def initial(self) -> Gaussian:
        """Gaussian."""
        size = self.state_dim
        return Gaussian(vector(self.initial_mean, size), matrix(self.initial_variance, size))

    def stage(self, t: Time, mean_field: Any) -> Stage:
        """See `QuadraticGame.stage`."""
        cost = self._state_cost(mean_field)
        return self._stage(cost)

    def terminal(self, mean_field: Any) -> StateCost:
        """See `QuadraticGame.terminal`."""
        cost = self._state_cost(mean_field)
        return jax.tree.map(lambda part: self.terminal_weight * part, cost)

    def step(
        self,
        t: Time,
        x: Float[Array, "D"],
        a: Float[Array, "C"],
        mean_field: Any,
        noise: Float[Array, "W"],
    ) -> Float[Array, "D"]:
        """The crowd, of whatever kind, plays no part."""
        return self._stage(self._distance()).move(x, a, noise)

    def reward(
        self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"], mean_field: Any
    ) -> Float[Array, ""]:
        """With the density of the crowd, of whatever kind."""
        return -self._stage(self._distance()).cost(x, a) - self._crowding(x, mean_field)

    def terminal_reward(self, x: Float[Array, "D"], mean_field: Any) -> Float[Array, ""]:
        """With the density of the crowd, of whatever kind."""
        cost = self._distance()
        distance = x @ (cost.Q @ x + 2 * cost.q) + cost.c
        return -self.terminal_weight * (distance + self._crowding(x, mean_field))

    def starting_policy(self) -> Any:
        """At once to a crowd that is very wide, and then to stay there."""
        mean, covariance = self.initial_moments()
        size = self.state_dim
        A, B = matrix(self.A, size), matrix(self.B, size, self.control_dim)
        spread = jnp.sum(matrix(self.sigma, size) ** 2) / size
        now = jnp.trace(covariance) / size
        # Where the density's pull meets that of the target, or what the actions cost.
        scale = self.c_m / 2 / jnp.maximum(self.c_x, self.c_a / self.horizon**2)
        stretch = jnp.sqrt(_WIDE * (now + self.horizon * spread + scale) / now)
        factors = jnp.ones(self.horizon, mean.dtype).at[0].set(stretch)
        wanted = factors[:, None, None] * jnp.eye(size) - A
        still = (1 - factors)[:, None] * mean
        gram = B.T @ B + 1e-6 * jnp.trace(B.T @ B) * jnp.eye(self.control_dim)
        inverse = solve_positive(gram, B.T)
        return Affine(inverse @ wanted, still @ inverse.T)

    def _stage(self, cost: StateCost) -> Stage:
        D, C = self.state_dim, self.control_dim
        moves = matrix(self.A, D), matrix(self.B, D, C), matrix(self.sigma, D)
        return Stage(*moves, cost.Q, self.c_a * jnp.eye(C), q=cost.q, c=cost.c)

    def _distance(self) -> StateCost:
        target = vector(self.target, self.state_dim)
        Q = self.c_x * jnp.eye(self.state_dim)
        return StateCost(Q, -self.c_x * target, self.c_x * jnp.sum(target**2))

    def _state_cost(self, mean_field: Any) -> StateCost:
        if not isinstance(mean_field, Gaussian):
            raise GameError(
                "LocalEntropy is quadratic only among Gaussian crowds, not among "
                f"{type(mean_field).__name__}"
            )
        cost, mean = self._distance(), mean_field.mean()
        covariance = jnp.asarray(mean_field.covariance)
        precision = solve_positive(covariance, jnp.eye(self.state_dim, dtype=covariance.dtype))
        log_scale = self.state_dim * np.log(2 * np.pi) + log_determinant(covariance)
        pulled = precision @ mean
        half = self.c_m / 2
        return StateCost(
            cost.Q - half * precision,
            cost.q + half * pulled,
            cost.c - half * (log_scale + mean @ pulled),
        )

    def _crowding(self, x: Float[Array, "D"], mean_field: Any) -> Float[Array, ""]:
        return self.c_m * jnp.logaddexp(mean_field.log_density(x), jnp.log(self.floor))
