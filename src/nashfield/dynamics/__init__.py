"""Against a frozen crowd: where a policy leads, and what it is worth there."""

from nashfield.dynamics.forward import individual_flow, population_flow
from nashfield.dynamics.sweep import Sweep, sweep
from nashfield.dynamics.values import PolicyValues, evaluate

__all__ = [
    "PolicyValues",
    "Sweep",
    "evaluate",
    "individual_flow",
    "population_flow",
    "sweep",
]
