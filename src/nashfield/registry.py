"""Names of games and solvers: how the command line, run folders and `nf.games` find them."""

import difflib
from importlib import import_module
from typing import Any

from nashfield.results import NashfieldError

# kebab-case name -> (module below nashfield, class). Nothing is imported before it is asked for.
GAMES: dict[str, tuple[str, str]] = {
    "beach-bar": ("games.zoo.beach_bar", "BeachBar"),
    "beach-bar-line": ("games.zoo.beach_bar_line", "BeachBarLine"),
    "grid-navigation": ("games.zoo.navigation", "GridNavigation"),
    "left-right": ("games.zoo.matrix", "LeftRight"),
    "rock-paper-scissors": ("games.zoo.matrix", "RockPaperScissors"),
    "building-evacuation": ("games.zoo.building", "BuildingEvacuation"),
    "consensus": ("games.zoo.consensus", "Consensus"),
    "conservative-treasure-hunting": ("games.zoo.treasure", "ConservativeTreasureHunting"),
    "continuous-malware-spread": ("games.zoo.malware_continuous", "ContinuousMalwareSpread"),
    "continuous-product-investment": (
        "games.zoo.investments_continuous",
        "ContinuousProductInvestment",
    ),
    "crowd-aversion": ("games.zoo.torus", "CrowdAversion"),
    "crowd-grid": ("games.zoo.congestion", "CrowdGrid"),
    "crowd-line": ("games.zoo.congestion", "CrowdLine"),
    "crowd-motion": ("games.zoo.crowd", "CrowdMotion"),
    "el-farol-bar": ("games.zoo.el_farol_bar", "ElFarolBar"),
    "el-farol-intentions": ("games.zoo.el_farol", "ElFarolIntentions"),
    "equilibrium-price": ("games.zoo.equilibrium_price", "EquilibriumPrice"),
    "finite-linear-quadratic": ("games.zoo.linear_quadratic", "FiniteLinearQuadratic"),
    "four-rooms": ("games.zoo.four_rooms", "FourRooms"),
    "four-rooms-plane": ("games.zoo.four_rooms_plane", "FourRoomsPlane"),
    "road-routing": ("games.zoo.routing", "RoadRouting"),
    "susceptible-infected": ("games.zoo.susceptible_infected", "SusceptibleInfected"),
    "garnet": ("games.zoo.garnet", "Garnet"),
    "linear-quadratic": ("games.zoo.continuous_linear_quadratic", "LinearQuadratic"),
    "local-entropy": ("games.zoo.local_entropy", "LocalEntropy"),
    "malware-spread": ("games.zoo.malware", "MalwareSpread"),
    "meeting-time": ("games.zoo.meeting_time", "MeetingTime"),
    "meeting-arrival": ("games.zoo.meeting_arrival", "MeetingArrival"),
    "price-impact": ("games.zoo.price_impact", "PriceImpact"),
    "product-investment": ("games.zoo.investments", "ProductInvestment"),
    "random-coupled": ("games.zoo.random_classes", "CoupledGame"),
    "random-cyclic": ("games.zoo.random_classes", "CyclicGame"),
    "random-linear": ("games.zoo.random_linear", "RandomLinear"),
    "random-monotone": ("games.zoo.random_classes", "MonotoneGame"),
    "random-potential": ("games.zoo.random_classes", "PotentialGame"),
    "sir-contact": ("games.zoo.sir_contact", "SIRContact"),
    "sir-vaccination": ("games.zoo.sir_vaccination", "SIRVaccination"),
    "stationary-four-rooms": ("games.zoo.stationary_rooms", "StationaryFourRooms"),
    "stationary-garnet": ("games.zoo.stationary_garnet", "StationaryGarnet"),
    "systemic-risk": ("games.zoo.systemic_risk", "SystemicRisk"),
}

SOLVERS: dict[str, tuple[str, str]] = {
    "auto": ("solvers.auto", "Auto"),
    "online-mirror-descent": ("solvers.online_mirror_descent", "OnlineMirrorDescent"),
    "boltzmann-policy-iteration": ("solvers.boltzmann", "BoltzmannPolicyIteration"),
    "average-policy-fictitious-play": (
        "solvers.deep_fictitious_play",
        "AveragePolicyFictitiousPlay",
    ),
    "deda-fp": ("solvers.deep_fictitious_play", "DEDAFP"),
    "deep-fictitious-play": ("solvers.deep_fictitious_play", "DeepFictitiousPlay"),
    "deep-mirror-descent": ("solvers.deep_mirror_descent", "DeepMirrorDescent"),
    "exact-equilibrium": ("solvers.exact_equilibrium", "ExactEquilibrium"),
    "fictitious-play": ("solvers.fictitious_play", "FictitiousPlay"),
    "fixed-point": ("solvers.fixed_point", "FixedPoint"),
    "local-equilibrium": ("solvers.local_equilibrium", "LocalEquilibrium"),
    "local-social-optimum": ("solvers.local_social_optimum", "LocalSocialOptimum"),
    "mf-omo": ("solvers.mf_omo", "MFOMO"),
    "munchausen-online-mirror-descent": ("solvers.munchausen", "MunchausenOnlineMirrorDescent"),
    "picard": ("solvers.picard", "Picard"),
    "prior-descent": ("solvers.prior_descent", "PriorDescent"),
    "two-time-scales": ("solvers.two_time_scales", "TwoTimeScales"),
}


# The attribute is a function: (*, quick, key, tell) -> papers.Report.
PAPERS: dict[str, tuple[str, str]] = {
    "magnino2025": ("papers.magnino2025", "reproduce"),
    "subramanian2019": ("papers.subramanian2019", "reproduce"),
    "thoni2025": ("papers.thoni2025", "reproduce"),
}


class UnknownNameError(NashfieldError, KeyError):
    """A name that nothing bears; the message offers the nearest ones."""

    def __str__(self) -> str:
        return str(self.args[0])


def find(table: dict[str, tuple[str, str]], name: str, kind: str) -> Any:
    """What `name` stands for.

    Args:
        table: GAMES, SOLVERS or PAPERS.
        name: its kebab-case name.
        kind: "game", "solver" or "paper", for the message.

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
