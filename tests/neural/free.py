"""A game in which noise alone moves agents, and crowds to learn it from."""

import equinox as eqx
import jax
import numpy as np

from nashfield.games.differential import DifferentialGame
from nashfield.mean_fields import Gaussian
from nashfield.neural import Inputs, NeuralMeanFieldGame, Observations
from nashfield.typing import Scalar, scalar

KEY = jax.random.key(5)


class Free(DifferentialGame):
    """Nobody pays for anything: all that moves agents is noise, and what is learnt."""

    weight: Scalar = eqx.field(converter=scalar, default=0.0)
    nu: Scalar = eqx.field(converter=scalar, default=0.125)
    common_noise: Scalar = eqx.field(converter=scalar, default=0.0)
    duration: Scalar = eqx.field(converter=scalar, default=2.0)
    horizon: int = 5
    state_dim: int = 1
    control_dim: int = 1

    def initial(self):
        return Gaussian(np.zeros(1), 0.09 * np.eye(1))

    def statistic(self, mean_field):
        return mean_field.mean()[0]

    def cost(self, t, x, statistic):
        return self.weight * x[0] ** 4


def untrained(game=None, num_inputs=0, drift=(4,), diffusion=None):
    game = Free() if game is None else game
    return NeuralMeanFieldGame(
        game, drift=drift, diffusion=diffusion, num_inputs=num_inputs, key=jax.random.key(1)
    )


def ornstein_uhlenbeck(num_games, num_agents, times, *, c=2.0, s=0.8, start=None, seed=0):
    """dX = (c - X) dt + s dW from N(0, .09), at its exact law."""
    rng = np.random.default_rng(seed)
    x = 0.3 * rng.normal(size=(num_games, num_agents)) if start is None else start
    states, before = [], 0.0
    for t in times:
        keep = np.exp(-(t - before))
        spread = s * ((1 - keep**2) / 2) ** 0.5
        x = c + (x - c) * keep + spread * rng.normal(size=x.shape)
        states, before = [*states, x], t
    return np.stack(states, 1)[..., None]


QUICK = {"num_steps": 4, "look_every": 2, "learning_rate": 1e-3, "key": KEY}
FEW = ornstein_uhlenbeck(3, 6, [2.0])[:, 0]
# Each game has an input of its own.
APART = Observations([2.0], FEW[:, None], Inputs([0.0], [[[0.0]], [[1.0]], [[2.0]]]))
