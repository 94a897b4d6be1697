"""When to arrive at a meeting that begins once enough are there."""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.games.differential import DifferentialGame
from nashfield.games.zoo._matrices import matrix, vector
from nashfield.mean_fields import Gaussian
from nashfield.mean_fields.quantiles import quantile
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, ScalarLike, scalar


class MeetingArrival(DifferentialGame):
    """Agents adjust when they arrive, turn by turn; the meeting begins when a share is there.

    An agent who arrives at x when the meeting was scheduled for t and begins at T, the `quantile`
    of all arrivals, pays lateness (x - t)_+ + inconvenience (x - T)_+ + waiting (T - x)_+. Source:
    Guéant, Lasry and Lions (2011), "Mean field games and applications"; played as in Thöni,
    Bachrach and Kachman (2025), "Neural mean-field games".

    Attributes:
        scheduled: t, in hours.
        quantile: share of the crowd that has to be there, in (0, 1).
        nu: of each agent's noise, sigma = sqrt(2 nu) hours after a turn.
        lateness: cost of an hour after the scheduled time.
        inconvenience: cost of an hour after the beginning.
        waiting: cost of an hour before the beginning.
        common_noise: standard deviation, after a turn, of a noise that all share.
        initial_mean: of the arrival times at first.
        initial_deviation: their standard deviation.
        duration: number of turns.
        horizon: T, the number of Euler's steps they are played in.
    """

    scheduled: Scalar = eqx.field(converter=scalar, default=12.0)
    quantile: Scalar = eqx.field(converter=scalar, default=0.8)
    nu: Scalar = eqx.field(converter=scalar, default=1.0)
    lateness: Scalar = eqx.field(converter=scalar, default=1.0)
    inconvenience: Scalar = eqx.field(converter=scalar, default=1.0)
    waiting: Scalar = eqx.field(converter=scalar, default=1.0)
    common_noise: Scalar = eqx.field(converter=scalar, default=0.0)
    initial_mean: Scalar = eqx.field(converter=scalar, default=12.0)
    initial_deviation: Scalar = eqx.field(converter=scalar, default=0.5)
    duration: Scalar = eqx.field(converter=scalar, default=15.0)
    horizon: int = 30

    state_dim: int = eqx.field(init=False, default=1)
    control_dim: int = eqx.field(init=False, default=1)

    def __check_init__(self):
        for name in ("scheduled", "initial_mean"):
            check_number(name, getattr(self, name))
        for name in ("nu", "lateness", "inconvenience", "waiting", "common_noise"):
            check_number(name, getattr(self, name), least=0.0)
        for name in ("quantile", "initial_deviation", "duration"):
            check_number(name, getattr(self, name), above=0.0)
        check_size("horizon", self.horizon)
        if not isinstance(self.quantile, jax.core.Tracer) and np.any(self.quantile >= 1):
            raise ParameterError(f"quantile must be less than 1, not {float(self.quantile):g}")

    def initial(self) -> Gaussian:
        """Gaussian."""
        return Gaussian(vector(self.initial_mean, 1), matrix(self.initial_deviation**2, 1))

    def statistic(self, mean_field: Any) -> Float[Array, ""]:
        """When the meeting begins."""
        return quantile(mean_field, self.quantile)

    def cost(self, t: ScalarLike, x: Float[Array, "D"], statistic: Any) -> Float[Array, ""]:
        """See the class."""
        late, after = jax.nn.relu(x[0] - self.scheduled), jax.nn.relu(x[0] - statistic)
        early = jax.nn.relu(statistic - x[0])
        return self.lateness * late + self.inconvenience * after + self.waiting * early

    def stationary_beginning(self) -> Float[Array, ""]:
        """When the meeting begins after many turns of infinitely many agents with unit weights.

        The gradient flow with noise has the stationary density exp(-c(x, T) / nu) up to a factor,
        whose quantile is T = t + nu (1 / (2 (1 - quantile)) - 3 / 2) where that is not before t
        (quantile >= 2/3), else t + nu log(4 - 2 / quantile) (quantile > 1/2).

        Raises:
            ParameterError: another weight, or half the crowd or less is waited for.
        """
        weights = (self.lateness, self.inconvenience, self.waiting)
        if any(float(weight) != 1 for weight in weights) or float(self.quantile) <= 0.5:
            raise ParameterError(
                "the stationary beginning is known for unit weights and quantile > 0.5"
            )
        q = jnp.asarray(self.quantile, jnp.result_type(float))
        shift = jnp.where(q >= 2 / 3, 0.5 / (1 - q) - 1.5, jnp.log(4 - 2 / q))
        return self.scheduled + self.nu * shift
