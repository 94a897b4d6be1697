"""Gaussian laws, their mixtures and uniform ones, against scipy, closed forms and plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nashfield.mean_fields import Flow, Gaussian, GaussianMixture, Uniform

RNG = np.random.default_rng(0)


def gaussian(dim, precision="float64"):
    root = RNG.normal(size=(dim, dim))
    mean = RNG.normal(size=dim)
    return mean.astype(precision), (root @ root.T + 0.1 * np.eye(dim)).astype(precision)


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
def test_gaussian_density_is_scipys(precision, dim):
    mean, covariance = gaussian(dim, precision)
    x = RNG.normal(size=(4, 5, dim)).astype(precision)
    found = Gaussian(mean, covariance).log_density(x)
    expected = stats.multivariate_normal(mean, covariance).logpdf(x)
    assert found.dtype == precision
    np.testing.assert_allclose(found, expected, rtol=1e-9 if precision == "float64" else 1e-3)


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
def test_gaussian_means_of_polynomials(precision, dim):
    mean, covariance = gaussian(dim, precision)
    law = Gaussian(mean, covariance)
    second = law.expect(lambda x: jnp.outer(x, x))
    rtol = 1e-10 if precision == "float64" else 1e-4
    scale = np.abs(covariance).max()
    np.testing.assert_allclose(second, covariance + np.outer(mean, mean), atol=rtol * scale)
    third = law.expect(lambda x: (x[0] - mean[0]) ** 3 + x[0])
    np.testing.assert_allclose(third, mean[0], atol=10 * rtol * scale**1.5)


@pytest.mark.parametrize(("dim", "rtol"), [(1, 1e-12), (2, 1e-12), (3, 1e-6), (5, 2e-3)])
def test_gaussian_mean_of_an_exponential(dim, rtol):
    """E exp(b x) = exp(b m + b' S b / 2)."""
    mean, covariance = gaussian(dim)
    slope = 0.4 * np.ones(dim) / np.sqrt(dim * np.trace(covariance))
    found = Gaussian(mean, covariance).expect(lambda x: jnp.exp(x @ slope))
    np.testing.assert_allclose(found, np.exp(slope @ mean + slope @ covariance @ slope / 2), rtol)


@pytest.mark.parametrize("dim", [2, 6])
def test_gaussian_samples(dim):
    mean, covariance = gaussian(dim)
    drawn = np.asarray(Gaussian(mean, covariance).sample(jax.random.key(0), 40_000))
    np.testing.assert_allclose(
        drawn.mean(0), mean, atol=5 * np.sqrt(np.diag(covariance).max() / 4e4)
    )
    scale = np.diag(covariance).max()
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=5 * scale * np.sqrt(2 / 4e4))


@pytest.mark.parametrize("dim", [1, 3, 6])
def test_a_crowd_in_one_point_and_on_a_line(dim):
    point = Gaussian(np.ones(dim), np.zeros((dim, dim)))
    np.testing.assert_array_equal(point.sample(jax.random.key(0), 3), np.ones((3, dim)))
    np.testing.assert_allclose(point.expect(lambda x: x**2), 1)
    line = np.arange(1.0, dim + 1)
    drawn = np.asarray(Gaussian(0 * line, np.outer(line, line)).sample(jax.random.key(0), 100))
    np.testing.assert_allclose(drawn, np.outer(drawn[:, 0], line), atol=1e-6)
    assert np.std(drawn[:, 0]) > 0.8


@pytest.mark.parametrize("covariance", [np.zeros((2, 2)), np.ones((2, 2)), np.diag([1.0, 0.0])])
def test_density_of_a_singular_gaussian(precision, covariance):
    law = Gaussian(np.zeros(2), covariance.astype(precision))
    with pytest.raises(ValueError, match="of a law that has none: its covariance is singular"):
        law.log_density(jnp.zeros(2))
    assert np.isnan(jax.jit(lambda law: law.log_density(jnp.zeros(2)))(law))


@pytest.mark.slow
def test_a_singular_gaussian_in_a_flow_has_derivatives():
    def spread(scale):
        laws = Gaussian(jnp.zeros((2, 2)), jnp.stack([jnp.zeros((2, 2)), scale * jnp.eye(2)]))
        key = jax.random.key(0)
        return jnp.sum(jax.vmap(lambda law: law.sample(key, 4))(laws) ** 2)

    value, slope = jax.value_and_grad(spread)(2.0)
    np.testing.assert_allclose(slope, value / 2, rtol=1e-9)


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.ones((2, 3)), r"covariance must be square, \(..., 2, 2\) for a location in R\^2"),
        (np.eye(3), r"for a location in R\^2, not \(3, 3\)"),
        (np.array([[1.0, 0.5], [0.2, 1.0]]), "must be symmetric, but entries differ by 0.3"),
        (np.diag([1.0, -0.5]), "no negative eigenvalue, but its smallest is -0.5"),
        (np.diag([1.0, np.nan]), "covariance must hold finite numbers"),
    ],
)
def test_covariances_that_are_none(covariance, message, without_type_checks):
    with pytest.raises(ValueError, match=message):
        Gaussian(np.zeros(2), covariance)


def mixture(precision="float64"):
    weights = np.array([0.5, 0.2, 0.3], precision)
    locations = RNG.normal(size=(3, 2)).astype(precision)
    covariances = np.stack([gaussian(2, precision)[1] for _ in range(3)])
    return weights, locations, covariances


def test_mixtures_by_hand(precision):
    weights, locations, covariances = mixture(precision)
    law = GaussianMixture(weights, Gaussian(locations, covariances))
    rtol = 1e-9 if precision == "float64" else 2e-4
    np.testing.assert_allclose(law.mean(), weights @ locations, rtol)
    second = sum(
        w * (c + np.outer(m, m)) for w, m, c in zip(weights, locations, covariances, strict=True)
    )
    np.testing.assert_allclose(law.expect(lambda x: jnp.outer(x, x)), second, rtol, atol=rtol)
    x = RNG.normal(size=(3, 4, 2)).astype(precision)
    density = sum(
        w * stats.multivariate_normal(m, c).pdf(x)
        for w, m, c in zip(weights, locations, covariances, strict=True)
    )
    np.testing.assert_allclose(law.log_density(x), np.log(density), rtol, atol=10 * rtol)


def test_mixtures_with_a_member_that_nobody_plays():
    law = GaussianMixture(
        np.array([1.0, 0.0]), Gaussian(np.array([[0.0], [9.0]]), np.ones((2, 1, 1)))
    )
    np.testing.assert_allclose(law.log_density(np.ones(1)), stats.norm.logpdf(1))
    assert np.max(law.sample(jax.random.key(0), 1000)) < 6


def test_mixtures_with_a_member_without_density():
    law = GaussianMixture(
        np.array([0.5, 0.5]), Gaussian(np.zeros((2, 1)), np.array([[[1.0]], [[0.0]]]))
    )
    with pytest.raises(ValueError, match="has none: the covariance of a member is singular"):
        law.log_density(np.ones(1))


def test_mixtures_with_too_few_weights(without_type_checks):
    with pytest.raises(ValueError, match=r"one entry for each member, \(2,\), not \(3,\)"):
        GaussianMixture(np.ones(3) / 3, Gaussian(np.zeros((2, 1)), np.ones((2, 1, 1))))


@pytest.mark.parametrize(("dim", "rtol"), [(1, 1e-12), (2, 1e-12), (3, 1e-10), (5, 2e-3)])
def test_uniform_mean_of_an_exponential(dim, rtol):
    low, high = -np.arange(1.0, dim + 1) / dim, np.arange(1.0, dim + 1) / 2 / dim
    found = Uniform(low, high).expect(lambda x: jnp.exp(jnp.sum(x)))
    np.testing.assert_allclose(found, np.prod((np.exp(high) - np.exp(low)) / (high - low)), rtol)


def test_uniform_mean_of_the_state(precision):
    law = Uniform(np.array([-1.0, 0.0], precision), np.array([3.0, 0.5], precision))
    np.testing.assert_allclose(law.expect(lambda x: x), law.mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        ([0.0, 2.0], [1.0, 1.0], "low must lie below high"),
        ([0.0], [0.0], "low must lie below high"),
        ([0.0], [1.0, 1.0], r"must have one shape, not \(1,\) and \(2,\)"),
    ],
)
def test_boxes_that_are_none(low, high, message, without_type_checks):
    with pytest.raises(ValueError, match=message):
        Uniform(np.array(low), np.array(high))


@pytest.mark.parametrize(
    "law",
    [
        Gaussian(np.zeros(2), np.eye(2)),
        Uniform(np.zeros(2), np.ones(2)),
        GaussianMixture(np.ones(1), Gaussian(np.zeros((1, 2)), np.eye(2)[None])),
    ],
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 1)])
def test_states_of_another_dimension(law, shape, without_type_checks):
    with pytest.raises(ValueError, match=r"lives on R\^2: its density is read at states of shape"):
        law.log_density(np.zeros(shape))


def test_flows_of_laws_are_prepared_law_by_law():
    flow = Flow(Gaussian(np.zeros((3, 1)), np.ones((3, 1, 1))), action_mean=np.ones((2, 4)))
    ready = flow.prepare()
    assert len(ready) == 3
    np.testing.assert_array_equal(ready[1].mean_action(), np.ones(4))
    np.testing.assert_allclose(ready[1].log_density(np.ones(1)), stats.norm.logpdf(1))
