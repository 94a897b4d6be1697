"""Games learnt from data."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nashfield.registry import suggest

if TYPE_CHECKING:
    from nashfield.neural.calibration import Calibration, calibrate
    from nashfield.neural.fit_result import Fit
    from nashfield.neural.fitting import fit
    from nashfield.neural.losses import (
        MMD,
        AbstractLoss,
        EnergyDistance,
        GaussianLikelihood,
        PairedMSE,
        Wasserstein,
    )
    from nashfield.neural.model import NeuralMeanFieldGame
    from nashfield.neural.observations import Inputs, Observations

_WHERE = {
    "AbstractLoss": "losses",
    "Calibration": "calibration",
    "EnergyDistance": "losses",
    "Fit": "fit_result",
    "GaussianLikelihood": "losses",
    "Inputs": "observations",
    "MMD": "losses",
    "NeuralMeanFieldGame": "model",
    "Observations": "observations",
    "PairedMSE": "losses",
    "Wasserstein": "losses",
    "calibrate": "calibration",
    "fit": "fitting",
}

__all__ = [
    "MMD",
    "AbstractLoss",
    "Calibration",
    "EnergyDistance",
    "Fit",
    "GaussianLikelihood",
    "Inputs",
    "NeuralMeanFieldGame",
    "Observations",
    "PairedMSE",
    "Wasserstein",
    "calibrate",
    "fit",
]


def __getattr__(name: str) -> Any:
    if name == "epidemics":
        return import_module("nashfield.neural.epidemics")
    if name not in _WHERE:
        hint = f"; {suggest(name, __all__)}" if name[:1].isupper() else ""
        raise AttributeError(f"module 'nashfield.neural' has no attribute {name!r}{hint}")
    return getattr(import_module(f"nashfield.neural.{_WHERE[name]}"), name)
