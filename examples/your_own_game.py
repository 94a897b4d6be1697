"""A game written from nothing: commuters choose between the train and the road."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import nashfield as nf
from nashfield.typing import Scalar, scalar

jax.config.update("jax_enable_x64", True)

HOME, TRAIN, ROAD = 0, 1, 2


class Commute(nf.FiniteGame):
    """Each morning everyone goes by train or by car; the road is quick while it is empty.

    Attributes:
        toll: what the road costs, whoever else is on it.
    """

    # An array, so that another toll compiles nothing.
    toll: Scalar = eqx.field(converter=scalar, default=0.2)
    horizon: int = 2
    num_states: int = 3
    num_actions: int = 2

    def initial(self):
        """Everyone at home."""
        return np.eye(3)[HOME]

    def transition(self, t, mean_field):
        """The action names the way, from everywhere."""
        return nf.Dense(np.tile(np.eye(3)[[TRAIN, ROAD]], (3, 1, 1)))

    def reward(self, t, mean_field):
        """Minus the travel time; the road's grows with the share of cars on it."""
        road = 0.5 + mean_field.states[ROAD] + self.toll
        return jnp.broadcast_to(-jnp.stack([0.0, 1.0, road])[:, None], (3, 2))


# Says what is wrong with a game, and where.
nf.testing.check_game(Commute())

for toll in (0.0, 0.2, 0.4):
    game = Commute(toll=toll)
    solution = nf.solve(game, nf.OnlineMirrorDescent(learning_rate=1.0), num_iterations=200)
    cars = float(solution.flow.states[1, ROAD])
    print(f"toll {toll}: {cars:.3f} take the road (exploitability {solution.exploitability:.1e})")
    # Nobody gains by changing where both ways take equally long: 0.5 + cars + toll = 1.
    assert abs(cars - (0.5 - toll)) < 1e-3
