"""Left-right and rock-paper-scissors: their equilibria in closed form."""

import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.matrix import LeftRight, RockPaperScissors


def everywhere(game, law, precision="float64"):
    return np.tile(np.array(law, precision), (game.horizon, game.num_states, 1))


def test_left_right_equilibrium(precision, welfare):
    game = LeftRight()
    policy = everywhere(game, [2 / 3, 1 / 3], precision)
    eps = 1e-12 if precision == "float64" else 1e-7
    assert abs(nf.exploitability(game, policy)) <= eps
    value = welfare(game, policy)
    np.testing.assert_allclose(value, -2 / 3, rtol=1e-6)


@pytest.mark.parametrize("left", [0.0, 0.3, 0.9])
def test_left_right_elsewhere(left):
    # r(L) = -p, r(R) = -2 (1 - p): the better one is worth at least the mean.
    game = LeftRight()
    worth = np.array([-left, -2 * (1 - left)])
    expected = worth.max() - np.array([left, 1 - left]) @ worth
    found = nf.exploitability(game, everywhere(game, [left, 1 - left]))
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_rock_paper_scissors_equilibrium(precision, welfare):
    game = RockPaperScissors()
    policy = everywhere(game, np.array([26, 20, 31]) / 77, precision)
    eps = 1e-12 if precision == "float64" else 1e-6
    assert abs(nf.exploitability(game, policy)) <= eps
    value = welfare(game, policy)
    np.testing.assert_allclose(value, 6 / 11, rtol=1e-6 if precision == "float32" else 1e-13)


def test_rock_paper_scissors_pays_every_turn(welfare):
    game = RockPaperScissors(horizon=5)
    policy = everywhere(game, np.array([26, 20, 31]) / 77)
    value = welfare(game, policy)
    np.testing.assert_allclose(value, 4 * 6 / 11, rtol=1e-13)


@pytest.mark.parametrize("game", [LeftRight(), RockPaperScissors()])
def test_kernels(check_kernels, game):
    check_kernels(game)
    assert len(game.display.states) == game.num_states


@pytest.mark.parametrize("kind", [LeftRight, RockPaperScissors])
def test_bad_horizon(kind):
    with pytest.raises(ValueError, match="horizon must be at least 1, not 0"):
        kind(horizon=0)
