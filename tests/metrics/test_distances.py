"""Distances between laws, against scipy and linear programs."""

import jax
import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import wasserstein_distance

import nashfield as nf

RNG = np.random.default_rng(0)
TOLERANCE = {"float64": 1e-13, "float32": 1e-6}


def laws(*shape):
    return RNG.dirichlet(np.ones(shape[-1]), shape[:-1])


def test_total_variation_is_the_largest_difference_of_an_event(precision):
    a, b = laws(3, 5), laws(3, 5)
    events = (np.arange(32)[:, None] >> np.arange(5)) & 1
    expected = np.abs(events @ (a - b).T).max(0)
    found = nf.total_variation(a, b)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[precision])


def test_total_variation_of_equal_and_disjoint_laws():
    assert float(nf.total_variation(np.eye(4)[1], np.eye(4)[1])) == 0
    assert float(nf.total_variation(np.eye(4)[1], np.eye(4)[2])) == 1


@pytest.mark.parametrize("positions", [None, np.array([0.3, -1.0, 7.0, 2.0, 2.5, 40.0])])
def test_wasserstein_on_the_line(positions, precision):
    a, b = laws(4, 6), laws(4, 6)
    places = np.arange(6) if positions is None else positions
    expected = [wasserstein_distance(places, places, u, v) for u, v in zip(a, b, strict=True)]
    found = nf.wasserstein(a, b, positions)
    np.testing.assert_allclose(found, expected, rtol=100 * TOLERANCE[precision])


@pytest.mark.parametrize("places", [np.arange(5.0), np.array([0.0, 0.5, 3.0, 3.2, 4.4])])
def test_wasserstein_on_a_ring_is_the_cheapest_transport(places):
    a, b = laws(6, 5), laws(6, 5)
    way = np.abs(places[:, None] - places)
    way = np.minimum(way, 5 - way)
    marginals = np.concatenate([np.kron(np.eye(5), np.ones(5)), np.kron(np.ones(5), np.eye(5))])
    for u, v in zip(a, b, strict=True):
        best = linprog(way.ravel(), A_eq=marginals, b_eq=np.concatenate([u, v]))
        found = nf.wasserstein(u, v, places, period=5.0)
        np.testing.assert_allclose(found, best.fun, rtol=0, atol=1e-9)


def test_flows_and_single_laws():
    game = nf.games.BeachBar(num_states=6, horizon=3)
    flow = nf.population_flow(game, nf.uniform_policy(game))
    states = np.asarray(flow.states)
    for distance in (nf.total_variation, nf.wasserstein):
        assert distance(flow, flow).shape == (4,)
        np.testing.assert_array_equal(distance(flow, flow), np.zeros(4))
        repeated = np.tile(states[0], (4, 1))
        np.testing.assert_array_equal(distance(flow, states[0]), distance(states, repeated))
        assert distance(flow[1], flow[2]).shape == ()


def test_distances_are_compiled_and_differentiable():
    a, b = laws(4), laws(4)
    slope = jax.jit(jax.grad(nf.wasserstein))(a, b)
    step = 1e-6 * np.eye(4)
    finite = [float(nf.wasserstein(a + s, b) - nf.wasserstein(a - s, b)) / 2e-6 for s in step]
    np.testing.assert_allclose(slope, finite, atol=1e-8)


def test_errors():
    with pytest.raises(ValueError, match=r"different states: shapes \(3,\), \(4,\)"):
        nf.total_variation(laws(3), laws(4))
    with pytest.raises(ValueError, match=r"different lengths: shapes \(2, 3\), \(4, 3\)"):
        nf.wasserstein(laws(2, 3), laws(4, 3))
    with pytest.raises(ValueError, match=r"positions has shape \(2,\), but there are 3 states"):
        nf.wasserstein(laws(3), laws(3), np.arange(2.0))
