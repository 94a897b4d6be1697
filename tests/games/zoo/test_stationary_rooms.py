"""Stationary four rooms, against another library and a plain loop."""

import equinox as eqx
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics import sweep
from nashfield.games.zoo.stationary_rooms import ROOMS, StationaryFourRooms
from nashfield.testing import check_game

EVEN = np.full(5, 0.2)
# Made with bench-mfg-suite 0.1.3 in double precision: its FourRoomsAversion2D, at the policy
# proportional to exp(cos(x + 2 a)) (x its state, a its action: up, right, down, left, stay, where
# up raises the row), with 6000 moves of the crowd and 400 backups: entries 0, 48 and 120 of the
# stationary law, and its exploitability, which weighs regrets by that law.
PEER_LAW = (0.008756979385554121, 0.013943109436397049, 0.009099393918939696)
PEER_GAP = 5.165238605035157


def test_values_of_another_library(precision):
    x, a = np.ogrid[:121, :5]
    weights = np.exp(np.cos(x + 2 * a))[:, [0, 2, 1, 3, 4]]  # in our order of actions
    policy = (weights / weights.sum(-1, keepdims=True)).astype(precision)
    found = eqx.filter_jit(sweep)(StationaryFourRooms(noise=EVEN), policy)
    rtol = 1e-11 if precision == "float64" else 2e-5
    states = np.asarray(found.flow.states)
    np.testing.assert_allclose(states[[0, 48, 120]], PEER_LAW, rtol=rtol)
    np.testing.assert_allclose(states @ np.asarray(found.regrets), PEER_GAP, rtol=rtol)


def test_dynamics_in_a_plain_loop():
    rows, noise = ("..#", "..."), np.array([0.1, 0.2, 0.3, 0.15, 0.25])
    game = StationaryFourRooms(rows=rows, noise=noise)
    steps = [(1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)]
    table = np.asarray(game.transition(nf.FiniteMeanField(game.initial())).dense())
    for x, (r, c) in enumerate(np.ndindex(2, 3)):
        for a, (dr, dc) in enumerate(steps):
            row = np.zeros(6)
            for share, (er, ec) in zip(noise, steps, strict=True):
                to = (r + dr + er, c + dc + ec)
                free = 0 <= to[0] < 2 and 0 <= to[1] < 3 and rows[to[0]][to[1]] == "."
                row[to[0] * 3 + to[1] if free else x] += share
            np.testing.assert_allclose(table[x, a], row, atol=1e-15)
    np.testing.assert_allclose(game.initial(), np.array([1, 1, 0, 1, 1, 1]) / 5)


def test_reward():
    game = StationaryFourRooms(rows=("...",), aversion=2.0, floor=0.125)
    reward = game.reward(nf.FiniteMeanField(np.array([0.5, 0.4375, 0.0625])))
    expected = -2 * np.log([0.5, 0.4375, 0.125])
    np.testing.assert_allclose(reward, np.tile(expected[:, None], 5), rtol=1e-14)


def test_without_wind_the_uniform_policy_is_an_equilibrium(precision):
    game = StationaryFourRooms(noise=EVEN)
    found = eqx.filter_jit(sweep)(game, nf.uniform_policy(game))
    free = np.array([mark == "." for row in ROOMS for mark in row])
    eps = np.finfo(precision).eps
    np.testing.assert_allclose(found.flow.states, free / free.sum(), atol=4 * eps)
    assert abs(found.exploitability) < 10 * eps * found.value


def test_with_wind_it_is_not():
    game = StationaryFourRooms()
    assert nf.exploitability(game, nf.uniform_policy(game)) > 1


@pytest.mark.slow
def test_conforms():
    check_game(StationaryFourRooms())


def test_map_has_walls_that_nobody_enters():
    game = StationaryFourRooms()
    assert game.num_states == 121
    display = game.display
    assert display.shape == (11, 11)
    assert display.walls.sum() == 17
    table = np.asarray(game.transition(nf.FiniteMeanField(game.initial())).dense())
    entered = table[~display.walls][:, :, display.walls]
    assert not entered.any()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"noise": np.ones(5)}, "noise must sum to 1, not to 5"),
        ({"noise": np.array([2.0, -1, 0, 0, 0])}, "noise must lie between 0 and 1, not 2.0"),
        ({"noise": np.ones(4) / 4}, r"noise must be 5 probabilities, not of shape \(4,\)"),
        ({"initial_law": np.ones(3) / 3}, r"an entry for each of the 121 cells, not the shape"),
        ({"initial_law": np.zeros(121)}, "initial_law must sum to 1, not to 0"),
        ({"floor": 0.0}, "floor must be finite and greater than 0, not 0.0"),
        ({"aversion": np.inf}, "aversion must be finite, not inf"),
        ({"discount": 1.0}, "discount must lie between 0 and 1, not 1.0"),
        ({"rows": ("..", ".")}, "rows must be strings of one length"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        StationaryFourRooms(**parameters)
