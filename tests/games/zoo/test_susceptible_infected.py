"""The epidemic, against known values and a plain loop."""

import jax
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.susceptible_infected import SusceptibleInfected


def test_first_iterates():
    solution = nf.solve(
        SusceptibleInfected(), nf.OnlineMirrorDescent(learning_rate=1.0), num_iterations=10
    )
    found = np.asarray(solution.history["exploitability"])[[0, 1, 10]]
    np.testing.assert_allclose(
        found, [5.4668739132285, 4.5770307445226, 0.38317088872], rtol=0, atol=1e-11
    )


def test_flow_is_that_of_a_plain_loop(precision):
    game = SusceptibleInfected(horizon=7, infection=0.7, recovery=0.2, initial_infected=0.3)
    rng = np.random.default_rng(0)
    policy = rng.dirichlet([1, 1], (7, 2))
    infected = [0.3]
    for t in range(7):
        i = infected[-1]
        infected.append(0.8 * i + (1 - i) * policy[t, 0, 0] * 0.7 * i)
    flow = nf.population_flow(game, policy.astype(precision))
    rtol = 1e-12 if precision == "float64" else 2e-6
    np.testing.assert_allclose(np.asarray(flow)[:, 1], infected, rtol=rtol)


def test_gradient_reaches_a_parameter(welfare):
    def outcome(infection):
        game = SusceptibleInfected(horizon=12, infection=infection)
        return welfare(game, nf.uniform_policy(game))

    slope = (outcome(np.array(0.81 + 1e-6)) - outcome(np.array(0.81 - 1e-6))) / 2e-6
    np.testing.assert_allclose(jax.grad(outcome)(0.81), slope, rtol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"horizon": 0}, "horizon must be at least 1, not 0"),
        ({"infection": 1.5}, "infection must lie between 0 and 1, not 1.5"),
        ({"recovery": -0.1}, "recovery must lie between 0 and 1, not -0.1"),
        ({"initial_infected": 2}, "initial_infected must lie between 0 and 1, not 2"),
        ({"infected_cost": float("nan")}, "infected_cost must be finite, not nan"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        SusceptibleInfected(**parameters)
