"""How a fit goes: steps, looks, what is kept, and in which precision."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.neural.free import APART, FEW, KEY, QUICK, Free, untrained

from nashfield.neural import (
    EnergyDistance,
    Fit,
    Inputs,
    Observations,
    PairedMSE,
    Wasserstein,
    fit,
)
from nashfield.neural import training as training_module
from nashfield.storage import RunFolderError


@pytest.mark.slow
def test_games_with_inputs_of_their_own_are_compared_one_by_one():
    """The loss of one step and of one look, game by game, in a plain loop."""
    seen = []

    def advance(training, weights):
        seen.append((training, weights))
        return training_module.advance(training, weights)

    model = untrained(num_inputs=1, drift=(7,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nashfield.neural.fitting.advance", advance)
        found = fit(model, APART, **{**QUICK, "num_steps": 1})
    assert "EnergyDistance" in found.loss
    training, weights = seen[0]
    assert training.crowds == 12  # a multiple of 3, and 10 at least
    model, crowds = training.with_networks(weights.networks), 60
    start_key, key = jax.random.split(training.look_key)
    starts = model.game.initial().sample(start_key, crowds * 6).astype("float32")
    keys = jax.random.split(key, crowds)
    times = jnp.asarray([2.0], "float32")
    roll = eqx.filter_jit(lambda start, u, key: model.roll(start, times, u, key=key)[0])
    losses = []
    for game in range(3):
        inputs = Inputs(np.zeros(1, "f"), np.full((1, 1), game, "f"))
        ends = [
            roll(starts.reshape(crowds, 6, 1)[i], inputs, keys[i]) for i in range(game, crowds, 3)
        ]
        observed = jnp.asarray(FEW[game], "float32")
        losses.append(EnergyDistance()(jnp.concatenate(ends), observed))
    np.testing.assert_allclose(found.history["loss"][0], np.mean(losses), rtol=1e-4)


def test_a_short_fit_gets_nearer():
    """A few steps towards a crowd two units away."""
    found = fit(untrained(), FEW, num_steps=40, look_every=10, learning_rate=0.05, key=KEY)
    assert list(found.history["step"]) == [0, 10, 20, 30, 40]
    assert found.best_loss == found.history["loss"].min()
    assert found.history["step"][np.argmin(found.history["loss"])] == found.best_step
    assert found.best_loss < found.history["loss"][0] / 2
    assert found.losses.shape == (40,)
    assert np.isfinite(found.losses).all()
    assert found.diverged_at is None
    assert found.seconds > 0
    assert "Wasserstein" in found.loss
    again = fit(untrained(), FEW, num_steps=40, look_every=10, learning_rate=0.05, key=KEY)
    np.testing.assert_array_equal(again.losses, found.losses)
    for one, other in zip(leaves(again), leaves(found), strict=True):
        np.testing.assert_array_equal(one, other)
    # The model given is as it was.
    assert untrained().drift.weights[0].tolist() != found.model.drift.weights[0].tolist()


def leaves(found):
    return [np.asarray(x) for x in jax.tree.leaves(eqx.filter(found.model, eqx.is_array))]


@pytest.mark.slow
def test_last_steps_that_fill_no_chunk():
    """Five steps with looks every two: the last look is at five, and no step is counted twice."""
    found = fit(untrained(), FEW, **{**QUICK, "num_steps": 5})
    assert list(found.history["step"]) == [0, 2, 4, 5]
    assert found.losses.shape == (5,)


def test_looks_change_nothing():
    """Six steps in chunks of four or of three: the last look sees the same weights."""
    four, three = (
        fit(untrained(), FEW, **{**QUICK, "num_steps": 6, "look_every": every}) for every in (4, 3)
    )
    assert list(four.history["step"]) == [0, 4, 6]
    assert list(three.history["step"]) == [0, 3, 6]
    np.testing.assert_allclose(four.history["loss"][-1], three.history["loss"][-1], rtol=1e-5)
    np.testing.assert_allclose(four.losses, three.losses, rtol=1e-5)
    assert abs(four.history["loss"][1] / four.history["loss"][-1] - 1) > 1e-4  # steps matter


def test_moments_that_hardly_differ_are_not_blown_up():
    """One game as wide as crowds are at first: its deviation tells 1% of their range."""
    game = Free()
    place = np.linspace(-1, 1, 41)
    states = 3 + 0.3 * place / place.std()
    seen = Observations.last_turn(game, states[None])
    model = training_module.standardised(untrained(game), seen, KEY)
    half = float(model.look.scale[0])
    _, _, statistic, mean, deviation = np.asarray(model.look.scale)
    assert half > 1.5
    np.testing.assert_allclose([statistic, mean], 1.5, atol=0.2)
    np.testing.assert_allclose(deviation, 0.1 * half, rtol=1e-6)


@pytest.mark.slow
def test_only_networks_are_trained():
    game = Free(nu=0.3)
    model = untrained(game, diffusion=(3,))
    found = fit(model, FEW, **{**QUICK, "learning_rate": 0.1}).model
    for name in ("drift", "diffusion"):
        old, new = getattr(model, name), getattr(found, name)
        assert np.all(np.asarray(old.weights[-1]) != np.asarray(new.weights[-1]))
    for name in ("weight", "nu", "common_noise", "duration"):
        old, new = getattr(game, name), getattr(found.game, name)
        assert old.dtype == new.dtype
        assert old == new
    np.testing.assert_array_equal(found.unit, model.unit)


@pytest.mark.slow
def test_patience_ends_a_fit_that_gets_no_better():
    """At a learning rate of nothing much every look is the same; the same is not better."""
    found = fit(untrained(), FEW, **{**QUICK, "num_steps": 40, "learning_rate": 1e-30}, patience=3)
    assert list(found.history["step"]) == [0, 2, 4, 6]
    assert found.best_step == 0
    assert found.losses.shape == (6,)


@pytest.mark.slow
def test_validation_judges():
    """Other games, elsewhere: looks are at them, steps at the others."""
    other = Observations.last_turn(Free(), FEW + 50)
    found = fit(untrained(), FEW, validation=other, **QUICK)
    plain = fit(untrained(), FEW, **QUICK)
    np.testing.assert_array_equal(found.losses, plain.losses)
    assert found.history["loss"].min() > 40**2 > plain.history["loss"].max()


def test_lines_of_progress(capsys, monkeypatch):
    monkeypatch.setattr("nashfield.progress._PATIENCE", -1.0)
    monkeypatch.setattr("nashfield.progress._SECONDS_BETWEEN_LINES", 0.0)
    fit(untrained(), FEW, progress=True, **QUICK)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "compiling, then fitting ..."
    assert re.fullmatch(r"iteration 4/4, loss \d\.\d+e[+-]\d+, [\d.e+]+ it/s", lines[-1])
    fit(untrained(), FEW, progress=False, **QUICK)
    assert capsys.readouterr().err == ""


def test_the_folder_is_kept_at_every_look(tmp_path, monkeypatch):
    """A fit that is killed in its third chunk leaves its second look."""
    chunks, advance = [], training_module.advance

    def killed(training, weights):
        chunks.append(weights)
        if len(chunks) == 3:
            raise KeyboardInterrupt
        return advance(training, weights)

    monkeypatch.setattr("nashfield.neural.fitting.advance", killed)
    options = {**QUICK, "num_steps": 8, "learning_rate": 0.05}
    with pytest.raises(KeyboardInterrupt):
        fit(untrained(), FEW, folder=tmp_path / "run", **options)
    monkeypatch.undo()
    left = Fit.load(tmp_path / "run", game=Free())
    assert list(left.history["step"]) == [0, 2, 4]
    whole = fit(untrained(), FEW, **options)
    np.testing.assert_array_equal(left.history["loss"], whole.history["loss"][:3])
    np.testing.assert_array_equal(left.losses, whole.losses[:4])
    with pytest.raises(RunFolderError, match="run"):
        fit(untrained(), FEW, folder=tmp_path / "run", **QUICK)


@pytest.mark.slow
def test_another_number_compiles_nothing(monkeypatch):
    """Another learning rate, number of steps, key, data and number of the game."""
    num_traces, batch_loss = 0, training_module._batch_loss

    def counted(*arguments):
        nonlocal num_traces
        num_traces += 1
        return batch_loss(*arguments)

    monkeypatch.setattr(training_module, "_batch_loss", counted)
    fit(untrained(drift=(5,)), FEW, **QUICK)  # a width that no other test has
    before = num_traces
    assert before > 0
    other = {**QUICK, "learning_rate": 0.3, "num_steps": 7, "key": jax.random.key(0)}
    observations = Observations.last_turn(Free(duration=3.0), FEW + 0.1)
    fit(untrained(Free(nu=0.7, duration=3.0), drift=(5,)), observations, **other)
    assert num_traces == before


@pytest.mark.slow
def test_training_is_in_single_precision(monkeypatch):
    """But for the count of steps, though JAX's own is double precision."""
    seen = []

    def advance(training, weights):
        seen.append(str(eqx.filter_make_jaxpr(training_module.advance)(training, weights)[0]))
        return training_module.advance(training, weights)

    monkeypatch.setattr("nashfield.neural.fitting.advance", advance)
    inputs = Inputs([0.0, 1.0], [[0.0], [1.0]])
    start = Observations([0.0, 2.0], np.stack([FEW - 1, FEW], 1), inputs)
    fit(untrained(diffusion=(3,), num_inputs=1), start, **QUICK)
    assert "f32[" in seen[0]
    assert not re.search(r"f64\[\d", seen[0])


@pytest.mark.slow
@pytest.mark.parametrize("loss", [PairedMSE(), Wasserstein(), EnergyDistance()])
def test_every_loss_can_be_fitted(precision, loss):
    """In single precision whatever JAX's own is."""
    found = fit(untrained(diffusion=(3,)), FEW, loss=loss, **QUICK)
    assert found.model.drift.weights[0].dtype == np.float32
    assert np.isfinite(found.losses).all()
