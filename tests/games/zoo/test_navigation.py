"""Grid navigation against a loop over its cells, and its parameters."""

import numpy as np
import pytest

import nashfield as nf
from nashfield.mean_fields import FiniteMeanField
from nashfield.results import ParameterError


def test_reward_is_that_of_its_docstring():
    game = nf.games.GridNavigation(4, 6, 3, 5.0, 0.2, 0.02, 0.1, 0, 1e-6)
    states = np.random.default_rng(0).dirichlet(np.ones(24))
    reward = np.asarray(game.reward(0, FiniteMeanField(states)))
    for x in range(24):
        i, j = divmod(x, 6)
        near = -5.0 * (abs(i - 2) + abs(j - 3)) / 10
        crowd = -0.2 * np.log(24 * states[x] + 1e-6)
        expected = [near + crowd - 0.02 * (a != 4) for a in range(5)]
        np.testing.assert_allclose(reward[x], expected, rtol=1e-12)


def test_walls_stay_empty_and_mass_is_kept():
    game = nf.games.GridNavigation()
    flow = nf.population_flow(game, nf.uniform_policy(game))
    walls = game.display.walls
    assert 0 < walls.sum() < game.num_states / 3
    assert np.abs(np.asarray(flow)[:, walls]).max() == 0
    np.testing.assert_allclose(np.asarray(flow).sum(1), 1, rtol=1e-12)


def test_every_free_cell_can_reach_the_middle():
    game = nf.games.GridNavigation(12, 20, spacing=4)
    table = np.asarray(game.kernel(0).dense()).sum(1) > 0
    reached = np.zeros(game.num_states, bool)
    reached[6 * 20 + 10] = True
    for _ in range(game.num_states):
        reached |= table[:, reached].any(1)
    assert reached[~game.display.walls].all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": 1}, "rows must be at least 2"),
        ({"horizon": 0}, "horizon must be at least 1"),
        ({"spacing": -1}, "spacing must be at least 0"),
        ({"noise": 1.2}, "noise must lie between 0 and 1"),
        ({"aversion": -1.0}, "aversion must be finite and at least 0"),
        ({"floor": 0.0}, "floor must be finite and greater than 0"),
    ],
)
def test_wrong_parameters(wrong, message):
    with pytest.raises(ParameterError, match=message):
        nf.games.GridNavigation(**wrong)
