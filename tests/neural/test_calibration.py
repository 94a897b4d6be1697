"""Numbers of a game from paths of its crowd: with and without noise, and every message."""

import numpy as np
import pytest

import nashfield as nf
from nashfield.neural import calibrate
from nashfield.results import GameError, ParameterError

LAWS = np.array([[0.9, 0.1, 0], [0.99, 0.01, 0], [0.7, 0.3, 0], [0.5, 0.05, 0.45]])
NAMES = ("beta", "gamma", "c_I")
# Fewer starts and time steps than by default: the same answers, sooner.
QUICK = {"num_starts": 1, "num_steps": 40}


def paths(c_I, num_paths, noise=0.0, seed=0):
    """41 times of the equilibrium on a finer grid than the calibration's."""
    games = [nf.games.SIRContact(c_I=c_I, initial_law=law) for law in LAWS[:num_paths]]
    clean = [game.equilibrium(num_steps=400).flow.states[::10] for game in games]
    drawn = np.random.default_rng(seed).normal(size=(num_paths, 41, 3))
    return np.stack([np.asarray(path) for path in clean]) + noise * drawn


def guess(**changes):
    return nf.games.SIRContact(**{"beta": 0.7, "gamma": 0.25, "c_I": 0.5, **changes})


def off(found, c_I):
    truth = {"beta": 0.4, "gamma": 0.125, "c_I": c_I}
    return {name: abs(float(found.numbers[name]) / truth[name] - 1) for name in NAMES}


@pytest.mark.slow
@pytest.mark.parametrize("c_I", [1.0, 0.1])
def test_without_noise(c_I):
    found = calibrate(guess(), paths(c_I, 1)[0], parameters=NAMES)
    assert max(off(found, c_I).values()) < 1e-5
    assert float(found.loss) < 1e-16
    np.testing.assert_allclose(found.paths, paths(c_I, 1), atol=1e-7)


@pytest.mark.slow
def test_what_was_not_seen():
    """Only two of three shares, and not every day."""
    clean = paths(1.0, 1)[0]
    seen = clean.copy()
    seen[:, 2] = np.nan
    seen[5:9] = np.nan
    found = calibrate(guess(), seen, parameters=NAMES, **QUICK)
    assert max(off(found, 1.0).values()) < 1e-3
    assert float(found.loss) < 1e-12
    np.testing.assert_allclose(found.paths[0], clean, atol=1e-5)
    assert float(found.game.beta) == float(found.numbers["beta"])
    assert float(found.game.c_a) == 1.0


@pytest.mark.slow
def test_with_noise_one_path():
    found = calibrate(guess(), paths(1.0, 1, 1e-3), parameters=NAMES)
    missed = off(found, 1.0)
    assert missed["beta"] < 0.01 and missed["gamma"] < 0.01 and missed["c_I"] < 0.05
    # Noise is what is left, and errors are what it makes of it.
    assert 0.7e-6 < float(found.loss) < 1.3e-6
    assert all(missed[name] < 4 * float(found.standard_errors[name]) for name in NAMES)


@pytest.mark.slow
def test_with_noise_four_paths():
    found = calibrate(guess(), paths(0.1, 4, 1e-3), parameters=NAMES, initial_laws=LAWS)
    missed = off(found, 0.1)
    assert missed["beta"] < 0.01 and missed["gamma"] < 0.01 and missed["c_I"] < 0.10


@pytest.mark.slow
def test_only_the_ratio_of_costs_is_there():
    with pytest.raises(GameError, match="do not tell c_I and c_a apart"):
        calibrate(
            guess(),
            paths(1.0, 1),
            parameters=("c_I", "c_a"),
            num_starts=1,
            num_steps=40,
            num_iterations=5,
        )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"parameters": ("bta",)}, "SIRContact has no number 'bta'; it has beta, gamma, c_a, c_I"),
        ({"parameters": ()}, r"name the numbers to find, as in parameters=\('beta',\)"),
        ({"parameters": ("beta", "beta")}, "parameters must name numbers, each one once"),
        ({"num_starts": 0}, "num_starts must be at least 1, not 0"),
        ({"num_iterations": 0}, "num_iterations must be at least 1, not 0"),
        ({"num_steps": 30}, "num_steps must be a multiple of the 40 steps"),
        ({"spread": -1.0}, "spread must be finite and at least 0"),
        ({"damping": 1.0}, "damping must lie between 0 and"),
        ({"initial_laws": LAWS}, r"initial_laws must have shape .* = \(1, 3\), not \(4, 3\)"),
        ({"initial_laws": [[0.5, 0.1, 0.1]]}, "every row of initial_laws must be shares"),
        ({"trajectories": np.zeros((5, 2))}, r"trajectories must have shape .* not \(5, 2\)"),
        ({"trajectories": np.full((5, 3), np.nan)}, "trajectories must be finite, or NaN"),
        ({"trajectories": np.full((5, 3), np.inf)}, "trajectories must be finite, or NaN"),
        ({"trajectories": np.full((41, 3), 300.0)}, "go from 300 to 300: divide counts by"),
        ({"trajectories": "paths.csv"}, "trajectories must be an array of shares"),
    ],
)
def test_messages(keys, message):
    given = {"trajectories": np.full((41, 3), 1 / 3), "parameters": NAMES, **keys}
    with pytest.raises(ParameterError, match=message):
        calibrate(guess(), **given)


def test_numbers_begin_positive():
    with pytest.raises(ParameterError, match="c_I must begin with a positive number, not 0"):
        calibrate(guess(c_I=0.0), np.full((41, 3), 1 / 3), parameters=NAMES)


def test_other_games(without_type_checks):
    with pytest.raises(TypeError, match=r"calibrate takes a game on finitely.*, not MalwareSpread"):
        calibrate(nf.games.MalwareSpread(), np.zeros((5, 3)), parameters=NAMES)
