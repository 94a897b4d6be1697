"""The crowd at one time, and its flow over time."""

from nashfield.mean_fields.finite import FiniteFlow, FiniteMeanField
from nashfield.mean_fields.particles import Particles

__all__ = ["FiniteFlow", "FiniteMeanField", "Particles"]
