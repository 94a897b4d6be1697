"""How far: from Nash, from the social optimum, from another law, from the game among N agents."""

from nashfield.metrics.distances import total_variation, wasserstein
from nashfield.metrics.exploitability import exploitability, start_regrets
from nashfield.metrics.simulation import Estimate, Simulation, simulate
from nashfield.metrics.welfare import social_welfare

__all__ = [
    "Estimate",
    "Simulation",
    "exploitability",
    "simulate",
    "social_welfare",
    "start_regrets",
    "total_variation",
    "wasserstein",
]
