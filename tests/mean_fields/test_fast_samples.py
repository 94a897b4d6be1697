"""Draws of learnt crowds at all times at once have the laws that single times have."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, norm

from nashfield.mean_fields import KnownStart, NormalizingFlow, Uniform, Walled, noise
from nashfield.mean_fields.spline_bijections import (
    spline_bijection,
    towards_base,
    towards_states,
)

KEY = jax.random.key(0)
NUM = 4000


def flow_of(dim, *, base="normal", box=False, kind="autoregressive"):
    """Not fitted: its networks are drawn, and large enough to bend the base."""
    bijection = bent(dim, kind=kind, tails=base == "normal")
    ones = jnp.ones(dim, jnp.float32)
    low, high = (-ones, 1.5 * ones) if box else (0 * ones, ones)
    domain = (low, high) if box or base == "uniform" else None
    centre, scale = (low, high - low) if base == "uniform" else (0.1 * ones, 0.6 * ones)
    make = eqx.filter_jit(NormalizingFlow.of)
    return make(bijection, centre, scale, size=4, base=base, domain=domain)


def bent(dim, *, kind="autoregressive", tails):
    sizes = {"num_layers": 2, "num_bins": 6, "width": 8, "depth": 2}
    bijection = spline_bijection(dim, kind=kind, **sizes, tails=tails, key=KEY)
    return jax.tree.map(lambda x: 3 * x if eqx.is_inexact_array(x) else x, bijection)


@eqx.filter_jit
def pushed(law, x):
    """Where states came from."""
    return law._base(x.astype(jnp.float32))[0]


def distances(samples, distribution):
    return [kstest(column, distribution).pvalue for column in np.asarray(samples).T]


@pytest.mark.parametrize(("kind", "dim"), [("autoregressive", 2), ("coupling", 3)])
@pytest.mark.parametrize("tails", [True, False])
def test_many_states_at_once_go_where_single_ones_go(kind, dim, tails):
    bijection = bent(dim, kind=kind, tails=tails)
    condition = jnp.full(1, 0.3, jnp.float32)
    x = jnp.asarray(np.random.default_rng(0).uniform(0, 1, (50, dim)), jnp.float32)
    one = jax.jit(jax.vmap(lambda x: bijection.transform_and_log_det(x, condition)))
    back = jax.jit(jax.vmap(lambda z: bijection.inverse(z, condition)))
    z, log_det = jax.jit(lambda x: towards_base(bijection, x, condition))(x)
    np.testing.assert_allclose(z, one(x)[0], atol=1e-5)
    np.testing.assert_allclose(log_det, one(x)[1], atol=1e-4)
    assert log_det.shape == (50,)
    np.testing.assert_allclose(back(z), x, atol=2e-5)
    many = jax.jit(lambda z: towards_states(bijection, z, condition))(z)
    np.testing.assert_allclose(many, back(z), atol=2e-5)


@pytest.mark.parametrize("base", ["normal", "uniform"])
def test_all_times_on_the_line(base):
    flow = flow_of(1, base=base)
    drawn = flow.sample(KEY, NUM)
    assert drawn.shape == (4, NUM, 1)
    np.testing.assert_array_equal(drawn, flow.sample(KEY, NUM))
    for t in range(4):
        came = pushed(flow[t], drawn[t])
        assert min(distances(came, "norm" if base == "normal" else "uniform")) > 1e-3
    # No two times share their numbers.
    came = [np.asarray(pushed(flow[t], drawn[t]))[:, 0] for t in range(4)]
    assert np.max(np.abs(np.corrcoef(came) - np.eye(4))) < 0.06


@pytest.mark.slow
def test_all_times_on_an_interval_that_cuts_off():
    """The distribution function at the draws, by the density alone, is uniform."""
    flow = flow_of(1, box=True)
    drawn = np.asarray(flow.sample_from(1, KEY, NUM))
    assert drawn.shape == (3, NUM, 1)
    grid = np.linspace(-1, 1.5, 4001)
    for t in (1, 3):
        density = np.exp(np.asarray(flow[t].log_density(jnp.asarray(grid[:, None]))))
        pieces = (density[1:] + density[:-1]) / 2 * (grid[1] - grid[0])
        mass = np.concatenate([[0], np.cumsum(pieces)])
        assert mass[-1] == pytest.approx(1, abs=1e-3)
        share = np.interp(drawn[t - 1, :, 0], grid, mass / mass[-1])
        assert kstest(share, "uniform").pvalue > 1e-3


def test_tails_are_those_of_the_base():
    """Of 400,000 draws the farthest lie where those of a normal law lie."""
    came = np.asarray(pushed(flow_of(1)[1], flow_of(1).sample(KEY, 400_000)[1]))[:, 0]
    for level in (1e-2, 1e-3, 1e-4):
        beyond = norm.isf(level)
        for count in ((came > beyond).sum(), (came < -beyond).sum()):
            assert abs(count - 400_000 * level) < 4 * np.sqrt(400_000 * level)


def test_all_times_in_the_plane():
    flow = flow_of(2)
    drawn = flow.sample(KEY, NUM)
    for t in range(4):
        came = pushed(flow[t], drawn[t])
        assert min(distances(came, "norm")) > 1e-3
        assert abs(np.corrcoef(np.asarray(came).T)[0, 1]) < 0.06


@pytest.mark.slow
def test_a_known_start_is_drawn_from_and_so_is_what_follows():
    later = flow_of(1)
    flow = KnownStart(Uniform(np.array([2.0]), np.array([3.0])), later)
    drawn = np.asarray(flow.sample(KEY, NUM))
    assert kstest(drawn[0, :, 0] - 2, "uniform").pvalue > 1e-3
    for t in range(1, 4):
        assert min(distances(pushed(later[t], jnp.asarray(drawn[t])), "norm")) > 1e-3
    np.testing.assert_array_equal(flow.sample_from(2, KEY, 5), later.sample_from(2, KEY, 5))
    # A known time is one law, a traced one the same.
    assert flow.law(0) is flow.start
    x = jnp.asarray([[2.5], [0.3]])
    look = jax.jit(lambda t: flow.law(t).log_density(x))
    for t in (0, 2):
        np.testing.assert_allclose(look(t), flow.law(t).log_density(x), rtol=1e-5)


@pytest.mark.slow
def test_seeds_are_vmapped():
    keys = jax.random.split(KEY, 2)
    for flow in (flow_of(1), Walled.of(flow_of(2), lambda x: x[0] < 0)):
        flow = KnownStart(Uniform(-np.ones(len(flow.means[0])), np.zeros(len(flow.means[0]))), flow)
        both = eqx.filter_jit(eqx.filter_vmap(lambda key: flow.sample(key, 40)))(keys)  # noqa: B023
        np.testing.assert_allclose(both[1], flow.sample(keys[1], 40), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("num_agents", [1, 37, NUM])
def test_walls_are_left_out_and_nothing_else_changes(num_agents):
    """Half of a normal law is left."""
    whole = flow_of(2)

    def free(x):
        return pushed_one(whole, x)[0] > 0.5

    walled = Walled.of(whole, free)
    drawn = walled.sample(KEY, num_agents)
    assert drawn.shape == (4, num_agents, 2)
    came = [np.asarray(pushed(whole[t], drawn[t])) for t in range(4)]
    assert all((part[:, 0] > 0.5 - 1e-4).all() for part in came[2:3])
    if num_agents < NUM:
        return
    first, second = came[2].T
    left = norm.sf(0.5)
    assert kstest(first, lambda z: (norm.cdf(z) - (1 - left)) / left).pvalue > 1e-3
    assert kstest(second, "norm").pvalue > 1e-3
    assert len(np.unique(came[2], axis=0)) == NUM  # no draw serves twice


def pushed_one(flow, x):
    """Of one state, at time 2."""
    return flow.law(2)._base(x.astype(jnp.float32)[None])[0][0]


def test_samples_and_densities_have_derivatives():
    flow = flow_of(1)
    slope = jax.jit(jax.grad(lambda x: flow.law(1).log_density(x)))
    x, step = jnp.asarray([0.2]), 1e-2
    ends = flow[1].log_density(jnp.asarray([[0.2 - step], [0.2 + step]]))
    np.testing.assert_allclose(slope(x)[0], (ends[1] - ends[0]) / (2 * step), rtol=0.02)

    def spread(scale):
        moved = eqx.tree_at(lambda f: f.scale, flow, scale * flow.scale)
        return jnp.sum(moved.sample(KEY, 10) - flow.centre)

    total = np.sum(np.asarray(flow.sample(KEY, 10)) - np.asarray(flow.centre))
    np.testing.assert_allclose(jax.grad(spread)(jnp.float32(1)), total, rtol=1e-4)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_numbers_have_their_laws(impl):
    key = jax.random.key(3, impl=impl)
    z, unit = noise.normal(key, (3, 33_333)), noise.uniform(key, (3, 33_333))
    assert z.dtype == unit.dtype == "float32"
    assert z.shape == unit.shape == (3, 33_333)
    z, unit = np.asarray(z, float), np.asarray(unit, float)
    for numbers, law in ((z, "norm"), (unit, "uniform")):
        assert kstest(numbers.ravel(), law).pvalue > 1e-3
        assert len(np.unique(numbers)) > 99_000
        # Neighbours, and the two of a pair, know nothing of one another.
        half = numbers.ravel()[: 2 * (numbers.size // 2)].reshape(2, -1)
        assert abs(np.corrcoef(*half)[0, 1]) < 0.02
        assert abs(np.corrcoef(numbers[0, 1:], numbers[0, :-1])[0, 1]) < 0.03
    assert 0 < unit.min() < unit.max() < 1
    np.testing.assert_array_equal(noise.normal(key, (5,)), noise.normal(key, (5,)))
    other = noise.normal(jax.random.fold_in(key, 1), (5,))
    assert not np.isin(other, z).any()


def test_no_number_is_an_end():
    """Whatever the bits: also those that single precision would round up to 1."""
    words = jnp.asarray([0, 1, 2**32 - 2, 2**32 - 1], jnp.uint32)
    found = np.asarray(noise._fractions(words), float)
    np.testing.assert_array_equal(found, [2**-24, 2**-24, 1 - 2**-24, 1 - 2**-24])


def test_numbers_of_keys_side_by_side():
    keys = jax.random.split(KEY, 3)
    both = jax.vmap(lambda key: noise.normal(key, (7,)))(keys)
    np.testing.assert_allclose(both[2], noise.normal(keys[2], (7,)), rtol=1e-6)
    assert noise.normal(jax.random.PRNGKey(0), (1,)).shape == (1,)
    assert noise.uniform(KEY, ()).shape == ()


def test_the_sine():
    x = np.linspace(-3, 17, 100_001)
    found = noise.half_turn_sine(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, np.sin(np.pi * x.astype("float32").astype(float)), atol=4e-7)
