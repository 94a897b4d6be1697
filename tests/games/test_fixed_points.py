"""Damped fixed points of linear maps, beside their inverse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.games.fixed_points import fixed_point

TURN = np.array([[0.2, -0.9], [0.8, 0.1]])


def root(bend, shift, tolerance):
    """Of x = bend x + shift."""
    step = jnp.asarray(0.5, shift.dtype)
    return fixed_point(
        lambda x: bend @ x + shift - x, jnp.zeros_like(shift), step, tolerance, 20_000
    )


@pytest.mark.parametrize("bend", [TURN, np.diag([-3.0, 0.9]), np.zeros((2, 2))])
@pytest.mark.parametrize("derivative", [jax.jacfwd, jax.jacrev])
def test_points_and_derivatives_by_inversion(precision, bend, derivative):
    tolerance = 1e-12 if precision == "float64" else 1e-5
    shift = jnp.asarray([1.0, -2.0], precision)
    bend = jnp.asarray(bend, precision)
    inverse = np.linalg.inv(np.eye(2) - np.asarray(bend, float))
    point, (missed, _) = root(bend, shift, tolerance)
    assert missed <= tolerance
    np.testing.assert_allclose(point, inverse @ np.asarray(shift), rtol=30 * tolerance)
    found = derivative(lambda s: root(bend, s, tolerance)[0])(shift)
    np.testing.assert_allclose(found, inverse, rtol=30 * tolerance, atol=30 * tolerance)


@pytest.mark.parametrize("derivative", [jax.jacfwd, jax.jacrev])
def test_a_rough_tolerance_gives_rough_derivatives(precision, derivative):
    """As rough as was asked for, not none."""
    shift, bend = jnp.asarray([1.0, -2.0], precision), jnp.asarray(TURN, precision)
    inverse = np.linalg.inv(np.eye(2) - TURN)
    found = derivative(lambda s: root(bend, s, 1e-2)[0])(shift)
    np.testing.assert_allclose(found, inverse, atol=0.05)


@pytest.mark.parametrize("derivative", [jax.jacfwd, jax.jacrev])
def test_a_derivative_that_is_not_found_is_none(derivative):
    """So near to 1 that 2,000 iterations leave four fifths of the linear equation open."""
    bend, shift = jnp.asarray([[1 - 1e-4]]), jnp.asarray([1.0])
    far = derivative(lambda s: root(bend, s, 1e-12)[0])(shift)
    assert np.isnan(far).all()
