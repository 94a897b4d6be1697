import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.malware import MalwareSpread
from nashfield.games.zoo.malware_continuous import ContinuousMalwareSpread
from nashfield.learners import ExactGradient, PlayedCrowd, Reinforce, SimultaneousPerturbation
from nashfield.policies import Gibbs, SoftThreshold, Threshold

KEY = jax.random.key(0)
GAME = MalwareSpread(inclusive=True)


@pytest.mark.slow
def test_it_is_the_best_of_all_soft_thresholds(precision):
    solution = nf.solve(GAME, nf.LocalSocialOptimum(SoftThreshold(0.9)), num_iterations=500)
    grid = jnp.linspace(0, 1, 101)
    welfare = jax.jit(jax.vmap(lambda theta: nf.social_welfare(GAME, SoftThreshold(theta))))(grid)
    best = int(jnp.argmax(welfare))
    tolerance = 1e-9 if precision == "float64" else 1e-5
    assert solution.social_welfare >= float(welfare[best]) - tolerance
    assert abs(solution.policy.theta - grid[best]) <= 0.01
    assert solution.gradient_norm < (1e-6 if precision == "float64" else 1e-2)
    # Not the equilibrium, from which a part of the crowd's gain is still to be had.
    assert solution.social_welfare > -3.7705 and solution.exploitability > 0.1


@pytest.mark.slow
def test_the_norm_is_that_of_the_total_gradient():
    solver = nf.LocalSocialOptimum(SoftThreshold(0.3), optimizer=nf.PowerStep(0.1, 0.0))
    solution = nf.solve(GAME, solver, num_iterations=1)
    assert solution.history["gradient_norm"][0] == pytest.approx(0.266196, abs=1e-6)
    assert solution.policy.theta == pytest.approx(0.3 - 0.0266196, abs=1e-7)
    few = {"num_trajectories": 20, "num_steps": 10}
    sampled = nf.LocalSocialOptimum(
        SoftThreshold(0.3),
        gradient=SimultaneousPerturbation(**few),
        crowd=PlayedCrowd(num_agents=20, num_steps=10),
    )
    solution = nf.solve(GAME, sampled, num_iterations=1)
    assert solution.history["gradient_norm"][0] == pytest.approx(0.266196, abs=1e-6)


@pytest.mark.slow
def test_a_table_is_as_good_as_the_best_threshold():
    solver = nf.LocalSocialOptimum(Gibbs(), optimizer=nf.Adam(1.0))
    solution = nf.solve(MalwareSpread(), solver, num_iterations=2000)
    best = nf.social_welfare(MalwareSpread(), Threshold(0.21))
    assert abs(best - -3.780905) < 1e-6
    assert solution.social_welfare > best - 5e-6
    repairs = np.asarray(solution.policy.table(MalwareSpread()))[:, 1]
    np.testing.assert_allclose(repairs, np.arange(101) >= 21, atol=1e-3)


@pytest.mark.slow
def test_perturbation_is_what_climbs_on_points():
    solver = nf.LocalSocialOptimum(
        Threshold(0.9),
        gradient=SimultaneousPerturbation(num_trajectories=200, num_steps=50),
        crowd=PlayedCrowd(num_agents=200, num_steps=50),
        optimizer=nf.Adam(0.05),
        num_evaluations=100,
        num_evaluation_steps=50,
    )
    solution = nf.solve(ContinuousMalwareSpread(), solver, num_iterations=15, key=KEY)
    assert solution.policy.theta < 0.6
    refused = nf.LocalSocialOptimum(gradient=ExactGradient())
    with pytest.raises(nf.ParameterError, match="are points: take gradient=SimultaneousPert"):
        nf.solve(ContinuousMalwareSpread(), refused, num_iterations=1)


def test_one_agent_does_not_see_how_the_crowd_follows():
    solver = nf.LocalSocialOptimum(gradient=Reinforce())
    with pytest.raises(nf.ParameterError, match="Reinforce cannot tell how the crowd follows"):
        nf.solve(GAME, solver, num_iterations=1)


def test_policies_that_jump_have_no_exact_gradient():
    solver = nf.LocalSocialOptimum(Threshold(0.3), gradient=ExactGradient())
    with pytest.raises(nf.ParameterError, match="Threshold has no gradient, its actions jump"):
        nf.solve(GAME, solver, num_iterations=1)
