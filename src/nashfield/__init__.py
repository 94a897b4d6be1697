"""Mean-field games: define a game once, solve it, and see how far from Nash the answer is.

Names are imported on first use, so that a command pays only for what it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_MODULES = ("games", "learners", "metrics", "plotting", "policies", "solvers", "testing")
_NAMES = {
    "FiniteGame": "games.base",
    "SeparableGame": "games.base",
    "StationaryGame": "games.base",
    "Display": "games.base",
    "Dense": "games.kernels",
    "Sparse": "games.kernels",
    "FiniteFlow": "mean_fields",
    "FiniteMeanField": "mean_fields",
    "population_flow": "dynamics",
    "evaluate": "dynamics",
    "best_response": "learners",
    "uniform_policy": "policies",
    "random_policy": "policies",
    "exploitability": "metrics",
    "OnlineMirrorDescent": "solvers",
    "Solution": "solution",
    "Result": "results",
    "NashfieldError": "results",
    "SolveError": "results",
    "solve": "solve",
}

if TYPE_CHECKING:
    from nashfield import games as games
    from nashfield.dynamics import evaluate as evaluate
    from nashfield.dynamics import population_flow as population_flow
    from nashfield.solve import solve as solve


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"nashfield.{name}")
    if name in _NAMES:
        value = getattr(import_module(f"nashfield.{_NAMES[name]}"), name)
        globals()[name] = value  # `solve` the function takes the place of its module
        return value
    raise AttributeError(f"module 'nashfield' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_MODULES, *_NAMES, "__version__"])
