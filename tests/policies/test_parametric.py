"""Policies with parameters: what they do, how they split, and what they refuse."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics.agents import agents_of
from nashfield.policies import (
    Gibbs,
    Neural,
    SoftThreshold,
    Threshold,
    as_table,
    check_differentiable,
)
from nashfield.results import ParameterError

GAME = nf.games.MalwareSpread(num_states=5)
POINTS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])


def test_threshold(precision):
    table = Threshold(0.5).table(GAME)
    np.testing.assert_array_equal(table[:, 1], [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(table.sum(-1), 1)
    assert Threshold(1.0).table(GAME)[:, 1].tolist() == [0, 0, 0, 0, 1]


def test_soft_threshold(precision):
    table = SoftThreshold(0.3, 0.1).table(GAME)
    np.testing.assert_allclose(table[:, 1], 1 / (1 + np.exp((0.3 - POINTS) / 0.1)), rtol=1e-5)


def test_gibbs(precision):
    logits = np.random.default_rng(0).normal(size=(5, 2))
    weights = np.exp(logits)
    expected = weights / weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(Gibbs(logits).table(GAME), expected, rtol=1e-5)
    np.testing.assert_allclose(Gibbs.of(expected).table(GAME), expected, rtol=1e-5)
    np.testing.assert_array_equal(Gibbs().table(GAME), 0.5)
    begun = Gibbs().begin(GAME, key=jax.random.key(0))
    np.testing.assert_array_equal(begun.table(GAME), 0.5)


def test_neural():
    policy = Neural((3, 4)).begin(GAME, key=jax.random.key(1))
    x = POINTS[:, None]
    for i, layer in enumerate(policy.layers):
        x = (np.tanh(x) if i else x) @ np.asarray(layer.weight).T + np.asarray(layer.bias)
    expected = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    np.testing.assert_allclose(policy.table(GAME), expected, rtol=1e-12)
    assert [layer.weight.shape for layer in policy.layers] == [(3, 1), (4, 3), (2, 4)]
    again = Neural((3, 4)).begin(GAME, key=jax.random.key(1))
    assert eqx.tree_equal(policy, again)
    assert policy.begin(GAME, key=jax.random.key(2)) is policy


def test_parameters_are_what_is_learnt():
    parameters, rest = SoftThreshold(0.3, 0.1).split()
    assert [float(x) for x in jax.tree.leaves(parameters)] == [0.3]
    assert eqx.combine(parameters, rest).temperature == 0.1


@pytest.mark.parametrize("kind", [Threshold, SoftThreshold])
@pytest.mark.parametrize(("theta", "nearest"), [(-0.2, 0.0), (0.4, 0.4), (1.7, 1.0)])
def test_projection(kind, theta, nearest):
    moved = eqx.tree_at(lambda p: p.theta, kind(0.5), jnp.asarray(theta))
    assert moved.project().theta == nearest


@pytest.mark.parametrize("kind", [Threshold, SoftThreshold])
@pytest.mark.parametrize("theta", [-0.1, 1.1, np.nan, np.array([0.1, 0.2])])
def test_thresholds_outside_their_set(kind, theta, without_type_checks):
    with pytest.raises(ParameterError, match=r"theta must be one number in \[0, 1\], not"):
        kind(theta)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan])
def test_temperatures(temperature):
    with pytest.raises(ParameterError, match="temperature must be greater than 0"):
        SoftThreshold(0.5, temperature)


def test_tables_of_another_game():
    with pytest.raises(ParameterError, match=r"Gibbs.logits has shape \(3, 2\), but the game"):
        Gibbs(np.zeros((3, 2))).table(GAME)
    with pytest.raises(ParameterError, match=r"chooses among 2 actions, but .* has 5"):
        nf.exploitability(nf.games.StationaryFourRooms(), SoftThreshold(0.3))
    points = nf.games.ContinuousProductInvestment()
    with pytest.raises(ParameterError, match=r"chooses among 2 actions, but .* has 8"):
        agents_of(points, SoftThreshold(0.3))


def test_tables_on_points():
    with pytest.raises(ParameterError, match="where states are points take Threshold"):
        Gibbs().probabilities(np.zeros(1))


def test_networks():
    with pytest.raises(ParameterError, match="hidden must hold widths of at least 1"):
        Neural((3, 0))
    with pytest.raises(ParameterError, match="Neural has no weights yet"):
        Neural().table(GAME)


def test_gradients_that_mean_nothing():
    with pytest.raises(ParameterError, match="a gradient needs a policy with parameters"):
        check_differentiable(np.zeros((5, 2)))
    with pytest.raises(ParameterError, match="its actions jump as its parameters change"):
        nf.partial_gradient(GAME, Threshold(0.5))
    with pytest.raises(ParameterError, match="Gibbs has no parameters"):
        nf.total_gradient(GAME, Gibbs())


def test_games_with_a_horizon():
    with pytest.raises(ParameterError, match="SoftThreshold knows no time"):
        as_table(nf.games.LeftRight(), SoftThreshold(0.5))
