"""Epidemics from data: counts, yardsticks, and what a fit is judged by.

Names are imported on first use: reading counts does not load a model.
"""

from importlib import import_module
from typing import Any

from nashfield.registry import suggest

_WHERE = {
    "Counts": "counts",
    "DailyInputs": "inputs",
    "centred_mean": "smoothing",
    "read_counts": "counts",
    "read_inputs": "inputs",
    "trailing_mean": "smoothing",
    "YARDSTICKS": "yardsticks",
    "cubic_gap": "yardsticks",
    "fit_sir": "sir_fit",
    "Scores": "rolling",
    "rolling_scores": "rolling",
    "weekly_origins": "rolling",
    "Drift": "drift",
    "PrescribedDrift": "drift",
    "NeuralDrift": "drift",
    "EpidemicFit": "fitting",
    "EpidemicModel": "model",
    "EpidemicSettings": "settings",
    "Forecast": "forecast",
    "LearntContact": "behaviour",
    "fill_peaks": "filling",
    "fit_epidemic": "fitting",
    "judge_contact": "behaviour",
    "outbreak": "settings",
    "rolling_forecasts": "forecast",
}

__all__ = sorted(_WHERE)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        hint = "" if name.startswith("_") else f"; {suggest(name, __all__)}"
        raise AttributeError(f"module 'nashfield.neural.epidemics' has no attribute {name!r}{hint}")
    value = getattr(import_module(f"nashfield.neural.epidemics.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
