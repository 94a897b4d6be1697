"""Beach bar, in plain loops; walls and ring."""

import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.beach_bar import BeachBar


# Made with mfglib 0.3.0 in double precision, Environment.beach_bar(): the uniform policy, and its
# mirror descent after 1 and 3 iterations.
def test_iterates_of_another_library(iterates, tolerance):
    expected = (1.2212622552965304, 0.5316852096715952, 0.26783685190830897)
    found = iterates(BeachBar(num_states=4, horizon=3), 1.0)
    np.testing.assert_allclose(found, expected, rtol=tolerance)


@pytest.mark.parametrize("ring", [False, True])
def test_game_in_a_plain_loop(ring):
    game = BeachBar(num_states=5, horizon=2, noise=0.3, ring=ring, floor=1e-3)
    law = np.array([0.1, 0.2, 0.3, 0.15, 0.25])
    crowd = nf.FiniteMeanField(law, np.full((5, 3), 1 / 3))
    table, reward = np.asarray(game.transition(0, crowd).dense()), np.asarray(game.reward(0, crowd))
    for x in range(5):
        for i, a in enumerate((-1, 0, 1)):
            row = np.zeros(5)
            for e, p in ((-1, 0.15), (0, 0.7), (1, 0.15)):
                y = x + a + e
                row[y % 5 if ring else min(max(y, 0), 4)] += p
            np.testing.assert_allclose(table[x, i], row, atol=1e-15)
            distance = abs(x - 2)
            expected = -min(distance, 5 - distance) if ring else -distance
            expected = expected - abs(a) / 5 - np.log(law[x] + 1e-3)
            np.testing.assert_allclose(reward[x, i], expected, rtol=1e-13)


def test_distance_on_a_ring_goes_both_ways():
    game = BeachBar(num_states=6, ring=True)
    reward = np.asarray(game.state_reward(0, nf.FiniteMeanField(np.full(6, 1 / 6))))
    np.testing.assert_allclose(reward - reward.max(), [-3, -2, -1, 0, -1, -2], atol=1e-12)


def test_uniform_policy_keeps_a_ring_even():
    game = BeachBar(num_states=6, horizon=4, ring=True)
    flow = np.asarray(nf.population_flow(game, nf.uniform_policy(game)))
    np.testing.assert_allclose(flow, 1 / 6, rtol=1e-13)


@pytest.mark.parametrize("ring", [False, True])
def test_kernels(check_kernels, ring):
    check_kernels(BeachBar(num_states=7, ring=ring))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_states": 1}, "num_states must be at least 2, not 1"),
        ({"num_states": 2, "ring": True}, "num_states must be at least 3, not 2"),
        ({"horizon": 0}, "horizon must be at least 1, not 0"),
        ({"noise": 1.5}, "noise must lie between 0 and 1, not 1.5"),
        ({"floor": 0.0}, "floor must be finite and greater than 0, not 0.0"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        BeachBar(**parameters)
