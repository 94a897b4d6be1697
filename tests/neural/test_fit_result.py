"""Fits on disk: as they were to the last bit, and broken files are named."""

import json
import re

import equinox as eqx
import jax
import numpy as np
import pytest

from nashfield.games.zoo.meeting_arrival import MeetingArrival
from nashfield.neural import Fit, Inputs, NeuralMeanFieldGame, Observations, fit
from nashfield.policies.network import Network
from nashfield.storage import RunFolderError

KEY = jax.random.key(2)
# Numbers that are not the same in single precision.
GAME = MeetingArrival(nu=0.3, scheduled=11.9, duration=2.0, horizon=3)
STATES = np.random.default_rng(0).normal(12, 1, (2, 1, 5, 1))


@pytest.fixture(scope="module")
def fitted():
    """With inputs, a network of rectifiers, and another one."""
    with jax.enable_x64(True):
        network = Network.draw((6, 4, 3, 1), activation="relu", key=KEY)
        model = NeuralMeanFieldGame(GAME, drift=network, diffusion=(4,), num_inputs=1, key=KEY)
        inputs = Inputs([0.0, 1.0], [[0.0], [2.0]])
        seen = Observations([2.0], STATES, inputs)
        yield fit(model, seen, num_steps=4, look_every=2, key=KEY)


@pytest.fixture
def folder(fitted, tmp_path):
    fitted.save(tmp_path / "fit")
    return tmp_path / "fit"


def same_models(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        if eqx.is_array(a) or isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_what_was_saved_is_loaded_to_the_last_bit(fitted, folder, precision):
    found = Fit.load(folder)
    same_models(found.model, fitted.model)
    same_models(found.model.game, GAME)
    for name in ("best_loss", "best_step", "diverged_at", "seconds", "loss"):
        assert getattr(found, name) == getattr(fitted, name)
    np.testing.assert_array_equal(found.losses, fitted.losses)
    for name in ("step", "loss"):
        np.testing.assert_array_equal(found.history[name], fitted.history[name])
    assert found.folder == folder
    inputs = Inputs([0.0], [[1.0]])
    paths = [x.model.simulate(KEY, num_agents=6, inputs=inputs) for x in (found, fitted)]
    np.testing.assert_array_equal(*paths)


@pytest.mark.slow
def test_a_fit_with_a_folder_is_there(tmp_path):
    model = NeuralMeanFieldGame(GAME, drift=None, diffusion=(4,), key=KEY)
    options = {"num_steps": 3, "look_every": 2, "key": KEY}
    found = fit(model, STATES[:, 0], folder=tmp_path / "a" / "b", **options)
    again = Fit.load(tmp_path / "a" / "b")
    same_models(again.model, found.model)
    assert again.seconds == found.seconds > 0
    assert again.model.drift is None
    np.testing.assert_array_equal(again.history["step"], [0, 2, 3])
    np.testing.assert_array_equal(again.losses, found.losses)


def test_folders_hold_text_and_numbers(folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "history.csv", "solution.npz"}
    config = json.loads((folder / "config.json").read_text())
    assert config["game"]["name"] == "meeting-arrival"
    assert config["game"]["parameters"]["nu"] == 0.3
    assert config["networks"]["drift"] == {"hidden": [4, 3], "activation": "relu"}
    lines = (folder / "history.csv").read_text().splitlines()
    assert len(lines) == 4


@pytest.mark.slow
def test_a_fit_of_nothing_finite(tmp_path):
    """What diverged before its first look is kept too, and says so."""
    model = NeuralMeanFieldGame(MeetingArrival(nu=3e38), drift=(3,), diffusion=None, key=KEY)
    with pytest.warns(RuntimeWarning, match="the loss of step 0 is not finite"):
        fit(model, STATES[:, 0], num_steps=2, folder=tmp_path / "fit", key=KEY)
    found = Fit.load(tmp_path / "fit")
    assert found.diverged_at == 0
    assert found.best_loss == np.inf


def test_a_folder_that_is_not_empty(fitted, folder):
    with pytest.raises(RunFolderError, match=re.escape(str(folder))):
        fitted.save(folder)


def change(folder, **entries):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | entries
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"kind": "solve"}, "this is no fit of a neural mean-field game"),
        ({"networks": {"drift": None}}, "broken, not a fit of this game"),
        ({"networks": 3}, "broken, not a fit of this game"),
        ({"num_inputs": 0}, "broken, not a fit of this game"),
        ({"num_inputs": "many"}, "broken, not a fit of this game"),
        ({"best_step": None}, "broken, not a fit of this game"),
        ({"game": {"name": "no-such-game", "parameters": {}}}, "its game cannot be made"),
        ({"game": 3}, "names no game"),
        ({"game": {"name": "beach-bar", "parameters": {}}}, "BeachBar is no DifferentialGame"),
        (
            {
                "networks": {
                    "drift": {"hidden": [5, 3], "activation": "relu"},
                    "diffusion": {"hidden": [4], "activation": "tanh"},
                }
            },
            "its networks are of another shape than the game's",
        ),
        (
            {
                "networks": {
                    "drift": {"hidden": [4, 3], "activation": "sine"},
                    "diffusion": {"hidden": [4], "activation": "tanh"},
                }
            },
            "there is no activation 'sine'",
        ),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_configs_that_are_broken(folder, entries, message):
    change(folder, **entries)
    with pytest.raises(RunFolderError, match=message):
        Fit.load(folder)


@pytest.mark.parametrize("name", ["config.json", "solution.npz"])
def test_files_that_are_missing_or_cut(folder, name):
    path = folder / name
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(RunFolderError, match=re.escape(name)):
        Fit.load(folder)
    path.unlink()
    with pytest.raises(RunFolderError):
        Fit.load(folder)


def test_there_is_no_such_folder(tmp_path):
    with pytest.raises(RunFolderError, match="nowhere"):
        Fit.load(tmp_path / "nowhere")


class Own(MeetingArrival):
    """A game of a user's own."""


@pytest.mark.slow
def test_a_game_of_ones_own_is_passed(tmp_path):
    model = NeuralMeanFieldGame(Own(horizon=3), drift=(3,), diffusion=None, key=KEY)
    found = fit(model, STATES[:, 0], num_steps=2, key=KEY)
    found.save(tmp_path / "fit")
    with pytest.raises(RunFolderError, match=r"the game|its game"):
        Fit.load(tmp_path / "fit")
    same_models(Fit.load(tmp_path / "fit", game=Own(horizon=3)).model, found.model)
