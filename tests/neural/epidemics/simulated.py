"""An epidemic whose truth is known."""

import numpy as np

from nashfield.neural.epidemics import Counts, EpidemicSettings


def settings(**changes):
    """Small, for quick tests."""
    small = {"num_stages": 2, "num_substeps": 2, "num_iterations": 1, "num_training": 4}
    small |= {"training_stride": 9, "training_days": 7, "width": 3}
    return EpidemicSettings(**small | changes)


def epidemic(num_days=90, *, seed=0, population=1e6, noise=1.0):
    """Counts of two waves, and the reproduction numbers behind them; plain NumPy.

    Two stages, 100 small steps a day.
    """
    rng = np.random.default_rng(seed)
    number = 1 + 0.5 * np.sin(2 * np.pi * np.arange(num_days) / 60)
    shares = np.array([1 - 2e-3, 1e-3, 1e-3])
    active, new = [], []
    for day in range(num_days):
        cases = 0.0
        for _ in range(100):
            risen = number[day] * 0.1 * shares[0] * (shares[1] + shares[2]) / 100
            first, second = 0.2 * shares[1] / 100, 0.2 * shares[2] / 100
            shares = shares + np.array([-risen, risen - first, first - second])
            cases += risen
        active.append(population * (shares[1] + shares[2]))
        new.append(population * cases)
    chance = rng.normal(size=(2, num_days)) * noise
    active = np.asarray(active) * np.exp(0.01 * chance[0])
    new = np.asarray(new) * np.exp(0.05 * chance[1])
    dates = np.datetime64("2020-01-01") + np.arange(num_days)
    return Counts(dates, active, population, new), number * shares[0]
