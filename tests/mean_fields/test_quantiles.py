"""Quantiles of crowds on the line, against known values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from nashfield.mean_fields import Gaussian, GaussianMixture, Particles, Uniform
from nashfield.mean_fields.cells import Cells
from nashfield.mean_fields.grid import GridLaw
from nashfield.mean_fields.quantiles import quantile

LEVELS = [0.07, 0.5, 0.8, 0.99]


@pytest.mark.parametrize("level", LEVELS)
def test_particles_are_sorted(precision, level):
    states = np.random.default_rng(0).normal(12, 2, (43, 1)).astype(precision)
    crowd = Particles(jnp.asarray(states))
    ranked = np.sort(states[:, 0])
    place = level * 42
    below = int(place)
    expected = ranked[below] + (place - below) * (ranked[below + 1] - ranked[below])
    found = quantile(crowd, level)
    assert found.dtype == precision
    np.testing.assert_allclose(found, expected, rtol=1e-6 if precision == "float32" else 1e-13)
    np.testing.assert_array_equal(quantile(crowd.prepare(), level), found)


@pytest.mark.parametrize("level", LEVELS)
def test_laws_with_a_formula(precision, level):
    rtol = 2e-6 if precision == "float32" else 1e-13
    found = quantile(Gaussian([12.0], [[0.25]]), level)
    np.testing.assert_allclose(found, norm.ppf(level, 12, 0.5), rtol=rtol)
    np.testing.assert_allclose(quantile(Uniform([-1.0], [3.0]), level), 4 * level - 1, atol=rtol)


def test_cells_are_filled_evenly(precision):
    """Shares .1, 0, .4, .3, .2 of cells that are 2 wide, from -3 on."""
    law = GridLaw(np.array([0.1, 0.0, 0.4, 0.3, 0.2]), Cells([-3.0], [7.0], shape=(5,)))
    levels, expected = [0.05, 0.1, 0.3, 0.5, 0.65, 0.9, 1.0], [-2, -1, 2, 3, 4, 6, 7]
    found = [float(quantile(law, level)) for level in levels]
    np.testing.assert_allclose(found, expected, atol=3e-6 if precision == "float32" else 1e-13)


def test_cells_of_a_gaussian_law_have_its_quantiles():
    edges = np.linspace(8, 16, 401)
    masses = np.diff(norm.cdf(edges, 12, 0.5))
    law = GridLaw(masses / masses.sum(), Cells([8.0], [16.0], shape=(400,)))
    found = [float(quantile(law, level)) for level in LEVELS]
    # A line in a cell of .02 is off by .02^2 / 8 times the slope of log density, 4.66 at most.
    np.testing.assert_allclose(found, norm.ppf(LEVELS, 12, 0.5), atol=2.4e-4)


def test_another_law_as_fine_as_its_quadrature():
    """Two groups far apart: between them lies no node."""
    law = GaussianMixture(np.array([0.3, 0.7]), Gaussian([[0.0], [10.0]], [[[1e-4]], [[1e-4]]]))
    np.testing.assert_allclose(quantile(law, 0.29), 0, atol=0.1)
    np.testing.assert_allclose(quantile(law, 0.31), 10, atol=0.1)


def test_agents_at_the_quantile_move_it():
    """Level .8 of 6 agents is the fifth; level .7 half of the fourth and half of the fifth."""
    states = jnp.asarray([3.0, 0.0, 5.0, 1.0, 4.0, 2.0])

    def slopes(level):
        return jax.grad(lambda x: quantile(Particles(x[:, None]), level))(states)

    np.testing.assert_allclose(slopes(0.8), [0, 0, 0, 0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(slopes(0.7), [0.5, 0, 0, 0, 0.5, 0], atol=1e-12)


def test_laws_with_a_formula_have_slopes():
    location, spread = jax.grad(
        lambda m, s: quantile(Gaussian(m[None], s[None, None] ** 2), 0.8), (0, 1)
    )(jnp.asarray(12.0), jnp.asarray(0.5))
    np.testing.assert_allclose([location, spread], [1, norm.ppf(0.8)], rtol=1e-12)
