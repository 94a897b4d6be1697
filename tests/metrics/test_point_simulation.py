"""Games on points among N agents."""

import jax
import numpy as np
import pytest

import nashfield as nf
from nashfield.learners.riccati import affine_sweep
from nashfield.policies import Affine


def simulate(policy, num_agents, num_seeds, seed=0):
    game = nf.games.LinearQuadratic()
    key = jax.random.key(seed)
    return nf.simulate(game, policy, num_agents=num_agents, num_seeds=num_seeds, key=key)


@pytest.mark.slow
@pytest.mark.parametrize("num_agents", [200])
def test_returns_and_gains_tend_to_those_of_the_mean_field(num_agents):
    game = nf.games.LinearQuadratic()
    exact = game.equilibrium().policy
    policy = Affine(0.5 * np.asarray(exact.gain), np.asarray(exact.offset) + 0.03)
    sweep = affine_sweep(game, policy)
    found = simulate(policy, num_agents, 400)
    for estimate, limit in (
        (found.mean_return, float(sweep.value)),
        (found.gain, float(sweep.exploitability)),
    ):
        width = (estimate.upper - estimate.lower) / 2
        # Costs of N agents differ from the limit by about 1 / N of themselves.
        assert abs(estimate.mean - limit) < 2 * width + 2 * abs(limit) / num_agents


@pytest.mark.slow
def test_the_flow_of_more_agents_is_nearer():
    policy = nf.games.LinearQuadratic().equilibrium().policy
    few, many = simulate(policy, 10, 100), simulate(policy, 1000, 20)
    # And who plays the equilibrium already has nothing to gain.
    np.testing.assert_allclose(few.gains, 0, atol=1e-12)
    # A hundred times the agents: a tenth of the distance.
    assert 7 < few.distance.mean / many.distance.mean < 13


def test_a_single_agent_has_no_density():
    game = nf.games.BeachBarLine(horizon=2)
    policy = Affine(np.zeros((2, 1, 1)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="BeachBarLine pays by the density of the crowd"):
        nf.simulate(game, policy, num_agents=1, num_seeds=2)


def test_no_best_response_no_gain():
    class Other(nf.ContinuousGame):
        horizon: int = 2
        state_dim: int = 1
        control_dim: int = 1

        def initial(self):
            return nf.Uniform(np.zeros(1), np.ones(1))

        def step(self, t, x, a, mean_field, noise):
            return x + a

        def reward(self, t, x, a, mean_field):
            return -x[0]

    policy = Affine(np.zeros((2, 1, 1)), np.zeros((2, 1)))
    found = nf.simulate(Other(), policy, num_agents=4, num_seeds=3)
    assert found.gain is None
    assert -2 < found.mean_return.mean < 0
