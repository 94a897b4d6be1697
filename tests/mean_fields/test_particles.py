"""Kernel density estimates, against plain NumPy sums; tables of them; walls and circles."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from nashfield.mean_fields import Flow, Particles

RNG = np.random.default_rng(0)


def silverman(states):
    num_agents, dim = states.shape
    return states.std(0) * (4 / ((dim + 2) * num_agents)) ** (1 / (dim + 4))


def by_hand(x, images, num_agents, width):
    """Log of a sum of product kernels, pair by pair."""
    dim = x.shape[-1]
    logs = -0.5 * np.sum(((x[:, None] - images) / width) ** 2, -1)
    constant = np.log(num_agents) + np.log(width).sum() + dim / 2 * np.log(2 * np.pi)
    return logsumexp(logs, -1) - constant


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_density_by_hand(precision, dim):
    states = RNG.normal(size=(700, dim)) * np.arange(1, dim + 1)
    x = np.concatenate([states[:20], 3 * states[:20], np.full((1, dim), 30.0)])
    found = Particles(states.astype(precision)).log_density(x.astype(precision))
    expected = by_hand(x, states, len(states), silverman(states))
    assert found.dtype == precision
    np.testing.assert_allclose(found, expected, rtol=1e-9 if precision == "float64" else 1e-3)


def test_density_between_walls_by_hand(precision):
    """Mirror images beyond both walls of each coordinate that has them."""
    states = RNG.uniform([0, -1], [1, 5], size=(300, 2)) ** 2
    low, high = np.array([0.0, -np.inf]), np.array([1.0, np.inf])
    x = RNG.uniform([0, 0], [1, 9], size=(50, 2))
    mirrored = [states * [sign, 1] + [shift, 0] for sign, shift in ((1, 0), (-1, 0), (-1, 2))]
    expected = by_hand(x, np.concatenate(mirrored), 300, silverman(states))
    law = Particles.within(states.astype(precision), (low, high))
    rtol = 1e-9 if precision == "float64" else 1e-3
    np.testing.assert_allclose(law.log_density(x.astype(precision)), expected, rtol, rtol)
    assert law.log_density(np.array([-0.1, 1.0], precision)) == -np.inf


def test_density_on_a_circle(precision):
    """Turning the circle turns the density, and the seam is not seen."""
    states = np.mod(0.1 * RNG.normal(size=(400, 1)), 1)
    domain = (np.zeros(1), np.ones(1))
    grid = (np.arange(256)[:, None] + 0.5) / 256

    def density(shift):
        law = Particles.within(np.mod(states + shift, 1).astype(precision), domain, periodic=True)
        return np.exp(np.asarray(law.log_density(np.mod(grid + shift, 1).astype(precision))))

    rtol = 1e-6 if precision == "float64" else 2e-3
    np.testing.assert_allclose(density(0.0), density(0.37), rtol)
    np.testing.assert_allclose(density(0.0).mean(), 1, rtol=1e-4)
    # N(0, 0.1^2) widened by a kernel of Silverman's width.
    width = np.hypot(0.1, 0.1 * (4 / 3 / 400) ** 0.2)
    assert density(0.0)[0] == pytest.approx(1 / (width * np.sqrt(2 * np.pi)), rel=0.15)


@pytest.mark.parametrize(
    ("dim", "limit", "space"), [(1, 1e-3, "open"), (2, 1e-2, "open"), (1, 1e-3, "circle")]
)
def test_tables_agree_with_sums(precision, dim, limit, space):
    num_agents = 10_000
    if space == "open":
        states = (RNG.normal(size=(num_agents, dim)) * [1, 0.2][:dim]).astype(precision)
        law = Particles(states)
    else:
        states = RNG.beta(2, 1, size=(num_agents, dim)).astype(precision)
        domain = (np.zeros(dim), np.ones(dim))
        law = Particles.within(states, domain, periodic=space == "circle")
    ready = law.prepare()
    x = jnp.asarray(states[:1000])
    assert ready.log_density(x).dtype == precision
    gap = np.asarray(ready.log_density(x) - law.log_density(x))
    # In single precision places on the grid are rounded as well.
    assert np.max(np.abs(gap)) < limit + (1e-3 if precision == "float32" else 0)
    np.testing.assert_array_equal(ready.mean(), law.mean())


def test_a_gap_in_the_crowd_and_far_from_it(precision):
    """Where no kernel reaches, the log density is finite and falls as the sum's does."""
    states = np.concatenate([RNG.normal(-50, 0.1, 2000), RNG.normal(50, 0.1, 2000)])[:, None]
    states = np.concatenate([states, RNG.normal(0, 0.1, (4, 1))]).astype(precision)
    tight = Particles(jnp.asarray(0.02 * states[:4000] + RNG.normal(size=(4000, 1)), precision))
    for law, x in ((Particles(jnp.asarray(states)), [[25.0], [-20.0]]), (tight, [[9.0], [-40.0]])):
        x = np.array(x, precision)
        exact, found = law.log_density(x), law.prepare().log_density(x)
        assert np.all(np.isfinite(found))
        np.testing.assert_allclose(found, exact, rtol=0.05)


@pytest.mark.slow
def test_tables_have_finite_slopes_everywhere():
    law = Particles(jnp.asarray(RNG.normal(size=(500, 2)))).prepare()
    slope = jax.vmap(jax.grad(law.log_density))
    assert np.all(np.isfinite(slope(jnp.asarray([[0.0, 0.0], [9.0, 9.0], [-300.0, 0.1]]))))


def test_a_prepared_flow_is_read_at_a_traced_time():
    states = jnp.asarray(RNG.normal(size=(3, 1000, 1))) + jnp.arange(3.0)[:, None, None]
    flow = Flow(Particles(states), action_mean=jnp.ones((2, 1)))
    ready = flow.prepare()
    x = jnp.asarray([0.3])
    read = jax.jit(lambda flow, t: (flow[t].log_density(x), flow[t].mean()))
    for t in range(3):
        log_density, mean = read(ready, jnp.asarray(t))
        np.testing.assert_allclose(log_density, flow[t].log_density(x), atol=2e-3)
        np.testing.assert_allclose(mean, states[t].mean(0))
    np.testing.assert_array_equal(ready[0].mean_action(), [1])
    np.testing.assert_array_equal(read(flow.prepare(), 1)[0], read(ready, 1)[0])


def test_looking_up_does_not_grow_with_the_crowd():
    """Nothing as large as the crowd is touched by a look."""
    for num_agents in (1000, 5000):
        flow = Flow(Particles(jnp.asarray(RNG.normal(size=(2, num_agents, 1))))).prepare()
        arrays, rest = eqx.partition(flow, eqx.is_array)
        look = lambda arrays, x: eqx.combine(arrays, rest)[0].log_density(x)  # noqa: E731, B023
        text = str(jax.make_jaxpr(look)(arrays, jnp.zeros(1)).pretty_print(use_color=False))
        body = [line for line in text.splitlines() if f"{num_agents}," in line and "sum" in line]
        assert not body
        program = jax.jit(look).lower(arrays, jnp.zeros(1)).compile()
        cost = program.cost_analysis()
        assert cost["flops"] < 1000


def test_memory_of_sums_does_not_grow_with_pairs():
    """4,000 states times 40,000 agents would take 1.3 GB."""
    look = jax.jit(jax.vmap(lambda x, states: Particles(states).log_density(x), (0, None)))
    shapes = [jax.ShapeDtypeStruct((n, 1), jnp.float64) for n in (4000, 40_000)]
    memory = look.lower(*shapes).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 1e8


@pytest.mark.parametrize("states", [np.ones((5, 1)), np.array([[0.1, 1.0], [0.1, 2.0]])])
def test_crowds_without_a_density(precision, states):
    law = Particles(jnp.asarray(states, precision))
    x = jnp.ones(states.shape[1], precision)
    for crowd in (law, law.prepare()):
        with pytest.raises(ValueError, match="has none: all agents agree in a coordinate"):
            crowd.log_density(x)
        assert np.isnan(eqx.filter_jit(lambda law: law.log_density(x))(crowd))
        np.testing.assert_allclose(crowd.mean(), states.mean(0), rtol=1e-6)


def test_crowds_on_a_circle_all_in_one_point():
    law = Particles.within(np.full((4, 1), 0.3), (np.zeros(1), np.ones(1)), periodic=True)
    with pytest.raises(ValueError, match="all agents agree in a coordinate"):
        law.log_density(np.zeros(1))


def test_states_of_another_dimension(without_type_checks):
    law = Particles(np.asarray(RNG.normal(size=(5, 2))))
    for crowd in (law, law.prepare()):
        with pytest.raises(ValueError, match=r"Particles law lives on R\^2"):
            crowd.log_density(np.zeros(3))


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        ((np.zeros(1), np.ones(2)), r"must have sides of shape \(2,\), not \(1,\)"),
        ((np.zeros(2), np.array([1.0, 0.0])), "low must lie below its high"),
    ],
)
def test_domains_that_are_none(domain, message):
    with pytest.raises(ValueError, match=message):
        Particles.within(np.zeros((5, 2)), domain)


def test_a_domain_without_walls_is_none():
    law = Particles.within(np.zeros((5, 1)), (np.full(1, -np.inf), np.full(1, np.inf)))
    assert law.low is None


def test_beyond_two_dimensions_nothing_is_tabulated():
    law = Particles(jnp.asarray(RNG.normal(size=(50, 3))))
    assert law.prepare() is law
