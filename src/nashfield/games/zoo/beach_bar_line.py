"""Beach bar on the line: be near the bar, but not in the crowd."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.checks import check_number, check_probability, check_size
from nashfield.games.continuous import ContinuousGame
from nashfield.mean_fields import AbstractMeanField, Uniform
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, Time, scalar


class BeachBarLine(ContinuousGame):
    """Towels on a strip of beach, the unit interval, with a bar on it.

    x' = x + a + sigma z, reflected at 0 and 1; the reward is
    -|x - bar| - c_a a^2 - c_m log(mu_t(x) + floor), also after the last decision (there without
    the action), with mu_t the density of the crowd. The constants of the paper are not published;
    these are ours. On finitely many places it is the beach bar of Perrin et al. (2020). Source:
    Magnino et al. (2025), "Solving continuous mean field games: deep reinforcement learning for
    non-stationary dynamics".

    Where moves are free and T is large the crowd settles near the density in proportion to
    exp(-|x - bar| / c_m).

    Attributes:
        horizon: T.
        bar: where the bar stands.
        c_a: weight of the square of the step.
        c_m: weight of the crowd.
        sigma: standard deviation of the wind in one step.
        max_step: longest step to either side.
        floor: added to the density inside the logarithm, so that an empty place has a finite
            reward.
        initial_low: the crowd is spread evenly between this and
        initial_high: this.
    """

    horizon: int = 20
    bar: Scalar = eqx.field(converter=scalar, default=0.5)
    c_a: Scalar = eqx.field(converter=scalar, default=5.0)
    c_m: Scalar = eqx.field(converter=scalar, default=0.2)
    sigma: Scalar = eqx.field(converter=scalar, default=0.03)
    max_step: Scalar = eqx.field(converter=scalar, default=0.2)
    floor: Scalar = eqx.field(converter=scalar, default=1e-3)
    initial_low: Scalar = eqx.field(converter=scalar, default=0.0)
    initial_high: Scalar = eqx.field(converter=scalar, default=1.0)

    state_dim: int = eqx.field(init=False)
    control_dim: int = eqx.field(init=False)

    def __post_init__(self):
        self.state_dim = self.control_dim = 1
        check_size("horizon", self.horizon)
        check_probability("bar", self.bar)
        check_number("c_a", self.c_a, least=0.0)
        check_number("c_m", self.c_m, least=0.0)
        check_number("sigma", self.sigma, least=0.0)
        check_number("max_step", self.max_step, above=0.0)
        check_number("floor", self.floor, above=0.0)
        check_probability("initial_low", self.initial_low)
        check_probability("initial_high", self.initial_high)
        try:
            narrow = bool(self.initial_low >= self.initial_high)
        except Exception:  # traced
            return
        if narrow:
            raise ParameterError(
                f"initial_low must be less than initial_high, not {float(self.initial_low):g} and "
                f"{float(self.initial_high):g}"
            )

    @property
    def domain(self) -> tuple[Float[Array, "D"], Float[Array, "D"]]:
        """The unit interval."""
        return jnp.zeros(1), jnp.ones(1)

    @property
    def control_bounds(self) -> tuple[Float[Array, "C"], Float[Array, "C"]]:
        """The longest step to either side."""
        return -jnp.asarray(self.max_step)[None], jnp.asarray(self.max_step)[None]

    def initial(self) -> AbstractMeanField:
        """Uniform."""
        return Uniform(jnp.asarray(self.initial_low)[None], jnp.asarray(self.initial_high)[None])

    def step(
        self,
        t: Time,
        x: Float[Array, "D"],
        a: Float[Array, "C"],
        mean_field: AbstractMeanField,
        noise: Float[Array, "W"],
    ) -> Float[Array, "D"]:
        """The step and the wind, reflected."""
        moved = (x + a + self.sigma * noise) % 2
        return jnp.minimum(moved, 2 - moved)

    def reward(
        self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"], mean_field: AbstractMeanField
    ) -> Float[Array, ""]:
        """See the class."""
        return self.terminal_reward(x, mean_field) - self.c_a * jnp.sum(a**2)

    def terminal_reward(
        self, x: Float[Array, "D"], mean_field: AbstractMeanField
    ) -> Float[Array, ""]:
        """The same without the action."""
        density = jnp.exp(mean_field.log_density(x))
        return -jnp.abs(x[0] - self.bar) - self.c_m * jnp.log(density + self.floor)

    def observe(self, x: Float[Array, "D"]) -> Float[Array, "F"]:
        """The state, and the distance to the bar."""
        return jnp.concatenate([x, jnp.abs(x - self.bar)])
