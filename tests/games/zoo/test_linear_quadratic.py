"""The finite linear-quadratic game, against another library and a plain loop."""

import math

import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.linear_quadratic import FiniteLinearQuadratic


# Made with mfglib 0.3.0 in double precision, Environment.linear_quadratic(): the uniform policy,
# and its mirror descent after 1 and 3 iterations.
@pytest.mark.parametrize(
    ("learning_rate", "expected"),
    [
        (1.0, (2.1381226265902207, 0.49972422463652855, 0.17350729705332668)),
        (0.1, (2.1381226265902207, 1.9362778323702274, 1.5370466963091927)),
    ],
)
def test_iterates_of_another_library(iterates, tolerance, learning_rate, expected):
    game = FiniteLinearQuadratic()
    np.testing.assert_allclose(iterates(game, learning_rate), expected, rtol=tolerance)


def test_game_in_a_plain_loop():
    game = FiniteLinearQuadratic(
        max_state=3,
        max_action=1,
        horizon=3,
        deviation=0.8,
        step=0.4,
        attraction=0.7,
        coupling=0.3,
        running_weight=0.6,
        terminal_weight=1.5,
    )
    law = np.array([0.1, 0.05, 0.3, 0.2, 0.15, 0.1, 0.1])
    mean = sum(p * (x - 3) for x, p in enumerate(law))
    crowd = nf.FiniteMeanField(law, np.full((7, 3), 1 / 3))
    table = np.asarray(game.transition(0, crowd).dense())
    rewards = [np.asarray(game.reward(t, crowd)) for t in range(3)]
    weights = [math.exp(-0.5 * (0.8 * k) ** 2) for k in range(-3, 4)]
    for x in range(-3, 4):
        for a in (-1, 0, 1):
            row = np.zeros(7)
            for k, weight in zip(range(-3, 4), weights, strict=True):
                y = x + (0.7 * (mean - x) + a) * 0.4 + 0.8 * 0.8 * k * math.sqrt(0.4)
                row[min(max(round(y), -3), 3) + 3] += weight / sum(weights)
            np.testing.assert_allclose(table[x + 3, a + 1], row, atol=1e-15)
            running = -0.5 * a**2 + 0.3 * a * (mean - x) - 0.5 * 0.6 * (mean - x) ** 2
            for t in (0, 1):
                np.testing.assert_allclose(rewards[t][x + 3, a + 1], 0.4 * running, atol=1e-14)
            terminal = -0.5 * 1.5 * (mean - x) ** 2
            np.testing.assert_allclose(rewards[2][x + 3, a + 1], terminal, atol=1e-14)


def test_kernels(check_kernels):
    check_kernels(FiniteLinearQuadratic(deviation=0.5))


def test_display():
    display = FiniteLinearQuadratic(max_state=1, max_action=1).display
    assert display.states == ("-1", "0", "1")
    assert display.actions == ("-1", "+0", "+1")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_state": 0}, "max_state must be at least 1, not 0"),
        ({"max_action": 0}, "max_action must be at least 1, not 0"),
        ({"deviation": -1.0}, "deviation must be finite and at least 0, not -1.0"),
        ({"step": 0.0}, "step must be finite and greater than 0, not 0.0"),
        ({"coupling": np.nan}, "coupling must be finite, not nan"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        FiniteLinearQuadratic(**parameters)
