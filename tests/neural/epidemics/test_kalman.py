"""The filter and the smoother, beside conditioning of one large Gaussian and least squares."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import least_squares

from nashfield.neural.epidemics.kalman import root, smooth, sweep

MOVE = np.array([[1.0, 0.5, 0.0], [0.0, 0.8, 0.3], [0.1, 0.0, 0.6]])
LOOK = np.array([[1.0, 0.0, 0.2], [0.0, 1.0, 1.0]])
VARIANCES = np.array([0.1, 0.0, 0.4])
FIRST, SPREAD = np.array([1.0, -1.0, 0.5]), np.diag([1.0, 0.5, 0.0])
ERRORS = np.array([0.3, 0.7])
DAYS = 7


def observations():
    seen = np.random.default_rng(1).normal(size=(DAYS, 2))
    seen[2, 0] = seen[4] = np.nan
    return seen


def run(seen, around=None):
    return sweep(
        lambda x, day: jnp.asarray(MOVE) @ x,
        lambda x, day: jnp.asarray(LOOK) @ x,
        jnp.asarray(VARIANCES),
        jnp.asarray(seen),
        jnp.asarray(np.tile(ERRORS, (DAYS, 1))),
        jnp.asarray(FIRST),
        jnp.asarray(SPREAD),
        jnp.zeros((DAYS, 3)) if around is None else around,
        jnp.asarray(around is None),
    )


def joint():
    """Mean and covariance of all days together."""
    mean, blocks = np.zeros((DAYS, 3)), np.zeros((DAYS, DAYS, 3, 3))
    mean[0], blocks[0, 0] = FIRST, SPREAD
    for day in range(1, DAYS):
        mean[day] = MOVE @ mean[day - 1]
        blocks[day, day] = MOVE @ blocks[day - 1, day - 1] @ MOVE.T + np.diag(VARIANCES)
        for before in range(day):
            blocks[day, before] = MOVE @ blocks[day - 1, before]
            blocks[before, day] = blocks[day, before].T
    return mean.ravel(), blocks.transpose(0, 2, 1, 3).reshape(3 * DAYS, 3 * DAYS)


def conditioned(seen):
    mean, covariance = joint()
    looks = np.kron(np.eye(DAYS), LOOK)
    known = np.isfinite(seen).ravel()
    looks, errors = looks[known], np.tile(ERRORS, DAYS)[known]
    spread = looks @ covariance @ looks.T + np.diag(errors)
    missed = seen.ravel()[known] - looks @ mean
    gain = covariance @ looks.T @ np.linalg.inv(spread)
    likelihood = -(
        np.linalg.slogdet(2 * np.pi * spread)[1] + missed @ np.linalg.solve(spread, missed)
    )
    return mean + gain @ missed, covariance - gain @ looks @ covariance, likelihood / 2


def test_smoothed_is_conditioned(precision):
    seen = observations()
    passed = run(seen)
    means, covariances = smooth(passed)
    mean, covariance, likelihood = conditioned(seen)
    tolerance = 1e-10 if precision == "float64" else 2e-4
    np.testing.assert_allclose(means.ravel(), mean, atol=tolerance)
    for day in range(DAYS):
        block = covariance[3 * day : 3 * day + 3, 3 * day : 3 * day + 3]
        np.testing.assert_allclose(covariances[day], block, atol=tolerance)
    np.testing.assert_allclose(passed.log_likelihoods.sum(), likelihood, rtol=tolerance)


def test_filtered_knows_only_the_past():
    seen = observations()
    means = run(seen).means
    for day in (0, 3, 5):
        past = np.where(np.arange(DAYS)[:, None] <= day, seen, np.nan)
        np.testing.assert_allclose(
            means[day], conditioned(past)[0].reshape(DAYS, 3)[day], atol=1e-10
        )


def test_a_linear_system_does_not_care_where_it_is_made_linear():
    seen = observations()
    around = jnp.asarray(np.random.default_rng(2).normal(size=(DAYS, 3)))
    np.testing.assert_allclose(smooth(run(seen, around))[0], smooth(run(seen))[0], atol=1e-10)


def test_iterated_it_finds_the_most_likely_path():
    seen = np.array([0.3, 0.9, np.nan, 1.5, 1.2])[:, None]

    def step(x, day):
        return jnp.stack([x[0] + 0.5 * jnp.sin(x[1]), 0.9 * x[1]])

    def look(x, day):
        return jnp.exp(x[:1] / 2)

    @jax.jit
    def passing(around):
        fixed = jnp.asarray([0.05, 0.02]), jnp.asarray(seen), jnp.full((5, 1), 0.01)
        start = jnp.asarray([0.0, 1.0]), jnp.eye(2) * 0.5
        return smooth(sweep(step, look, *fixed, *start, around, jnp.asarray(False)))[0]

    means = jnp.zeros((5, 2))
    for _ in range(30):
        means = passing(means)

    def missed(path):
        path = path.reshape(5, 2)
        moved = np.stack([path[:-1, 0] + 0.5 * np.sin(path[:-1, 1]), 0.9 * path[:-1, 1]], 1)
        parts = [(path[0] - [0.0, 1.0]) / np.sqrt(0.5), (path[1:] - moved) / np.sqrt([0.05, 0.02])]
        known = np.isfinite(seen[:, 0])
        parts.append((seen[known, 0] - np.exp(path[known, 0] / 2)) / 0.1)
        return np.concatenate([part.ravel() for part in parts])

    best = least_squares(missed, np.asarray(means).ravel() + 0.1, xtol=1e-14, ftol=1e-14)
    np.testing.assert_allclose(means.ravel(), best.x, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 3, 4])
def test_root(rank):
    half = np.random.default_rng(rank).normal(size=(4, rank)) * np.array([1, 1e-3, 10, 1])[:, None]
    covariance = jnp.asarray(half @ half.T)
    found = jax.jit(root)(covariance)
    np.testing.assert_allclose(found @ found.T, covariance, atol=1e-9)
    np.testing.assert_array_equal(root(jnp.zeros((2, 2))), 0)
