"""Names of games and solvers: how the command line, run folders and `nf.games` find them."""

import difflib
from importlib import import_module
from typing import Any

from nashfield.results import NashfieldError

# kebab-case name -> (module below nashfield, class). Nothing is imported before it is asked for.
GAMES: dict[str, tuple[str, str]] = {
    "beach-bar": ("games.zoo.beach_bar", "BeachBar"),
    "grid-navigation": ("games.zoo.navigation", "GridNavigation"),
    "left-right": ("games.zoo.matrix", "LeftRight"),
    "rock-paper-scissors": ("games.zoo.matrix", "RockPaperScissors"),
    "building-evacuation": ("games.zoo.building", "BuildingEvacuation"),
    "conservative-treasure-hunting": ("games.zoo.treasure", "ConservativeTreasureHunting"),
    "crowd-grid": ("games.zoo.congestion", "CrowdGrid"),
    "crowd-line": ("games.zoo.congestion", "CrowdLine"),
    "crowd-motion": ("games.zoo.crowd", "CrowdMotion"),
    "equilibrium-price": ("games.zoo.equilibrium_price", "EquilibriumPrice"),
    "finite-linear-quadratic": ("games.zoo.linear_quadratic", "FiniteLinearQuadratic"),
    "four-rooms": ("games.zoo.four_rooms", "FourRooms"),
    "road-routing": ("games.zoo.routing", "RoadRouting"),
    "susceptible-infected": ("games.zoo.susceptible_infected", "SusceptibleInfected"),
    "garnet": ("games.zoo.garnet", "Garnet"),
    "malware-spread": ("games.zoo.malware", "MalwareSpread"),
    "random-coupled": ("games.zoo.random_classes", "CoupledGame"),
    "random-cyclic": ("games.zoo.random_classes", "CyclicGame"),
    "random-linear": ("games.zoo.random_linear", "RandomLinear"),
    "random-monotone": ("games.zoo.random_classes", "MonotoneGame"),
    "random-potential": ("games.zoo.random_classes", "PotentialGame"),
}

SOLVERS: dict[str, tuple[str, str]] = {
    "auto": ("solvers.auto", "Auto"),
    "online-mirror-descent": ("solvers.online_mirror_descent", "OnlineMirrorDescent"),
    "boltzmann-policy-iteration": ("solvers.boltzmann", "BoltzmannPolicyIteration"),
    "fictitious-play": ("solvers.fictitious_play", "FictitiousPlay"),
    "fixed-point": ("solvers.fixed_point", "FixedPoint"),
    "mf-omo": ("solvers.mf_omo", "MFOMO"),
    "munchausen-online-mirror-descent": ("solvers.munchausen", "MunchausenOnlineMirrorDescent"),
    "prior-descent": ("solvers.prior_descent", "PriorDescent"),
}


class UnknownNameError(NashfieldError, KeyError):
    """A name that nothing bears; the message offers the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0])


def find(table: dict[str, tuple[str, str]], name: str, kind: str) -> Any:
    """The class that `name` stands for.

    Args:
        table: GAMES or SOLVERS.
        name: its kebab-case name.
        kind: "game" or "solver", for the message.

    Raises:
        UnknownNameError: nothing bears that name.
    """
    if name not in table:
        raise UnknownNameError(f"unknown {kind} {name!r}; {suggest(name, table)}")
    module, attribute = table[name]
    return getattr(import_module(f"nashfield.{module}"), attribute)


def suggest(name: str, known: Any) -> str:
    """A clause for an error message: the nearest known names, or all of them."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(n) for n in near) + "?"
    return "known are: " + ", ".join(sorted(known))
