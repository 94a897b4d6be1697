"""Whether to go to a bar that is no fun when too many go."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.checks import check_number, check_probability, check_size
from nashfield.games.differential import DifferentialGame
from nashfield.mean_fields import Uniform
from nashfield.typing import Array, Scalar, ScalarLike, scalar


class ElFarolIntentions(DifferentialGame):
    """Agents adjust their intention p in [0, 1] to go to the bar; their share there is P.

    Where P > threshold those who went pay weight (p - threshold)_+; otherwise those who stayed pay
    weight (threshold - p)_+; all pay weight (p - P)^2. An agent goes with probability p, which is
    frozen in the gradient as whether they went is a fact by then; the cost is the mean over going
    and staying, and P that of infinitely many agents, the mean intention. Source: Arthur (1994),
    "Inductive reasoning and bounded rationality"; played as in Thöni, Bachrach and Kachman (2025),
    "Neural mean-field games".

    Attributes:
        threshold: share above which the bar is no fun.
        weight: of every cost.
        nu: of each agent's noise, sigma = sqrt(2 nu) after a turn; none in the source.
        common_noise: standard deviation, after a turn, of a noise that all share.
        duration: number of turns.
        horizon: T, the number of Euler's steps they are played in.
    """

    threshold: Scalar = eqx.field(converter=scalar, default=0.9)
    weight: Scalar = eqx.field(converter=scalar, default=0.33)
    nu: Scalar = eqx.field(converter=scalar, default=0.0)
    common_noise: Scalar = eqx.field(converter=scalar, default=0.0)
    duration: Scalar = eqx.field(converter=scalar, default=15.0)
    horizon: int = 30

    state_dim: int = eqx.field(init=False, default=1)
    control_dim: int = eqx.field(init=False, default=1)

    def __check_init__(self):
        check_probability("threshold", self.threshold)
        for name in ("weight", "nu", "common_noise"):
            check_number(name, getattr(self, name), least=0.0)
        check_number("duration", self.duration, above=0.0)
        check_size("horizon", self.horizon)

    @property
    def domain(self) -> tuple[Float[Array, "D"], Float[Array, "D"]]:
        """The unit interval."""
        return jnp.zeros(1), jnp.ones(1)

    def initial(self) -> Uniform:
        """Any intention."""
        return Uniform([0.0], [1.0])

    def statistic(self, mean_field: Any) -> Float[Array, ""]:
        """The share that goes."""
        return mean_field.mean()[0]

    def cost(self, t: ScalarLike, x: Float[Array, "D"], statistic: Any) -> Float[Array, ""]:
        """See the class."""
        p, goes = x[0], jax.lax.stop_gradient(x[0])
        over, under = jax.nn.relu(p - self.threshold), jax.nn.relu(self.threshold - p)
        regret = jnp.where(statistic > self.threshold, goes * over, (1 - goes) * under)
        return self.weight * (regret + (p - statistic) ** 2)
