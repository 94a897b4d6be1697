"""Boltzmann iteration and the soft best response."""

import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.beach_bar import BeachBar
from nashfield.games.zoo.matrix import LeftRight


# The solution of p = sigmoid((2 - 3 p) / temperature): left pays -p, right -2 (1 - p).
@pytest.mark.parametrize(
    ("temperature", "left"), [(1.0, 0.5711507532829996), (2.0, 0.5453635729681853)]
)
def test_regularised_equilibrium(temperature, left, precision):
    solver = nf.BoltzmannPolicyIteration(temperature=temperature)
    solution = nf.solve(LeftRight(), solver, num_iterations=200)
    np.testing.assert_allclose(
        solution.policy[0, 0], [left, 1 - left], atol=1e-9 if precision == "float64" else 1e-6
    )


def test_first_iterates():
    # Made with mfglib 0.3.0 in double precision: prior descent at eta = 2 whose prior stays at the
    # uniform start; beach bar n = 4, T = 2.
    game = BeachBar(num_states=4, horizon=3)
    solution = nf.solve(game, nf.BoltzmannPolicyIteration(temperature=2.0), num_iterations=4)
    expected = [1.2212622552965304, 0.8113433750729914, 0.8766704888810163, 0.8633732950082008,
                0.866026153193]  # fmt: skip
    np.testing.assert_allclose(solution.history["exploitability"], expected, rtol=1e-11)


def test_softmax_of_optimal_values(skewed_policy):
    game = BeachBar(num_states=4, horizon=3)
    start = jnp.asarray(skewed_policy(game))
    solution = nf.solve(
        game, nf.BoltzmannPolicyIteration(temperature=0.5), num_iterations=1, initial_policy=start
    )
    values = np.asarray(
        nf.learners.optimal_values(game, nf.population_flow(game, start)).action_values
    )
    weights = np.exp(values / 0.5)
    expected = weights / weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(solution.policy, expected, rtol=1e-12)


@pytest.mark.parametrize("solver", [nf.BoltzmannPolicyIteration, nf.SoftBestResponse])
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf")])
def test_temperature_out_of_range(solver, temperature):
    with pytest.raises(ValueError, match=f"{solver.__name__}: temperature must be finite, above 0"):
        solver(temperature=temperature)
