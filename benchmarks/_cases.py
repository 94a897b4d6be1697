"""The games of the comparison: the peer's name and options, and the same game here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import equinox as eqx
import numpy as np

import nashfield as nf
from nashfield.games.base import FiniteGame
from nashfield.games.kernels import predecessor_lists

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Setting:
    """One of the peer's algorithms with its options, and who published these."""

    algorithm: str
    options: dict[str, Any] = field(default_factory=dict)
    source: str = "the package's defaults"

    def __str__(self) -> str:
        options = ", ".join(f"{k}={v}" for k, v in self.options.items())
        return f"{self.algorithm}({options})"


@dataclass(frozen=True)
class Case:
    """A game on both sides.

    Attributes:
        label: for the tables.
        peer_name: what the peer calls it.
        options: the peer's parameters.
        make: from arrays that the peer drew at random (or read off its states) to our game.
        published: settings that the peer's authors published for this game.
    """

    label: str
    peer_name: str
    options: dict[str, Any]
    make: Callable[[Arrays], FiniteGame]
    published: tuple[Setting, ...] = ()


def _random_linear(num_states: int, horizon: int) -> Callable[[Arrays], FiniteGame]:
    def make(arrays: Arrays) -> FiniteGame:
        game = nf.games.RandomLinear(
            num_states=num_states, num_actions=num_states, horizon=horizon, coupling=1.0
        )
        names = ("p1", "p2", "r1", "r2")
        return eqx.tree_at(
            lambda g: [getattr(g, name) for name in names],
            game,
            [np.asarray(arrays[name], np.float64) for name in names],
        )

    return make


def _crowd_motion(arrays: Arrays) -> FiniteGame:
    targets = np.asarray(arrays["bars"], np.float64)
    return nf.games.CrowdMotion(horizon=len(targets), targets=targets)


_DEFAULT_SETTINGS = tuple(
    Setting(name) for name in ("OnlineMirrorDescent", "FictitiousPlay", "PriorDescent", "MFOMO")
)
_PLOTS = "mfglib's documentation, plots of the algorithms page"
_EXAMPLES = "mfglib's documentation, examples page"
_SCRIPT = "example.py of mfglib's repository"
_INCLUSION = "OccupationMeasureInclusion"


def _inclusion(alpha: float) -> Setting:
    return Setting(_INCLUSION, {"alpha": alpha}, _SCRIPT)


MFGLIB_DEFAULTS = _DEFAULT_SETTINGS
"""All their algorithms at their defaults; the fastest counts."""

MFGLIB = (
    Case(
        "left-right",
        "left_right",
        {},
        lambda _: nf.games.LeftRight(),
        published=(_inclusion(1.0),),
    ),
    Case(
        "rock-paper-scissors",
        "rock_paper_scissors",
        {},
        lambda _: nf.games.RockPaperScissors(),
        published=(
            *(Setting("OnlineMirrorDescent", {"alpha": a}, _PLOTS) for a in (0.01, 0.1)),
            *(Setting("FictitiousPlay", {"alpha": a}, _PLOTS) for a in (0.1, 0.5)),
            Setting("PriorDescent", {"eta": 1.0, "n_inner": 20}, _PLOTS),
            *(
                Setting("MFOMO", {"optimizer": {"name": "Adam", "config": {"lr": lr}}}, _PLOTS)
                for lr in (0.01, 1.0)
            ),
        ),
    ),
    Case(
        "susceptible-infected",
        "susceptible_infected",
        {},
        lambda _: nf.games.SusceptibleInfected(),
        published=(_inclusion(10.0), _inclusion(1.0)),
    ),
    Case(
        "beach-bar",
        "beach_bar",
        {},
        lambda _: nf.games.BeachBar(num_states=4, horizon=3),
        published=(Setting("FictitiousPlay", {"alpha": 0.13}, _EXAMPLES), _inclusion(1.0)),
    ),
    Case(
        "crowd-motion",
        "crowd_motion",
        {},
        _crowd_motion,
        published=(_inclusion(1e-4),),
    ),
    Case(
        "building-evacuation",
        "building_evacuation",
        {},
        lambda _: nf.games.BuildingEvacuation(),
        published=(
            Setting("OnlineMirrorDescent", {"alpha": 5e-3}, _EXAMPLES),
            _inclusion(3e-4),
        ),
    ),
    Case(
        "finite-linear-quadratic",
        "linear_quadratic",
        {},
        lambda _: nf.games.FiniteLinearQuadratic(),
        published=(_inclusion(1.0),),
    ),
    Case(
        "equilibrium-price",
        "equilibrium_price",
        {},
        lambda _: nf.games.EquilibriumPrice(),
        published=(_inclusion(1.0),),
    ),
    Case(
        "conservative-treasure-hunting",
        "conservative_treasure_hunting",
        {},
        lambda _: nf.games.ConservativeTreasureHunting(),
        published=(_inclusion(1.0),),
    ),
    Case(
        "random-linear",
        "random_linear",
        {},
        _random_linear(5, 4),
        published=(_inclusion(1.0),),
    ),
)
"""mfglib's ten games at its default sizes; its T = n is a horizon of n + 1 here."""

MFGLIB_LARGE = (
    Case(
        "beach-bar 100",
        "beach_bar",
        {"T": 20, "n": 100, "bar_loc": 50},
        lambda _: nf.games.BeachBar(num_states=100, horizon=21),
    ),
    Case("crowd-motion 20x20", "crowd_motion", {"T": 10}, _crowd_motion),
    Case(
        "building 3x8x8",
        "building_evacuation",
        {"T": 20, "n_floor": 3, "floor_l": 8, "floor_w": 8},
        lambda _: nf.games.BuildingEvacuation(num_floors=3, num_rows=8, num_columns=8, horizon=21),
    ),
    Case(
        "linear-quadratic 41",
        "linear_quadratic",
        {"T": 10, "el": 20, "k": 0.97},
        lambda _: nf.games.FiniteLinearQuadratic(horizon=11, max_state=20, attraction=0.97),
    ),
    Case("random-linear 20x20", "random_linear", {"T": 20, "n": 20}, _random_linear(20, 21)),
)
"""Five larger ones.

The linear-quadratic game has attraction 0.97 in place of 1: with 1 the drift meets half-integers,
and how these are rounded depends on the last digit of the crowd's mean.
"""


def _garnet(horizon: int) -> Callable[[Arrays], FiniteGame]:
    def make(arrays: Arrays) -> FiniteGame:
        table = np.asarray(arrays["table"])
        num_branches = int((table > 0).sum(-1).max())
        num_states, num_actions, _ = table.shape
        game = nf.games.Garnet(
            num_states=num_states,
            num_actions=num_actions,
            horizon=horizon,
            num_branches=num_branches,
            floor=1e-25,
        )
        successors = np.argsort(-table, -1)[..., :num_branches]
        return eqx.tree_at(
            lambda g: (g.successors, g.predecessors, g.probabilities, g.base_reward),
            game,
            (
                successors,
                predecessor_lists(successors),
                np.take_along_axis(table, successors, -1),
                np.zeros((num_states, num_actions)),
            ),
            is_leaf=lambda leaf: leaf is None,
        )

    return make


_EDGE = [(x, y) for x in range(12) for y in range(12) if x in (0, 11) or y in (0, 11)]
_SPIEL = (
    Setting("MirrorDescent", {"lr": 0.01}, "open_spiel's mirror descent example"),
    Setting("FictitiousPlay", {}, "open_spiel's fictitious play example"),
)

OPEN_SPIEL = (
    Case("four-rooms 13x13", "four_rooms", {}, lambda _: nf.games.FourRooms(), published=_SPIEL),
    Case(
        "2-D crowd 10x10",
        "mfg_crowd_modelling_2d",
        {
            "size": 12,
            "horizon": 10,
            "only_distribution_reward": True,
            "forbidden_states": "[" + ";".join(f"{x}|{y}" for x, y in _EDGE) + "]",
            "initial_distribution": "[1|1]",
            "initial_distribution_value": "[1.0]",
        },
        lambda _: nf.games.FourRooms(rows=("." * 10,) * 10, start=(0, 0), horizon=10),
        published=_SPIEL,
    ),
    Case(
        "garnet",
        "mfg_garnet",
        {"sparsity_factor": 0.0},
        _garnet(10),
        published=_SPIEL,
    ),
)
"""open_spiel's, with rewards of the crowd alone.

Its value tables are keyed by place and time, but a reward of the last action is paid one step
later: values of a game with such a reward depend on the order of the visits. Without it, both
sides play the same game.
"""


def find(label: str) -> Case:
    """The game of that label."""
    return next(case for case in (*MFGLIB, *MFGLIB_LARGE, *OPEN_SPIEL) if case.label == label)
