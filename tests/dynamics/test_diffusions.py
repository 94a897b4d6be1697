"""Crowds by stochastic differential equations, beside a plain loop and closed forms."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.dynamics.diffusions import AbstractDiffusion, GradientPlay, Speeds, roll_crowd
from nashfield.games.zoo.el_farol import ElFarolIntentions
from nashfield.games.zoo.meeting_arrival import MeetingArrival
from nashfield.typing import Scalar, scalar

KEY = jax.random.key(7)


class Herd(AbstractDiffusion):
    """dX = [-a (X - level) + b (m - X)] dt + s dW + c dW_0, m the crowd's mean."""

    a: Scalar = eqx.field(converter=scalar, default=0.8)
    b: Scalar = eqx.field(converter=scalar, default=0.5)
    level: Scalar = eqx.field(converter=scalar, default=1.0)
    s: Scalar = eqx.field(converter=scalar, default=0.6)
    c: Scalar = eqx.field(converter=scalar, default=0.0)

    def speeds(self, t, states):
        drift = self.a * (self.level - states) + self.b * (jnp.mean(states, 0) - states)
        return Speeds(
            drift.astype(states.dtype),
            jnp.full_like(states, self.s),
            jnp.asarray(self.c, states.dtype),
        )

    def inside(self, states):
        return states


def numbers_of(key, step, shape, dtype):
    """The normal numbers of a step: each agent's own, and the common ones."""
    own, common = jax.random.split(jax.random.fold_in(key, step))
    both = jax.random.normal(own, shape, dtype), jax.random.normal(common, shape[1:], dtype)
    return tuple(np.asarray(z, float) for z in both)


def herd_by_hand(herd, x, duration, num_steps, key, dtype):
    """Euler and Maruyama's method, agent by agent."""
    a, b, level, s, c = (float(z) for z in (herd.a, herd.b, herd.level, herd.s, herd.c))
    x, dt, path = np.array(x, float), duration / num_steps, [np.array(x, float)]
    for step in range(num_steps):
        own, common = numbers_of(key, step, x.shape, dtype)
        mean, new = x.mean(0), x.copy()
        for i in range(len(x)):
            for d in range(x.shape[1]):
                drift = -a * (x[i, d] - level) + b * (mean[d] - x[i, d])
                noise = s * own[i, d] + c * common[d]
                new[i, d] = x[i, d] + drift * dt + noise * dt**0.5
        x = new
        path.append(x)
    return np.array(path)


@pytest.mark.parametrize("num_steps", [1, 40])
def test_it_is_eulers_and_maruyamas_method(precision, num_steps):
    herd, start = Herd(c=0.4), np.random.default_rng(0).normal(size=(5, 2)).astype(precision)
    times = np.linspace(0, 3, num_steps + 1).astype(precision)
    found = roll_crowd(
        herd, jnp.asarray(start), jnp.asarray(times), duration=3.0, num_steps=num_steps, key=KEY
    )
    assert found.dtype == precision
    by_hand = herd_by_hand(herd, start, 3.0, num_steps, KEY, precision)
    atol = 3e-6 if precision == "float32" else 1e-13
    np.testing.assert_allclose(found, by_hand, atol=atol)


def test_a_game_is_played_by_its_gradient(precision):
    """Meetings in a plain loop."""
    game, key = MeetingArrival(nu=0.3, common_noise=0.2, duration=5.0, horizon=10), KEY
    x = np.random.default_rng(0).normal(12, 0.5, (21, 1)).astype(precision).astype(float)
    found = roll_crowd(
        GradientPlay(game),
        jnp.asarray(x, precision),
        jnp.asarray([5.0], precision),
        duration=game.duration,
        num_steps=10,
        key=key,
    )
    for step in range(10):
        own, common = numbers_of(key, step, x.shape, precision)
        begins = np.quantile(x, 0.8)
        # The agent whose arrival is the quantile (21 agents, rank 16) pays neither.
        apart = np.where(np.abs(x - begins) < 1e-9, 0, np.sign(x - begins))
        x = x - ((x > 12) + apart) * 0.5 + (0.6**0.5 * own + 0.2 * common) * 0.5**0.5
    np.testing.assert_allclose(found[0], x, atol=2e-5 if precision == "float32" else 1e-12)


@pytest.mark.slow
def test_many_steps_in_single_precision():
    """30,000 of them: each draws its own numbers, once, and none is left out or added."""

    class Counting(Herd):
        def speeds(self, t, states):
            return Speeds(jnp.ones_like(states), jnp.zeros_like(states), jnp.zeros((), "float32"))

    class Noisy(Herd):
        def speeds(self, t, states):
            one = jnp.ones_like(states)
            return Speeds(0 * one, one, jnp.zeros((), "float32"))

    options = {"duration": np.float32(15), "num_steps": 30_000, "key": KEY}
    start, ends = jnp.zeros((1, 1), jnp.float32), jnp.asarray([15.0], jnp.float32)
    found = roll_crowd(Counting(), start, ends, **options)
    np.testing.assert_allclose(found, 15, rtol=1e-3)
    found = roll_crowd(Noisy(), start, ends, **options)
    numbers = jax.vmap(
        lambda i: jax.random.normal(jax.random.split(jax.random.fold_in(KEY, i))[0], (), "float32")
    )(jnp.arange(30_000))
    by_hand = np.asarray(numbers, float).sum() * (15 / 30_000) ** 0.5
    np.testing.assert_allclose(found[0, 0, 0], by_hand, atol=2e-3)


def test_between_steps_states_are_interpolated(precision):
    start = jnp.asarray(np.random.default_rng(0).normal(size=(4, 1)), precision)
    options = {"duration": 2.0, "num_steps": 4, "key": KEY}
    grid = roll_crowd(Herd(), start, jnp.linspace(0, 2, 5, dtype=precision), **options)
    times = np.array([0.0, 0.2, 0.5, 1.35, 1.9, 2.0], precision)
    found = roll_crowd(Herd(), start, jnp.asarray(times), **options)
    for n in range(4):
        by_hand = np.interp(times, np.linspace(0, 2, 5), np.asarray(grid)[:, n, 0])
        np.testing.assert_allclose(found[:, n, 0], by_hand, atol=2e-6)


@pytest.mark.slow
def test_own_and_common_noise():
    """Without drift agents' moves are s W_i + c W_0; W_0 is the same for all, the W_i are not."""

    class Free(Herd):
        def speeds(self, t, states):
            return Speeds(
                jnp.zeros_like(states), jnp.full_like(states, self.s), jnp.asarray(self.c)
            )

    start, times = jnp.zeros((20_000, 1)), jnp.asarray([1.0])
    options = {"duration": 1.0, "num_steps": 3}

    def moves(s, c, key):
        return np.asarray(roll_crowd(Free(s=s, c=c), start, times, key=key, **options))[0, :, 0]

    together = moves(0.0, 0.7, KEY)
    assert np.ptp(together) == 0
    assert together[0] != 0
    alone = moves(0.5, 0.0, KEY)
    assert abs(alone.mean()) < 4 * 0.5 / 20_000**0.5
    # The standard deviation of a standard deviation is s / sqrt(2 N).
    assert abs(alone.std() - 0.5) < 4 * 0.5 / 40_000**0.5
    np.testing.assert_allclose(moves(0.5, 0.7, KEY), alone + together, atol=1e-12)
    commons = np.array([moves(0.0, 0.7, key)[0] for key in jax.random.split(KEY, 200)])
    assert abs(commons.mean()) < 4 * 0.7 / 200**0.5
    assert abs(commons.std() - 0.7) < 4 * 0.7 / 400**0.5


def test_the_key_says_it_all():
    start, times = jnp.zeros((6, 1)), jnp.asarray([0.5, 2.0])
    options = {"duration": 2.0, "num_steps": 8}
    one, again = (roll_crowd(Herd(), start, times, key=KEY, **options) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    other = roll_crowd(Herd(), start, times, key=jax.random.key(8), **options)
    assert np.all(np.asarray(one) != np.asarray(other))
    # Asking for other times changes nobody's path.
    alone = roll_crowd(Herd(), start, times[1:], key=KEY, **options)
    np.testing.assert_array_equal(alone[0], one[1])


def closed_form(herd, t, mean, variance):
    """Mean and variance of infinitely many agents."""
    a, rate = float(herd.a), 2 * float(herd.a + herd.b)
    at_rest = float(herd.s) ** 2 / rate
    return (
        float(herd.level) + (mean - float(herd.level)) * np.exp(-a * t),
        at_rest + (variance - at_rest) * np.exp(-rate * t),
    )


@pytest.mark.slow
def test_weak_order_one():
    """Mean and variance of Euler's chain by its recursion; then of agents, within their errors."""
    herd, num_agents = Herd(), 40_000
    exact = np.array(closed_form(herd, 1.5, -1.0, 0.25))
    start = -1 + 0.5 * jax.random.normal(jax.random.key(1), (num_agents, 1))
    errors = []
    for num_steps in (6, 12, 24):
        dt, m, v = 1.5 / num_steps, -1.0, 0.25
        for _ in range(num_steps):
            m, v = m + 0.8 * (1 - m) * dt, (1 - 1.3 * dt) ** 2 * v + 0.36 * dt
        states = roll_crowd(
            herd, start, jnp.asarray([1.5]), duration=1.5, num_steps=num_steps, key=KEY
        )
        x = np.asarray(states)[0, :, 0]
        assert abs(x.mean() - m) < 4 * v**0.5 / num_agents**0.5
        assert abs(x.var() - v) < 4 * v * (2 / num_agents) ** 0.5
        errors.append(np.abs(np.array([m, v]) - exact))
    ratios = np.array(errors[:-1]) / np.array(errors[1:])
    assert np.all((ratios > 1.8) & (ratios < 2.4))


@pytest.mark.slow
def test_strong_order_one_half_and_more():
    """One path with ever finer steps: additive noise makes Euler's method of order one.

    The noise of coarse steps is the sum of that of fine ones, read by a crowd from a table.
    """
    fine = 256
    rng = np.random.default_rng(0)
    increments = rng.normal(size=(fine, 200)) * (2.0 / fine) ** 0.5

    class Driven(AbstractDiffusion):
        """Its noise is a force, constant over a step."""

        force: jax.Array
        dt: float = eqx.field(static=True)

        def speeds(self, t, states):
            kick = self.force[jnp.round(t / self.dt).astype(int)][:, None]
            drift = Herd().speeds(t, states).drift + 0.6 * kick / self.dt
            return Speeds(drift, jnp.zeros_like(states), jnp.zeros(()))

        def inside(self, states):
            return states

    def end(num_steps):
        force = increments.reshape(num_steps, -1, 200).sum(1)
        crowd = Driven(jnp.asarray(force), 2.0 / num_steps)
        start = jnp.zeros((200, 1))
        return np.asarray(
            roll_crowd(crowd, start, jnp.asarray([2.0]), duration=2.0, num_steps=num_steps, key=KEY)
        )[0, :, 0]

    best = end(fine)
    errors = [np.abs(end(n) - best).mean() for n in (8, 16, 32)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all((orders > 0.85) & (orders < 1.2))


@pytest.mark.slow
def test_derivative_of_a_mean():
    """Through 20 steps, in every number, against central differences."""
    start, times = jnp.asarray(np.linspace(-1, 1, 9))[:, None], jnp.asarray([0.7, 2.0])

    def size(herd):
        states = roll_crowd(herd, start, times, duration=2.0, num_steps=20, key=KEY)
        return jnp.mean(states**2) + jnp.mean(states[-1])

    herd = jax.tree.map(jnp.asarray, Herd(c=0.3))
    slopes = jax.jit(jax.grad(size))(herd)
    value = jax.jit(size)
    for name in ("a", "b", "level", "s", "c"):
        old = getattr(herd, name)
        ahead, behind = (
            value(dataclasses.replace(herd, **{name: old + step})) for step in (1e-5, -1e-5)
        )
        np.testing.assert_allclose(getattr(slopes, name), (ahead - behind) / 2e-5, rtol=1e-7)


@pytest.mark.slow
def test_slopes_stop_where_agents_are_held():
    """Who stands at a wall does not feel a push that leads beyond it."""
    game = ElFarolIntentions(weight=0.33, horizon=4, duration=2.0)

    def end(push):
        class Pushed(GradientPlay):
            def speeds(self, t, states):
                return Speeds(push + 0 * states, 0 * states, jnp.zeros(()))

        start = jnp.asarray([[0.1], [0.9]])
        states = roll_crowd(
            Pushed(game), start, jnp.asarray([2.0]), duration=2.0, num_steps=4, key=KEY
        )
        return states[0, :, 0]

    np.testing.assert_allclose(end(0.3), [0.7, 1.0], rtol=1e-12)
    np.testing.assert_allclose(jax.jacobian(end)(0.3), [2, 0], rtol=1e-12)


def test_another_number_compiles_nothing():
    num_traces = 0

    @eqx.filter_jit
    def run(herd, duration, times, key):
        nonlocal num_traces
        num_traces += 1
        return roll_crowd(herd, jnp.zeros((3, 1)), times, duration=duration, num_steps=5, key=key)

    for i, game in enumerate((MeetingArrival(), MeetingArrival(nu=0.1, quantile=0.3))):
        run(GradientPlay(game), jnp.asarray(1.0 + i), jnp.asarray([0.1 + i]), jax.random.key(i))
    assert num_traces == 1


@pytest.mark.slow
def test_memory_does_not_hold_the_noise():
    """What a derivative keeps of 200 steps are the states, and no noise."""
    num_agents, num_steps = 1000, 200
    start = jnp.zeros((num_agents, 1))

    def end(a):
        herd = eqx.tree_at(lambda h: h.a, Herd(), a)
        return jnp.mean(
            roll_crowd(herd, start, jnp.asarray([1.0]), duration=1.0, num_steps=num_steps, key=KEY)
        )

    memory = jax.jit(jax.grad(end)).lower(jnp.asarray(0.8)).compile().memory_analysis()
    states = num_agents * num_steps * 8
    assert memory.temp_size_in_bytes < 1.5 * states
