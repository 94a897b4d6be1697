"""Crowd motion, against another library and plain loops."""

import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.crowd import CrowdMotion

# Where the other library's generator (seed 0) puts the bar.
TARGETS = np.array([(2, 2), (2, 2), (1, 3), (1, 3), (2, 2), (2, 2)], float)


# Made with mfglib 0.3.0 in double precision, Environment.crowd_motion(T=5, torus_l=4, torus_w=5):
# exploitability of the uniform policy and of its mirror descent after 1 and 3 iterations.
@pytest.mark.parametrize(
    ("learning_rate", "expected"),
    [
        (1.0, (7.228809438008881, 1.9340763735741575, 0.39989522062052174)),
        (0.1, (7.228809438008881, 6.021372508365161, 4.294562379685061)),
    ],
)
def test_iterates_of_another_library(iterates, tolerance, learning_rate, expected):
    game = CrowdMotion(num_rows=4, num_columns=5, horizon=6, targets=TARGETS)
    np.testing.assert_allclose(iterates(game, learning_rate), expected, rtol=tolerance)


def test_kernels(check_kernels):
    check_kernels(CrowdMotion(num_rows=3, num_columns=4, noise=0.3))


def test_walls_stop_only_the_sum_of_both_steps():
    table = np.asarray(CrowdMotion(num_rows=3, num_columns=3, noise=0.4).kernel(0).dense())
    # Up from the top left corner: the random step down brings the agent back, not beyond.
    np.testing.assert_allclose(table[0, 1, 0], 0.1 + 0.1 + 0.1 + 0.6)
    np.testing.assert_allclose(table[0, 1, 1], 0.1)


def test_reward_in_a_plain_loop():
    game = CrowdMotion(num_rows=3, num_columns=4, horizon=5, seed=3, attraction=2.0, floor=1e-3)
    law = np.random.default_rng(0).dirichlet(np.ones(12))
    crowd = nf.FiniteMeanField(law, np.full((12, 5), 0.2))
    for t in range(5):
        reward = np.asarray(game.reward(t, crowd))
        for row in range(3):
            for column in range(4):
                distance = abs(row - game.targets[t, 0]) + abs(column - game.targets[t, 1])
                mu = law[4 * row + column]
                expected = 2.0 * (1 - distance / 7) - np.log(mu + 1e-3)
                np.testing.assert_allclose(reward[4 * row + column], expected, rtol=1e-13)


def test_the_target_walks_and_stays_inside():
    game = CrowdMotion(num_rows=4, num_columns=5, horizon=60, change_every=3, seed=1)
    np.testing.assert_array_equal(game.targets[:3], [[2, 2]] * 3)
    jumps = np.abs(np.diff(game.targets, axis=0))
    assert set(np.unique(jumps)) == {0, 1}
    assert (jumps[:, 0] == jumps[:, 1]).all()
    assert not jumps[np.arange(1, 60) % 3 != 0].any()
    assert (game.targets >= 0).all() and (game.targets < np.array([4, 5])).all()
    again = CrowdMotion(num_rows=4, num_columns=5, horizon=60, change_every=3, seed=1)
    np.testing.assert_array_equal(game.targets, again.targets)


def test_display_names_every_cell():
    display = CrowdMotion(num_rows=2, num_columns=3).display
    assert display.shape == (2, 3)
    np.testing.assert_array_equal(display.cells, [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_rows": 0}, "num_rows must be at least 1, not 0"),
        ({"change_every": 0}, "change_every must be at least 1, not 0"),
        ({"noise": 1.2}, "noise must lie between 0 and 1, not 1.2"),
        ({"floor": 0.0}, "floor must be finite and greater than 0, not 0.0"),
        ({"horizon": 3, "targets": np.zeros((2, 2))}, r"targets must have shape \(3, 2\)"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        CrowdMotion(**parameters)
