"""Von Mises laws on the circle, against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nashfield.mean_fields.von_mises import VonMises


def law(location=0.25, concentration=2.0):
    return VonMises(jnp.full(1, location), jnp.full(1, concentration))


def of_scipy(location=0.25, concentration=2.0):
    return stats.vonmises(concentration, loc=2 * np.pi * location)


@pytest.mark.parametrize("concentration", [0.3, 2.0, 300.0])
def test_density(concentration, precision):
    x = np.linspace(-0.5, 1.5, 41)
    expected = of_scipy(0.1, concentration).logpdf(2 * np.pi * x) + np.log(2 * np.pi)
    found = law(0.1, concentration).log_density(x[:, None])
    tolerance = 1e-9 if precision == "float64" else 2e-5
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=10 * tolerance)


def test_expectations():
    total = law().expect(lambda x: jnp.ones(()))
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    x = (np.arange(100_000) + 0.5) / 100_000
    density = of_scipy().pdf(2 * np.pi * x) * 2 * np.pi
    np.testing.assert_allclose(law().mean(), [np.mean(x * density)], rtol=1e-8)
    square = law().expect(lambda x: x[0] ** 2)
    np.testing.assert_allclose(square, np.mean(x**2 * density), rtol=1e-8)


@pytest.mark.parametrize("concentration", [2500.0, 1e6])
def test_sharp_laws_keep_their_mass(concentration, precision):
    """Narrower than the distance of the nodes."""
    sharp = law(0.3, concentration)
    total = sharp.expect(lambda x: jnp.ones(()))
    np.testing.assert_allclose(total, 1, rtol=1e-12 if precision == "float64" else 1e-6)
    np.testing.assert_allclose(sharp.mean(), [0.3], atol=1 / 256)


@pytest.mark.parametrize("concentration", [0.0, 2.0, 50.0])
def test_draws(concentration):
    states = np.asarray(law(0.1, concentration).sample(jax.random.key(0), 3000))
    assert states.shape == (3000, 1)
    assert np.all((states >= 0) & (states < 1))
    scipy = of_scipy(0.1, concentration) if concentration else stats.uniform(0, 2 * np.pi)
    start = scipy.cdf(0)
    found = stats.kstest(2 * np.pi * states[:, 0], lambda x: scipy.cdf(x) - start)
    assert found.pvalue > 0.01


def test_states_of_another_space(without_type_checks):
    with pytest.raises(ValueError, match=r"VonMises law lives on R\^1"):
        law().log_density(jnp.zeros((3, 2)))
