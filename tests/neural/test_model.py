"""Neural mean-field games: any number of agents, nobody's number, and the game's own part."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.neural.bent import Bent

import nashfield as nf
from nashfield.dynamics.diffusions import GradientPlay, roll_crowd
from nashfield.games.zoo.consensus import Consensus
from nashfield.games.zoo.el_farol import ElFarolIntentions
from nashfield.games.zoo.meeting_arrival import MeetingArrival
from nashfield.neural import Inputs, NeuralMeanFieldGame
from nashfield.policies.network import Network
from nashfield.results import ParameterError

KEY = jax.random.key(3)
speeds_of = eqx.filter_jit(lambda model, *arguments: model.speeds(*arguments))
GAME = MeetingArrival(duration=3.0, horizon=6)


def loud(model):
    """The model with networks far from zero, so that what they see matters."""

    def louder(network):
        return eqx.tree_at(lambda n: n.weights[-1], network, 100 * network.weights[-1])

    changed = {
        name: louder(getattr(model, name))
        for name in ("drift", "diffusion")
        if getattr(model, name) is not None
    }
    names = list(changed)
    return eqx.tree_at(lambda m: [getattr(m, n) for n in names], model, list(changed.values()))


def model_of(game=GAME, num_inputs=0, **networks):
    sizes = {"drift": (8,), "diffusion": (8,), **networks}
    return loud(NeuralMeanFieldGame(game, num_inputs=num_inputs, key=KEY, **sizes))


@pytest.mark.parametrize("game", [GAME, ElFarolIntentions(), Bent()])
def test_nobodys_number_matters(precision, game):
    states = jax.random.uniform(KEY, (9, game.state_dim), precision)
    order = np.array([4, 0, 8, 2, 1, 7, 6, 3, 5])
    model, t = model_of(game), jnp.asarray(1.0, precision)
    found, moved = speeds_of(model, t, states), speeds_of(model, t, states[order])
    for name in ("drift", "diffusion"):
        one = getattr(found, name)
        assert one.dtype == precision
        assert np.ptp(np.asarray(one) / np.abs(one).max(), 0).min() > 1e-3  # agents differ
        np.testing.assert_allclose(getattr(moved, name), one[order], rtol=1e-4, atol=1e-5)


def test_any_number_of_agents():
    """Each agent twice is the same crowd: nothing that they see depends on N."""
    model, states = model_of(Bent()), jax.random.normal(KEY, (6, 2))
    one, two = (speeds_of(model, jnp.asarray(0.5), jnp.tile(states, (k, 1))) for k in (1, 2))
    np.testing.assert_allclose(two.drift[:6], one.drift, atol=1e-6)
    np.testing.assert_allclose(two.diffusion[6:], one.diffusion, atol=1e-6)
    for num_agents in (1, 7):
        found = model.simulate(KEY, num_agents=num_agents)
        assert found.shape == (9, num_agents, 2)
        assert np.isfinite(found).all()


def test_the_diffusion_is_positive(precision):
    """Far out as well, and below the game's sigma if need be."""
    states = jnp.linspace(-1000, 1000, 201, dtype=precision)[:, None]
    for bias, low, high in ((0.0, 0.5, 4.0), (-6.0, 0.0, 0.2)):
        model = eqx.tree_at(lambda m: m.diffusion.biases[-1], model_of(), jnp.full(1, bias, "f"))
        found = np.asarray(speeds_of(model, jnp.zeros((), precision), states).diffusion)
        assert found.min() > low
        assert found.max() < high


def test_at_first_it_is_almost_the_game():
    model = NeuralMeanFieldGame(GAME, key=KEY)
    states = jax.random.normal(KEY, (20, 1)) / 2 + 12
    found = speeds_of(model, jnp.asarray(1.0), states)
    known = speeds_of(GradientPlay(GAME), jnp.asarray(1.0), states)
    np.testing.assert_allclose(found.drift, known.drift, atol=0.1)
    np.testing.assert_allclose(found.diffusion, known.diffusion, rtol=0.05)


def test_without_noise_of_the_game_there_is_some_at_first():
    """A tenth of what carries an agent across the first crowd: of U(0, 1) in 15 turns."""
    model = NeuralMeanFieldGame(ElFarolIntentions(), key=KEY)
    found = speeds_of(model, jnp.asarray(0.0), jnp.linspace(0, 1, 9)[:, None]).diffusion
    np.testing.assert_allclose(found, 0.1 * (1 / 12 / 15) ** 0.5, rtol=0.05)


@pytest.mark.parametrize("game", [GAME, ElFarolIntentions(), Bent()])
def test_without_networks_it_is_the_game(precision, game):
    """To rounding, one moment and a whole play."""
    model = NeuralMeanFieldGame(game, drift=None, diffusion=None, key=KEY)
    states = jax.random.uniform(KEY, (9, game.state_dim), precision)
    t = jnp.asarray(1.0, precision)
    found, known = speeds_of(model, t, states), speeds_of(GradientPlay(game), t, states)
    for name in ("drift", "diffusion", "common"):
        rtol = 4 * np.finfo(precision).eps
        np.testing.assert_allclose(getattr(found, name), getattr(known, name), rtol=rtol)
    if game is not GAME:
        return
    options = {"duration": game.duration, "num_steps": game.horizon, "key": KEY}
    times = jnp.asarray([float(game.duration)], precision)
    path = model.roll(states, times, None, key=KEY)
    played = roll_crowd(GradientPlay(game), states, times, **options)
    np.testing.assert_allclose(path, played, atol=1e-6 if precision == "float32" else 1e-13)


def test_inputs_change_the_drift_and_hold():
    """With no noise two values of an input part the paths where the second one begins."""
    game = MeetingArrival(nu=0.0, duration=3.0, horizon=6)
    model = model_of(game, num_inputs=2, diffusion=None)
    start = jnp.linspace(11, 13, 5)[:, None]
    times = model.times()

    def path(values, when=(0.0, 1.4)):
        inputs = Inputs(np.array(when), np.array(values))
        return np.asarray(
            model.simulate(KEY, num_agents=5, times=times, start=start, inputs=inputs)
        )

    same, other = path([[1.0, 0], [1.0, 0]]), path([[1.0, 0], [1.0, 3.0]])
    np.testing.assert_array_equal(same[:4], other[:4])  # 1.4 falls between 1 and 1.5
    assert np.abs(same[4:] - other[4:]).min() > 1e-3
    # The first value holds before its time as well, and values in between change nothing.
    np.testing.assert_array_equal(same, path([[1.0, 0], [1.0, 0]], (1.0, 2.0)))
    drifts = [
        speeds_of(model, times[0], start, jnp.asarray(values)).drift
        for values in ([1.0, 0.0], [1.0, 3.0])
    ]
    assert np.abs(drifts[0] - drifts[1]).min() > 1e-3


@pytest.mark.slow
def test_simulations_start_where_told_and_come_again():
    model, start = model_of(), jnp.linspace(10, 14, 4)[:, None]
    options = {"num_agents": 4, "times": [0.0, 0.7, 3.0], "start": start}
    one, again = (model.simulate(KEY, **options) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(one[0], start)
    assert np.all(np.asarray(model.simulate(jax.random.key(9), **options))[1:] != one[1:])
    drawn = np.asarray(model.simulate(KEY, num_agents=4000, times=[0.0]))[0]
    assert abs(drawn.mean() - 12) < 4 * 0.5 / 4000**0.5
    assert abs(drawn.std() - 0.5) < 4 * 0.5 / 8000**0.5


def test_two_plays_of_common_noise():
    model = NeuralMeanFieldGame(
        MeetingArrival(nu=0.0, common_noise=1.0, horizon=1, duration=1.0),
        drift=None,
        diffusion=None,
        key=KEY,
    )
    far = jnp.asarray([[0.0], [1.0], [2.0], [3.0]])
    # Before the meeting begins, at 2.4, all but the last wait, at 1 per turn.
    ends = [
        np.asarray(model.simulate(key, num_agents=4, start=far)[-1] - far)[:, 0]
        for key in jax.random.split(KEY)
    ]
    for moved in ends:
        np.testing.assert_allclose(moved - moved[0], [0, 0, 0, -2], atol=1e-12)
    assert abs(ends[0][0] - ends[1][0]) > 1e-3


def test_times_are_those_of_the_steps(precision):
    np.testing.assert_allclose(model_of().times(), [0, 0.5, 1, 1.5, 2, 2.5, 3], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: NeuralMeanFieldGame(Consensus(), key=KEY),
            TypeError,
            "NeuralMeanFieldGame takes a DifferentialGame, not Consensus",
        ),
        (lambda: model_of(num_inputs=-1), ParameterError, "num_inputs must be at least 0, not -1"),
        (lambda: model_of(drift=(8, 0)), ParameterError, "drift must be at least 1, not 0"),
        (
            lambda: NeuralMeanFieldGame(GAME, drift=32, key=KEY),
            TypeError,
            "drift must be the widths of hidden layers, such as (32, 32), a Network, or None, not",
        ),
        (lambda: model_of(diffusion=(0.5,)), ParameterError, "diffusion must be a whole number"),
        (
            lambda: model_of(drift=Network.draw((3, 4, 1), key=KEY)),
            ParameterError,
            "drift must take 5 features and give 1 numbers, but takes 3 and gives 1",
        ),
        (
            lambda: model_of(diffusion=Network.draw((5, 4, 2), key=KEY)),
            ParameterError,
            "diffusion must take 5 features and give 1 numbers, but takes 5 and gives 2",
        ),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_models_that_cannot_be_made(make, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make()


def test_a_network_of_ones_own():
    network = Network.draw((5, 4, 1), key=KEY)
    model = NeuralMeanFieldGame(GAME, drift=network, key=KEY)
    np.testing.assert_array_equal(model.drift.weights[0], network.weights[0])


INPUTS = Inputs([0.0], [[1.0, 2.0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_agents": 0}, "num_agents must be at least 1, not 0"),
        ({"times": [1.0, 4.0]}, "times must increase within [0, 3], the duration of MeetingArri"),
        ({"times": [-1.0, 2.0]}, "not run from -1 to 2"),
        ({"times": [2.0, 1.0]}, "times must increase within [0, 3]"),
        ({"times": []}, "times must be a list of finite numbers, not []"),
        ({"times": [np.nan]}, "times must be a list of finite numbers"),
        ({"times": 2.0}, "times must be a list of finite numbers, not 2.0"),
        (
            {"start": np.zeros((3, 1))},
            "start must have shape (num_agents, state_dim) = (4, 1), not (3, 1)",
        ),
        (
            {"inputs": INPUTS},
            "the model takes 0 exogenous inputs, but 2 are given: pass inputs=Inputs(times",
        ),
    ],
)
def test_simulations_that_cannot_be(options, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        model_of().simulate(KEY, **{"num_agents": 4, **options})


def test_inputs_that_are_missing():
    with pytest.raises(ParameterError, match="takes 2 exogenous inputs, but 0 are given"):
        model_of(num_inputs=2).simulate(KEY, num_agents=4)


def test_inputs_of_many_games_are_of_none():
    inputs = Inputs([0.0], np.ones((3, 1, 2)))
    with pytest.raises(ParameterError, match="one game"):
        model_of(num_inputs=2).simulate(KEY, num_agents=4, inputs=inputs)


def test_by_name():
    assert nf.neural.NeuralMeanFieldGame is NeuralMeanFieldGame
    with pytest.raises(AttributeError, match="NeuralMeanFieldGam"):
        nf.neural.NeuralMeanFieldGam  # noqa: B018
