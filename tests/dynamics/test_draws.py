"""Both kinds of draws: reproducible, uniform, and nothing to be seen between any two of them.

The p-values belong to fixed keys. Where nothing is wrong the least of n of them is about 1 / n, and
no family here has more than a hundred: one below 1e-5 is a fault.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nashfield.dynamics.draws import GENERATORS, HashDraws, draws_of
from nashfield.results import ParameterError

LEAST = 1e-5
BINS = 16


def levels(draws, steps, shape):
    """(K, U, N) as NumPy sees them, in float64."""
    found = jax.jit(jax.vmap(lambda k: draws.levels(k, shape)))(jnp.asarray(steps))
    assert found.dtype == jnp.float32
    return np.asarray(found, np.float64)


def uniform(x, bins=256):
    """p-value of a chi-square test of numbers in [0, 1)."""
    return stats.chisquare(np.bincount((bins * x).astype(int), minlength=bins)).pvalue


def paired(x, y, scale=BINS):
    """p-value of a chi-square test of pairs: all BINS^2 boxes are equally full.

    A larger scale looks at later bits.
    """
    boxes = BINS * ((scale * x).astype(int) % BINS) + (scale * y).astype(int) % BINS
    return stats.chisquare(np.bincount(boxes.ravel(), minlength=BINS**2)).pvalue


@pytest.fixture(params=["jax", "hash"])
def draws(request):
    return draws_of(jax.random.key(7), request.param)


@pytest.mark.slow
def test_levels_are_uniform(draws):
    x = levels(draws, range(8), (3, 20_000))
    assert 0 <= x.min() < 1e-4
    assert 1 - 1e-4 < x.max() < 1
    rows = x.reshape(-1, x.shape[-1])
    assert min(uniform(row) for row in rows) > LEAST
    assert min(stats.kstest(row, "uniform").pvalue for row in rows) > LEAST
    # Sums of ten show what is wrong with neighbours; their p-values are uniform themselves.
    sums = rows.reshape(-1, 10).sum(-1)
    assert stats.kstest(sums, stats.irwinhall(10).cdf).pvalue > LEAST
    assert stats.kstest([uniform(row) for row in rows], "uniform").pvalue > 1e-3


def test_steps_do_not_know_each_other(draws):
    x = levels(draws, range(20), (1, 20_000))[:, 0]
    assert min(paired(x[:-lag], x[lag:]) for lag in (1, 2, 3, 4, 8, 16)) > LEAST
    assert min(paired(a, b) for a, b in pairwise(x)) > LEAST


def test_one_agent_sees_uniform_numbers_over_many_steps(draws):
    x = levels(draws, range(50_000), (2, 3))
    for series in x.reshape(len(x), -1).T:
        assert uniform(series) > LEAST
        assert min(paired(series[:-lag], series[lag:]) for lag in (1, 2, 4, 64)) > LEAST


def test_agents_do_not_know_each_other(draws):
    x = levels(draws, range(4), (1, 50_000))[:, 0]
    lags = (1, 2, 3, 5, 7, 8, 16, 64, 256, 1000, 4096)
    assert min(paired(x[:, :-lag], x[:, lag:]) for lag in lags) > LEAST


def test_levels_of_one_step_do_not_know_each_other(draws):
    x = levels(draws, range(10), (3, 20_000))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert min(paired(step[i], step[j]) for step in x) > LEAST
    # The last level of one step and the first of the next.
    assert paired(x[:-1, 2], x[1:, 0]) > LEAST


@pytest.mark.parametrize("generator", ["jax", "hash"])
def test_nearby_keys_do_not_know_each_other(generator):
    keys = [jax.random.key(seed) for seed in (0, 1, 2, 3, 2**16, 2**31)]
    keys += list(jax.random.split(keys[0], 4))
    x = [levels(draws_of(key, generator), range(2), (1, 20_000)) for key in keys]
    pairs = [(a, b) for i, a in enumerate(x) for b in x[:i]]
    assert min(paired(a, b) for a, b in pairs) > LEAST


def test_the_last_bits_of_a_hash_are_no_worse_than_the_first():
    x = levels(HashDraws(jax.random.key(3)), range(6), (2, 50_000))
    last = BINS * 2**16  # bits 21 to 24
    assert min(paired(step[0], step[1], last) for step in x) > LEAST
    assert min(paired(x[:-1], x[1:], last), paired(x[..., :-1], x[..., 1:], last)) > LEAST


def test_correlation_vanishes(draws):
    x = levels(draws, range(50), (2, 2_000)).reshape(100, -1) - 0.5
    found = np.corrcoef(x)[np.triu_indices(100, 1)] * np.sqrt(x.shape[1])
    assert stats.kstest(found, "norm").pvalue > 1e-3
    assert np.abs(found).max() < stats.norm.isf(LEAST / len(found))


def test_levels_follow_from_key_and_step_alone(draws):
    again = type(draws)(jax.random.key(7))
    at_once = levels(draws, range(5), (2, 30))
    one = np.asarray(again.levels(jnp.asarray(3), (2, 30)), np.float64)
    np.testing.assert_array_equal(at_once[3], one)
    assert len(np.unique(at_once)) > 290  # nothing repeats from step to step


def test_hashes_of_fewer_agents_are_those_of_the_first():
    draws = HashDraws(jax.random.key(1))
    few, many = (draws.levels(jnp.asarray(2), (2, n)) for n in (10, 100))
    np.testing.assert_array_equal(few, many[:, :10])


def test_keys_are_batched_in_one_program():
    keys = jax.random.split(jax.random.key(0), 3)
    for kind in GENERATORS.values():
        batch = jax.vmap(lambda key, kind=kind: kind(key).levels(jnp.asarray(1), (2, 50)))(keys)
        alone = [kind(key).levels(jnp.asarray(1), (2, 50)) for key in keys]
        np.testing.assert_array_equal(batch, jnp.stack(alone))


def test_an_unknown_generator_is_named():
    with pytest.raises(ParameterError, match='generator must be "jax" or "hash", not \'pcg\''):
        draws_of(jax.random.key(0), "pcg")
