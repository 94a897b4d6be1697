"""Observations of crowds and exogenous inputs: what they hold, and what they refuse."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.games.zoo.el_farol import ElFarolIntentions
from nashfield.games.zoo.meeting_arrival import MeetingArrival
from nashfield.neural.observations import Inputs, Observations, check_observations
from nashfield.results import ParameterError

STATES = np.random.default_rng(0).normal(12, 1, (3, 2, 5, 1))


def test_inputs_hold_until_the_next(precision):
    inputs = Inputs([1.0, 2.5, 4.0], [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    times = jnp.asarray([0.0, 1.0, 2.4, 2.5, 3.9, 4.0, 99.0], precision)
    found = jax.vmap(inputs.at)(times)
    np.testing.assert_array_equal(found[:, 0], [1, 1, 1, 2, 2, 3, 3])
    np.testing.assert_array_equal(found[:, 1], 10 * np.asarray(found[:, 0]))


@pytest.mark.parametrize(
    ("times", "values", "message"),
    [
        ([0.0, 1.0], [[1.0]], "not (2,) and (1, 1)"),
        ([0.0], [1.0], "not (1,) and (1,)"),
        ([0.0], [[]], "none of which is 0, not (1,) and (1, 0)"),
        ([0.0, np.nan], [[1.0], [2.0]], "times and values of inputs must be finite"),
        ([0.0, 1.0], [[1.0], [np.inf]], "times and values of inputs must be finite"),
        ([1.0, 1.0], [[1.0], [2.0]], "the times of inputs must increase"),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_inputs_out_of_order(times, values, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        Inputs(times, values)


def test_last_turn_of_the_line_and_the_plane():
    game = MeetingArrival(duration=7.0)
    for states in (STATES[:, 1, :, 0], STATES[:, 1], STATES[:, 1].tolist()):
        found = Observations.last_turn(game, states)
        np.testing.assert_array_equal(found.states, STATES[:, 1:])
        np.testing.assert_array_equal(found.times, [7.0])
        assert not found.from_the_start
        assert found.num_games == 3


@pytest.mark.parametrize("shape", [(3,), (3, 5, 2), (3, 2, 5, 1)])
def test_last_turn_of_another_shape(shape):
    with pytest.raises(ParameterError, match=re.escape(f"state_dim = 1, not {shape}")):
        Observations.last_turn(MeetingArrival(), np.zeros(shape))


def test_from_the_start():
    assert Observations([0.0, 1.0], STATES).from_the_start
    assert not Observations([0.5, 1.0], STATES).from_the_start


@pytest.mark.parametrize(
    ("times", "states", "message"),
    [
        ([0.0, 1.0], STATES[0], "not (2,) and (2, 5, 1)"),
        ([0.0], STATES, "not (1,) and (3, 2, 5, 1)"),
        ([0.0, 1.0], STATES[:, :, :0], "not (2,) and (3, 2, 0, 1)"),
        ([1.0, 0.0], STATES, "the times of observations must be finite and increase"),
        ([0.0, 0.0], STATES, "the times of observations must be finite and increase"),
        ([0.0, np.nan], STATES, "the times of observations must be finite and increase"),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_observations_out_of_order(times, states, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        Observations(times, states)


def test_the_agent_who_is_missing_is_named():
    states = STATES.copy()
    states[2, 1, 3, 0] = np.nan
    message = "game 2, time 1, agent 3 is nan; leave agents out who were not seen"
    with pytest.raises(ParameterError, match=re.escape(message)):
        Observations([0.0, 1.0], states)


def test_inputs_of_other_games():
    inputs = Inputs([0.0], np.zeros((2, 1, 1)))
    with pytest.raises(ParameterError, match="inputs are of 2 games, but observations of 3"):
        Observations([0.0, 1.0], STATES, inputs)
    Observations([0.0, 1.0], STATES, Inputs([0.0], np.zeros((3, 1, 1))))


def test_what_is_no_observation():
    message = "validation must be neural.Observations, or states of the last turn, not str"
    with pytest.raises(TypeError, match=re.escape(message)):
        check_observations(MeetingArrival(), "data", "validation")


@pytest.mark.parametrize(
    ("game", "times", "states", "message"),
    [
        (
            MeetingArrival(),
            [0.0, 1.0],
            np.zeros((1, 2, 4, 2)),
            "have states of dimension 2, those of MeetingArrival have 1",
        ),
        (
            MeetingArrival(),
            [0.0, 16.0],
            STATES,
            "times 0 to 16, but MeetingArrival lasts from 0 to 15: set its duration, or leave",
        ),
        (MeetingArrival(), [-1.0, 3.0], STATES, "are from times -1 to 3"),
        (MeetingArrival(), [0.0], STATES[:, :1], "are from times 0 to 0"),
        (
            ElFarolIntentions(),
            [0.0, 1.0],
            STATES,
            "outside the domain of ElFarolIntentions, from [0.] to [1.]: the least is "
            f"{STATES.min():g}, the greatest {STATES.max():g}",
        ),
    ],
)
def test_observations_of_another_game(game, times, states, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        check_observations(game, Observations(times, states))


def test_the_end_may_be_rounded():
    check_observations(MeetingArrival(), Observations([np.float32(15) * (1 + 1e-7)], STATES[:, :1]))
