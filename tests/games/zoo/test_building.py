"""Building evacuation, against another library and by hand."""

import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.building import BuildingEvacuation


# Made with mfglib 0.3.0 in double precision, Environment.building_evacuation(T=4, n_floor=3,
# floor_l=3, floor_w=4): the uniform policy, and its mirror descent after 1 and 3 iterations.
@pytest.mark.parametrize(
    ("learning_rate", "expected"),
    [
        (1.0, (8.320102242603589, 5.649458737836618, 1.0312165412755263)),
        (0.1, (8.320102242603589, 6.6799026715785175, 4.084304003767073)),
    ],
)
def test_iterates_of_another_library(iterates, tolerance, learning_rate, expected):
    game = BuildingEvacuation(num_floors=3, num_rows=3, num_columns=4, horizon=5)
    np.testing.assert_allclose(iterates(game, learning_rate), expected, rtol=tolerance)


def test_kernels(check_kernels):
    check_kernels(BuildingEvacuation(num_floors=2, num_rows=2, num_columns=3))


def test_stairs_are_in_opposite_corners():
    game = BuildingEvacuation(num_floors=3, num_rows=2, num_columns=2)
    table = np.asarray(game.kernel(0).dense())
    down, up = 4, 5
    leads = table.argmax(-1)  # states are floor * 4 + row * 2 + column
    np.testing.assert_array_equal(leads[:, down], [0, 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11])
    np.testing.assert_array_equal(leads[:, up], [0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 11])


def test_ground_floor_pays():
    game = BuildingEvacuation(num_floors=2, num_rows=1, num_columns=2, bonus=3.0, aversion=2.0)
    crowd = nf.FiniteMeanField(np.array([0.5, 0.0, 0.25, 0.25]))
    expected = [3 - 2 * np.log(0.5), 3 - 2 * np.log(1e-20), -2 * np.log(0.25), -2 * np.log(0.25)]
    np.testing.assert_allclose(game.state_reward(0, crowd), expected, rtol=1e-14)
    assert game.display.shape == (2, 1, 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_floors": 0}, "num_floors must be at least 1, not 0"),
        ({"least_density": 0.0}, "least_density must be finite and greater than 0, not 0.0"),
        ({"bonus": np.nan}, "bonus must be finite, not nan"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        BuildingEvacuation(**parameters)
