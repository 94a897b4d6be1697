"""Intentions to go to a bar, against the published costs by hand."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics.diffusions import GradientPlay, roll_crowd
from nashfield.games.zoo.el_farol import ElFarolIntentions
from nashfield.mean_fields import Particles
from nashfield.results import ParameterError


def mean_cost(p, q, share):
    """An agent with intention p who went with probability q."""
    went = (p - 0.9) * (p > 0.9) if share > 0.9 else 0.0
    stayed = (0.9 - p) * (p < 0.9) if share <= 0.9 else 0.0
    return 0.33 * (q * went + (1 - q) * stayed) + 0.33 * (p - share) ** 2


@pytest.mark.parametrize("share", [0.2, 0.9, 0.93])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.89, 0.95, 1.0])
def test_drift_and_cost_by_hand(precision, share, p):
    """The derivative by finite differences, whether they went held fast."""
    game, x = ElFarolIntentions(), jnp.asarray([p], precision)
    # In single precision .9 would not be the threshold itself.
    seen = jnp.asarray(share, precision) if share != 0.9 else jnp.asarray(game.threshold)
    rtol = 2e-6 if precision == "float32" else 1e-13
    np.testing.assert_allclose(game.cost(jnp.zeros(()), x, seen), mean_cost(p, p, share), rtol=rtol)
    slope = (mean_cost(p + 1e-6, p, share) - mean_cost(p - 1e-6, p, share)) / 2e-6
    found = game.drift(jnp.zeros((), precision), x, seen)
    np.testing.assert_allclose(found, [-slope], atol=1e-6 if precision == "float32" else 1e-9)


def test_cost_is_the_mean_of_those_who_go_and_stay():
    """The published cost, each agent drawn."""
    rng, p, share = np.random.default_rng(0), 0.3, 0.7
    went = rng.random(200_000) < p
    drawn = 0.33 * np.where(went, 0, 0.6) + 0.33 * 0.4**2
    found = ElFarolIntentions().cost(jnp.zeros(()), jnp.asarray([p]), jnp.asarray(share))
    assert abs(drawn.mean() - found) < 3 * drawn.std() / 200_000**0.5


def test_share_is_the_mean_intention(precision):
    crowd = Particles(jnp.asarray([[0.1], [0.2], [0.9]], precision))
    np.testing.assert_allclose(ElFarolIntentions().statistic(crowd), 0.4, rtol=1e-6)
    assert float(ElFarolIntentions().statistic(ElFarolIntentions().initial())) == 0.5


def test_intentions_stay_in_the_unit_interval(precision):
    """With noise they would leave it at every step."""
    game = ElFarolIntentions(nu=2.0)
    start = jnp.asarray(np.linspace(0, 1, 300)[:, None], precision)
    times = jnp.asarray(np.linspace(0, 15, 31), precision)
    states = np.asarray(
        roll_crowd(
            GradientPlay(game), start, times, duration=15.0, num_steps=30, key=jax.random.key(0)
        )
    )
    assert states.min() == 0
    assert states.max() == 1
    assert np.isfinite(states).all()


def test_step_and_reward_by_hand(precision):
    game = ElFarolIntentions(nu=0.02)
    crowd = Particles(jnp.asarray([[0.1], [0.2], [0.9]], precision))
    x, a, noise = (jnp.asarray([z], precision) for z in (0.5, 0.4, -1.0))
    found = game.step(0, x, a, crowd, noise)
    np.testing.assert_allclose(found, [0.5 + 0.2 - 0.2 * 0.5**0.5], rtol=2e-6)
    np.testing.assert_array_equal(game.step(0, x, 9 * a, crowd, noise), [1.0])
    cost = mean_cost(0.5, 0.5, 0.4) + 0.08
    np.testing.assert_allclose(game.reward(0, x, a, crowd), -cost * 0.5, rtol=2e-6)


def test_it_is_a_game():
    nf.testing.check_game(ElFarolIntentions())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"threshold": 1.2}, "threshold must lie between 0 and 1, not 1.2"),
        ({"weight": -1.0}, "weight must be finite and at least 0, not -1.0"),
        ({"nu": -1.0}, "nu must be finite and at least 0, not -1.0"),
        ({"common_noise": -1.0}, "common_noise must be finite and at least 0, not -1.0"),
        ({"duration": 0.0}, "duration must be finite and greater than 0, not 0.0"),
        ({"horizon": 0}, "horizon must be at least 1, not 0"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        ElFarolIntentions(**parameters)
