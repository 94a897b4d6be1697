"""Means over seeds with their intervals."""

import math

import equinox as eqx
import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

from nashfield.typing import Array


class Estimate(eqx.Module):
    """A mean over seeds with its 95% interval (Student's t).

    Attributes:
        mean: the mean.
        lower: lower end of the interval.
        upper: upper end of the interval.
    """

    mean: float
    lower: float
    upper: float

    @classmethod
    def of(cls, samples: Float[Array, "M"]) -> "Estimate":
        """Mean and interval of independent samples (two at least)."""
        samples = np.asarray(samples, np.float64)
        mean = float(samples.mean())
        error = float(samples.std(ddof=1)) / math.sqrt(samples.size)
        width = float(stdtrit(samples.size - 1, 0.975)) * error
        return cls(mean, mean - width, mean + width)

    def __str__(self) -> str:
        return f"{self.mean:.6g} [{self.lower:.6g}, {self.upper:.6g}]"
