"""Behaviour cloning: shares of the buffer, and fits whose optimum is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.probes import STATES, Probe

from nashfield.learners import Buffer, Cloning
from nashfield.policies import GaussianNetwork
from nashfield.results import ParameterError

KEY = jax.random.key(3)
RULE = Cloning(num_steps=400, batch_size=256, hidden=(16, 16), learning_rate=1e-2)


def filled(game, *, capacity=3, num_agents=200, squash=lambda a: a):
    """Two policies, a = .5 x + .6 and a = -.5 x - .2 (t = 0), or both + 1 (t = 1), each certain."""
    buffer = Buffer.empty(game, capacity=capacity, num_agents=num_agents)
    for k, (slope, offset) in enumerate(((0.5, 0.6), (-0.5, -0.2))):
        states = np.random.default_rng(k).normal(0, 0.5, (2, num_agents, 1))
        actions = slope * states + offset + np.array([0.0, 1.0])[:, None, None]
        buffer = buffer.put(jnp.asarray(states), jnp.asarray(squash(actions)))
    return buffer


def test_every_iteration_has_the_same_share():
    """Whatever is drawn is a row that was stored, under its time; slots are drawn evenly."""
    game = Probe()
    buffer = Buffer.empty(game, capacity=4, num_agents=5)
    for k in range(3):
        rows = jnp.arange(10.0).reshape(2, 5, 1) + 100 * k
        buffer = buffer.put(rows, -rows)
    times, states, actions = buffer.sample(KEY, 30_000)
    states = np.asarray(states)[:, 0]
    np.testing.assert_array_equal(np.asarray(actions)[:, 0], -states)
    np.testing.assert_array_equal(np.asarray(times), states % 100 >= 5)
    rows, counts = np.unique(states, return_counts=True)
    assert len(rows) == 30
    # Each row 1000 times, with deviation 31.
    assert np.abs(counts - 1000).max() < 4 * 31


def test_a_full_buffer_takes_nothing():
    buffer = Buffer.empty(Probe(), capacity=1, num_agents=2)
    ones = jnp.ones((2, 2, 1))
    buffer = buffer.put(ones, ones)
    with pytest.raises(ValueError, match=r"buffer is full: its capacity is 1; .*capacity="):
        buffer.put(2 * ones, 2 * ones)
    # Nothing can be raised inside jit.
    buffer = jax.jit(lambda buffer: buffer.put(2 * ones, 2 * ones))(buffer)
    assert int(buffer.count) == 1
    np.testing.assert_array_equal(buffer.states[0], ones)


@pytest.mark.parametrize("bound", [np.inf, 4.0])
def test_mean_and_spread_of_two_policies(bound):
    """The mean of a1 and a2 and half their distance; in tanh's coordinates where there are bounds.

    The likelihood of the optimum is known as well: that of a normal law of that deviation.
    """
    squash = (lambda a: bound * np.tanh(a)) if bound < np.inf else (lambda a: a)
    cloned = RULE.fit(Probe(bound=bound), filled(Probe(), squash=squash), key=KEY)
    assert isinstance(cloned.policy, GaussianNetwork)
    states = jnp.asarray(STATES[:, None])
    for t in (0, 1):
        features = jax.vmap(cloned.policy.features, in_axes=(None, 0))(t, states)
        mean, log_sd = cloned.policy.heads(t, features)
        half = 0.5 * STATES + 0.4
        np.testing.assert_allclose(mean[:, 0], 0.2 + t, atol=0.1)
        np.testing.assert_allclose(np.exp(log_sd[:, 0]), half, atol=0.1)
    x = np.random.default_rng(7).normal(0, 0.5, 100_000)
    best = np.mean(np.log(np.abs(0.5 * x + 0.4))) + 0.5 * np.log(2 * np.pi) + 0.5
    # Where the two cross the best deviation is 0, which no network has.
    assert best - 0.02 < np.mean(cloned.history[-50:]) < best + 0.1


def test_a_warm_start_goes_on():
    buffer = filled(Probe())
    first = RULE.fit(Probe(), buffer, key=KEY).policy
    short = Cloning(num_steps=20, batch_size=256, hidden=(16, 16), learning_rate=1e-3)
    warm, cold = (short.fit(Probe(), buffer, key=KEY, start=start) for start in (first, None))
    assert float(warm.history[0]) < float(cold.history[-1]) - 0.5
    np.testing.assert_array_equal(warm.policy.location, first.location)


def test_maps_over_keys(precision):
    rule = Cloning(num_steps=3, batch_size=8, hidden=(4,))
    buffer = filled(Probe())
    keys = jax.random.split(KEY, 2)
    both = jax.vmap(lambda key: rule.fit(Probe(), buffer, key=key).history)(keys)
    one = rule.fit(Probe(), buffer, key=keys[1]).history
    np.testing.assert_allclose(both[1], one, rtol=1e-4)
    assert both[0, 0] != both[1, 0]


def test_an_empty_buffer_is_refused():
    buffer = Buffer.empty(Probe(), capacity=1, num_agents=1)
    with pytest.raises(ValueError, match=r"empty: fill a slot with buffer.put"):
        RULE.fit(Probe(), buffer, key=KEY)


def test_a_start_of_another_kind_is_refused():
    start = RULE.begin(Probe(), jnp.zeros(1), jnp.ones(1), sd=0.3, key=KEY)
    mixture = Cloning(kind="mixture", num_components=2, hidden=(4,))
    with pytest.raises(ValueError, match="is a GaussianNetwork, but what is fitted is of kind 'mi"):
        mixture.fit(Probe(), filled(Probe()), key=KEY, start=start)


@pytest.mark.usefixtures("without_type_checks")
def test_an_unknown_kind_is_refused():
    with pytest.raises(ParameterError, match="kind must be one of gaussian, mean, mixture, not 'x"):
        Cloning(kind="x")  # type: ignore[arg-type]


def test_a_start_with_a_spread_for_each_time_is_refused():
    start = GaussianNetwork.begin(Probe(), jnp.zeros(1), jnp.ones(1), log_sd=-1.0, key=KEY)
    with pytest.raises(ValueError, match="one log_sd for each time"):
        RULE.fit(Probe(), filled(Probe()), key=KEY, start=start)


@pytest.mark.parametrize(
    "wrong", [{"num_steps": 0}, {"batch_size": 0}, {"hidden": (0,)}, {"learning_rate": 0.0}]
)
def test_wrong_parameters_are_named(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        Cloning(**wrong)


@pytest.mark.parametrize("wrong", [{"capacity": 0}, {"num_agents": 0}])
def test_wrong_sizes_are_named(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        Buffer.empty(Probe(), **({"capacity": 1, "num_agents": 1} | wrong))
