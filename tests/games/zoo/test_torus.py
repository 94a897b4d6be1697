"""Crowd aversion on the torus: its ergodic solution, by its equations and by play."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import i0

import nashfield as nf
from nashfield.dynamics.episodes import play_against
from nashfield.games.zoo.torus import CrowdAversion
from nashfield.policies import AbstractControl
from nashfield.results import ParameterError


def test_published_number(precision):
    tolerance = 1e-10 if precision == "float64" else 1e-6
    np.testing.assert_allclose(CrowdAversion().ergodic_value(), 0.8239935415, atol=tolerance)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.6])
def test_the_ergodic_solution_solves_its_equations(sigma):
    """With potential u = sin(2 pi x), by finite differences around the circle."""
    game = CrowdAversion(sigma=sigma)
    n = 4000
    x = np.arange(n) / n

    def slope(values):
        return (np.roll(values, -1) - np.roll(values, 1)) * n / 2

    def bend(values):
        return (np.roll(values, -1) - 2 * values + np.roll(values, 1)) * n**2

    u, a = np.sin(2 * np.pi * x), np.asarray(game.ergodic_control(x))
    log_density = np.asarray(game.ergodic_law().log_density(x[:, None]))
    density = np.exp(log_density)
    scale = np.max(np.abs(bend(u)))
    np.testing.assert_allclose(a, slope(u), atol=1e-4)
    earned = sigma**2 / 2 * bend(u) + slope(u) ** 2 / 2 - log_density + game.preference(x)
    np.testing.assert_allclose(earned, game.ergodic_value(), atol=2e-5 * scale)
    flux = sigma**2 / 2 * slope(density) - a * density
    np.testing.assert_allclose(flux, 0, atol=1e-4 * scale)
    np.testing.assert_allclose(np.mean(density), 1, rtol=1e-12)
    np.testing.assert_allclose(density, np.exp(2 * u / sigma**2) / i0(2 / sigma**2), rtol=1e-10)


class Ergodic(AbstractControl):
    """The ergodic control."""

    game: CrowdAversion
    control_dim: int = 1

    def action(self, t, x, noise):
        return self.game.ergodic_control(x)

    def log_density(self, t, x, a):
        return jnp.where(jnp.all(a == self.game.ergodic_control(x)), jnp.inf, -jnp.inf)

    def certain(self):
        return self


def earned(horizon, num_agents):
    """What the ergodic control earns per unit of time in the ergodic crowd, by play.

    By Ito's formula for its potential u the return is that, u at the start, and noise: u' dW, and
    for Euler's steps u'' (dW^2 - dt) / 2, both of mean 0.
    """
    game = CrowdAversion(horizon=horizon)
    law, dt = game.ergodic_law(), 0.25 / horizon
    laws = jax.tree.map(lambda leaf: jnp.tile(leaf, (horizon + 1, 1)), law)
    play = eqx.filter_jit(play_against)
    flow = nf.Flow(laws)
    episodes = play(game, Ergodic(game), flow, num_agents=num_agents, key=jax.random.key(0))
    states, actions = (np.asarray(x)[..., 0] for x in (episodes.states, episodes.actions))
    assert np.all((states >= 0) & (states < 1))
    shocks = np.mod(np.diff(states, axis=0) - actions * dt + 0.5, 1) - 0.5
    potential = np.sin(2 * np.pi * states)
    noise = actions * shocks - 2 * np.pi**2 * potential[:-1] * (shocks**2 - dt)
    rates = (episodes.returns - potential[0] - np.sum(noise, 0)) / 0.25
    return np.mean(rates), np.std(rates) / np.sqrt(num_agents), states


def test_the_ergodic_crowd_earns_the_ergodic_value():
    """At first order in dt; without the error of that order, to the last digits that play has."""
    coarse, error, _ = earned(100, 3000)
    fine, _, states = earned(200, 3000)
    value = float(CrowdAversion().ergodic_value())
    assert 0.6 < value - coarse < 0.7
    assert error < 0.02
    assert abs(2 * fine - coarse - value) < 5 * error  # what remains is O(dt^2)
    law = CrowdAversion().ergodic_law()
    for t in (0, 200):
        for turn in (jnp.sin, jnp.cos):
            found = np.asarray(turn(2 * np.pi * states[t]))
            expected = law.expect(lambda x, turn=turn: turn(2 * np.pi * x[0]))
            assert abs(np.mean(found) - expected) < 4 * np.std(found) / np.sqrt(3000)


def test_one_step():
    game = CrowdAversion(sigma=0.5, duration=2.0, horizon=8, terminal_weight=0.3)
    x, a, z = jnp.asarray([0.9]), jnp.asarray([2.0]), jnp.asarray([-0.4])
    box = nf.Uniform(np.zeros(1), np.full(1, 0.5))
    moved = game.step(0, x, a, box, z)
    np.testing.assert_allclose(moved, 0.9 + 0.5 - 0.4 * 0.5 * 0.5 - 1)
    sine, cosine = np.sin(1.8 * np.pi), np.cos(1.8 * np.pi)
    liking = 0.5 * np.pi**2 * sine - 2 * np.pi**2 * cosine**2 + 8 * sine
    density = np.log(1e-9)  # nobody is there
    np.testing.assert_allclose(game.reward(0, x, a, box), 0.25 * (liking - 2 - density))
    np.testing.assert_allclose(game.terminal_reward(x, box), 0.3 * sine)
    np.testing.assert_allclose(game.observe(x), [cosine, sine])
    np.testing.assert_array_equal(game.domain, [[0], [1]])
    assert isinstance(CrowdAversion(initial_law="uniform").initial(), nf.Uniform)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sigma": 0.0}, "sigma must be finite and greater than 0"),
        ({"duration": np.nan}, "duration must be finite and greater than 0"),
        ({"floor": -1.0}, "floor must be finite and at least 0"),
        ({"horizon": 0}, "horizon must be at least 1"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        CrowdAversion(**parameters)


def test_an_unknown_initial_law(without_type_checks):
    with pytest.raises(ParameterError, match="must be 'ergodic' or 'uniform', not 'flat'"):
        CrowdAversion(initial_law="flat")
