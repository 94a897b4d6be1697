"""Normalizing flows: fits to laws that are known, domains, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

from nashfield.mean_fields import (
    Flow,
    MaximumLikelihood,
    NormalizingFlow,
    Particles,
    fit_normalizing_flow,
)
from nashfield.mean_fields.spline_bijections import spline_bijection
from nashfield.results import ParameterError

SMALL = {"num_bins": 8, "width": 16, "depth": 1, "batch_size": 256, "look_every": 50}
BOX = (np.array([0.0, -1.0]), np.array([0.5, 1.0]))


@eqx.filter_jit
def draw(law, count):
    return law.sample(jax.random.key(1), count)


def lq_flow(num_agents, seed):
    """Uniform on [-1, 1], contracted to .5 with noise; states, and the exact log density at t."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, num_agents)
    states, laws = [x], [(0.0, 1.0, 0.0)]
    for _ in range(4):
        centre, half, variance = laws[-1]
        x = 0.7 * x + 0.15 + 0.05 * rng.standard_normal(num_agents)
        states.append(x)
        laws.append((0.7 * centre + 0.15, 0.7 * half, 0.49 * variance + 0.05**2))

    return np.stack(states)[..., None].astype("float32"), exact_log_density(laws), laws


def exact_log_density(laws):
    def log_density(t, x):
        centre, half, variance = laws[t]
        if t == 0:
            return np.where(np.abs(x) <= 1, -np.log(2), -np.inf)
        low, high = ((x - centre + side) / np.sqrt(variance) for side in (-half, half))
        flip = low + high > 0  # differences of upper tails lose all digits
        low, high = np.where(flip, -high, low), np.where(flip, -low, high)
        return np.log(ndtr(high) - ndtr(low)) - np.log(2 * half)

    return log_density


def kl(flow, log_density, laws, t):
    centre, half, variance = laws[t]
    reach = half + 6 * np.sqrt(variance)
    x = centre + reach * (2 * (np.arange(4000) + 0.5) / 4000 - 1)
    exact = log_density(t, x)
    gap = exact - np.asarray(flow[t].log_density(x[:, None]), float)
    return np.sum(np.exp(exact) * gap) * 2 * reach / 4000


@pytest.fixture(scope="module")
def fitted():
    with jax.enable_x64(True):
        states, log_density, laws = lq_flow(4000, 0)
        options = {**SMALL, "num_steps": 1000, "learning_rate": 0.01}
        return fit_normalizing_flow(states, key=jax.random.key(0), **options), log_density, laws


@pytest.mark.slow
def test_a_fit_comes_near_the_law(fitted):
    flow, log_density, laws = fitted
    found = [kl(flow, log_density, laws, t) for t in range(5)]
    assert min(found) > -1e-3  # what the grid leaves out
    assert np.mean(found) < 0.02
    assert max(found[1:]) < 0.02
    for t in range(5):
        np.testing.assert_allclose(flow[t].mean(), laws[t][:1], atol=0.03)


def test_reports_tell_how_a_fit_went(fitted):
    report = fitted[0].report
    looks = int(report.num_steps) // 50
    assert 1 <= looks <= 20
    assert np.all(np.isfinite(report.held_out_losses[:looks]))
    assert np.all(np.isnan(report.held_out_losses[looks:]))
    # The entropy of the exact laws, to which the cross entropy comes from above.
    entropy = 0
    for t, (centre, half, variance) in enumerate(fitted[2]):
        reach = half + 8 * np.sqrt(variance)
        x = centre + reach * (2 * (np.arange(4000) + 0.5) / 4000 - 1)
        log_density = fitted[1](t, x)
        there = np.isfinite(log_density)
        entropy -= np.sum((np.exp(log_density) * log_density)[there]) * 2 * reach / 4000 / 5
    assert np.nanmin(report.held_out_losses) == pytest.approx(entropy, abs=0.05)


@pytest.mark.slow
def test_precision_of_what_comes_out(fitted):
    leaves = jax.tree.leaves(eqx.filter(fitted[0], eqx.is_inexact_array))
    assert {leaf.dtype for leaf in leaves} == {np.dtype("float32")}
    law = fitted[0][2]
    assert law.sample(jax.random.key(0), 3).dtype == "float64"
    assert law.log_density(jnp.zeros((2, 1))).dtype == "float64"
    assert law.mean().dtype == "float64"
    with jax.enable_x64(False):
        law = fitted[0][2]
        assert law.sample(jax.random.key(0), 3).dtype == "float32"
        assert law.log_density(np.zeros((2, 1), "float32")).dtype == "float32"


def test_times_may_be_traced(fitted):
    flow = fitted[0]
    look = jax.jit(lambda t, x: flow[t].log_density(x))
    for t in (0, 3):
        x = jnp.asarray([0.1])
        np.testing.assert_allclose(look(t, x), flow[t].log_density(x), rtol=1e-4)


def test_normalizing_flows_hold_arrays_alone(fitted):
    """So that they go through jit, scan and vmap as they are."""
    assert all(eqx.is_array(leaf) for leaf in jax.tree.leaves(fitted[0]))
    means = jax.jit(lambda flow: flow[1].mean())(fitted[0])
    np.testing.assert_array_equal(means, fitted[0][1].mean())


@pytest.mark.slow
def test_fits_are_pure_and_vmapped_over_keys():
    states = lq_flow(500, 1)[0]
    fitter = MaximumLikelihood(**SMALL, num_steps=50)
    keys = jax.random.split(jax.random.key(0), 2)
    flows = eqx.filter_jit(
        eqx.filter_vmap(lambda key, states: fitter.fit(states, key=key), in_axes=(0, None))
    )(keys, jnp.asarray(states))
    alone = fit_normalizing_flow(states, key=keys[1], **SMALL, num_steps=50)
    np.testing.assert_allclose(flows.means[1], alone.means, atol=1e-4)
    assert not np.allclose(flows.means[0], flows.means[1])


def test_another_learning_rate_compiles_nothing():
    num_traces = 0
    states = jnp.asarray(lq_flow(100, 1)[0])

    @eqx.filter_jit
    def fit(fitter, key):
        nonlocal num_traces
        num_traces += 1
        return fitter.fit(states, key=key).means

    options = {**SMALL, "num_steps": 50}
    found = [
        fit(MaximumLikelihood(**options, learning_rate=rate), jax.random.key(0))
        for rate in (0.01, 0.001)
    ]
    assert num_traces == 1
    assert not np.allclose(*found)


@pytest.mark.slow
def test_a_fit_goes_on_from_another(fitted):
    states = lq_flow(4000, 0)[0]
    options = {**SMALL, "num_steps": 50, "learning_rate": 1e-4}
    key = jax.random.key(1)
    warm = fit_normalizing_flow(states, start=fitted[0], key=key, **options)
    cold = fit_normalizing_flow(states, key=key, **options)
    assert warm.report.held_out_losses[0] < cold.report.held_out_losses[0] - 0.1


def test_a_start_of_another_kind(fitted):
    """Its base, or its domain, is not what is fitted."""
    states, key = np.clip(lq_flow(50, 0)[0], -1, 1), jax.random.key(0)
    box = (np.full(1, -1.0), np.full(1, 1.0))
    options = {**SMALL, "num_steps": 1}
    boxed = fit_normalizing_flow(states, domain=box, key=key, **options)
    wide = (box[0], 2 * box[1])
    with pytest.raises(ValueError, match=r"start has another domain .* to .*than the samples"):
        fit_normalizing_flow(states, start=boxed, domain=wide, key=key, **options)
    with pytest.raises(ValueError, match=r"start has another domain .*the samples \(none\)"):
        fit_normalizing_flow(states, start=boxed, key=key, **options)
    with pytest.raises(ParameterError, match=r'start has the base "uniform", but the fit .*"norm'):
        fit_normalizing_flow(states, start=boxed, domain=box, base="normal", key=key, **options)
    with pytest.raises(ValueError, match=r"start has another domain \(none\)"):
        fit_normalizing_flow(states, start=fitted[0], domain=box, key=key, **options)


@pytest.mark.parametrize(("num_steps", "look_every"), [(10, 40), (7, 5)])
def test_no_more_steps_than_were_asked_for(num_steps, look_every):
    options = {**SMALL, "num_steps": num_steps, "look_every": look_every}
    flow = fit_normalizing_flow(lq_flow(50, 1)[0], key=jax.random.key(0), **options)
    assert int(flow.report.num_steps) == num_steps
    assert np.isfinite(flow.report.losses).all()
    assert flow.report.losses.shape == (-(-num_steps // look_every),)


@pytest.mark.slow
def test_walls_that_are_no_float32():
    """0.7 is greater than its nearest float32; the uniform law's density there is 1 / 0.7."""
    wall, key = np.array([0.7]), jax.random.key(0)
    assert float(np.float32(0.7)) < 0.7
    sizes = {"num_layers": 1, "num_bins": 4, "width": 4, "depth": 1}
    bijection = spline_bijection(1, kind="autoregressive", **sizes, tails=False, key=key)
    bijection = jax.tree.map(lambda x: 0 * x if eqx.is_inexact_array(x) else x, bijection)
    domain = jnp.zeros(1, jnp.float32), jnp.asarray(wall, jnp.float32)
    sides = domain[0], domain[1] - domain[0]
    flow = NormalizingFlow.of(bijection, *sides, size=2, base="uniform", domain=domain)
    found = flow[0].log_density(jnp.asarray([[0.7], [0.35], [0.7001], [-1e-4]]))
    np.testing.assert_allclose(found[:2], np.log(1 / 0.7), rtol=1e-5)
    np.testing.assert_array_equal(found[2:], -np.inf)


def test_fits_stop_early():
    """A rate of next to nothing brings nothing better, but for the rounding of averages."""
    options = {**SMALL, "num_steps": 2000, "patience": 2, "learning_rate": 1e-30}
    flow = fit_normalizing_flow(lq_flow(100, 1)[0], key=jax.random.key(0), **options)
    losses = flow.report.held_out_losses
    losses = losses[np.isfinite(losses)]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)
    assert len(losses) == int(np.argmin(losses)) + 3 < 40
    assert int(flow.report.num_steps) == 50 * len(losses)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dim", "base"),
    [
        (1, "normal"),
        pytest.param(2, "uniform", marks=pytest.mark.slow),
        pytest.param(1, "uniform", marks=pytest.mark.slow),
        pytest.param(2, "normal", marks=pytest.mark.slow),
    ],
)
def test_uniform_laws_on_a_box(dim, base):
    domain = tuple(side[:dim] for side in BOX)
    states = np.random.default_rng(0).uniform(*domain, size=(1, 8000, dim))
    options = {**SMALL, "width": 8, "num_steps": 600, "learning_rate": 0.02}
    options["num_bins"] = 16
    flow = fit_normalizing_flow(states, key=jax.random.key(0), domain=domain, base=base, **options)
    # Before anything is cut off.
    assert 1 - np.exp(float(flow.log_mass[0])) < (0.02 if base == "normal" else 1e-9)
    law = flow[0]
    drawn = draw(law, 5000)
    assert np.all((drawn >= domain[0]) & (drawn <= domain[1]))
    outside = jnp.asarray([domain[1] + 1e-3, domain[0] - 2.0])
    np.testing.assert_array_equal(law.log_density(outside), [-np.inf, -np.inf])
    cells = [
        low + (high - low) * (np.arange(200) + 0.5) / 200 for low, high in zip(*domain, strict=True)
    ]
    grid = np.stack(np.meshgrid(*cells, indexing="ij"), -1).reshape(-1, dim)
    density = np.exp(np.asarray(law.log_density(jnp.asarray(grid))))
    volume = np.prod(domain[1] - domain[0])
    np.testing.assert_allclose(density.mean() * volume, 1, atol=5e-3)
    # KL of the uniform law from it.
    assert -np.log(density * volume).mean() < 0.05


@pytest.mark.slow
def test_what_leaks_is_cut_off_and_the_rest_scaled_up():
    """The identity bijection: a normal law cut to a box."""
    for dim in (1, 2):
        zero = lambda leaf: 0 * leaf if eqx.is_inexact_array(leaf) else leaf  # noqa: E731
        sizes = {"num_layers": 1, "num_bins": 4, "width": 4, "depth": 1}
        bijection = spline_bijection(
            dim, kind="coupling", **sizes, tails=True, key=jax.random.key(0)
        )
        bijection = jax.tree.map(zero, bijection)
        low, high = -np.ones(dim, "float32"), np.ones(dim, "float32") / 2
        unit = np.ones(dim, "float32")
        make = eqx.filter_jit(NormalizingFlow.of)
        flow = make(bijection, 0 * unit, unit, size=2, domain=(low, high))
        side = ndtr(0.5) - ndtr(-1)
        np.testing.assert_allclose(np.exp(flow.log_mass), side**dim, rtol=5e-3)
        exact = -np.log(2 * np.pi) / 2 * dim - dim * np.log(side)
        np.testing.assert_allclose(flow[1].log_density(jnp.zeros(dim)), exact, rtol=5e-3)
        mean = (np.exp(-0.5) - np.exp(-0.125)) / np.sqrt(2 * np.pi) / side
        np.testing.assert_allclose(flow[0].mean(), np.full(dim, mean), atol=5e-3)
        drawn = np.asarray(draw(flow[0], 20_000))
        np.testing.assert_allclose(drawn.mean(0), mean, atol=0.015)
        assert drawn.min() > -1
        assert drawn.max() < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "num_layers"),
    [pytest.param("autoregressive", 1, marks=pytest.mark.slow), ("coupling", 2)],
)
def test_a_crowd_in_two_dimensions_that_hangs_together(kind, num_layers):
    """x_2 follows x_1; a flow that treats them apart would lose log(5) nats."""
    noise = np.random.default_rng(0).normal(size=(2, 6000, 2))
    states = np.stack([noise[..., 0], noise[..., 0] + 0.2 * noise[..., 1]], -1)
    options = {**SMALL, "num_steps": 400, "learning_rate": 0.01}
    flow = fit_normalizing_flow(
        states, key=jax.random.key(0), kind=kind, num_layers=num_layers, **options
    )
    entropy = 1 + np.log(2 * np.pi) + np.log(0.2)
    assert np.nanmin(flow.report.held_out_losses) < entropy + 0.12
    drawn = np.asarray(draw(flow[1], 5000))
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(1 / np.sqrt(1.04), abs=0.02)


@pytest.mark.slow
def test_flowjax_bijections_are_taken():
    from flowjax.bijections import Affine, Coupling

    coupling = Coupling(
        jax.random.key(0),
        transformer=Affine(),
        untransformed_dim=0,
        dim=1,
        cond_dim=1,
        nn_width=8,
        nn_depth=1,
    )
    states = np.random.default_rng(0).normal(size=(2, 500, 1)) + np.array([0, 3])[:, None, None]
    options = {**SMALL, "num_steps": 300, "learning_rate": 0.03}
    flow = fit_normalizing_flow(states, key=jax.random.key(0), kind=coupling, **options)
    np.testing.assert_allclose(flow.means[:, 0], [0, 3], atol=0.3)


def test_what_the_crowd_does_is_kept():
    flow = Flow(Particles(jnp.asarray(lq_flow(50, 0)[0])), action_mean=jnp.arange(4.0)[:, None])
    found = fit_normalizing_flow(flow, key=jax.random.key(0), **SMALL, num_steps=50)
    assert len(found) == 5
    np.testing.assert_array_equal(found[2].mean_action(), [2])
    with pytest.raises(ValueError, match="what the crowd does is not known"):
        found[4].mean_action()
    with pytest.raises(IndexError):
        found[5]


def test_states_of_another_dimension(fitted, without_type_checks):
    with pytest.raises(ValueError, match=r"normalizing flow's law lives on R\^1"):
        fitted[0][0].log_density(np.zeros(2))


@pytest.mark.slow
def test_the_equilibrium_flow_of_the_linear_quadratic_game():
    """20,000 agents at 21 times; the law at t is a uniform one convolved with a normal one."""
    m, gain, offset = linear_quadratic()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1, 1, 20_000)
        states, laws = [x], [(0.0, 1.0, 0.0)]
        for t in range(20):
            factor, shift = 0.95 - gain[t], 0.05 * m[t] - offset[t]
            x = factor * x + shift + 0.05 * rng.standard_normal(20_000)
            centre, half, variance = laws[-1]
            laws.append((factor * centre + shift, factor * half, factor**2 * variance + 0.05**2))
            states.append(x)
        flow = fit_normalizing_flow(
            np.stack(states)[..., None].astype("float32"), key=jax.random.key(seed)
        )
        found = np.array([kl(flow, exact_log_density(laws), laws, t) for t in range(21)])
        assert found.mean() < 0.005
        assert found[1:].max() < 0.02


def linear_quadratic():
    """Mean flow, gains and offsets at equilibrium: A=.95, Abar=.05, target .5, c_A=10, T=20."""
    push, pull = np.zeros(21), np.zeros(21)
    for t in reversed(range(20)):
        weight = 1 / (1 + 0.1 * push[t + 1])
        push[t] = 1 + 0.95 * push[t + 1] * weight
        pull[t] = -0.5 + 0.95 * (pull[t + 1] - push[t + 1] * weight * 0.1 * pull[t + 1])
    m = np.zeros(21)
    for t in range(20):
        m[t + 1] = (m[t] - 0.1 * pull[t + 1]) / (1 + 0.1 * push[t + 1])
    assert m[20] == pytest.approx(0.49698552, abs=1e-8)
    curve, slope, gain, offset = np.zeros(21), np.zeros(21), np.zeros(20), np.zeros(20)
    for t in reversed(range(20)):
        drift = 0.05 * m[t]
        gain[t] = curve[t + 1] * 0.95 / (10 + curve[t + 1])
        offset[t] = (curve[t + 1] * drift + slope[t + 1]) / (10 + curve[t + 1])
        curve[t] = 2 + 0.95 * curve[t + 1] * (0.95 - gain[t])
        slope[t] = -(0.5 + m[t]) + (0.95 - gain[t]) * (curve[t + 1] * drift + slope[t + 1])
    return m, gain, offset
