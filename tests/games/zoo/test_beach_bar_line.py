"""Beach bar on the line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.results import ParameterError


def test_walls_reflect(precision):
    game = nf.games.BeachBarLine(sigma=0.1)
    law = game.initial()

    def move(x, a, z):
        return float(game.step(0, jnp.array([x]), jnp.array([a]), law, jnp.array([z]))[0])

    assert move(0.4, 0.1, 1.0) == pytest.approx(0.6)
    assert move(0.05, -0.2, 0.0) == pytest.approx(0.15, abs=1e-6)
    assert move(0.95, 0.1, 2.0) == pytest.approx(0.75, abs=1e-6)


def test_reward():
    game = nf.games.BeachBarLine(bar=0.3, c_a=2.0, c_m=0.7, floor=0.1)
    law = nf.Uniform(np.zeros(1), np.full(1, 0.5))  # density 2
    value = game.reward(0, jnp.array([0.1]), jnp.array([0.2]), law)
    assert float(value) == pytest.approx(-0.2 - 2 * 0.04 - 0.7 * np.log(2.1))
    # Where nobody is, the floor is all there is.
    assert float(game.terminal_reward(jnp.array([0.9]), law)) == pytest.approx(
        -0.6 - 0.7 * np.log(0.1)
    )


def test_start_and_sight():
    game = nf.games.BeachBarLine(initial_low=0.1, initial_high=0.3, bar=0.5)
    start = np.asarray(game.initial().sample(jax.random.key(0), 1000))
    assert (start >= 0.1).all()
    assert (start <= 0.3).all()
    assert np.asarray(game.observe(jnp.array([0.2]))) == pytest.approx([0.2, 0.3])


def test_wrong_parameters():
    with pytest.raises(ParameterError, match="initial_low must be less than initial_high"):
        nf.games.BeachBarLine(initial_low=0.5, initial_high=0.5)
    with pytest.raises(ParameterError, match="bar must lie between 0 and 1"):
        nf.games.BeachBarLine(bar=1.5)
    with pytest.raises(ParameterError, match="floor"):
        nf.games.BeachBarLine(floor=0.0)
    with pytest.raises(ParameterError, match="max_step"):
        nf.games.BeachBarLine(max_step=0.0)


@pytest.mark.slow
def test_conformance():
    nf.testing.check_game(nf.games.BeachBarLine())


def test_parameters_are_traced():
    """Another number compiles nothing, and derivatives reach it."""
    traces = []

    @jax.jit
    def worth(game):
        traces.append(0)
        law = game.initial()
        return game.reward(0, jnp.array([0.4]), jnp.array([0.1]), law)

    one, two = worth(nf.games.BeachBarLine()), worth(nf.games.BeachBarLine(c_a=7.0))
    assert len(traces) == 1
    assert float(one - two) == pytest.approx(2 * 0.01)
