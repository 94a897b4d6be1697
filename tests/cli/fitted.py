"""A fit of an epidemic that is made up, and the counts that it was made of."""

import dataclasses
from types import SimpleNamespace

import numpy as np

from nashfield.neural import epidemics

DAYS = np.arange("2021-01-01", "2021-03-02", dtype="datetime64[D]")
ACTIVE = 1000 * np.exp(-(((np.arange(60) - 30) / 12) ** 2)) + 50


@dataclasses.dataclass
class Fitted:
    """What a model finds, made up."""

    counts: epidemics.Counts
    rate: float
    inputs: object
    settings: object
    diverged_at: int | None = None
    c_I: float = 1.0
    c_a: float = 1.0
    off: float = 1.01
    assumptions = ("counts are reported cases", "recovery is given.")
    exploitability, avoidance_cost, num_parameters, loss = 0.25, 0.5, 12.0, 0.12

    def __post_init__(self):
        num = len(self.counts)
        self.active_fitted = self.off * self.counts.active
        self.reproduction_number = np.linspace(1.5, 0.7, num)
        self.reproduction_number_low = self.reproduction_number - 0.1
        self.reproduction_number_high = self.reproduction_number + 0.1
        self.gamma = np.full(num, self.rate or 0.1)
        self.contact_level = np.linspace(1, 0.6, num)
        self.best_contact_level = np.linspace(1, 0.5, num)
        self.transmission = np.linspace(0.2, 0.1, num)
        self.shares = np.tile([0.3, 0.1, 0.6], (num, 1))
        if self.rate is not None:
            self.settings = dataclasses.replace(self.settings, gamma=self.rate)

    def forecast(self, num_days, *, inputs, key):
        self.inputs_ahead = inputs
        median = self.active_fitted[-1] * np.exp(-0.1 * np.arange(1, num_days + 1))
        return SimpleNamespace(
            median=median,
            low=0.8 * median,
            high=1.3 * median,
            reproduction_number=np.full(num_days, 0.7),
            reproduction_number_low=np.full(num_days, 0.6),
            reproduction_number_high=np.full(num_days, 0.8),
        )
