"""SIR with constant rates by least squares, for many windows at once.

S' = -beta S I / N, I' = beta S I / N - gamma I, R' = gamma I, by Runge and Kutta's fourth-order
steps. The steps are analytic in the numbers, so that an imaginary change of 1e-20 gives exact
derivatives; Levenberg and Marquardt's steps for the logarithms then find them, window by window but
all at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# A step that changes no number by more than this share is the last.
_MAX_STEPS, _SETTLED = 200, 1e-9
# A gain below this share of the loss is the last: along a ridge numbers may wander for ever.
_ROUNDING = 1e-11
_WEIGHT, _EASE, _TIGHTEN, _LEAST, _MOST = 1e-3, 0.2, 5.0, 1e-12, 1e12
_TINY = 1e-20


@dataclass(frozen=True, eq=False)
class SIRFit:
    """Constant rates that fit best.

    Attributes:
        beta: (...,) infections a day that an active case causes among susceptibles only.
        gamma: (...,) share of the active cases removed a day (1/days).
        initial_active: (...,) active cases of the first day.
        active: (..., L) of the fit.
        removed: (..., L) of the fit.
        squares: (...,) sum of squared residuals.
        population: number of persons.
        steps_a_day: of the integration.
    """

    beta: np.ndarray
    gamma: np.ndarray
    initial_active: np.ndarray
    active: np.ndarray
    removed: np.ndarray
    squares: np.ndarray
    population: float
    steps_a_day: int

    def forecast(self, num_days: int) -> np.ndarray:
        """Active cases of the days after the window, as the fit goes on: (..., num_days)."""
        active, _ = sir_path(
            self.beta,
            self.gamma,
            self.active[..., -1],
            self.removed[..., -1],
            self.population,
            num_days + 1,
            self.steps_a_day,
        )
        return active[..., 1:]


def fit_sir(
    active: np.ndarray,
    population: float | int,
    *,
    removed: np.ndarray | None = None,
    free_start: bool = False,
    guess: tuple[float, float] = (0.15, 0.1),
    steps_a_day: int = 16,
) -> SIRFit:
    """Least squares on I, and on R if it is given, in the counts themselves.

    Args:
        active: (..., L) active cases by day, one window or a batch of them.
        population: number of persons N; S = N - I - R on the first day.
        removed: (..., L) recoveries and deaths so far; fitted with I. Without it R starts at 0.
        free_start: whether I of the first day is fitted too, or is the first count.
        guess: beta and gamma to begin with, a day.
        steps_a_day: of the integration; 4 do where rates are below .3 a day.

    Returns:
        The fit; its leading axes are those of `active`.
    """
    population = float(population)
    batch, length = active.shape[:-1], active.shape[-1]
    seen = active.reshape(-1, length)
    scale = seen.max(axis=1, keepdims=True)
    gone = None if removed is None else removed.reshape(-1, length)
    first_removed = np.zeros(len(seen)) if gone is None else gone[:, 0]

    def path(logs):  # (..., B, P) -> (..., B, L) twice
        start = np.exp(logs[..., 2]) if free_start else seen[:, 0]
        rates = np.exp(logs[..., :2])
        return sir_path(
            rates[..., 0], rates[..., 1], start, first_removed, population, length, steps_a_day
        )

    def residuals(logs):
        infected, recovered = path(logs)
        parts = [(infected - seen) / scale]
        if gone is not None:
            parts.append((recovered - gone) / scale)
        return np.concatenate(parts, axis=-1)

    begin = [np.full(len(seen), np.log(rate)) for rate in guess]
    if free_start:
        begin.append(np.log(np.maximum(seen[:, 0], 1e-3)))
    logs = _least_squares(residuals, np.stack(begin, axis=1))
    infected, recovered = path(logs)
    squares = np.sum(residuals(logs) ** 2, axis=1) * scale[:, 0] ** 2
    return SIRFit(
        beta=np.exp(logs[:, 0]).reshape(batch),
        gamma=np.exp(logs[:, 1]).reshape(batch),
        initial_active=infected[:, 0].reshape(batch),
        active=infected.reshape(*batch, length),
        removed=recovered.reshape(*batch, length),
        squares=squares.reshape(batch),
        population=population,
        steps_a_day=steps_a_day,
    )


def sir_path(
    beta: np.ndarray,
    gamma: np.ndarray,
    active: np.ndarray,
    removed: np.ndarray,
    population: float,
    num_days: int,
    steps_a_day: int = 16,
) -> tuple[np.ndarray, np.ndarray]:
    """I and R by day, from those of the first day on.

    Args:
        beta: (...,) rate of infection, a day.
        gamma: (...,) rate of removal, a day.
        active: (...,) I of the first day.
        removed: (...,) R of the first day.
        population: N.
        num_days: D.
        steps_a_day: of the integration.

    Returns:
        I (..., D) and R (..., D).
    """
    state = np.stack(np.broadcast_arrays(active + 0 * beta, removed + 0 * beta))
    dt = 1 / steps_a_day

    def slope(x):
        infections = beta * (population - x[0] - x[1]) * x[0] / population
        return np.stack([infections - gamma * x[0], gamma * x[0]])

    days = [state]
    for _ in range(num_days - 1):
        for _ in range(steps_a_day):
            k1 = slope(state)
            k2 = slope(state + dt / 2 * k1)
            k3 = slope(state + dt / 2 * k2)
            k4 = slope(state + dt * k3)
            state = state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        days.append(state)
    path = np.stack(days, axis=-1)
    return path[0], path[1]


def _least_squares(residuals: Callable, logs: np.ndarray) -> np.ndarray:
    """Levenberg and Marquardt's steps, (B, P) numbers at once; each window has its own weight."""
    changes = 1j * _TINY * np.eye(logs.shape[1])[:, None]

    def look(logs):
        with np.errstate(over="ignore", invalid="ignore"):
            found = residuals(logs + changes)
        jacobian = np.moveaxis(found.imag / _TINY, 0, -1)
        value = found[0].real
        loss = np.sum(value**2, axis=1)
        loss = np.where(np.isfinite(jacobian).all(axis=(1, 2)), loss, np.inf)
        gram = np.einsum("brp,brq->bpq", jacobian, jacobian)
        return loss, gram, np.einsum("brp,br->bp", jacobian, value)

    weight = np.full(len(logs), _WEIGHT)
    loss, gram, slope = look(logs)
    for _ in range(_MAX_STEPS):
        # A direction without effect is left as it is.
        least = np.einsum("bpp->bp", gram) * weight[:, None] + 1e-30
        damped = gram + least[:, :, None] * np.eye(logs.shape[1])
        step = np.clip(-np.linalg.solve(damped, slope[..., None])[..., 0], -1, 1)
        new_loss, new_gram, new_slope = look(logs + step)
        better = new_loss <= loss
        still = better & (loss - new_loss <= _ROUNDING * loss)
        logs = np.where(better[:, None], logs + step, logs)
        loss = np.where(better, new_loss, loss)
        gram = np.where(better[:, None, None], new_gram, gram)
        slope = np.where(better[:, None], new_slope, slope)
        weight = np.clip(weight * np.where(better, _EASE, _TIGHTEN), _LEAST, _MOST)
        if (still | (np.abs(step).max(axis=1) < _SETTLED)).all():
            break
    return logs
