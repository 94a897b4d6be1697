"""Crowd aversion on the torus, whose ergodic equilibrium is known."""

from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.games.continuous import ContinuousGame
from nashfield.mean_fields import Uniform
from nashfield.mean_fields.von_mises import VonMises
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar


class CrowdAversion(ContinuousGame):
    """Agents on a circle of length 1 who prefer some places, and thin crowds.

    dX = a dt + sigma dW with the reward integral of -a^2 / 2 - log mu_t(X) + f(X),

        f(x) = 2 pi^2 sigma^2 sin(2 pi x) - 2 pi^2 cos^2(2 pi x) + (2 / sigma^2) sin(2 pi x),

    played in `horizon` steps of Euler over `duration`; terminal_weight sin(2 pi X) in the end.
    Source: Almulla, Ferreira and Gomes (2017), "Two numerical approaches to stationary mean-field
    games".

    Its ergodic equilibrium (duration to infinity) is `ergodic_law`, `ergodic_control` and
    `ergodic_value`. sin(2 pi x) is the potential of that control: with a terminal weight of 1 and
    the ergodic law as initial law the equilibrium is stationary in continuous time, for any
    duration. Euler's steps are O(dt) away, and must be short, as f is steep: at the default of
    0.0025 the ergodic control earns 0.64 less than `ergodic_value` per unit of time, at half of
    that half.

    Attributes:
        sigma: of the noise, positive.
        duration: how long it lasts.
        horizon: T, the number of steps.
        terminal_weight: of the reward in the end.
        initial_law: "ergodic" or "uniform".
        floor: least density that the reward sees, log max(mu, floor): where a learnt density
            vanishes it would pay without bound.
    """

    sigma: Scalar = eqx.field(converter=scalar, default=1.0)
    duration: Scalar = eqx.field(converter=scalar, default=0.25)
    horizon: int = 100
    terminal_weight: Scalar = eqx.field(converter=scalar, default=1.0)
    initial_law: Literal["ergodic", "uniform"] = "ergodic"
    floor: Scalar = eqx.field(converter=scalar, default=1e-9)

    state_dim: int = eqx.field(init=False, default=1)
    control_dim: int = eqx.field(init=False, default=1)

    periodic: ClassVar[bool] = True

    def __post_init__(self):
        check_size("horizon", self.horizon)
        for name in ("sigma", "duration"):
            check_number(name, getattr(self, name), above=0.0)
        check_number("terminal_weight", self.terminal_weight)
        check_number("floor", self.floor, least=0.0)
        if self.initial_law not in ("ergodic", "uniform"):
            raise ParameterError(
                f"initial_law must be 'ergodic' or 'uniform', not {self.initial_law!r}"
            )

    @property
    def dt(self) -> ScalarLike:
        """Length of a step."""
        return self.duration / self.horizon

    @property
    def domain(self) -> tuple[Float[Array, "D"], Float[Array, "D"]]:
        """[0, 1)."""
        return np.zeros(1), np.ones(1)

    def initial(self) -> VonMises | Uniform:
        """Ergodic or uniform."""
        return self.ergodic_law() if self.initial_law == "ergodic" else Uniform(*self.domain)

    def step(
        self,
        t: Time,
        x: Float[Array, "D"],
        a: Float[Array, "C"],
        mean_field: Any,
        noise: Float[Array, "W"],
    ) -> Float[Array, "D"]:
        """Euler's step around the circle."""
        return jnp.mod(x + a * self.dt + self.sigma * jnp.sqrt(self.dt) * noise, 1)

    def reward(
        self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"], mean_field: Any
    ) -> Float[Array, ""]:
        """What a step earns."""
        crowding = jnp.maximum(mean_field.log_density(x), jnp.log(self.floor))
        return self.dt * (self.preference(x)[0] - a[0] ** 2 / 2 - crowding)

    def terminal_reward(self, x: Float[Array, "D"], mean_field: Any) -> Float[Array, ""]:
        """terminal_weight sin(2 pi x)."""
        return self.terminal_weight * jnp.sin(2 * np.pi * x[0])

    def observe(self, x: Float[Array, "D"]) -> Float[Array, "F"]:
        """Cosine and sine of the angle."""
        return jnp.concatenate([jnp.cos(2 * np.pi * x), jnp.sin(2 * np.pi * x)])

    def preference(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """f, how much agents like it at x."""
        sine, cosine = jnp.sin(2 * np.pi * x), jnp.cos(2 * np.pi * x)
        return (2 * np.pi**2 * self.sigma**2 + 2 / self.sigma**2) * sine - 2 * (np.pi * cosine) ** 2

    def ergodic_law(self) -> VonMises:
        """Density exp(2 sin(2 pi x) / sigma^2) / I0(2 / sigma^2)."""
        sharp = 2 / jnp.asarray(self.sigma, jnp.result_type(float)) ** 2
        return VonMises(jnp.full(1, 0.25, sharp.dtype), sharp[None])

    def ergodic_control(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """2 pi cos(2 pi x)."""
        return 2 * np.pi * jnp.cos(2 * np.pi * x)

    def ergodic_value(self) -> Float[Array, ""]:
        """Reward per unit of time, log I0(2 / sigma^2)."""
        sharp = 2 / jnp.asarray(self.sigma, jnp.result_type(float)) ** 2
        return sharp + jnp.log(jax.scipy.special.i0e(sharp))
