"""How an equilibrium is found: one algorithm a file, imported when it is asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nashfield.registry import suggest

if TYPE_CHECKING:
    from nashfield.solvers.auto import Auto
    from nashfield.solvers.base import AbstractSolver, StepInfo
    from nashfield.solvers.best_response import (
        AbstractBestResponse,
        ExactBestResponse,
        SoftBestResponse,
    )
    from nashfield.solvers.best_so_far import BestSoFar
    from nashfield.solvers.boltzmann import BoltzmannPolicyIteration
    from nashfield.solvers.deep_fictitious_play import (
        DEDAFP,
        AveragePolicyFictitiousPlay,
        DeepFictitiousPlay,
    )
    from nashfield.solvers.deep_mirror_descent import DeepMirrorDescent
    from nashfield.solvers.exact_equilibrium import ExactEquilibrium
    from nashfield.solvers.fictitious_play import FictitiousPlay
    from nashfield.solvers.fixed_point import FixedPoint
    from nashfield.solvers.local_equilibrium import LocalEquilibrium
    from nashfield.solvers.local_social_optimum import LocalSocialOptimum
    from nashfield.solvers.mf_omo import MFOMO
    from nashfield.solvers.munchausen import MunchausenOnlineMirrorDescent
    from nashfield.solvers.online_mirror_descent import OnlineMirrorDescent
    from nashfield.solvers.picard import Picard
    from nashfield.solvers.prior_descent import PriorDescent
    from nashfield.solvers.steps import Adam, PowerStep
    from nashfield.solvers.two_time_scales import TwoTimeScales

# Class -> its module. A dozen modules of classes take longer to import than a small game to solve.
_WHERE = {
    "AbstractBestResponse": "best_response",
    "AbstractSolver": "base",
    "Adam": "steps",
    "Auto": "auto",
    "AveragePolicyFictitiousPlay": "deep_fictitious_play",
    "BestSoFar": "best_so_far",
    "BoltzmannPolicyIteration": "boltzmann",
    "DEDAFP": "deep_fictitious_play",
    "DeepFictitiousPlay": "deep_fictitious_play",
    "DeepMirrorDescent": "deep_mirror_descent",
    "ExactBestResponse": "best_response",
    "ExactEquilibrium": "exact_equilibrium",
    "FictitiousPlay": "fictitious_play",
    "FixedPoint": "fixed_point",
    "LocalEquilibrium": "local_equilibrium",
    "LocalSocialOptimum": "local_social_optimum",
    "MFOMO": "mf_omo",
    "MunchausenOnlineMirrorDescent": "munchausen",
    "OnlineMirrorDescent": "online_mirror_descent",
    "Picard": "picard",
    "PowerStep": "steps",
    "PriorDescent": "prior_descent",
    "SoftBestResponse": "best_response",
    "StepInfo": "base",
    "TwoTimeScales": "two_time_scales",
}

__all__ = [
    "DEDAFP",
    "MFOMO",
    "AbstractBestResponse",
    "AbstractSolver",
    "Adam",
    "Auto",
    "AveragePolicyFictitiousPlay",
    "BestSoFar",
    "BoltzmannPolicyIteration",
    "DeepFictitiousPlay",
    "DeepMirrorDescent",
    "ExactBestResponse",
    "ExactEquilibrium",
    "FictitiousPlay",
    "FixedPoint",
    "LocalEquilibrium",
    "LocalSocialOptimum",
    "MunchausenOnlineMirrorDescent",
    "OnlineMirrorDescent",
    "Picard",
    "PowerStep",
    "PriorDescent",
    "SoftBestResponse",
    "StepInfo",
    "TwoTimeScales",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        hint = f"; {suggest(name, __all__)}" if name[:1].isupper() else ""
        raise AttributeError(f"module 'nashfield.solvers' has no attribute {name!r}{hint}")
    return getattr(import_module(f"nashfield.solvers.{_WHERE[name]}"), name)
