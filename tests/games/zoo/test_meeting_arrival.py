"""When to arrive at a meeting, played turn by turn; beside NumPy and densities by quadrature."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm
from scipy.stats import t as student

import nashfield as nf
from nashfield.dynamics.diffusions import GradientPlay, roll_crowd
from nashfield.games.zoo.meeting_arrival import MeetingArrival
from nashfield.mean_fields import Particles
from nashfield.results import ParameterError

ODD = MeetingArrival(lateness=0.7, inconvenience=1.3, waiting=0.4, quantile=0.6)


def drift_by_hand(x, game, begins):
    late = float(game.lateness) * (x > float(game.scheduled))
    return -late - float(game.inconvenience) * (x > begins) + float(game.waiting) * (x < begins)


@pytest.mark.parametrize("game", [MeetingArrival(), ODD])
def test_drift_by_hand(precision, game):
    states = np.random.default_rng(0).normal(12.2, 1, (50, 1)).astype(precision)
    begins = game.statistic(Particles(jnp.asarray(states)))
    np.testing.assert_allclose(begins, np.quantile(states, float(game.quantile)), rtol=1e-6)
    found = jax.vmap(lambda x: game.drift(jnp.asarray(0.0), x, begins))(jnp.asarray(states))
    by_hand = drift_by_hand(states, game, float(begins))
    np.testing.assert_allclose(found, by_hand, atol=1e-6)
    assert len(np.unique(np.round(by_hand, 6))) >= 3  # agents of every kind were asked


def test_step_and_reward_by_hand(precision):
    crowd = Particles(jnp.asarray(np.linspace(11, 14, 11, dtype=precision)[:, None]))
    begins = 11 + 0.6 * 3
    x, a, noise = (jnp.asarray([z], precision) for z in (13.5, -0.4, 0.3))
    rtol = 1e-6 if precision == "float32" else 1e-13
    found = ODD.step(2, x, a, crowd, noise)
    np.testing.assert_allclose(found, 13.5 - 0.2 + 2**0.5 * 0.5**0.5 * 0.3, rtol=rtol)
    cost = 0.7 * 1.5 + 1.3 * (13.5 - begins)
    np.testing.assert_allclose(ODD.reward(2, x, a, crowd), -(cost + 0.08) * 0.5, rtol=3 * rtol)
    early = ODD.cost(jnp.asarray(0.0), jnp.asarray([11.5], precision), crowd.mean()[0])
    np.testing.assert_allclose(early, 0.4 * 1.0, rtol=3 * rtol)


def test_it_starts_as_it_says():
    law = MeetingArrival(initial_mean=11.0, initial_deviation=0.3).initial()
    np.testing.assert_allclose([law.mean()[0], law.covariance[0, 0]], [11, 0.09])


def test_it_is_a_game():
    nf.testing.check_game(MeetingArrival())


def stationary_quantile(level, nu, begins):
    """Of the density exp(-c / nu) at a given beginning, by quadrature."""

    def density(x):
        return np.exp(-(max(x - 12, 0) + abs(x - begins)) / nu)

    kinks = sorted([12.0, begins])
    # Towards later times it falls at 2 / nu, towards earlier ones at 1 / nu.
    low, high = kinks[0] - 40 * nu, kinks[1] + 20 * nu

    def below(x):
        places = [low, *(k for k in kinks if k < x), x]
        return sum(quad(density, a, b, epsabs=1e-13)[0] for a, b in itertools.pairwise(places))

    total = below(high)
    return brentq(lambda x: below(x) / total - level, low, high, xtol=1e-11)


@pytest.mark.parametrize("level", [0.55, 0.6, 0.66, 0.67, 0.8, 0.9])
@pytest.mark.parametrize("nu", [0.25, 1.0])
def test_stationary_beginning_by_quadrature(precision, level, nu):
    """The quantile of the stationary density at T is T."""
    game = MeetingArrival(quantile=level, nu=nu)
    begins = brentq(lambda b: stationary_quantile(level, nu, b) - b, 9.0, 16.0, xtol=1e-9)
    within = 5e-6 if precision == "float32" else 1e-6
    np.testing.assert_allclose(game.stationary_beginning(), begins, atol=within)


def test_stationary_beginning_of_the_reference(precision):
    found = MeetingArrival(nu=0.25, quantile=0.8).stationary_beginning()
    np.testing.assert_allclose(found, 12.25, rtol=1e-6)


@pytest.mark.parametrize("game", [ODD, MeetingArrival(quantile=0.5)])
def test_stationary_beginning_not_known(game):
    with pytest.raises(ParameterError, match=re.escape("unit weights and quantile > 0.5")):
        game.stationary_beginning()


def euler_beginning(level, nu, dt):
    """T of Euler's chain of infinitely many agents: its stationary law on a fine grid."""
    width, sd = dt**0.5 * 0.05, (2 * nu * dt) ** 0.5
    edges = 12 + width * np.arange(-int(8 * nu / width), int(6 * nu / width) + 1)
    x = (edges[1:] + edges[:-1]) / 2

    def beyond(begins):
        # Cells that a kink cuts go by their parts, as the chain's law is smooth across it.
        step = -np.clip((x - 12) / width + 0.5, 0, 1)
        step -= 2 * np.clip((x - begins) / width + 0.5, 0, 1) - 1
        reach = norm.cdf((edges[None] - (x + step * dt)[:, None]) / sd)
        moves = np.diff(reach, axis=1)
        moves /= moves.sum(1, keepdims=True)
        system = np.vstack([(moves.T - np.eye(len(x)))[1:], np.ones(len(x))])
        law = np.linalg.solve(system, np.eye(len(x))[-1])
        return np.interp(level, np.append(0, np.cumsum(law)), edges) - begins

    return brentq(beyond, 12 - nu, 12 + 3 * nu, xtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("level", "bias"), [(0.8, 0.01), (0.6, 0.01)])
def test_particles_come_to_rest_where_the_density_says(level, bias):
    """R3: mean of T over time, in independent crowds; steps of .005."""
    num_crowds, num_agents, num_steps = 8, 2000, 6000
    game = MeetingArrival(nu=0.25, quantile=level, duration=30.0, horizon=num_steps)
    times = jnp.linspace(10.0, 30.0, 401)

    @jax.jit
    def mean_beginning(key):
        start_key, key = jax.random.split(key)
        start = game.initial().sample(start_key, num_agents).astype(jnp.float32)
        play = GradientPlay(game)
        states = roll_crowd(
            play, start, times, duration=game.duration, num_steps=num_steps, key=key
        )
        return jnp.mean(jnp.quantile(states[..., 0], level, axis=1))

    keys = jax.random.split(jax.random.key(0), num_crowds)
    means = np.array([float(mean_beginning(key)) for key in keys])
    error = means.std(ddof=1) / num_crowds**0.5
    exact, stepped = float(game.stationary_beginning()), euler_beginning(level, 0.25, 0.005)
    print(
        f"quantile {level}: {means.mean():.4f} +- {error:.4f}, {stepped:.4f} by steps of .005, "
        f"{exact:.4f} in continuous time"
    )
    assert error < 0.003
    assert abs(stepped - exact) < bias
    width = student.ppf(0.9987, num_crowds - 1)  # three standard errors of a normal law
    assert abs(means.mean() - stepped) <= width * error


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"quantile": 1.0}, "quantile must be less than 1, not 1"),
        ({"quantile": 0.0}, "quantile must be finite and greater than 0, not 0.0"),
        ({"nu": -1.0}, "nu must be finite and at least 0, not -1.0"),
        ({"lateness": -1.0}, "lateness must be finite and at least 0"),
        ({"waiting": np.inf}, "waiting must be finite and at least 0, not inf"),
        ({"inconvenience": -0.5}, "inconvenience must be finite and at least 0"),
        ({"common_noise": -0.5}, "common_noise must be finite and at least 0"),
        ({"scheduled": np.nan}, "scheduled must be finite, not nan"),
        ({"initial_mean": np.inf}, "initial_mean must be finite, not inf"),
        ({"initial_deviation": 0.0}, "initial_deviation must be finite and greater than 0"),
        ({"duration": 0.0}, "duration must be finite and greater than 0, not 0.0"),
        ({"horizon": 0}, "horizon must be at least 1, not 0"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        MeetingArrival(**parameters)
