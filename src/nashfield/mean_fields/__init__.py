"""The crowd at one time, and its path over time."""

from nashfield.mean_fields.finite import FiniteFlow, FiniteMeanField

__all__ = ["FiniteFlow", "FiniteMeanField"]
