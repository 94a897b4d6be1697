"""Exploitability of a learnt crowd, against Riccati's recursion for the same steps."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.games.differential import DifferentialGame
from nashfield.games.zoo.meeting_arrival import MeetingArrival
from nashfield.mean_fields import Gaussian
from nashfield.neural import Inputs, NeuralMeanFieldGame
from nashfield.neural.learnt_game import learnt_exploitability
from nashfield.results import GameError, ParameterError
from nashfield.typing import Scalar, scalar

KEY = jax.random.key(4)
# Of the crowd that an exploitability freezes.
CROWD_KEY = jax.random.split(KEY)[0]
MEAN, VARIANCE, T, DURATION, NU = 0.4, 0.3, 10, 2.0, 0.125


class Together(DifferentialGame):
    """Consensus: agents pay (x - m)^2 / 2, and follow a = -(x - m)."""

    nu: Scalar = eqx.field(converter=scalar, default=NU)
    common_noise: Scalar = eqx.field(converter=scalar, default=0.0)
    duration: Scalar = eqx.field(converter=scalar, default=DURATION)
    horizon: int = T
    state_dim: int = 1
    control_dim: int = 1

    def initial(self):
        return Gaussian(np.full(1, MEAN), np.full((1, 1), VARIANCE))

    def statistic(self, mean_field):
        return mean_field.mean()[0]

    def cost(self, t, x, statistic):
        return (x[0] - statistic) ** 2 / 2


def gain_by_riccati(path, *, push=(0.0,) * T, sigma=(2 * NU) ** 0.5):
    """What leaving a = -(x - m_t) + push_t is worth against the frozen means `path`."""
    dt = DURATION / T
    P = q = r = 0.0  # an optimal agent in x still pays P x^2 / 2 + q x + r
    for m in reversed(path[:T]):
        bend = 1 + P * dt
        r += dt * m**2 / 2 + P * sigma**2 * dt / 2 - dt * q**2 / (2 * bend)
        P, q = dt + P / bend, -dt * m + q / bend
    optimal = P * (VARIANCE + MEAN**2) / 2 + q * MEAN + r
    mean, variance, paid = MEAN, VARIANCE, 0.0
    for m, k in zip(path[:T], push, strict=True):
        apart = variance + (mean - m) ** 2
        paid += dt / 2 * (apart + variance + (k - (mean - m)) ** 2)
        mean += dt * (k - (mean - m))
        variance = (1 - dt) ** 2 * variance + sigma**2 * dt
    return paid - optimal


def path_of(model, key, inputs=None):
    states = model.simulate(key, num_agents=500, inputs=inputs)
    return np.asarray(states).mean((1, 2))


def untrained(game=None, **networks):
    networks = {"drift": None, "diffusion": None, **networks}
    return NeuralMeanFieldGame(Together() if game is None else game, key=KEY, **networks)


@pytest.mark.slow
def test_gradient_play_by_riccati():
    """What following the gradient loses: the library's number within its own error."""
    model = untrained()
    found = model.exploitability(num_agents=500, key=KEY)
    exact = gain_by_riccati(path_of(model, CROWD_KEY))
    print(f"{found}, exactly {exact:.6f}")
    assert found.method == "grid"
    assert exact > 0.04
    assert abs(float(found) - exact) < max(2 * float(found.error), 2e-3 * exact)


@pytest.mark.slow
def test_finer_cells_come_nearer():
    model = untrained()
    exact = gain_by_riccati(path_of(model, CROWD_KEY))
    off = [
        abs(float(model.exploitability(num_agents=500, num_cells=n, key=KEY)) - exact)
        for n in (40, 160)
    ]
    assert off[1] < off[0] / 3


@pytest.mark.slow
def test_what_is_learnt_counts():
    """A constant push and a constant diffusion, not the game's; the push follows an input."""
    model = untrained(drift=(3,), diffusion=(3,))
    model = NeuralMeanFieldGame(Together(), drift=(3,), diffusion=(3,), num_inputs=1, key=KEY)
    # The input alone reaches the drift, nearly linearly: 100 tanh(u / 200) is u / 2.
    weights = model.drift.weights
    inputs_only = jnp.zeros_like(weights[0]).at[-1, 0].set(0.01)
    model = eqx.tree_at(
        lambda m: (m.drift.weights, m.diffusion.weights[-1]),
        model,
        (
            (inputs_only, jnp.zeros_like(weights[1]).at[0, 0].set(100.0)),
            jnp.zeros_like(model.diffusion.weights[-1]),
        ),
    )
    model = eqx.tree_at(lambda m: m.diffusion.biases[-1], model, jnp.full(1, 1.0, jnp.float32))
    inputs = Inputs([0.0, 0.9], [[0.0], [0.5]])
    seen = 2 * np.tanh(np.repeat([0.0, 0.5], [5, 5]) / 2)  # features are bent like that
    push = 100 * np.tanh(0.01 * seen)
    sigma = (2 * NU) ** 0.5 * np.log1p(np.e)
    found = learnt_exploitability(model, inputs=inputs, num_agents=500, key=KEY)
    exact = gain_by_riccati(path_of(model, CROWD_KEY, inputs), push=push, sigma=sigma)
    print(f"{found}, exactly {exact:.6f}")
    assert abs(float(found) - exact) < max(2 * float(found.error), 2e-3 * exact)
    assert exact > 1.5 * gain_by_riccati(path_of(untrained(), CROWD_KEY))


def test_common_noise_is_refused():
    message = "Together has common noise: its crowd takes another way every time"
    with pytest.raises(GameError, match=re.escape(message)):
        untrained(Together(common_noise=0.1)).exploitability(key=KEY)


def test_sizes_and_inputs_are_checked():
    with pytest.raises(ParameterError, match="num_agents must be at least 1, not 0"):
        untrained().exploitability(num_agents=0, key=KEY)
    with pytest.raises(ParameterError, match="takes 0 exogenous inputs, but 1 are given"):
        untrained().exploitability(inputs=Inputs([0.0], [[1.0]]), key=KEY)


@pytest.mark.slow
def test_a_meeting_has_something_to_gain():
    """Agents who follow the gradient of a kink pay for chattering about it."""
    model = untrained(MeetingArrival(duration=5.0, horizon=10))
    found = model.exploitability(num_agents=500, key=KEY)
    assert float(found) > 10 * float(found.error) > 0
