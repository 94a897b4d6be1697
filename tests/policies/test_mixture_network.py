"""Mixture policies against plain NumPy: densities, quantiles, and samples."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, norm

import nashfield as nf
from nashfield.policies import MixtureNetwork

KEY = jax.random.key(3)


def policy(game, num_components=3):
    """One whose components differ."""
    fresh = MixtureNetwork.begin(
        game, jnp.zeros(1), jnp.ones(1), num_components=num_components, hidden=(4,), sd=0.3, key=KEY
    )
    noise = jax.random.normal(KEY, fresh.body.network.biases[-1].shape, jnp.float32)
    biases = (*fresh.body.network.biases[:-1], fresh.body.network.biases[-1] + 0.4 * noise)
    return eqx.tree_at(lambda p: p.body.network.biases, fresh, biases)


def parts(policy, t, x):
    """Weights, means and deviations as NumPy arrays."""
    log_weights, means, log_sd = policy.components(policy.body.features(t, x))
    return np.exp(log_weights), np.asarray(means, float), np.exp(np.asarray(log_sd, float))


@pytest.mark.slow
def test_density_is_that_of_the_mixture():
    game = nf.games.LinearQuadratic(B=np.ones((1, 2)))
    mixed, x = policy(game), jnp.array([0.4])
    weights, means, sds = parts(mixed, 3, x)
    for a in ([0.1, -0.2], [1.0, 0.5]):
        dense = sum(
            w * norm.pdf(a[0], m[0], s[0]) * norm.pdf(a[1], m[1], s[1])
            for w, m, s in zip(weights, means, sds, strict=True)
        )
        found = float(mixed.log_density(3, x, jnp.array(a)))
        np.testing.assert_allclose(found, np.log(dense), rtol=1e-4)


def test_actions_follow_the_density():
    """Both coordinates by a Kolmogorov-Smirnov test, and their covariance; 20,000 draws."""
    game = nf.games.LinearQuadratic(B=np.ones((1, 2)))
    mixed, x = policy(game), jnp.array([0.4])
    weights, means, sds = parts(mixed, 3, x)
    noise = jax.random.normal(jax.random.key(0), (20_000, 2))
    drawn = np.asarray(jax.vmap(lambda z: mixed.action(3, x, z))(noise), float)
    for c in range(2):

        def below(u, c=c):
            return sum(
                w * norm.cdf(u, m[c], s[c]) for w, m, s in zip(weights, means, sds, strict=True)
            )

        assert kstest(drawn[:, c], below).pvalue > 0.01
    middle = weights @ means
    covariance = np.einsum("k,kc,kd->cd", weights, means - middle, means - middle)
    covariance += np.diag(weights @ sds**2)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.03 * covariance.max())


@pytest.mark.slow
def test_bounded_actions_stay_inside_and_integrate_to_one():
    game = nf.games.BeachBarLine()
    fresh = MixtureNetwork.begin(
        game, jnp.zeros(2), jnp.ones(2), num_components=2, hidden=(4,), sd=0.5, key=KEY
    )
    x = jnp.array([0.3])
    a = np.linspace(-0.2, 0.2, 20_001)
    dense = np.exp(jax.vmap(lambda a: fresh.log_density(0, x, a))(jnp.asarray(a)[:, None]))
    np.testing.assert_allclose(np.trapezoid(dense, a), 1, atol=1e-3)
    assert fresh.log_density(0, x, jnp.array([0.21])) == -np.inf
    far = jax.vmap(lambda z: fresh.action(0, x, z))(jnp.array([[-9.0], [9.0]]))
    assert np.all(np.abs(far) <= np.float32(0.2))


def test_the_certain_policy_plays_medians():
    mixed, x = policy(nf.games.LinearQuadratic()), jnp.array([0.4])
    weights, means, sds = parts(mixed, 2, x)
    certain = mixed.certain()
    a = float(certain.action(2, x, jnp.array([1.7]))[0])
    below = sum(w * norm.cdf(a, m[0], s[0]) for w, m, s in zip(weights, means, sds, strict=True))
    assert below == pytest.approx(0.5, abs=1e-5)
    assert certain.log_density(2, x, certain.action(2, x, jnp.zeros(1))) == np.inf
    assert certain.log_density(2, x, jnp.array([a + 1])) == -np.inf
