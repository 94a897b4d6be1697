"""Exploitability on a grid in games of one decision, against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.policies import Affine


class Plane(nf.ContinuousGame):
    """One decision: x' = a, then the cost of a distance; a best response goes to the point."""

    horizon: int = 1
    state_dim: int = 2
    control_dim: int = 2

    def initial(self):
        return nf.Uniform(np.zeros(2), np.ones(2))

    def step(self, t, x, a, mean_field, noise):
        return a + 0.1 * noise

    def reward(self, t, x, a, mean_field):
        return jnp.zeros(())

    def terminal_reward(self, x, mean_field):
        return -jnp.sum((x - jnp.array([0.3, 0.7])) ** 2)


@pytest.mark.slow
def test_the_plane_in_closed_form():
    # The policy stays: E|x - p|^2 = 2 / 12 + .2^2 + .2^2 more than the best response pays.
    stay = Affine(np.eye(2)[None], np.zeros((1, 2)))
    found = nf.exploitability(Plane(), stay, num_cells=30, num_actions=3, low=-1, high=2)
    assert found.method == "grid"
    assert float(found) == pytest.approx(1 / 6 + 0.08, abs=2e-3)
    best = Affine(np.zeros((1, 2, 2)), np.array([[0.3, 0.7]]))
    assert float(
        nf.exploitability(Plane(), best, num_cells=30, num_actions=3, low=-1, high=2)
    ) == pytest.approx(0, abs=1e-6)


class Drift(nf.ContinuousGame):
    """One decision from the unit interval: x' = x + a + .01 z, then -x'^4."""

    horizon: int = 1
    state_dim: int = 1
    control_dim: int = 1

    def initial(self):
        return nf.Uniform(np.zeros(1), np.ones(1))

    def step(self, t, x, a, mean_field, noise):
        return x + a + 0.01 * noise

    def reward(self, t, x, a, mean_field):
        return jnp.zeros(())

    def terminal_reward(self, x, mean_field):
        return -jnp.sum(x**4)


@pytest.mark.slow
def test_the_policy_may_go_where_the_given_crowd_is_not():
    flow = nf.Flow(nf.Gaussian(np.full((2, 1), 0.5), np.full((2, 1, 1), 0.001)))
    away = Affine(np.zeros((1, 1, 1)), np.full((1, 1), 3.0))
    found = nf.exploitability(Drift(), away, "grid", flow=flow)
    # E(x + 3)^4 for x uniform on the unit interval; the noise adds less than .01.
    assert float(found) == pytest.approx((4**5 - 3**5) / 5, abs=0.05)


class Lopsided(Drift):
    """x' = x + a + (z^2 - 1) / 2, which is x + a for z = 1 and for z = -1."""

    def step(self, t, x, a, mean_field, noise):
        return x + a + 0.5 * (noise**2 - 1)


@pytest.mark.slow
def test_noise_that_kicks_of_one_size_do_not_see():
    """Without it the gain would be E x^4 = .2."""
    # E(y + w)^4 by E w^2 = 1/2, E w^3 = 1; what does not depend on y cancels.
    y = np.linspace(-2, 2, 40_001)
    exact = 1 / 5 + 3 / 3 + 4 / 2 - np.min(y**4 + 3 * y**2 + 4 * y)
    stay = Affine(np.zeros((1, 1, 1)), np.zeros((1, 1)))
    found = nf.exploitability(Lopsided(), stay, "grid", num_cells=200, low=-4, high=20)
    assert float(found) == pytest.approx(exact, rel=0.05)


class Edge(nf.ContinuousGame):
    """One decision in [-1, 1] that pays a up to .095 and costs 100 a unit beyond."""

    horizon: int = 1
    state_dim: int = 1
    control_dim: int = 1

    @property
    def control_bounds(self):
        return np.full(1, -1.0), np.full(1, 1.0)

    def initial(self):
        return nf.Uniform(np.zeros(1), np.ones(1))

    def step(self, t, x, a, mean_field, noise):
        return x

    def reward(self, t, x, a, mean_field):
        return jnp.sum(jnp.where(a > 0.095, 0.095 - 100 * (a - 0.095), a))


@pytest.mark.slow
def test_the_best_action_may_lie_anywhere_between_two_of_the_lattice():
    zero = Affine(np.zeros((1, 1, 1)), np.zeros((1, 1)))
    found = nf.exploitability(Edge(), zero, "grid", num_cells=4)
    assert float(found) == pytest.approx(0.095, abs=1e-4)
