"""Random games: their law, in plain NumPy."""

import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.garnet import Garnet
from nashfield.games.zoo.random_classes import (
    CoupledGame,
    CyclicGame,
    MonotoneGame,
    PotentialGame,
)
from nashfield.games.zoo.random_linear import RandomLinear
from nashfield.results import ParameterError

CLASSES = [Garnet, RandomLinear, MonotoneGame, PotentialGame, CoupledGame, CyclicGame]
LINEAR = [MonotoneGame, PotentialGame, CyclicGame]
SMALL = {"num_states": 6, "num_actions": 3, "horizon": 4}


def crowd(game, seed):
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(np.ones(game.num_states))
    policy = rng.dirichlet(np.ones(game.num_actions), game.num_states)
    return nf.FiniteMeanField(law, policy)


@pytest.mark.parametrize("make", CLASSES)
def test_the_seed_decides_everything(make):
    def table(game):
        mean_field = crowd(game, 0)
        kernel = np.asarray(game.transition(1, mean_field).dense())
        return np.concatenate([kernel.ravel(), np.ravel(game.reward(1, mean_field))])

    np.testing.assert_array_equal(table(make(**SMALL, seed=3)), table(make(**SMALL, seed=3)))
    assert np.abs(table(make(**SMALL, seed=3)) - table(make(**SMALL, seed=4))).max() > 0.1


@pytest.mark.parametrize("make", CLASSES)
def test_exploitability_is_finite_in_both_precisions(make, precision):
    game = make(**SMALL, seed=1)
    gap = float(nf.exploitability(game, nf.uniform_policy(game)))
    assert np.isfinite(gap)
    assert gap > 0


@pytest.mark.parametrize("make", CLASSES)
def test_kernels(make, check_kernels):
    check_kernels(make(**SMALL, seed=2))


@pytest.mark.parametrize("make", CLASSES)
def test_defaults_are_30_states_5_actions_20_decisions(make):
    game = make()
    assert (game.num_states, game.num_actions, game.horizon) == (30, 5, 20)
    assert game.seed == 0


@pytest.mark.parametrize("make", LINEAR)
def test_linear_rewards(make):
    game = make(**SMALL, coupling=7.0)
    mean_field = crowd(game, 0)
    expected = np.empty((6, 3))
    for x in range(6):
        for a in range(3):
            pull = sum(game.crowd_matrix[x, y] * mean_field.states[y] for y in range(6))
            expected[x, a] = game.base_reward[x, a] + 7 * pull
    np.testing.assert_allclose(game.reward(0, mean_field), expected, rtol=1e-12)
    assert 0 <= game.base_reward.min() < game.base_reward.max() <= 1


@pytest.mark.parametrize("make", LINEAR)
def test_off_diagonal_entries_have_variance_one(make):
    matrix = make(num_states=200, num_actions=1, horizon=1).crowd_matrix
    off = matrix[~np.eye(200, dtype=bool)]
    assert abs(off.mean()) < 0.02
    assert abs(off.var() - 1) < 0.03


def test_monotone_games_are_monotone():
    game = MonotoneGame(seed=5)
    for seed in range(20):
        one, other = crowd(game, seed), crowd(game, seed + 100)
        gain = np.asarray(game.reward(0, one) - game.reward(0, other))[:, 0]
        assert np.dot(gain, one.states - other.states) < 0
    assert np.linalg.eigvalsh(game.crowd_matrix).max() < 1e-10


def test_potential_games_are_symmetric_and_not_monotone():
    matrix = PotentialGame(seed=5).crowd_matrix
    np.testing.assert_array_equal(matrix, matrix.T)
    eigenvalues = np.linalg.eigvalsh(matrix)
    assert eigenvalues.min() < -1
    assert eigenvalues.max() > 1


def test_the_crowd_as_a_whole_gains_nothing_in_cyclic_games():
    game = CyclicGame(seed=5)
    np.testing.assert_array_equal(game.crowd_matrix, -game.crowd_matrix.T)
    for seed in range(5):
        mean_field = crowd(game, seed)
        paid = np.asarray(game.reward(0, mean_field)) - game.base_reward
        assert abs(np.dot(paid[:, 0], mean_field.states)) < 1e-13
        assert np.abs(paid).max() > 1


def test_coupled_transitions():
    game = CoupledGame(**SMALL, coupling=9.0, seed=1)
    mean_field = crowd(game, 3)
    pull = game.crowd_factors @ mean_field.states
    table = np.empty((6, 3, 6))
    for x in range(6):
        for a in range(3):
            bend = [np.sum(game.pair_factors[x, a] * game.next_factors[y] * pull) for y in range(6)]
            weights = np.exp(game.logits[x, a] + 9 * np.array(bend))
            table[x, a] = weights / weights.sum()
    np.testing.assert_allclose(game.transition(2, mean_field).dense(), table, rtol=1e-12)
    apart = table - np.asarray(game.transition(2, crowd(game, 4)).dense())
    assert np.abs(apart).max() > 0.01
    expected = game.base_reward + (game.crowd_matrix @ mean_field.states)[:, None]
    np.testing.assert_allclose(game.reward(2, mean_field), expected, rtol=1e-12)


def test_garnet():
    game = Garnet(num_states=12, num_actions=2, horizon=3, num_branches=4, coupling=0.5, seed=6)
    assert game.successors.shape == game.probabilities.shape == (12, 2, 4)
    for x in range(12):
        for a in range(2):
            assert len(set(game.successors[x, a])) == 4
    np.testing.assert_allclose(game.probabilities.sum(-1), 1, rtol=1e-14)
    mean_field = crowd(game, 0)
    expected = game.base_reward - 0.5 * np.log(mean_field.states)[:, None]
    np.testing.assert_allclose(game.reward(0, mean_field), expected, rtol=1e-12)


def test_garnet_probabilities_are_uniform_on_the_simplex():
    game = Garnet(num_states=400, num_actions=5, num_branches=3, horizon=1)
    # Each of three parts: mean 1/3, variance (1/3)(2/3)/4.
    np.testing.assert_allclose(game.probabilities.mean((0, 1)), 1 / 3, atol=0.02)
    np.testing.assert_allclose(game.probabilities.var((0, 1)), 1 / 18, rtol=0.06)


def test_garnet_with_more_branches_than_states():
    with pytest.raises(ParameterError, match="num_branches must be at most num_states = 3, not 4"):
        Garnet(num_states=3, num_branches=4)


@pytest.mark.parametrize("make", CLASSES)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_states": 0}, "num_states must be at least 1, not 0"),
        ({"num_actions": 0}, "num_actions must be at least 1, not 0"),
        ({"horizon": -1}, "horizon must be at least 1, not -1"),
        ({"coupling": np.nan}, "coupling must be finite, not nan"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
    ],
)
def test_wrong_parameters(make, parameters, message):
    with pytest.raises(ParameterError, match=message):
        make(**parameters)
