"""Affine policies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from nashfield.policies import Affine


def make(rng, spread=True):
    root = rng.normal(size=(3, 2, 2)) if spread else None
    return Affine(rng.normal(size=(3, 2, 4)), rng.normal(size=(3, 2)), root)


def test_actions_and_their_density(precision):
    rng = np.random.default_rng(0)
    policy = make(rng)
    x, noise = rng.normal(size=4), rng.normal(size=2)
    for t in range(3):
        mean = policy.gain[t] @ x + policy.offset[t]
        action = mean + policy.spread[t] @ noise
        rtol = 1e-12 if precision == "float64" else 2e-5
        held = [jnp.asarray(v) for v in (x, noise, action)]
        np.testing.assert_allclose(policy.action(t, held[0], held[1]), action, rtol=rtol)
        np.testing.assert_allclose(
            policy.certain().action(t, held[0], held[1]), mean, rtol=rtol, atol=1e-6
        )
        law = multivariate_normal(mean, policy.spread[t] @ policy.spread[t].T)
        found = policy.log_density(t, held[0], held[2])
        np.testing.assert_allclose(found, law.logpdf(action), rtol=10 * rtol)


def test_a_certain_policy_draws_nothing():
    policy = make(np.random.default_rng(1), spread=False)
    x = jnp.ones(4)
    a = policy.action(0, x, jnp.ones(2))
    assert policy.log_density(0, x, a) == np.inf
    assert policy.log_density(0, x, a + 1) == -np.inf


def test_time_may_be_traced():
    policy = make(np.random.default_rng(2))
    act = jax.vmap(policy.action, (0, None, None))
    found = act(jnp.arange(3), jnp.ones(4), jnp.zeros(2))
    np.testing.assert_allclose(found, policy.gain.sum(-1) + policy.offset, rtol=1e-12)


@pytest.mark.parametrize("t", [0, 2])
def test_gradients_reach_the_gain(t):
    policy = make(np.random.default_rng(3), spread=False)
    slope = jax.grad(lambda p: jnp.sum(p.action(t, jnp.arange(4.0), jnp.zeros(2))))(
        jax.tree.map(jnp.asarray, policy)
    )
    expected = np.zeros((3, 2, 4))
    expected[t] = np.arange(4.0)
    np.testing.assert_allclose(slope.gain, expected)


@pytest.mark.parametrize(
    ("spread", "missed", "expected"),
    [
        (np.zeros((2, 2)), [0.0, 0.0], np.inf),
        (np.zeros((2, 2)), [0.0, 1e-9], -np.inf),
        (np.array([[1.0, 0.0], [2.0, 0.0]]), [0.5, 1.0], np.inf),  # a line of actions
        (np.array([[1.0, 0.0], [2.0, 0.0]]), [0.5, 0.9], -np.inf),
        # Scales that differ: log N(1; 0, 1) + log N(0; 0, 1e-18)
        (np.diag([1.0, 1e-9]), [1.0, 0.0], -0.5 - np.log(2 * np.pi) + 9 * np.log(10)),
    ],
)
def test_noises_that_vanish(spread, missed, expected):
    policy = Affine(np.zeros((1, 2, 1)), np.zeros((1, 2)), jnp.asarray(spread)[None])
    found = policy.log_density(0, jnp.ones(1), jnp.asarray(missed))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_densities_of_batches():
    """Six actions' density, of states in a batch, with its gradient."""
    rng = np.random.default_rng(4)
    gain, spread = rng.normal(size=(1, 6, 2)), rng.normal(size=(1, 6, 6)) + 3 * np.eye(6)
    x, a = rng.normal(size=(5, 2)), rng.normal(size=(5, 6))
    policy = Affine(jnp.asarray(gain), jnp.zeros((1, 6)), jnp.asarray(spread))
    found = jax.vmap(lambda x, a: policy.log_density(0, x, a))(jnp.asarray(x), jnp.asarray(a))
    covariance = spread[0] @ spread[0].T
    expected = [multivariate_normal(gain[0] @ x[i], covariance).logpdf(a[i]) for i in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    slope = jax.grad(lambda a: policy.log_density(0, jnp.asarray(x[0]), a))(jnp.asarray(a[0]))
    exact = np.linalg.solve(covariance, gain[0] @ x[0] - a[0])
    np.testing.assert_allclose(slope, exact, rtol=1e-9)
