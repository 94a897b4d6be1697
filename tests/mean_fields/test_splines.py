"""Splines, and the bijections made of them: inverses, slopes, Jacobians, knots by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.mean_fields.spline_bijections import spline_bijection
from nashfield.mean_fields.splines import Spline


def spline(tails, scale=1.5, num_bins=6, seed=0):
    size = Spline.num_parameters(num_bins, tails)
    raw = scale * np.random.default_rng(seed).normal(size=size)
    return Spline.of(jnp.asarray(raw), num_bins, tails)


@pytest.mark.parametrize("tails", [True, False])
def test_splines_increase_and_have_their_inverse(tails):
    x = jnp.linspace(-7, 7, 4001) if tails else jnp.linspace(0, 1, 4001)
    one = spline(tails)
    y, log_slope = jax.vmap(one.forward)(x)
    assert np.all(np.diff(y) > 0)
    back, log_back = jax.vmap(one.inverse)(y)
    np.testing.assert_allclose(back, x, atol=1e-9)
    np.testing.assert_allclose(log_back, -log_slope, atol=1e-6)
    slope = jax.vmap(jax.grad(lambda x: one.forward(x)[0]))(x[1:-1])
    np.testing.assert_allclose(np.log(slope), log_slope[1:-1], atol=1e-9)
    if tails:
        np.testing.assert_array_equal(y[np.abs(x) > 5], x[np.abs(x) > 5])
        assert np.max(np.abs(np.diff(log_slope))) < 0.5  # no jump where the identity begins
    else:
        np.testing.assert_allclose([y[0], y[-1]], [0, 1], atol=1e-12)


def test_splines_take_their_knots():
    """Values and slopes at knots, put together by hand."""
    num_bins = 4
    raw = np.random.default_rng(0).normal(size=3 * num_bins + 1)
    share = lambda v: 1e-3 + (1 - 4e-3) * np.exp(v) / np.exp(v).sum()  # noqa: E731
    x = np.concatenate([[0], np.cumsum(share(raw[:4]))])
    y = np.concatenate([[0], np.cumsum(share(raw[4:8]))])
    slope = 1e-3 + np.log1p(np.exp(raw[8:] + np.log(np.exp(1 - 1e-3) - 1)))
    one = Spline.of(jnp.asarray(raw), num_bins, False)
    for k in range(5):
        value, log_slope = one.forward(jnp.asarray(x[k]))
        np.testing.assert_allclose([value, log_slope], [y[k], np.log(slope[k])], atol=1e-7)


def test_splines_of_zeros_are_the_identity():
    for tails, x in ((True, -3.3), (False, 0.7)):
        one = Spline.of(jnp.zeros(Spline.num_parameters(8, tails)), 8, tails)
        np.testing.assert_allclose(one.forward(jnp.asarray(x)), [x, 0], atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "tails"), [("autoregressive", True), ("coupling", False)])
def test_bijections_and_their_jacobians(kind, tails):
    bijection = bijection_of(kind, tails)
    condition = jnp.asarray([0.3])

    @jax.jit
    def both_ways(x):
        y, log_det = bijection.transform_and_log_det(x, condition)
        jacobian = jax.jacfwd(lambda x: bijection.transform(x, condition))(x)
        other = bijection.transform(x, jnp.asarray([-1.0]))
        return y, log_det, *bijection.inverse_and_log_det(y, condition), jacobian, other

    for x in np.random.default_rng(0).uniform(0.05, 0.95, (3, 3)):
        y, log_det, back, log_back, jacobian, other = both_ways(x)
        np.testing.assert_allclose(back, x, atol=1e-5)
        np.testing.assert_allclose(log_back, -log_det, atol=1e-4)
        np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-4)
        assert np.max(np.abs(y - x)) > 0.01
        assert not np.allclose(other, y)


def bijection_of(kind, tails, num_layers=2):
    sizes = {"num_layers": num_layers, "num_bins": 8, "width": 8, "depth": 1}
    key = jax.random.key(0)
    bijection = spline_bijection(3, kind=kind, **sizes, tails=tails, key=key)
    grow = lambda leaf: 4 * leaf if eqx.is_inexact_array(leaf) else leaf  # noqa: E731
    return jax.tree.map(grow, bijection)
