"""The crowd at one time, and its flow over time."""

from nashfield.mean_fields.base import AbstractFlow, AbstractMeanField, Flow
from nashfield.mean_fields.finite import FiniteFlow, FiniteMeanField
from nashfield.mean_fields.gaussian import Gaussian
from nashfield.mean_fields.particles import Particles
from nashfield.mean_fields.uniform import Uniform

__all__ = [
    "AbstractFlow",
    "AbstractMeanField",
    "FiniteFlow",
    "FiniteMeanField",
    "Flow",
    "Gaussian",
    "Particles",
    "Uniform",
]
