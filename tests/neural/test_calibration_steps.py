"""Numbers of games in discrete time from paths of their crowds: entropy-regularised equilibria."""

import equinox as eqx
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics.regularised import regularised_equilibrium
from nashfield.neural import calibrate
from nashfield.results import GameError, ParameterError

NAMES = ("infection", "recovery", "distancing_cost")
TRUTH = {"infection": 0.81, "recovery": 0.3, "distancing_cost": 0.5}
LAWS = np.array([[0.4, 0.6], [0.9, 0.1]])
TEMPERATURE = 0.3


def epidemic(**changes):
    return nf.games.SusceptibleInfected(**{"horizon": 16, **TRUTH, **changes})


def guess(**changes):
    return epidemic(**{"infection": 0.6, "recovery": 0.2, "distancing_cost": 0.9, **changes})


def paths(num_paths=1, game=None):
    game = epidemic() if game is None else game
    found = []
    for law in LAWS[:num_paths]:
        there = eqx.tree_at(lambda g: g.initial_infected, game, law[1])
        found.append(regularised_equilibrium(there, np.array(TEMPERATURE)).flow.states)
    return np.asarray(found)


def test_without_noise():
    seen = paths()[0]
    seen[4:6] = np.nan
    seen[:, 0] = np.nan
    found = calibrate(guess(), seen, parameters=NAMES, temperature=TEMPERATURE, num_starts=2)
    for name, value in TRUTH.items():
        np.testing.assert_allclose(found.numbers[name], value, rtol=1e-6)
    np.testing.assert_allclose(found.paths, paths(), atol=1e-9)
    assert float(found.game.infected_cost) == 1.0
    assert float(found.loss) < 1e-18


@pytest.mark.slow
def test_several_first_laws_and_few_times():
    """With noise of a thousandth, within four standard errors, which are a few hundredths."""
    seen = paths(2)[:, ::2] + 1e-3 * np.random.default_rng(0).normal(size=(2, 9, 2))
    found = calibrate(
        guess(), seen, parameters=NAMES, temperature=TEMPERATURE, initial_laws=LAWS, num_starts=2
    )
    for name, value in TRUTH.items():
        error = float(found.standard_errors[name])
        assert error < 0.03
        assert abs(np.log(float(found.numbers[name]) / value)) < 4 * error
    assert found.paths.shape == seen.shape


@pytest.mark.slow
def test_a_walk_through_others():
    """Where to, how hard it is, and how crowded: from a flow on twelve places."""
    truth = {"attraction": 2.0, "congestion": 0.7, "effort": 0.4, "noise": 0.2}
    game = nf.games.CrowdLine(num_states=12, horizon=8, **truth)
    seen = np.asarray(regularised_equilibrium(game, np.array(0.5)).flow.states)
    first = nf.games.CrowdLine(
        num_states=12, horizon=8, attraction=1.0, congestion=0.3, effort=0.8, noise=0.4
    )
    found = calibrate(first, seen, parameters=tuple(truth), temperature=0.5)
    for name, value in truth.items():
        np.testing.assert_allclose(found.numbers[name], value, rtol=1e-2)


@pytest.mark.slow
def test_the_first_law_may_be_sought():
    found = calibrate(
        epidemic(initial_infected=0.3),
        paths()[0],
        parameters=("initial_infected",),
        temperature=TEMPERATURE,
        num_starts=1,
    )
    np.testing.assert_allclose(found.numbers["initial_infected"], 0.6, rtol=1e-7)


@pytest.mark.slow
def test_no_equilibrium_at_a_low_temperature():
    with pytest.raises(GameError, match=r"no start of .* a higher temperature, or a higher damp"):
        calibrate(epidemic(), paths()[0], parameters=NAMES, temperature=0.01, num_starts=1)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"temperature": None}, "played in discrete time, .* say at which temperature"),
        ({"temperature": 0.0}, "temperature must be finite and greater than 0"),
        ({"num_steps": 32}, "SusceptibleInfected has its own times: leave num_steps out"),
        ({"trajectories": np.zeros((6, 2))}, "the horizon of .*, 16, must be a multiple of the 5"),
        ({"parameters": ("beta",)}, "SusceptibleInfected has no number 'beta'; it has infection"),
    ],
)
def test_messages(keys, message):
    given = {
        "trajectories": np.full((17, 2), 0.5),
        "parameters": NAMES,
        "temperature": TEMPERATURE,
        **keys,
    }
    with pytest.raises(ParameterError, match=message):
        calibrate(guess(), **given)


def test_continuous_time_has_no_temperature():
    with pytest.raises(ParameterError, match="SIRContact is played in continuous time: leave"):
        calibrate(
            nf.games.SIRContact(), np.full((5, 3), 1 / 3), parameters=("beta",), temperature=1.0
        )
