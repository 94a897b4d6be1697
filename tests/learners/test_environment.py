"""Agents against a frozen flow: faults, checks of game and flow, standardisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.probes import Probe, crowd

from nashfield.learners import Environment, Fault
from nashfield.learners.environment import check_environment, play
from nashfield.mean_fields import Flow, Gaussian, Uniform
from nashfield.policies import Affine
from nashfield.results import GameError


class Wide(Probe):
    def step(self, t, x, a, mean_field, noise):
        return jnp.concatenate([x, a])


class Column(Probe):
    def reward(self, t, x, a, mean_field):
        return -(a**2)


class Ends(Probe):
    def terminal_reward(self, x, mean_field):
        return -(x**2)


class Bounds(Probe):
    ends: tuple = ((0.0,), (1.0,))

    @property
    def control_bounds(self):
        return np.array(self.ends[0]), np.array(self.ends[1])


class Planar(Probe):
    def initial(self):
        return Gaussian(np.zeros(2), np.eye(2))


@pytest.mark.parametrize(
    ("game", "flow", "message"),
    [
        (Bounds(ends=((1.0,), (-1.0,))), crowd(), "least 1 and greatest -1"),
        (Bounds(ends=((1.0,), (1.0,))), crowd(), "dimension 0 has least 1"),
        (Bounds(ends=((np.nan,), (1.0,))), crowd(), "dimension 0 has least nan"),
        (Bounds(ends=((0.0,), (np.inf,))), crowd(), "bounded on one side only"),
        (Bounds(ends=((0.0, 0.0), (1.0, 1.0))), crowd(), r"shape \(control_dim,\) = \(1,\)"),
        (Probe(horizon=3), crowd(), "flow has 3 laws, but Probe has horizon 3"),
        (Planar(), crowd(), r"points of initial\(\) have dimension 2, but Planar.state_dim is 1"),
        (
            Probe(),
            Flow(Gaussian(np.zeros((3, 2)), np.tile(np.eye(2), (3, 1, 1)))),
            "points of the flow have dimension 2",
        ),
        (Wide(), crowd(), r"Wide.step must return shape \(1,\) .* not \(2,\)"),
        (Column(), crowd(), r"Column.reward must return shape \(\) .* not \(1,\)"),
        (Ends(), crowd(), r"Ends.terminal_reward must return shape \(\)"),
    ],
)
def test_what_does_not_fit_is_named(game, flow, message):
    with pytest.raises(GameError, match=message):
        check_environment(game, flow)


def test_what_fits_passes():
    check_environment(Probe(), crowd())
    check_environment(Probe(bound=1.0), crowd())


@pytest.mark.slow
def test_episodes_against_a_loop(precision):
    """States, rewards and the terminal reward, by the game's own numbers written out."""
    game = Probe(push=(1.0, 0.5), price=(0.3, 0.7), wish=(0.1, 0.2), pull=2.0, aversion=0.5)
    policy = Affine(np.full((2, 1, 1), -0.5), np.full((2, 1), 0.3), np.full((2, 1, 1), 0.2))
    env = Environment.of(game, crowd())
    record = play(env, policy, num_agents=50, key=jax.random.key(0))
    x, a, r = (np.asarray(part, float) for part in (record.states, record.actions, record.rewards))
    noise = [(x[t + 1] - x[t] - push * a[t]) / 0.1 for t, push in enumerate((1.0, 0.5))]
    assert 0.7 < np.std(noise) < 1.3
    assert 0.1 < np.std(a + 0.5 * x[:2] - 0.3) < 0.3
    first = -0.3 * (a[0, :, 0] - 0.1) ** 2
    density = -0.5 * (x[2, :, 0] / 0.5) ** 2 - np.log(0.5 * np.sqrt(2 * np.pi))
    last = -0.7 * (a[1, :, 0] - 0.2) ** 2 - 2 * x[2, :, 0] ** 2 - 0.5 * density
    np.testing.assert_allclose(r, [first, last], atol=1e-5)
    np.testing.assert_allclose(record.returns, first + last, atol=1e-5)
    assert record.states.dtype == record.rewards.dtype == jnp.float32


def test_standardisation_spans_the_initial_law_and_the_flow():
    """The mixture of N(0, .5^2) and three laws N(m, .1^2), m = 1, 2, 3: by its two moments."""
    flow = Flow(Gaussian(np.arange(1.0, 4.0)[:, None], np.full((3, 1, 1), 0.01)))
    location, scale = Environment.of(Probe(), flow).standardisation()
    assert float(location[0]) == pytest.approx(6 / 4, abs=0.05)
    square = (0.25 + 3 * 0.01 + 1 + 4 + 9) / 4
    assert float(scale[0]) == pytest.approx(np.sqrt(square - 1.5**2), abs=0.05)


class Boxed(Probe):
    side: float = 4.0

    @property
    def domain(self):
        return np.full(1, -1.0), np.full(1, self.side)


@pytest.mark.parametrize(("side", "high"), [(4.0, 4.0), (1e4, 2.0 + 10 * 2.0)])
def test_standardisation_spans_a_bounded_domain(side, high):
    """Uniform on it; of a wall far away as much as lies within ten extents of the crowd."""
    flow = Flow(Uniform(np.zeros((3, 1)), np.full((3, 1), 2.0)))

    class Narrow(Boxed):
        def initial(self):
            return Uniform(np.zeros(1), np.full(1, 2.0))

    location, scale = Environment.of(Narrow(side=side), flow).standardisation()
    assert float(location[0]) == pytest.approx((high - 1) / 2, rel=0.07)
    assert float(scale[0]) == pytest.approx((high + 1) / np.sqrt(12), rel=0.07)


class Still(Probe):
    def initial(self):
        return Gaussian(np.full(1, 7.0), np.zeros((1, 1)))


def test_what_does_not_vary_is_not_divided_by_zero():
    flow = Flow(Gaussian(np.full((3, 1), 7.0), np.zeros((3, 1, 1))))
    location, scale = Environment.of(Still(), flow).standardisation()
    assert (float(location[0]), float(scale[0])) == (7.0, 1.0)


def test_the_first_fault_is_kept():
    rewards = jnp.array([0.0, 1.0, jnp.nan, jnp.inf])
    rows = jnp.arange(4.0)[:, None]
    fault = Fault.among(jnp.arange(4), rows, 10 * rows, rewards, rows)
    assert fault.found
    assert (int(fault.time), float(fault.state[0]), float(fault.action[0])) == (2, 2.0, 20.0)
    with pytest.raises(GameError, match=r"at t = 2, x = \[2\], a = \[20\] Probe.reward pays nan"):
        fault.check(Probe(horizon=9))


@pytest.mark.parametrize(
    ("reward", "moved", "message"),
    [
        (-2e12, 0.0, r"Probe.reward and terminal_reward, summed, pays -2e\+12"),
        (0.0, np.inf, r"Probe.step sends the agent to \[inf\]"),
        (0.0, 2e12, r"Probe.step sends the agent to \[2e\+12\]"),
    ],
)
def test_what_is_too_large_is_a_fault(reward, moved, message):
    one = jnp.zeros((1, 1))
    fault = Fault.among(jnp.array([1]), one, one, jnp.array([reward]), one + moved)
    with pytest.raises(GameError, match=message):
        fault.check(Probe())
    # In a batch the first is named; without any nothing happens.
    none = Fault.none(1, 1)
    none.check(Probe())
    batch = jax.tree.map(lambda *parts: jnp.stack(parts), none, fault)
    with pytest.raises(GameError, match=message):
        batch.check(Probe())
