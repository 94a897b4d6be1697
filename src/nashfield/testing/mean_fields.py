"""Conformance of a mean field."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.mean_fields import AbstractMeanField, FiniteMeanField
from nashfield.testing.common import CheckError, name_of

_NUM_SAMPLES = 20_000
# Standard errors that two estimates of one number may be apart, and what rules may be off beside
# that, in standard deviations of the law (a quasi-random rule, a kernel's width).
_ERRORS, _SLACK = 5.0, 0.02
# Grid points of a coordinate for the integral of a density, by D, and how well it must come to 1.
_GRID = {1: 20_001, 2: 501}
_MASS = 0.02
# Shares of the population below its quantiles, by samples and by the density.
_SHARE = 0.05


def check_mean_field(law: Any, *, domain: tuple[Any, Any] | None = None, key: PRNGKeyArray) -> None:
    """Checks the law of a population at one time.

    Samples, means of functions, and the mean state agree within standard errors; log densities keep
    batch shapes, are never NaN, give the same under jit and vmap, and in one and two dimensions
    integrate to 1 and put the same shares of the population where its samples are (within 0.05:
    a kernel estimate is wider than its crowd). A FiniteMeanField, whose `expect` takes a table of
    values (S,) in place of a function, is held to the same.

    Args:
        law: an AbstractMeanField that has a density, or a FiniteMeanField.
        domain: least and greatest states, between which the density is integrated; needed on a
            torus, where it repeats itself. None for a box around the samples.
        key: for the samples.

    Raises:
        CheckError: what is wrong.
    """
    if isinstance(law, FiniteMeanField):
        _check_finite(law, key)
        return
    if not isinstance(law, AbstractMeanField):
        raise CheckError(
            f"{name_of(law)} is no mean field: derive it from mean_fields.AbstractMeanField"
        )
    name = name_of(law)
    mean = np.asarray(law.mean(), float)
    if mean.ndim != 1 or not np.all(np.isfinite(mean)):
        raise CheckError(f"{name}.mean() must be finite and of shape (D,), not {mean}")
    drawn = eqx.filter_jit(lambda law, key: law.sample(key, _NUM_SAMPLES))(law, key)
    states = np.asarray(drawn, float)
    if states.shape != (_NUM_SAMPLES, len(mean)) or not np.all(np.isfinite(states)):
        raise CheckError(
            f"{name}.sample(key, n) must be finite and of shape (n, {len(mean)}), not "
            f"{states.shape} with {np.sum(~np.isfinite(states))} entries that are not"
        )
    _check_moments(name, law, mean, states)
    _check_density(name, law, drawn[:6])
    if len(mean) in _GRID:
        _check_mass(name, law, states, domain)


def _check_moments(name: str, law: AbstractMeanField, mean: np.ndarray, states: np.ndarray) -> None:
    first, second, single = _moments(law)
    deviation = states.std(0)
    slack = _SLACK * deviation
    _check_close(name, "mean()", mean, "expect(lambda x: x)", first, slack)
    error = _ERRORS * deviation / np.sqrt(len(states))
    _check_close(name, "mean()", mean, "the mean of samples", states.mean(0), error + slack)
    product = states[:, :1] * states
    error = (_ERRORS / np.sqrt(len(states)) + _SLACK) * product.std(0)
    _check_close(name, "expect of x_1 x", second, "that of samples", product.mean(0), error)
    if single.shape != ():
        raise CheckError(f"{name}.expect of a number must be a number, not of shape {single.shape}")


@eqx.filter_jit
def _moments(law: AbstractMeanField) -> tuple[Any, ...]:
    functions = (lambda x: x, lambda x: x[0] * x, lambda x: x[0])
    return tuple(jnp.asarray(law.expect(function)) for function in functions)


def _check_close(name: str, one: str, a: Any, other: str, b: Any, limit: Any) -> None:
    a, b = np.asarray(a, float), np.asarray(b, float)
    limit = np.maximum(limit, 1e-6 * (1 + np.abs(b)))
    if a.shape != b.shape or not np.all(np.abs(a - b) <= limit):
        raise CheckError(f"{name}: {one} is {a}, but {other} {b}")


def _check_density(name: str, law: AbstractMeanField, states: Any) -> None:
    states = jnp.asarray(states)
    logs = np.asarray(law.log_density(states))
    if np.any(np.isnan(logs)) or np.any(np.isinf(logs)):
        raise CheckError(f"{name}.log_density of its own samples is {logs}: it must be finite")
    if logs.shape != (len(states),):
        raise CheckError(
            f"{name}.log_density at {states.shape} must have shape ({len(states)},), not "
            f"{logs.shape}"
        )
    for batch, found in zip(((), (6,), (2, 3)), _batches(law, states), strict=True):
        if found.shape != batch:
            raise CheckError(
                f"{name}.log_density at (*{batch}, {states.shape[-1]}) must have shape {batch}, "
                f"not {found.shape}"
            )
        if not np.allclose(found, logs[0] if batch == () else logs.reshape(batch), 1e-4, 1e-4):
            raise CheckError(f"{name}.log_density under jit is {found}, but {logs} without")
    mapped = eqx.filter_jit(lambda law, x: jax.vmap(law.log_density)(x))(law, states)
    if not np.allclose(mapped, logs, 1e-4, 1e-4):
        raise CheckError(f"{name}.log_density under vmap is {mapped}, but {logs} without")


@eqx.filter_jit
def _batches(law: AbstractMeanField, states: Any) -> tuple[Any, ...]:
    there = states.reshape(2, 3, -1)
    return tuple(jnp.asarray(law.log_density(x)) for x in (states[0], states, there))


def _check_mass(name: str, law: AbstractMeanField, states: np.ndarray, domain: Any) -> None:
    """Mass and shares of the density, by midpoints of a grid."""
    dim = states.shape[-1]
    if domain is None:
        low, high = states.min(0), states.max(0)
        reach = 0.3 * (high - low)
        low, high = low - reach, high + reach
    else:
        low, high = (np.asarray(side, float) for side in domain)
    num_cells = _GRID[dim]
    cell = (high - low) / num_cells
    axes = low + cell * (np.arange(num_cells)[:, None] + 0.5)
    grid = np.stack(np.meshgrid(*axes.T, indexing="ij"), -1).reshape(-1, dim)
    logs = np.asarray(_on_grid(law, jnp.asarray(grid)), float)
    if np.any(np.isnan(logs)):
        raise CheckError(f"{name}.log_density is NaN at {grid[np.argmax(np.isnan(logs))]}")
    mass = np.exp(logs) * np.prod(cell)
    if not abs(mass.sum() - 1) <= _MASS:
        raise CheckError(f"{name}: its density integrates to {mass.sum():.4g}, not to 1")
    for d in range(dim):
        for level in (0.1, 0.25, 0.5, 0.75, 0.9):
            border = np.quantile(states[:, d], level)
            share = mass[grid[:, d] <= border].sum()
            if not abs(share - level) <= _SHARE:
                raise CheckError(
                    f"{name}: {level:.0%} of its samples, but {share:.1%} of its density's mass, "
                    f"have coordinate {d} below {border:.4g}"
                )


@eqx.filter_jit
def _on_grid(law: AbstractMeanField, grid: Any) -> Any:
    return jax.lax.map(law.log_density, grid, batch_size=4096)


def _check_finite(law: FiniteMeanField, key: PRNGKeyArray) -> None:
    shares = np.asarray(law.states, float)
    num_states = len(shares)
    every = np.arange(num_states)
    found = np.exp(np.asarray(law.log_density(every), float))
    if not np.allclose(found, shares, atol=1e-6) or not abs(found.sum() - 1) <= 1e-5:
        raise CheckError(f"FiniteMeanField.log_density sums to {found.sum():.6g}: shares {shares}")
    drawn = np.asarray(law.sample(key, _NUM_SAMPLES))
    counts = np.bincount(drawn, minlength=num_states) / _NUM_SAMPLES
    error = _ERRORS * np.sqrt(shares * (1 - shares) / _NUM_SAMPLES) + 1e-6
    if not np.all(np.abs(counts - shares) <= error):
        raise CheckError(f"FiniteMeanField.sample draws the states {counts}, of shares {shares}")
    mean, found = float(law.mean()), float(law.expect(every))
    if not np.allclose([mean, found], shares @ every, atol=1e-4):
        raise CheckError(f"FiniteMeanField.mean() is {mean}, and the mean of its states {found}")
