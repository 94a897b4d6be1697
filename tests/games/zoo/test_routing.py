"""Road routing: Braess's paradox and Pigou's network in closed form."""

import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.routing import BRAESS, RoadRouting


def follow(game, turns):
    """Policy that takes the road number turns[junction] at each junction, or mixes over a list."""
    policy = np.full((game.horizon, game.num_states, game.num_actions), 1 / game.num_actions)
    for junction, turn in turns.items():
        state = game.display.states.index(junction)
        policy[:, state] = turn if isinstance(turn, list) else np.eye(game.num_actions)[turn]
    return policy


def test_braess_with_the_free_link(precision, welfare):
    game = RoadRouting()
    policy = follow(game, {"start": 0, "north": 0, "south": 0}).astype(precision)
    np.testing.assert_allclose(-welfare(game, policy), 2, rtol=1e-7)
    assert abs(nf.exploitability(game, policy)) <= 1e-12


def test_braess_without_it(precision, welfare):
    roads = tuple(road for road in BRAESS if road[:2] != ("north", "south"))
    game = RoadRouting(roads=roads)
    policy = follow(game, {"start": [0.5, 0.5]}).astype(precision)
    np.testing.assert_allclose(-welfare(game, policy), 1.5, rtol=1e-7)
    assert abs(nf.exploitability(game, policy)) <= 1e-12


def test_everyone_on_one_road_without_the_link_is_no_equilibrium():
    roads = tuple(road for road in BRAESS if road[:2] != ("north", "south"))
    game = RoadRouting(roads=roads)
    policy = follow(game, {"start": 0})
    # All pay 1 + 1 in the north; the south is free of others: 1 + 0.
    np.testing.assert_allclose(nf.exploitability(game, policy), 1, atol=1e-14)


def test_pigou(welfare):
    # Cost 1 against cost 2 x: half take each road (Pigou 1920).
    roads = (("a", "b", 1.0, 0.0, 1), ("a", "b", 0.0, 2.0, 1))
    game = RoadRouting(roads=roads, origin="a", destination="b", horizon=1)
    policy = follow(game, {"a": [0.5, 0.5]})
    np.testing.assert_allclose(-welfare(game, policy), 1, rtol=1e-14)
    assert abs(nf.exploitability(game, policy)) <= 1e-12
    np.testing.assert_allclose(nf.exploitability(game, follow(game, {"a": 1})), 1, atol=1e-14)


def test_spare_actions_take_roads_again(welfare):
    roads = (
        ("a", "b", 0.0, 1.0, 1), ("a", "b", 0.0, 1.0, 1), ("a", "m", 0.0, 0.0, 1),
        ("m", "b", 0.0, 4.0, 1), ("m", "b", 3.0, 0.0, 1),
    )  # fmt: skip
    game = RoadRouting(roads=roads, origin="a", destination="b", horizon=2)
    # Everyone to m; actions 0 and 2 there are the same road, and their shares add up.
    policy = follow(game, {"a": 2, "m": [0.25, 0.5, 0.25]})
    np.testing.assert_allclose(-welfare(game, policy), 0.5 * 2 + 0.5 * 3, rtol=1e-14)


def test_late_arrival_is_paid(welfare):
    game = RoadRouting(horizon=2, late_cost=7.0)
    policy = follow(game, {"start": 0, "north": 0})
    np.testing.assert_allclose(-welfare(game, policy), 1 + 7, rtol=1e-14)


def test_kernels(check_kernels):
    check_kernels(RoadRouting())


def test_states_are_junctions_and_places_on_roads():
    assert RoadRouting().display.states == (
        "start", "north", "south", "end", "start - south (1)", "north - end (1)"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"origin": "home"}, "origin 'home' is the end of no road; roads join"),
        ({"destination": "work"}, "destination 'work' is the end of no road; roads join"),
        ({"destination": "south"}, "no road leaves 'end', which is not the destination"),
        ({"roads": (("start", "end", 0.0, 1.0, 0),)}, "the duration of the road start - end must"),
        ({"roads": (("start", "end", np.nan, 1.0, 1),)}, "the free cost of a road must be finite"),
        ({"roads": (("start", "end", 0.0, np.inf, 1),)}, "the congestion cost of a road must be"),
        ({"horizon": 0}, "horizon must be at least 1, not 0"),
        ({"late_cost": np.nan}, "late_cost must be finite, not nan"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        RoadRouting(**parameters)
