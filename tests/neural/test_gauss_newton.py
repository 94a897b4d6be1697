"""Gauss and Newton's steps: problems with known answers, errors, and what cannot be told apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.neural.gauss_newton import check_apart, descend, standard_errors
from nashfield.results import GameError

RNG = np.random.default_rng(0)


def run(residuals, starts, num_known=1, num_iterations=100):
    return jax.jit(lambda x: descend(residuals, x, num_known, num_iterations))(jnp.asarray(starts))


def test_linear_least_squares(precision):
    A, b = RNG.normal(size=(8, 3)), RNG.normal(size=8)
    exact, total, *_ = np.linalg.lstsq(A, b, rcond=None)
    starts = np.asarray(RNG.normal(size=(2, 3)), precision)
    found = run(lambda x: jnp.asarray(A, x.dtype) @ x - jnp.asarray(b, x.dtype), starts, 8)
    within = 1e-9 if precision == "float64" else 1e-4
    np.testing.assert_allclose(found.points, [exact, exact], atol=within)
    np.testing.assert_allclose(found.losses, total[0] / 8, rtol=1e-5)
    np.testing.assert_allclose(found.jacobians[0], A, rtol=1e-6)


def test_a_bent_valley():
    """Rosenbrock's, from both sides."""
    found = run(
        lambda x: jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]]), [[-1.2, 1.0], [2.0, -1.0]]
    )
    np.testing.assert_allclose(found.points, np.ones((2, 2)), atol=1e-8)


def test_what_is_not_finite_is_left():
    """A start without a number stays; steps to where there is none are shortened."""

    def residuals(x):
        return jnp.where(x > 0, jnp.log(x) - 1, jnp.nan)

    found = run(residuals, [[-1.0], [0.05], [9.0]])
    assert np.isinf(found.losses[0])
    np.testing.assert_allclose(found.points[:, 0], [-1, np.e, np.e], rtol=1e-9)


def test_as_many_iterations_as_told():
    found = run(lambda x: x - 3, [[0.0]], num_iterations=2)
    # The first look is at the start; the second is a step no longer than 1.
    np.testing.assert_allclose(found.points, [[1.0]])


def test_standard_errors():
    A, noise = RNG.normal(size=(50, 2)), 0.1 * RNG.normal(size=50)
    b = A @ np.array([1.0, -2.0]) + noise
    total = np.linalg.lstsq(A, b, rcond=None)[1]
    covariance = np.linalg.inv(A.T @ A) * total[0] / 48
    found = standard_errors(A, total[0] / 50, 50)
    np.testing.assert_allclose(found, np.sqrt(np.diag(covariance)))


def test_what_cannot_be_told_apart():
    column = RNG.normal(size=(9, 1))
    other = RNG.normal(size=(9, 1))
    check_apart(("a", "b"), np.hstack([column, other]))
    with pytest.raises(GameError, match="do not tell a and c apart: they can change together"):
        check_apart(("a", "b", "c"), np.hstack([column, other, -2 * column]))
    with pytest.raises(GameError, match="do not depend on b: leave it out of parameters"):
        check_apart(("a", "b"), np.hstack([column, 0 * column]))
