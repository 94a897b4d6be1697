"""Mean-field games: define a game once, solve it, and see how far from Nash the answer is.

Names are imported on first use, so that a command pays only for what it needs.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_MODULES = (
    "adapters",
    "datasets",
    "games",
    "learners",
    "mean_fields",
    "metrics",
    "neural",
    "plotting",
    "policies",
    "solvers",
    "testing",
)
_NAMES = {
    "Scalar": "typing",
    "scalar": "typing",
    "FiniteGame": "games.base",
    "SeparableGame": "games.base",
    "StationaryGame": "games.base",
    "Display": "games.base",
    "Dense": "games.kernels",
    "Kernel": "games.kernels",
    "Sparse": "games.kernels",
    "GridWalk": "games.grid_walk",
    "TwoStage": "games.two_stage",
    "FiniteFlow": "mean_fields",
    "FiniteMeanField": "mean_fields",
    "population_flow": "dynamics",
    "stationary_mean_field": "dynamics",
    "policy_values": "dynamics",
    "partial_gradient": "dynamics",
    "total_gradient": "dynamics",
    "ContinuousGame": "games.continuous",
    "ContinuousStationaryGame": "games.continuous_stationary",
    "QuadraticGame": "games.quadratic",
    "DifferentialGame": "games.differential",
    "RateGame": "games.rates",
    "Flow": "mean_fields",
    "Gaussian": "mean_fields",
    "GaussianMixture": "mean_fields",
    "NormalizingFlow": "mean_fields",
    "fit_normalizing_flow": "mean_fields",
    "Particles": "mean_fields",
    "Uniform": "mean_fields",
    "rollout_flow": "dynamics.episodes",
    "discretise": "dynamics.discretised",
    "GridLaw": "mean_fields.grid",
    "evaluate": "dynamics",
    "best_response": "learners",
    "uniform_policy": "policies",
    "random_policy": "policies",
    "exploitability": "metrics",
    "price_of_anarchy": "metrics",
    "start_regrets": "metrics",
    "simulate": "metrics",
    "social_welfare": "metrics",
    "total_variation": "metrics",
    "wasserstein": "metrics",
    "AbstractSolver": "solvers",
    "Auto": "solvers",
    "AveragePolicyFictitiousPlay": "solvers",
    "BestSoFar": "solvers",
    "BoltzmannPolicyIteration": "solvers",
    "DEDAFP": "solvers",
    "DeepFictitiousPlay": "solvers",
    "DeepMirrorDescent": "solvers",
    "ExactBestResponse": "solvers",
    "ExactEquilibrium": "solvers",
    "FictitiousPlay": "solvers",
    "FixedPoint": "solvers",
    "LocalEquilibrium": "solvers",
    "LocalSocialOptimum": "solvers",
    "MFOMO": "solvers",
    "MunchausenOnlineMirrorDescent": "solvers",
    "OnlineMirrorDescent": "solvers",
    "Picard": "solvers",
    "PriorDescent": "solvers",
    "SoftBestResponse": "solvers",
    "Adam": "solvers",
    "PowerStep": "solvers",
    "TwoTimeScales": "solvers",
    "Solution": "solution",
    "Result": "results",
    "GameError": "results",
    "NashfieldError": "results",
    "ParameterError": "results",
    "SolveError": "results",
    "run": "run",
    "solve": "solve",
}

if TYPE_CHECKING:
    from nashfield import games as games
    from nashfield.dynamics import evaluate as evaluate
    from nashfield.dynamics import population_flow as population_flow
    from nashfield.run import run as run
    from nashfield.solve import solve as solve


class _Package(ModuleType):
    """Keeps `nashfield.solve` a function, whoever imports the module of that name first."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _NAMES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"nashfield.{name}")
    if name in _NAMES:
        value = getattr(import_module(f"nashfield.{_NAMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'nashfield' has no attribute {name!r}{_hint(name)}")


def _hint(name: str) -> str:
    """The nearest names, also of games and policies, or nothing."""
    if name.startswith("_"):
        return ""  # asked for by machines
    from difflib import get_close_matches

    from nashfield.registry import GAMES

    parts = {cls: f"games.{cls}" for _, cls in GAMES.values()}
    parts |= {cls: f"policies.{cls}" for cls in import_module("nashfield.policies").__all__}
    parts |= {known: known for known in __dir__()}
    near = get_close_matches(name, parts, n=1, cutoff=0.7)
    return f"; did you mean nashfield.{parts[near[0]]}?" if near else ""


def __dir__() -> list[str]:
    return sorted([*_MODULES, *_NAMES, "__version__"])
