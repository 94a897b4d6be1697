"""Four rooms, against another library and a plain loop."""

import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.four_rooms import FourRooms

# Made with open_spiel 2.0.2: the game mfg_crowd_modelling_2d with the parameters FOUR_ROOMS of
# open_spiel.python.mfg.games.crowd_modelling_2d and only_distribution_reward=True (second row: also
# noise_intensity=0.3, crowd_aversion_coef=0.7). PolicyValue and NashConv of the uniform policy;
# NashConv of its MirrorDescent(lr=0.1) after 1 and 3 iterations. Three facts of that library:
# - blocked moves are not legal, so its uniform policy is uniform over the open moves only;
# - its reward at t = 0 is -aversion * log(1/169), as if the crowd were spread over all 169 cells
#   (walls too), not -aversion * log 1 at the start: a constant, which no policy changes;
# - it keeps shares of the crowd in lower precision than its values, hence 1e-8.
PEER = [
    ({}, 144.22392764514893, (167.6604464714278, 34.01448306994524, 17.957474950160673)),
    (
        {"noise": 0.3, "aversion": 0.7},
        94.27458874872673,
        (189.26856200520717, 41.95818471925165, 23.88974875830297),
    ),
]


def uniform_over_open_moves(game):
    policy = game.open_moves / game.open_moves.sum(-1, keepdims=True)
    return np.tile(policy, (game.horizon, 1, 1))


@pytest.mark.parametrize(("parameters", "value", "gaps"), PEER)
def test_values_of_another_library(welfare, parameters, value, gaps):
    game = FourRooms(**parameters)
    policy = uniform_over_open_moves(game)
    found = welfare(game, policy)
    first = float(game.aversion) * np.log(169)
    np.testing.assert_allclose(found + first, value, rtol=1e-12)
    np.testing.assert_allclose(nf.exploitability(game, policy), gaps[0], rtol=1e-12)


def test_defaults_in_single_precision(precision):
    game = FourRooms()
    found = nf.exploitability(game, uniform_over_open_moves(game).astype(precision))
    rtol = 1e-12 if precision == "float64" else 1e-5
    np.testing.assert_allclose(found, PEER[0][2][0], rtol=rtol)


def test_dynamics_in_a_plain_loop():
    rows = ("..#", "...")
    game = FourRooms(rows=rows, start=(1, 2), noise=0.3, horizon=3)
    cells = [(r, c) for r in range(2) for c in range(3) if rows[r][c] == "."]
    steps = [(1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)]
    table = np.asarray(game.kernel(0).dense())
    for x, (r, c) in enumerate(cells):
        for a, (dr, dc) in enumerate(steps):
            at = (r + dr, c + dc) if (r + dr, c + dc) in cells else (r, c)
            ways = [(at[0] + i, at[1] + j) for i, j in steps]
            ways = [cell for cell in ways if cell in cells]
            row = np.zeros(5)
            for cell in ways:
                row[cells.index(cell)] += 0.3 / len(ways)
            row[cells.index(at)] += 0.7
            np.testing.assert_allclose(table[x, a], row, atol=1e-15)
    np.testing.assert_array_equal(game.initial(), np.eye(5)[cells.index((1, 2))])


def test_kernels(check_kernels):
    check_kernels(FourRooms())


def test_map_has_four_rooms_and_four_doors():
    game = FourRooms()
    assert game.num_states == 4 * 25 + 4
    assert game.display.shape == (13, 13)
    doors = {(3, 6), (9, 6), (6, 3), (6, 9)}
    assert doors <= {tuple(cell) for cell in np.asarray(game.display.cells).tolist()}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"start": (0, 0)}, r"start \(0, 0\) is not a free cell of the map"),
        ({"noise": -1.0}, "noise must lie between 0 and 1, not -1.0"),
        ({"floor": -1.0}, "floor must be finite and greater than 0, not -1.0"),
        ({"horizon": 0}, "horizon must be at least 1, not 0"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        FourRooms(**parameters)
