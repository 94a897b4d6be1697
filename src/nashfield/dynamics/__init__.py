"""Against a frozen crowd: where a policy leads, and what it is worth there."""

from nashfield.dynamics.forward import individual_flow, population_flow
from nashfield.dynamics.gradients import partial_gradient, total_gradient
from nashfield.dynamics.stationary import stationary_mean_field
from nashfield.dynamics.stationary_values import StationaryValues, policy_values
from nashfield.dynamics.sweep import Sweep, sweep
from nashfield.dynamics.values import PolicyValues, evaluate

__all__ = [
    "PolicyValues",
    "StationaryValues",
    "Sweep",
    "evaluate",
    "individual_flow",
    "partial_gradient",
    "policy_values",
    "population_flow",
    "stationary_mean_field",
    "sweep",
    "total_gradient",
]
