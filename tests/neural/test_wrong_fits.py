"""Fits that lead nowhere, and arguments that are refused."""

import re

import numpy as np
import pytest
from tests.neural.free import APART, FEW, KEY, QUICK, Free, untrained

from nashfield.neural import (
    EnergyDistance,
    Inputs,
    NeuralMeanFieldGame,
    Observations,
    PairedMSE,
    fit,
)
from nashfield.results import ParameterError


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
