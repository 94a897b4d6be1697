"""How an equilibrium is found: one algorithm a file."""

from nashfield.solvers.base import AbstractSolver, StepInfo
from nashfield.solvers.online_mirror_descent import OnlineMirrorDescent

__all__ = ["AbstractSolver", "OnlineMirrorDescent", "StepInfo"]
