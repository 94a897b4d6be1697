"""Fits: a truth that is known is found, and what goes wrong is told."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.games.differential import DifferentialGame
from nashfield.games.zoo.meeting_arrival import MeetingArrival
from nashfield.mean_fields import Gaussian
from nashfield.neural import (
    EnergyDistance,
    Fit,
    Inputs,
    NeuralMeanFieldGame,
    Observations,
    PairedMSE,
    Wasserstein,
    fit,
)
from nashfield.neural import training as training_module
from nashfield.results import ParameterError
from nashfield.storage import RunFolderError
from nashfield.typing import Scalar, scalar

KEY = jax.random.key(5)


class Free(DifferentialGame):
    """Nobody pays for anything: all that moves agents is noise, and what is learnt."""

    weight: Scalar = eqx.field(converter=scalar, default=0.0)
    nu: Scalar = eqx.field(converter=scalar, default=0.125)
    common_noise: Scalar = eqx.field(converter=scalar, default=0.0)
    duration: Scalar = eqx.field(converter=scalar, default=2.0)
    horizon: int = 5
    state_dim: int = 1
    control_dim: int = 1

    def initial(self):
        return Gaussian(np.zeros(1), 0.09 * np.eye(1))

    def statistic(self, mean_field):
        return mean_field.mean()[0]

    def cost(self, t, x, statistic):
        return self.weight * x[0] ** 4


def untrained(game=None, num_inputs=0, drift=(4,), diffusion=None):
    game = Free() if game is None else game
    return NeuralMeanFieldGame(
        game, drift=drift, diffusion=diffusion, num_inputs=num_inputs, key=jax.random.key(1)
    )


def ornstein_uhlenbeck(num_games, num_agents, times, *, c=2.0, s=0.8, start=None, seed=0):
    """dX = (c - X) dt + s dW from N(0, .09), at its exact law."""
    rng = np.random.default_rng(seed)
    x = 0.3 * rng.normal(size=(num_games, num_agents)) if start is None else start
    states, before = [], 0.0
    for t in times:
        keep = np.exp(-(t - before))
        spread = s * ((1 - keep**2) / 2) ** 0.5
        x = c + (x - c) * keep + spread * rng.normal(size=x.shape)
        states, before = [*states, x], t
    return np.stack(states, 1)[..., None]


QUICK = {"num_steps": 4, "look_every": 2, "learning_rate": 1e-3, "key": KEY}
FEW = ornstein_uhlenbeck(3, 6, [2.0])[:, 0]


@pytest.mark.slow
@pytest.mark.parametrize("loss", [None, EnergyDistance()])
def test_a_known_law_is_found_at_the_last_turn(loss):
    """Mean and deviation within 4 standard errors of the 1,000 agents, and 3% of the spread."""
    seen = ornstein_uhlenbeck(20, 50, [2.0])[:, 0]
    model = untrained(drift=(16,), diffusion=(16,))
    found = fit(model, seen, loss=loss, num_steps=400, key=KEY)
    ends = np.asarray(found.model.simulate(KEY, num_agents=20_000, times=[2.0]))[0, :, 0]
    mean = 2 - 2 * np.exp(-2)
    spread = (0.09 * np.exp(-4) + 0.32 * (1 - np.exp(-4))) ** 0.5
    print(f"mean {ends.mean():.4f} of {mean:.4f}, deviation {ends.std():.4f} of {spread:.4f}")
    assert abs(ends.mean() - mean) < 4 * spread / 1000**0.5 + 0.03 * spread
    assert abs(ends.std() - spread) < 4 * spread / 2000**0.5 + 0.03 * spread
    assert found.best_loss < found.history["loss"][0] / 20


@pytest.mark.slow
def test_a_whole_trajectory_gives_the_drift():
    """From where agents were seen at time 0: mean and deviation at every time."""
    times = [0.4, 0.8, 1.2, 1.6, 2.0]
    rng = np.random.default_rng(3)
    start = rng.uniform(-1, 1, (20, 1)) + 0.3 * rng.normal(size=(20, 50))
    after = ornstein_uhlenbeck(20, 50, times, start=start)
    states = np.concatenate([start[:, None, :, None], after], 1)
    model = untrained(Free(nu=0.32, horizon=20), drift=(16,))  # sigma is .8, as in the data
    found = fit(model, Observations([0.0, *times], states), num_steps=400, key=KEY)
    simulated = np.stack(
        [
            found.model.simulate(key, num_agents=50, times=times, start=jnp.asarray(x)[:, None])
            for key, x in zip(jax.random.split(KEY, 20), start, strict=True)
        ]
    )
    for i, t in enumerate(times):
        seen = after[:, i]
        assert abs(simulated[:, i].mean() - seen.mean()) < 4 * seen.std() / 500**0.5, t
        assert abs(simulated[:, i].std() / seen.std() - 1) < 4 / 1000**0.5, t
    # Of a typical agent, the drift itself.
    x = jnp.asarray([[0.2], [0.8], [1.4]])
    drift = found.model.speeds(jnp.asarray(1.0), x).drift
    np.testing.assert_allclose(drift, 2 - x, atol=0.4)


@pytest.mark.slow
def test_inputs_are_learnt_for_all_games_at_once():
    """An input that pushes by 1.5 after t = 1, the same in all games, seen at six times."""
    times = np.linspace(0, 2, 6)[1:]
    rng = np.random.default_rng(0)
    noise = np.cumsum(rng.normal(size=(10, 5, 40)) * 0.2**0.5 * 0.5, 1)
    start = 0.3 * rng.normal(size=(10, 1, 40))
    push = 1.5 * np.maximum(times - 1.2, 0)[:, None]
    inputs = Inputs([0.0, 1.2], [[0.0], [1.0]])
    model = untrained(Free(horizon=10), num_inputs=1, drift=(8,))
    seen = Observations(times, (start + noise + push)[..., None], inputs)
    found = fit(model, seen, num_steps=300, key=KEY)
    ends = [
        np.asarray(found.model.simulate(KEY, num_agents=5000, times=times, inputs=u))[-1].mean()
        for u in (inputs, Inputs([0.0], [[0.0]]))
    ]
    assert abs(ends[0] - 1.2) < 0.12
    assert ends[0] - ends[1] > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_inputs_of_each_game_are_told_apart(seed):
    """Half of the games are pushed by 1 per unit of time: only they, and that way round.

    All games in one heap would be as well explained by the others being pushed.
    """
    rng = np.random.default_rng(0)
    pushed = np.arange(20) % 2
    noise = rng.normal(size=(20, 40)) * (0.09 + 0.25 * 2) ** 0.5
    states = noise + 2.0 * pushed[:, None]
    inputs = Inputs([0.0], pushed[:, None, None].astype(float))
    seen = Observations([2.0], states[:, None, :, None], inputs)
    key = jax.random.key(seed)
    model = NeuralMeanFieldGame(Free(), drift=(8,), diffusion=None, num_inputs=1, key=key)
    found = fit(model, seen, num_steps=200, key=key)
    ends = [
        np.asarray(
            found.model.simulate(KEY, num_agents=5000, times=[2.0], inputs=Inputs([0.0], [[u]]))
        )
        for u in (0.0, 1.0)
    ]
    shift = ends[1].mean() - ends[0].mean()
    exact = states[pushed == 1].mean() - states[pushed == 0].mean()
    print(f"shift {shift:.3f} of {exact:.3f}")
    assert abs(shift - exact) < 0.2
    assert abs(ends[0].mean() - states[pushed == 0].mean()) < 0.1


APART = Observations([2.0], FEW[:, None], Inputs([0.0], [[[0.0]], [[1.0]], [[2.0]]]))


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


def test_a_fit_that_diverges_gives_the_last_good_weights():
    """A quartic cost by steps of .4: as soon as agents get far they are thrown to infinity."""
    model = untrained(Free(weight=1.0, nu=0.01))
    with pytest.warns(RuntimeWarning, match=r"the loss of step \d+ is not finite: the weights of"):
        found = fit(model, FEW + 30, num_steps=60, look_every=5, learning_rate=3.0, key=KEY)
    assert found.diverged_at is not None
    assert found.diverged_at == len(found.losses[np.isfinite(found.losses)])
    assert found.best_step <= found.diverged_at
    assert np.isfinite(found.best_loss)
    assert found.seconds > 0
    states = found.model.simulate(KEY, num_agents=10)
    assert np.isfinite(states).all()


@pytest.mark.slow
def test_a_game_that_explodes_at_once():
    model = untrained(Free(weight=1e6, nu=10.0))
    with pytest.warns(RuntimeWarning, match="the loss of step 0 is not finite: the weights of"):
        found = fit(model, FEW, **QUICK)
    assert found.diverged_at == 0
    assert found.best_step == 0
    assert found.best_loss == np.inf


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


@pytest.mark.slow
def test_paired_agents_begin_as_they_were_seen():
    """With the loss that compares one by one, a push of 1 in 2 units is found to the digit."""
    start = np.random.default_rng(0).normal(size=(4, 1, 5, 1))
    seen = Observations([0.0, 2.0], np.concatenate([start, start + 1], 1))
    model = untrained(Free(nu=0.0), drift=(4,))
    found = fit(model, seen, loss=PairedMSE(), num_steps=60, learning_rate=0.05, key=KEY)
    assert found.best_loss < 0.01
    ends = found.model.simulate(KEY, num_agents=5, times=[2.0], start=jnp.asarray(start[0, 0]))
    np.testing.assert_allclose(ends[0], start[0, 0] + 1, atol=0.3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"num_steps": 0}, ParameterError, "num_steps must be at least 1, not 0"),
        ({"batch_size": 0}, ParameterError, "batch_size must be at least 1, not 0"),
        ({"look_every": 0}, ParameterError, "look_every must be at least 1, not 0"),
        ({"patience": 0}, ParameterError, "patience must be at least 1, not 0"),
        ({"num_crowds": 0}, ParameterError, "num_crowds must be at least 1, not 0"),
        ({"learning_rate": 0.0}, ParameterError, "learning_rate must be finite and greater than 0"),
        (
            {"observations": 3.0},
            TypeError,
            "observations must be neural.Observations, or states of",
        ),
        ({"validation": 3.0}, TypeError, "validation must be neural.Observations, or states of"),
        ({"observations": FEW[0, 0]}, ParameterError, "states of the last turn must have shape"),
        (
            {"observations": Observations([9.0], FEW[:, None])},
            ParameterError,
            "observations are from times 9 to 9, but Free lasts from 0 to 2",
        ),
        (
            {"observations": Observations([2.0], FEW[:, None], Inputs([0.0], [[1.0]]))},
            ParameterError,
            "the model takes 0 exogenous inputs, but 1 are given",
        ),
        (
            {"model": NeuralMeanFieldGame(Free(), drift=None, diffusion=None, key=KEY)},
            ParameterError,
            "there is nothing to fit: give the model a drift or a diffusion",
        ),
        (
            {"loss": PairedMSE(), "num_crowds": 7},
            ParameterError,
            "PairedMSE compares agents one by one, but 42 are simulated and 18 observed",
        ),
        (
            {"model": untrained(num_inputs=1), "observations": APART, "num_crowds": 7},
            ParameterError,
            "num_crowds must be a multiple of the 3 games of a step, as each game has inputs of",
        ),
        (
            {"loss": EnergyDistance(), "observations": FEW[:1, :1]},
            ParameterError,
            "EnergyDistance needs 2 agents or more",
        ),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_fits_that_cannot_be(change, error, message):
    options = {"model": untrained(), "observations": FEW, **QUICK, **change}
    with pytest.raises(error, match=re.escape(message)):
        fit(options.pop("model"), options.pop("observations"), **options)


def test_where_crowds_start_says_nothing_alone():
    with pytest.raises(ParameterError, match="are from times 0 to 0"):
        fit(untrained(), Observations([0.0], FEW[:, None]), **QUICK)


@pytest.mark.slow
def test_a_meeting_by_default():
    """The defaults on the game they were made for: ten games around 15."""
    seen = 15 + 0.8 * np.random.default_rng(0).normal(size=(10, 42))
    found = fit(NeuralMeanFieldGame(MeetingArrival(), key=KEY), seen, key=KEY)
    assert found.best_loss < 0.02
