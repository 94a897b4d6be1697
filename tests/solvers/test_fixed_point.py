"""Fixed point iteration: first iterates, the cycle, and what damping does to it."""

import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.beach_bar import BeachBar
from nashfield.games.zoo.matrix import LeftRight
from nashfield.games.zoo.susceptible_infected import SusceptibleInfected

# Made with mfglib 0.3.0 in double precision: fictitious play with constant step alpha = 1 and .25,
# from the skewed start, beach bar n = 4, T = 2 and susceptible-infected T = 5.
BEACH = BeachBar(num_states=4, horizon=3)
EPIDEMIC = SusceptibleInfected(horizon=6)
TABLE = [
    (BEACH, 0.0, [1.178058553947003, 1.0259032538182544, 3.735235803558815, 1.0259032538182544]),
    (
        BEACH,
        0.75,
        [1.178058553947003, 0.7122747265449275, 0.45504314621892616, 0.31830942869723455],
    ),
    (EPIDEMIC, 0.0, [0.908752703222858, 0.0, 0.0, 0.0]),
    (
        EPIDEMIC,
        0.75,
        [0.908752703222858, 0.6856922710422642, 0.5165643103961322, 0.3887102732015553],
    ),
]


@pytest.mark.parametrize(("game", "damping", "expected"), TABLE)
def test_first_iterates(game, damping, expected, skewed_policy, precision):
    start = jnp.asarray(skewed_policy(game))
    solution = nf.solve(
        game, nf.FixedPoint(damping=damping), num_iterations=3, initial_policy=start
    )
    tolerance = 1e-12 if precision == "float64" else 2e-6
    np.testing.assert_allclose(
        solution.history["exploitability"], expected, rtol=tolerance, atol=tolerance
    )


def test_cycles_without_damping():
    # Everyone goes left, then everyone right: exploitability 1 (leave the left), 2 (the right).
    solution = nf.solve(LeftRight(), nf.FixedPoint(), num_iterations=4)
    np.testing.assert_allclose(solution.history["exploitability"], [0.25, 1, 2, 1, 2], atol=1e-12)


def test_one_damped_step_by_hand():
    # From (1/2, 1/2) left pays -1/2 and right -1: a share of 1 - damping goes left.
    solution = nf.solve(LeftRight(), nf.FixedPoint(damping=0.9), num_iterations=1)
    np.testing.assert_allclose(solution.policy[0, 0], [0.55, 0.45], atol=1e-12)


def test_soft_best_response_is_boltzmann_iteration():
    soft = nf.FixedPoint(best_response=nf.SoftBestResponse(temperature=0.7))
    first = nf.solve(BEACH, soft, num_iterations=5)
    second = nf.solve(BEACH, nf.BoltzmannPolicyIteration(temperature=0.7), num_iterations=5)
    np.testing.assert_allclose(first.policy, second.policy, atol=1e-13)


@pytest.mark.parametrize("damping", [-0.1, 1.0, float("nan")])
def test_damping_out_of_range(damping):
    with pytest.raises(ValueError, match=r"FixedPoint: damping must be .*at least 0 and below 1"):
        nf.FixedPoint(damping=damping)
