"""How far: from Nash, from the social optimum, from another law, from the game among N agents."""

from nashfield.metrics.anarchy import Anarchy, price_of_anarchy
from nashfield.metrics.coverage import Coverage, coverage
from nashfield.metrics.distances import total_variation, wasserstein
from nashfield.metrics.estimates import Estimate
from nashfield.metrics.exploitability import exploitability, start_regrets
from nashfield.metrics.point_simulation import PointSimulation
from nashfield.metrics.simulation import Simulation, simulate
from nashfield.metrics.welfare import social_welfare

__all__ = [
    "Anarchy",
    "Coverage",
    "Estimate",
    "PointSimulation",
    "Simulation",
    "coverage",
    "exploitability",
    "price_of_anarchy",
    "simulate",
    "social_welfare",
    "start_regrets",
    "total_variation",
    "wasserstein",
]
