"""Every kind of mean field keeps the protocol, and what does not is named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.mean_fields import (
    FiniteMeanField,
    Flow,
    Gaussian,
    GaussianMixture,
    Particles,
    Uniform,
    fit_normalizing_flow,
)
from nashfield.mean_fields.cells import Cells
from nashfield.mean_fields.grid import GridLaw
from nashfield.mean_fields.von_mises import VonMises
from nashfield.testing import CheckError, check_mean_field

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
UNIT = (np.zeros(2), np.ones(2))


def crowd(dim):
    return jnp.asarray(RNG.normal(size=(3, 4000, dim)))


def box():
    return jnp.asarray(RNG.beta(2, 3, size=(4000, 2)))


def learnt(dim, **options):
    sizes = {"num_bins": 8, "width": 8, "depth": 1, "num_steps": 100, "look_every": 50}
    return fit_normalizing_flow(RNG.beta(2, 3, (2, 2000, dim)), key=KEY, **sizes, **options)


LAWS = {
    "finite": lambda: FiniteMeanField(np.array([0.2, 0.0, 0.8])),
    "gaussian": lambda: Gaussian(np.array([3.0]), np.array([[0.2]])),
    "gaussian in the plane": lambda: Gaussian(np.ones(2), np.array([[1.0, 0.6], [0.6, 0.5]])),
    "gaussian in space": lambda: Gaussian(np.ones(5), np.diag(np.arange(1.0, 6))),
    "gaussian of a flow": lambda: Flow(Gaussian(np.zeros((2, 1)), np.ones((2, 1, 1))))[1],
    "mixture": lambda: GaussianMixture(
        np.array([0.3, 0.7]), Gaussian(np.array([[0.0], [2.0]]), np.array([[[1.0]], [[0.1]]]))
    ),
    "uniform": lambda: Uniform(np.array([-1.0]), np.array([4.0])),
    "uniform in space": lambda: Uniform(np.zeros(4), np.ones(4)),
    "grid": lambda: GridLaw(np.array([0.2, 0.5, 0.3]), Cells(np.zeros(1), np.ones(1), shape=(3,))),
    "grid in the plane": lambda: GridLaw(
        RNG.dirichlet(np.full(36, 9.0)), Cells(np.zeros(2), np.ones(2), shape=(6, 6))
    ),
    "von mises": lambda: VonMises(np.array([0.3]), np.array([2.0])),
    "particles": lambda: Particles(crowd(1)[0]),
    "particles in space": lambda: Particles(crowd(3)[0]),
    "particles of a prepared flow": lambda: Flow(Particles(crowd(1))).prepare()[1],
    "particles of a prepared flow in the plane": lambda: Flow(Particles(crowd(2))).prepare()[2],
    "particles between walls": lambda: Particles.within(box(), UNIT).prepare(),
    "particles on a torus": lambda: Particles.within(box(), UNIT, periodic=True).prepare(),
    "normalizing flow": lambda: learnt(1)[1],
    "normalizing flow in the plane": lambda: learnt(2, kind="coupling")[0],
    "normalizing flow on a box": lambda: learnt(1, domain=(UNIT[0][:1], UNIT[1][:1]))[1],
    "normalizing flow cut to a box": lambda: learnt(2, domain=UNIT, base="normal")[1],
}


SLOW = {
    "normalizing flow",
    "normalizing flow in the plane",
    "particles between walls",
    "normalizing flow cut to a box",
    "particles of a prepared flow in the plane",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in LAWS]
)
def test_every_kind(name):
    domain = {"particles on a torus": UNIT, "von mises": (UNIT[0][:1], UNIT[1][:1])}.get(name)
    check_mean_field(LAWS[name](), domain=domain, key=KEY)


class WrongMean(Uniform):
    def mean(self):
        return super().mean() + 0.2


class WrongSamples(Uniform):
    def sample(self, key, n):
        return super().sample(key, n) ** 2


class FlatSamples(Uniform):
    def sample(self, key, n):
        return super().sample(key, n)[:, 0]


class WrongMass(Uniform):
    def log_density(self, x):
        return super().log_density(x) + 0.1


class WrongShares(Uniform):
    def log_density(self, x):
        return super().log_density(x) + jnp.log(2 * jnp.maximum(x[..., 0], 1e-9))


class NoBatches(Uniform):
    def log_density(self, x):
        return jnp.reshape(super().log_density(x), -1)


class NoNumber(Uniform):
    def log_density(self, x):
        return super().log_density(x) * jnp.where(x[..., 0] > 0.999, jnp.nan, 1)


class NotTraced(Uniform):
    def log_density(self, x):
        off = 0.0 if not isinstance(x, jax.core.Tracer) else 1.0
        return super().log_density(x) + off


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (WrongMean, r"WrongMean: mean\(\) is \[0.7\], but expect"),
        (WrongSamples, r"mean\(\) is \[0.5\], but the mean of samples"),
        (FlatSamples, r"must be finite and of shape \(n, 1\), not \(20000,\)"),
        (WrongMass, "its density integrates to 1.105, not to 1"),
        (WrongShares, r"10% of its samples, but 1.0% of its density's mass"),
        (NoBatches, r"must have shape \(\), not \(1,\)"),
        (NoNumber, "log_density is NaN at"),
        (NotTraced, "log_density under jit is"),
    ],
)
def test_what_does_not_conform(kind, message, without_type_checks):
    with pytest.raises(CheckError, match=message):
        check_mean_field(kind(np.zeros(1), np.ones(1)), key=KEY)


def test_finite_laws_that_do_not_conform():
    with pytest.raises(CheckError, match=r"sums to 1\.2"):
        check_mean_field(FiniteMeanField(np.array([0.6, 0.6])), key=KEY)


def test_what_is_no_mean_field():
    with pytest.raises(CheckError, match="ndarray is no mean field"):
        check_mean_field(np.ones(3), key=KEY)


def test_a_law_without_density_says_so():
    with pytest.raises(ValueError, match="log_density was asked of a law that has none"):
        check_mean_field(Gaussian(np.zeros(1), np.zeros((1, 1))), key=KEY)
