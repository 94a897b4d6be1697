"""A stationary sweep says so where laws do not sum to 1."""

import numpy as np
import pytest

import nashfield as nf


class Leaky(nf.StationaryGame):
    """Two states; rows and the initial law may sum to anything."""

    row: float = 1.0
    law: float = 1.0
    num_states: int = 2
    num_actions: int = 2
    discount: float = 0.9

    def initial(self):
        return np.array([0.5, 0.5]) * self.law

    def transition(self, mean_field):
        return nf.Dense(np.full((2, 2, 2), 0.5 * self.row))

    def reward(self, mean_field):
        return np.array([[0.0, 1.0], [0.0, 0.0]])


@pytest.mark.parametrize(("row", "law"), [(1.1, 1.0), (1.0, 0.9)])
def test_laws_that_do_not_sum_to_one(row, law):
    game = Leaky(row, law)
    assert np.isnan(nf.exploitability(game, nf.uniform_policy(game)))
    with pytest.raises(nf.SolveError, match=r"nashfield\.testing\.check_game"):
        nf.solve(game, nf.FixedPoint(), num_iterations=1)


def test_laws_that_do():
    game = Leaky()
    assert nf.exploitability(game, nf.uniform_policy(game)) == pytest.approx(0.25 / 0.1)
