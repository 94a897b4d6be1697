"""The game's own part of a drift: its value as it is, and slopes that see kinks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tests.neural.bent import Bent

from nashfield.games.differential import DifferentialGame
from nashfield.games.zoo.meeting_arrival import MeetingArrival
from nashfield.mean_fields import Uniform
from nashfield.neural.gradient_play import brought_inside, gradient_play
from nashfield.typing import Scalar, scalar

KEY = jax.random.key(3)


def test_the_game_keeps_its_value_and_gets_a_slope(precision):
    """At a kink the slope is that of the drift averaged over a step's noise to either side."""
    game, sigma = MeetingArrival(nu=0.0, horizon=300), 0.4
    width = sigma * 0.05**0.5
    states = jnp.asarray(np.linspace(11, 14, 61)[:, None], precision)
    begins, t = jnp.asarray(12.7, precision), jnp.zeros((), precision)
    diffusion = jnp.full_like(states, sigma)

    def drift(x, s):
        return gradient_play(game, t, x, s, diffusion)

    known = jax.vmap(lambda x: game.drift(t, x, begins))(states)
    np.testing.assert_array_equal(drift(states, begins), known)
    _, ahead = jax.jvp(lambda x: drift(x, begins), (states,), (jnp.ones_like(states),))
    _, seen = jax.jvp(lambda s: drift(states, s), (begins,), (jnp.ones_like(begins),))
    x = np.asarray(states, float)[:, 0]

    def smoothed(jumps):
        """d/dx of the mean of the drift over x + width U(-1, 1), by its antiderivative."""

        def whole(x):
            return sum(size * np.maximum(x - kink, 0) for kink, size in jumps)

        def mean(x):
            return (whole(x + width) - whole(x - width)) / (2 * width)

        return (mean(x + 1e-5) - mean(x - 1e-5)) / 2e-5

    away = np.all([np.abs(np.abs(x - k) - width) > 2e-4 for k in (12.0, 12.7)], 0)
    by_x = smoothed([(12.0, -1.0), (12.7, -2.0)])
    np.testing.assert_allclose(
        np.asarray(ahead)[away, 0], by_x[away], atol=1e-5 if precision == "float64" else 1e-3
    )
    by_s = -smoothed([(12.7, -2.0)])
    np.testing.assert_allclose(
        np.asarray(seen)[away, 0], by_s[away], atol=1e-5 if precision == "float64" else 1e-3
    )
    assert by_x.min() < -3  # the kinks were met


def test_smooth_costs_keep_their_slope():
    """Central differences of a line are exact, in the state and in the statistic."""

    class Spring(Bent):
        def cost(self, t, x, statistic):
            return jnp.sum((x - statistic["mean"]) ** 2 * jnp.asarray([0.5, 1.5])) / 2

    states = jax.random.normal(KEY, (5, 2))

    def both(x):
        game = Spring()
        seen = game.statistic(game.crowd_of(x))
        return gradient_play(game, jnp.zeros(()), x, seen, jnp.full_like(x, 0.3))

    found = jax.jacobian(both)(states)
    stiffness = np.array([0.5, 1.5])
    by_hand = np.einsum("de,nm->ndme", np.diag(stiffness), np.full((5, 5), 0.2) - np.eye(5))
    np.testing.assert_allclose(found, by_hand, atol=1e-9)


class Scarce(DifferentialGame):
    """On [.001, 1], pays x log x, which is no number below 0."""

    nu: Scalar = eqx.field(converter=scalar, default=0.02)
    common_noise: Scalar = eqx.field(converter=scalar, default=0.0)
    duration: Scalar = eqx.field(converter=scalar, default=1.0)
    horizon: int = 4
    state_dim: int = 1
    control_dim: int = 1

    @property
    def domain(self):
        return np.array([0.001]), np.array([1.0])

    def initial(self):
        return Uniform([0.1], [0.9])

    def statistic(self, mean_field):
        return mean_field.mean()[0]

    def cost(self, t, x, statistic):
        return x[0] * jnp.log(x[0])


def test_nobody_asks_for_costs_outside_the_domain(precision):
    """The drift -log x - 1; at the edges its slope is taken within."""
    game, sigma = Scarce(), 0.2
    width = sigma * 0.5
    states = jnp.asarray(np.linspace(0.001, 1, 41)[:, None], precision)
    t, seen = jnp.zeros((), precision), jnp.asarray(0.5, precision)
    diffusion = jnp.full_like(states, sigma)
    value, slope = jax.jvp(
        lambda x: gradient_play(game, t, x, seen, diffusion), (states,), (jnp.ones_like(states),)
    )
    x = np.asarray(states, float)
    low, high = np.maximum(x - width, 0.001), np.minimum(x + width, 1)
    rounding = 1e-9 if precision == "float64" else 2e-4
    np.testing.assert_allclose(value, -np.log(x) - 1, rtol=rounding, atol=rounding)
    by_hand = -np.minimum((np.log(high) - np.log(low)) / (high - low), 4)  # a step is 1 / 4
    np.testing.assert_allclose(slope, by_hand, rtol=rounding)


def test_walls_hold_agents_and_not_slopes(precision):
    """Brought inside to the digit, with the slope of free agents."""
    game = Scarce()
    states = jnp.asarray([[-0.4], [0.3], [1.7]], precision)
    value, slope = jax.jvp(
        lambda x: brought_inside(game, x), (states,), (jnp.full_like(states, 2.0),)
    )
    assert value.dtype == precision
    np.testing.assert_array_equal(value, game.inside(states))
    np.testing.assert_array_equal(slope, 2.0)


def test_slopes_do_not_explode_where_agents_do_not():
    """Thirty steps about a kink with hardly any noise: nobody is thrown further than a step."""
    game = MeetingArrival(nu=0.0, duration=15.0, horizon=30)
    t, begins = jnp.zeros(()), jnp.asarray(12.0)

    def play(x):
        for _ in range(30):
            x = x + 0.5 * gradient_play(game, t, x, begins, jnp.full_like(x, 0.01))
        return x

    states = jnp.linspace(11.0, 13.0, 9)[:, None]
    ends, slopes = jax.jvp(play, (states,), (jnp.ones_like(states),))
    assert np.abs(ends - 12).max() < 1.1
    assert np.abs(slopes).max() <= 1
