"""A game in two dimensions with kinks."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from nashfield.games.differential import DifferentialGame
from nashfield.mean_fields import Gaussian
from nashfield.typing import Scalar, scalar


class Bent(DifferentialGame):
    """In two dimensions, with a kink at the statistic, a vector; drift -sign(x - s) - t x."""

    nu: Scalar = eqx.field(converter=scalar, default=0.5)
    common_noise: Scalar = eqx.field(converter=scalar, default=0.3)
    duration: Scalar = eqx.field(converter=scalar, default=2.0)
    horizon: int = 8
    state_dim: int = 2
    control_dim: int = 2

    def initial(self):
        return Gaussian(np.zeros(2), np.eye(2))

    def statistic(self, mean_field):
        return {"mean": mean_field.mean()}

    def cost(self, t, x, statistic):
        return jnp.sum(jnp.abs(x - statistic["mean"])) + t * jnp.sum(x**2) / 2
