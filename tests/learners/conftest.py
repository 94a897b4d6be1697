"""Two small games without time, on three states and on points, and what is known of them."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.base import StationaryGame
from nashfield.games.continuous_stationary import ContinuousStationaryGame

RANDOM = np.random.default_rng(7)
MOVES = RANDOM.dirichlet(np.ones(3), (3, 2))
REWARDS = RANDOM.normal(size=(3, 2))


class Triangle(StationaryGame):
    """Three states, two actions; a crowded state is worth less."""

    num_states: int = eqx.field(static=True, default=3)
    num_actions: int = eqx.field(static=True, default=2)
    discount: nf.Scalar = eqx.field(converter=nf.scalar, default=0.5)

    def initial(self):
        return np.array([0.5, 0.3, 0.2])

    def transition(self, mean_field):
        return nf.Dense(MOVES.copy())  # JAX would keep a constant in the precision it saw first

    def reward(self, mean_field):
        return REWARDS.copy() - mean_field.states[:, None]


class Segment(ContinuousStationaryGame):
    """x' is uniform on [0, 1], or on [0, 1/2] after action 1, which costs .1; x earns x - <z>."""

    discount: nf.Scalar = eqx.field(converter=nf.scalar, default=0.5)
    state_dim: int = eqx.field(static=True, default=1)
    num_actions: int = eqx.field(static=True, default=2)
    num_levels: ClassVar[int] = 1

    def initial(self, levels):
        return levels

    def move(self, state, action, mean_field, levels):
        return jnp.where(action == 1, levels / 2, levels)

    def reward(self, state, action, mean_field):
        return state[0] - mean_field.mean()[0] - 0.1 * action

    def optimal_value(self, mean_field):
        # Nothing is ever gained by moving less far at a price: x is uniform at every step.
        return 2 * (0.5 - mean_field.mean()[0])


NODES, WEIGHTS = np.polynomial.legendre.leggauss(60)
NODES, WEIGHTS = (NODES + 1) / 2, WEIGHTS / 2


def segment_values(theta, temperature, mean, discount=0.5):
    """J, and V as a function, of a soft threshold on the segment, by quadrature."""

    def acts(x):
        return jax.nn.sigmoid((x - theta) / temperature)

    def stage(x):
        return x - mean - 0.1 * acts(x)

    # a and b are the means of V over [0, 1] and over [0, 1/2]; V = stage + discount [...].
    def row(scale):
        x = NODES * scale
        share = jnp.dot(WEIGHTS, acts(x))
        return jnp.dot(WEIGHTS, stage(x)), discount * jnp.stack([1 - share, share])

    (r0, m0), (r1, m1) = row(1.0), row(0.5)
    a, b = jnp.linalg.solve(jnp.eye(2) - jnp.stack([m0, m1]), jnp.stack([r0, r1]))
    return a, lambda x: stage(x) + discount * ((1 - acts(x)) * a + acts(x) * b)


@pytest.fixture
def triangle():
    return Triangle()


@pytest.fixture
def segment():
    return Segment()


@pytest.fixture
def values_on_segment():
    """The function (theta, temperature, mean) -> J, V."""
    return segment_values
