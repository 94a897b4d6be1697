"""Exact values of the first iterates, known from independent computations."""

import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.beach_bar import BeachBar
from nashfield.games.zoo.matrix import LeftRight, RockPaperScissors

# game, exploitability of the uniform policy, after 1 and 10 iterations at learning rate 1.
TABLE = [
    (LeftRight(), 0.25, 0.050070200991507, 1.98984409e-6),
    (RockPaperScissors(), 1 / 3, 0.5421513359288698, 1.92319436),
    (BeachBar(num_states=4, horizon=3), 1.2212622552965, 0.5316852097, 0.0760938380),
]


@pytest.mark.parametrize(("game", "uniform", "one", "ten"), TABLE)
def test_first_iterates(game, uniform, one, ten):
    solution = nf.solve(game, nf.OnlineMirrorDescent(learning_rate=1.0), num_iterations=10)
    found = np.asarray(solution.history["exploitability"])[[0, 1, 10]]
    np.testing.assert_allclose(found[0], uniform, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[1], one, rtol=0, atol=1e-9)
    # The reference after 10 iterations is printed to 8 decimals or 9 digits.
    np.testing.assert_allclose(found[2], ten, rtol=5e-9, atol=1e-10)
