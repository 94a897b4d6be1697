"""The crowd at one time, and its flow over time.

Normalizing flows are imported when they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nashfield.mean_fields.base import AbstractFlow, AbstractMeanField, Flow
from nashfield.mean_fields.finite import FiniteFlow, FiniteMeanField
from nashfield.mean_fields.gaussian import Gaussian, GaussianMixture
from nashfield.mean_fields.known_start import KnownStart
from nashfield.mean_fields.particles import Particles
from nashfield.mean_fields.uniform import Uniform
from nashfield.mean_fields.walled import Walled
from nashfield.registry import suggest

if TYPE_CHECKING:
    from nashfield.mean_fields.fitting import MaximumLikelihood, fit_normalizing_flow
    from nashfield.mean_fields.normalizing_flow import NormalizingFlow

_WHERE = {
    "MaximumLikelihood": "fitting",
    "NormalizingFlow": "normalizing_flow",
    "fit_normalizing_flow": "fitting",
}

__all__ = [
    "AbstractFlow",
    "AbstractMeanField",
    "FiniteFlow",
    "FiniteMeanField",
    "Flow",
    "Gaussian",
    "GaussianMixture",
    "KnownStart",
    "MaximumLikelihood",
    "NormalizingFlow",
    "Particles",
    "Uniform",
    "Walled",
    "fit_normalizing_flow",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        hint = f"; {suggest(name, __all__)}" if name[:1].isupper() else ""
        raise AttributeError(f"module 'nashfield.mean_fields' has no attribute {name!r}{hint}")
    return getattr(import_module(f"nashfield.mean_fields.{_WHERE[name]}"), name)
