import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.malware import MalwareSpread
from nashfield.learners import (
    AbstractGradient,
    BatchMean,
    ExactCritic,
    ExactCrowd,
    ExactGradient,
    LeastSquaresCritic,
    PlayedCrowd,
    Reinforce,
    SimultaneousPerturbation,
)
from nashfield.parameters import build, parts_of
from nashfield.policies import SoftThreshold, Threshold

KEY = jax.random.key(0)


def value(theta, mean=None):
    """J of a soft threshold among a crowd with this mean state, by plain NumPy."""
    x = np.linspace(0, 1, 101)
    acts = 1 / (1 + np.exp(-(x - theta) / 0.05))
    above = np.triu(np.ones((101, 101)))
    matrix = (1 - acts)[:, None] * above / above.sum(1, keepdims=True)
    matrix[:, 0] += acts
    if mean is None:
        system = np.vstack([np.eye(101) - matrix.T, np.ones(101)])
        mean = np.linalg.lstsq(system, np.append(np.zeros(101), 1))[0] @ x
    reward = -(0.2 + mean) * x - 0.5 * acts
    return np.linalg.solve(np.eye(101) - 0.9 * matrix, reward).mean()


def test_exact_gradients_are_differences(precision):
    game, policy = MalwareSpread(inclusive=True), SoftThreshold(0.3, 0.05)
    mean_field = nf.stationary_mean_field(game, policy.table(game))
    mean = float(mean_field.expect(game.features()[:, 0]))
    step, rule = 1e-5, ExactGradient()
    partial = rule.partial(game, policy, mean_field, key=KEY).theta
    total = rule.total(game, policy, PlayedCrowd(), key=KEY).theta
    frozen = (value(0.3 + step, mean) - value(0.3 - step, mean)) / (2 * step)
    own = (value(0.3 + step) - value(0.3 - step)) / (2 * step)
    tolerance = {"atol": 1e-6 if precision == "float64" else 2e-4}
    np.testing.assert_allclose(partial, frozen, **tolerance)
    np.testing.assert_allclose(total, own, **tolerance)


def test_exact_gradients_refuse_policies_that_jump(triangle):
    mean_field = nf.stationary_mean_field(triangle, np.full((3, 2), 0.5))
    with pytest.raises(nf.ParameterError, match="Threshold has no gradient, its actions jump"):
        ExactGradient().partial(triangle, Threshold(0.5), mean_field, key=KEY)
    with pytest.raises(nf.ParameterError, match="Threshold has no gradient, its actions jump"):
        ExactGradient().total(triangle, Threshold(0.5), ExactCrowd(), key=KEY)


def test_estimates_look_like_the_parameters(triangle):
    policy = SoftThreshold(jnp.asarray(0.4), jnp.asarray(0.2))
    mean_field = nf.stationary_mean_field(triangle, policy.table(triangle))
    structure = jax.tree.structure(policy.split()[0])
    for rule in (ExactGradient(), Reinforce(5, 5), SimultaneousPerturbation(0.1, "gaussian", 5, 5)):
        estimate = rule.partial(triangle, policy, mean_field, key=KEY)
        assert jax.tree.structure(estimate) == structure
        assert estimate.theta.dtype == policy.theta.dtype


def test_they_are_built_by_name():
    known = parts_of(AbstractGradient)
    assert set(known) == {"exact-gradient", "reinforce", "simultaneous-perturbation"}
    assert isinstance(
        build(known["reinforce"], {"baseline": "batch-mean"}, "g").baseline, BatchMean
    )
    made = build(
        known["simultaneous-perturbation"],
        {
            "size": "0.2",
            "distribution": "gaussian",
            "critic": {"name": "least-squares-critic", "parameters": {"degree": 2}},
        },
        "gradient",
    )
    assert float(made.size) == 0.2
    assert made.distribution == "gaussian"
    assert made.critic == LeastSquaresCritic(degree=2)
    assert build(known["reinforce"], {"baseline": "exact-critic"}, "g").baseline == ExactCritic()


def test_unknown_distributions_are_named(triangle):
    with pytest.raises(nf.ParameterError, match="must be one of rademacher, gaussian"):
        build(SimultaneousPerturbation, {"distribution": "uniform"}, "gradient")
