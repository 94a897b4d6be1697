"""How an equilibrium is found: one algorithm a file."""

from nashfield.solvers.base import AbstractSolver, StepInfo
from nashfield.solvers.best_response import (
    AbstractBestResponse,
    ExactBestResponse,
    SoftBestResponse,
)
from nashfield.solvers.best_so_far import BestSoFar
from nashfield.solvers.boltzmann import BoltzmannPolicyIteration
from nashfield.solvers.fictitious_play import FictitiousPlay
from nashfield.solvers.fixed_point import FixedPoint
from nashfield.solvers.mf_omo import MFOMO
from nashfield.solvers.munchausen import MunchausenOnlineMirrorDescent
from nashfield.solvers.online_mirror_descent import OnlineMirrorDescent
from nashfield.solvers.prior_descent import PriorDescent

__all__ = [
    "MFOMO",
    "AbstractBestResponse",
    "AbstractSolver",
    "BestSoFar",
    "BoltzmannPolicyIteration",
    "ExactBestResponse",
    "FictitiousPlay",
    "FixedPoint",
    "MunchausenOnlineMirrorDescent",
    "OnlineMirrorDescent",
    "PriorDescent",
    "SoftBestResponse",
    "StepInfo",
]
