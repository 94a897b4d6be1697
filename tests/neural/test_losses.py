"""Losses between crowds, beside sums over all pairs and scipy."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm, wasserstein_distance

from nashfield.neural import losses
from nashfield.neural.losses import (
    MMD,
    EnergyDistance,
    GaussianLikelihood,
    PairedMSE,
    Wasserstein,
)
from nashfield.results import ParameterError

ALL = [PairedMSE(), Wasserstein(), Wasserstein(2.0), EnergyDistance(), MMD(), GaussianLikelihood()]


def crowds(n, m, dim, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, dim)), 0.4 + 1.3 * rng.normal(size=(m, dim))
    return x.astype(dtype), y.astype(dtype)


def close(found, expected, precision):
    assert found.dtype == precision
    np.testing.assert_allclose(found, expected, rtol=2e-4 if precision == "float32" else 1e-11)


@pytest.mark.parametrize("dim", [1, 3])
def test_paired(precision, dim):
    x, y = crowds(9, 9, dim, precision)
    by_hand = sum(math.dist(a, b) ** 2 for a, b in zip(x, y, strict=True)) / 9
    close(PairedMSE()(jnp.asarray(x), jnp.asarray(y)), by_hand, precision)


@pytest.mark.parametrize(("n", "m"), [(7, 7), (7, 5), (4, 12), (1, 6), (30, 420)])
def test_wasserstein_by_scipy(precision, n, m):
    x, y = crowds(n, m, 1, precision)
    expected = wasserstein_distance(x[:, 0].astype(float), y[:, 0].astype(float))
    close(Wasserstein()(jnp.asarray(x), jnp.asarray(y)), expected, precision)


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0])
def test_wasserstein_by_repetition(precision, power):
    """Each of 6 agents 4 times, each of 8 three times: 24 pairs in order."""
    x, y = crowds(6, 8, 1, precision)
    ranked = np.sort(np.repeat(x[:, 0], 4)), np.sort(np.repeat(y[:, 0], 3))
    by_hand = np.mean(np.abs(ranked[0] - ranked[1]) ** power)
    close(Wasserstein(power)(jnp.asarray(x), jnp.asarray(y)), by_hand, precision)


def pairs(kernel, x, y, *, apart=False):
    """Mean of the kernel over pairs; of two different agents where `apart`."""
    values = [
        kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(y) if not (apart and i == j)
    ]
    return np.mean(values)


@pytest.mark.parametrize(("n", "m", "dim"), [(6, 9, 1), (5, 4, 2), (2, 2, 3)])
def test_energy_distance_over_all_pairs(precision, n, m, dim):
    x, y = crowds(n, m, dim, precision)
    by_hand = (
        2 * pairs(math.dist, x, y)
        - pairs(math.dist, x, x, apart=True)
        - pairs(math.dist, y, y, apart=True)
    )
    close(EnergyDistance()(jnp.asarray(x), jnp.asarray(y)), by_hand, precision)


def test_many_crowds_at_once_are_what_each_is(precision):
    """As training takes them: compiled, and mapped over times."""
    x, y = (np.random.default_rng(0).normal(size=(3, n, 1)).astype(precision) for n in (120, 6))
    found = jax.jit(jax.vmap(EnergyDistance()))(x, 1 + y)
    by_hand = [
        2 * pairs(math.dist, a, 1 + b)
        - pairs(math.dist, a, a, apart=True)
        - pairs(math.dist, b, b, apart=True)
        for a, b in zip(x, y, strict=True)
    ]
    close(found, by_hand, precision)


@pytest.mark.parametrize("likeness", ["same", "some"])
def test_slopes_of_ties_are_those_of_the_plane(precision, likeness):
    """Agents in one place push one another nowhere, on the line as in the plane."""
    x = jnp.asarray([0.0, 0.0, 0.3, 1.0, 1.0], precision)
    y = x if likeness == "same" else jnp.asarray([0.0, 0.3, 0.3, 0.9], precision)
    flat = jax.grad(lambda x: EnergyDistance()(x[:, None], y[:, None]))(x)

    def plane(z):
        return jnp.stack([z, jnp.zeros_like(z)], -1)

    expected = jax.grad(lambda x: EnergyDistance()(plane(x), plane(y)))(x)
    np.testing.assert_allclose(flat, expected, atol=1e-6)


def test_energy_distance_is_twice_cramers_on_the_line():
    """2 int (F - G)^2 is the sum over all pairs, an agent's distance to itself included."""
    x, y = crowds(11, 6, 1)
    places = np.sort(np.concatenate([x, y])[:, 0])
    between = (places[1:] + places[:-1]) / 2
    gap = (x < between).mean(0) - (y < between).mean(0)
    cramer = 2 * np.sum(gap**2 * np.diff(places))
    # E|X - X'| over all pairs is that over different ones times (n - 1) / n.
    own = [pairs(math.dist, z, z, apart=True) / len(z) for z in (x, y)]
    found = EnergyDistance()(jnp.asarray(x), jnp.asarray(y))
    np.testing.assert_allclose(found, cramer - sum(own), rtol=1e-12)


@pytest.mark.parametrize(("n", "m", "dim"), [(6, 9, 1), (5, 4, 2), (2, 2, 3)])
def test_mmd_over_all_pairs(precision, n, m, dim):
    x, y = crowds(n, m, dim, precision)
    unit = np.mean([math.dist(a, b) ** 2 for a in y for b in y]) ** 0.5

    def kernel(a, b):
        squares = math.dist(a, b) ** 2
        return np.mean([np.exp(-squares / (2 * (h * unit) ** 2)) for h in (0.3, 1.5)])

    by_hand = (
        pairs(kernel, x, x, apart=True) + pairs(kernel, y, y, apart=True) - 2 * pairs(kernel, x, y)
    )
    found = MMD(bandwidths=[0.3, 1.5])(jnp.asarray(x), jnp.asarray(y))
    close(found, by_hand, precision)


@pytest.mark.parametrize("loss", [EnergyDistance(), MMD()])
def test_blocks_of_pairs_change_nothing(precision, loss, monkeypatch):
    """Values and slopes in blocks of 3 rows and the rest, beside all pairs at once."""
    x, y = (jnp.asarray(z) for z in crowds(10, 8, 2, precision))
    value, slope = jax.value_and_grad(loss)(x, y)
    monkeypatch.setattr(losses, "_BLOCK", 25)
    blocked, blocked_slope = jax.value_and_grad(loss)(x, y)
    rounding = 1e-5 if precision == "float32" else 1e-12
    np.testing.assert_allclose(blocked, value, rtol=rounding)
    np.testing.assert_allclose(blocked_slope, slope, rtol=20 * rounding, atol=rounding)


@pytest.mark.parametrize(
    ("loss", "dim"), [(EnergyDistance(), 1), (EnergyDistance(), 2), (MMD(), 2)]
)
def test_large_crowds_take_no_table_of_pairs(loss, dim):
    """40,000 agents beside 60,000: a table would take 9.6 GB, the program less than 0.2."""
    shapes = (jax.ShapeDtypeStruct((n, dim), jnp.float32) for n in (40_000, 60_000))
    memory = jax.jit(jax.value_and_grad(loss)).lower(*shapes).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 2e8


def test_gaussian_likelihood_by_scipy(precision):
    x, y = crowds(12, 3, 2, precision)
    total = 0.0
    for d in range(2):
        spread = (np.var(x[:, d].astype(float), ddof=1) + 0.09) ** 0.5
        total -= norm.logpdf(y[:, d], x[:, d].mean(), spread).sum()
    found = GaussianLikelihood(noise=0.3)(jnp.asarray(x), jnp.asarray(y))
    close(found, total / 3, precision)


@pytest.mark.parametrize("loss", [EnergyDistance(), MMD()])
@pytest.mark.parametrize("sizes", [(4, 7), (20, 5)])
def test_equal_laws_have_none_on_average(loss, sizes):
    """Mean over 20,000 pairs of crowds of one law, within 4 standard errors."""
    x, y = (jax.random.normal(jax.random.key(i), (20_000, n, 2)) for i, n in enumerate(sizes))
    found = np.asarray(jax.jit(jax.vmap(loss))(x, y))
    assert abs(found.mean()) < 4 * found.std() / 20_000**0.5
    shifted = np.asarray(jax.jit(jax.vmap(loss))(x + 0.5, y))
    assert shifted.mean() > 10 * shifted.std() / 20_000**0.5


@pytest.mark.parametrize("loss", ALL)
def test_likeness_is_least(loss):
    """A crowd of the observed law is nearer than one aside, and than one twice as wide."""
    y = jax.random.normal(jax.random.key(1), (400, 1))
    same = y if loss.paired else jax.random.normal(jax.random.key(0), (400, 1))
    assert loss(same, y) < loss(same + 0.5, y)
    assert loss(same, y) < loss(2 * same, y)


@pytest.mark.parametrize("loss", [Wasserstein(), Wasserstein(2.0), EnergyDistance(), MMD()])
def test_agents_have_no_number(loss):
    x, y = (jnp.asarray(z) for z in crowds(6, 8, 1))
    found = loss(x[jnp.asarray([3, 1, 0, 5, 4, 2])], y[::-1])
    np.testing.assert_allclose(found, loss(x, y), rtol=1e-12)


@pytest.mark.parametrize("loss", [*ALL, Wasserstein(1.5)])
@pytest.mark.parametrize("dim", [1, 2])
def test_slopes_are_finite_where_agents_meet(precision, loss, dim):
    """Simulated as observed, and all agents but one in one place."""
    if isinstance(loss, Wasserstein) and dim == 2:
        dim = 1
    states = jnp.asarray(np.append(np.zeros((5, dim)), np.ones((1, dim)), 0), precision)
    value, slope = jax.value_and_grad(loss)(states, states)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("loss", [*ALL, Wasserstein(1.5)])
def test_slopes_by_differences(loss):
    x, y = (jnp.asarray(z) for z in crowds(6, 6, 1))
    slope = jax.grad(loss)(x, y)
    for i in range(6):
        step = 1e-6 * jnp.eye(6)[:, i : i + 1]
        np.testing.assert_allclose(
            slope[i, 0], (loss(x + step, y) - loss(x - step, y)) / 2e-6, rtol=1e-6, atol=1e-8
        )


@pytest.mark.parametrize("loss", [MMD(), EnergyDistance(), Wasserstein(2.0)])
def test_observed_agents_who_all_agree(loss):
    """A crowd in one point is a law like any other."""
    x, y = jnp.linspace(-1, 1, 5)[:, None], jnp.zeros((4, 1))
    value, slope = jax.value_and_grad(loss)(x, y)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    assert loss(x / 10, y) < value


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Wasserstein(0.5), "power must be finite and at least 1, not 0.5"),
        (lambda: MMD([0.1, 0.0]), "bandwidths must be finite and greater than 0, not 0.0"),
        (lambda: GaussianLikelihood(0.0), "noise must be finite and greater than 0, not 0.0"),
    ],
)
def test_parameters_out_of_range(make, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("loss", "sizes", "message"),
    [
        (
            PairedMSE(),
            (8, 4, 1),
            "PairedMSE compares agents one by one, but 8 are simulated and 4 observed: leave "
            "num_crowds out",
        ),
        (
            Wasserstein(),
            (4, 4, 2),
            "Wasserstein sorts states on the line, but state_dim is 2: take EnergyDistance or MMD",
        ),
        (EnergyDistance(), (1, 4, 1), "needs 2 agents or more, but 1 are simulated and 4 observed"),
        (EnergyDistance(), (4, 1, 1), "needs 2 agents or more, but 4 are simulated and 1 observed"),
        (MMD(), (4, 1, 1), "MMD needs 2 agents or more, but 4 are simulated and 1 observed"),
        (GaussianLikelihood(), (1, 1, 1), "GaussianLikelihood needs 2 simulated agents or more"),
    ],
)
def test_crowds_that_cannot_be_compared(loss, sizes, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        loss.check(*sizes)


def test_crowds_that_can():
    PairedMSE().check(4, 4, 2)
    Wasserstein().check(4, 9, 1)
    GaussianLikelihood().check(2, 1, 3)
