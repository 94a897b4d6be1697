"""Tiny games on points, each with one way for a learner to fail; all share one program."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.games.continuous import ContinuousGame
from nashfield.mean_fields import Flow, Gaussian
from nashfield.typing import Array, array


class Probe(ContinuousGame):
    """Two decisions on the line.

    x' = x + push_t a + .1 z; reward -price_t |a - wish_t - follow x|^2 at t, and at the end
    -pull |x - goal|^2 - aversion log mu_2(x). Where x exceeds `edge`, `rot_t` is added to the
    reward and `jump_t` to the next state.
    """

    push: Float[Array, "..."] = eqx.field(converter=array, default=(0.0, 0.0))
    price: Float[Array, "..."] = eqx.field(converter=array, default=(1.0, 1.0))
    wish: Float[Array, "..."] = eqx.field(converter=array, default=(0.0, 0.0))
    follow: Float[Array, "..."] = eqx.field(converter=array, default=0.0)
    pull: Float[Array, "..."] = eqx.field(converter=array, default=0.0)
    goal: Float[Array, "..."] = eqx.field(converter=array, default=0.0)
    aversion: Float[Array, "..."] = eqx.field(converter=array, default=0.0)
    edge: Float[Array, "..."] = eqx.field(converter=array, default=np.inf)
    rot: Float[Array, "..."] = eqx.field(converter=array, default=(0.0, 0.0))
    jump: Float[Array, "..."] = eqx.field(converter=array, default=(0.0, 0.0))
    bound: Float[Array, "..."] = eqx.field(converter=array, default=np.inf)
    horizon: int = 2
    state_dim: int = 1
    control_dim: int = 1

    @property
    def control_bounds(self):
        return -self.bound * np.ones(1), self.bound * np.ones(1)

    def initial(self):
        return Gaussian(np.zeros(1), np.array([[0.25]]))

    def step(self, t, x, a, mean_field, noise):
        jump = jnp.where(x > self.edge, jnp.asarray(self.jump)[t], 0)
        return x + jnp.asarray(self.push)[t] * a + 0.1 * noise + jump

    def reward(self, t, x, a, mean_field):
        miss = a[0] - jnp.asarray(self.wish)[t] - self.follow * x[0]
        rot = jnp.where(x[0] > self.edge, jnp.asarray(self.rot)[t], 0)
        return -jnp.asarray(self.price)[t] * miss**2 + rot

    def terminal_reward(self, x, mean_field):
        away = -self.aversion * mean_field.log_density(x)
        return -self.pull * jnp.sum((x - self.goal) ** 2) + away


def crowd(deviation=0.5):
    """N(0, deviation^2) at all times."""
    return Flow(Gaussian(np.zeros((3, 1)), np.full((3, 1, 1), deviation**2)))


STATES = np.array([-0.5, 0.0, 0.5])

# What the game is, and the optimal actions at t = 0 and 1 in STATES; None where any will do.
PROBES = {
    # One step: the reward of the action itself, and how it depends on the state.
    "one step": (Probe(follow=0.7), [0.7 * STATES, 0.7 * STATES]),
    # Two steps: only the first action moves, and only the end pays. Minimise
    # .2 a^2 + |x + a - .5|^2: a = (.5 - x) / 1.2.
    "two steps": (
        Probe(push=(1.0, 0.0), price=(0.2, 0.0), pull=1.0, goal=0.5),
        [(0.5 - STATES) / 1.2, None],
    ),
    "time": (Probe(wish=(0.8, -0.8)), [0.8 + 0 * STATES, -0.8 + 0 * STATES]),
    # Minimise a^2 + .25 log mu(x + a), mu = N(0, .5^2), so a^2 - .5 |x + a|^2: a = x, away from
    # the crowd; the wrong sign would give a = -x / 3, a density that is left out a = 0.
    "density": (Probe(push=(0.0, 1.0), price=(0.0, 1.0), aversion=0.25), [None, STATES]),
    # The wish lies beyond the bounds.
    "edge": (Probe(wish=(2.0, -2.0), bound=0.5), [0.5 + 0 * STATES, -0.5 + 0 * STATES]),
}
