"""Conservative treasure hunting, against another library and closed forms."""

import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.treasure import ConservativeTreasureHunting

OTHER = ConservativeTreasureHunting(
    num_states=4, horizon=4, treasure=(1.0, 2.0, 0.5, 1.5), drift=(0.5, 1.0, 2.0)
)


# Made with mfglib 0.3.0 in double precision, Environment.conservative_treasure_hunting() and (n=4,
# T=3, r=(1, 2, .5, 1.5), c=(.5, 1, 2)): the uniform policy, and its mirror descent after 1 and 3
# iterations.
@pytest.mark.parametrize(
    ("game", "learning_rate", "expected"),
    [
        (
            ConservativeTreasureHunting(),
            1.0,
            (1.851851851851852, 1.5904363644733093, 0.8206722590423188),
        ),
        (
            ConservativeTreasureHunting(),
            0.1,
            (1.851851851851852, 1.8307032330426756, 1.784433650119729),
        ),
        (OTHER, 1.0, (2.060341282894737, 1.9072789408707589, 1.2384553010535253)),
        (OTHER, 0.1, (2.060341282894737, 2.050629743465666, 2.0284579298354224)),
    ],
)
def test_iterates_of_another_library(iterates, tolerance, game, learning_rate, expected):
    np.testing.assert_allclose(iterates(game, learning_rate), expected, rtol=tolerance)


def test_kernels(check_kernels):
    check_kernels(OTHER)


@pytest.mark.parametrize("place", range(4))
def test_everyone_at_one_place_is_an_equilibrium(precision, welfare, place):
    policy = np.zeros((4, 4, 4), precision)
    policy[:, :, place] = 1
    np.testing.assert_allclose(welfare(OTHER, policy), 3 * OTHER.treasure[place], rtol=1e-6)
    np.testing.assert_allclose(nf.exploitability(OTHER, policy), 0, atol=1e-12)


def test_display():
    assert ConservativeTreasureHunting().display.actions == (
        "to place 0", "to place 1", "to place 2"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_states": 1}, "num_states must be at least 2, not 1"),
        ({"horizon": 1}, "horizon must be at least 2, not 1"),
        ({"treasure": (1.0, 2.0)}, r"treasure must be a number or have shape \(3,\), not \(2,\)"),
        ({"drift": (1.0, 2.0)}, r"drift must be a number or have shape \(5,\), not \(2,\)"),
        ({"drift": -1.0}, "drift must be finite and at least 0, not -1.0"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        ConservativeTreasureHunting(**parameters)
