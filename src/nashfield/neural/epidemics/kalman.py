"""Where a system that moves by chance has been, from what was seen: Kalman's filter, iterated.

The system is made linear around a path: in a first pass around the filter's own, in later ones
around the last smoothed path, which is Gauss and Newton's method for the most likely path (Bell,
1994, "The iterated Kalman smoother as a Gauss-Newton method"). Smoothing goes backward in the form
of Bryson and Frazier, which inverts no covariance.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from nashfield.typing import Array


class Sweep(eqx.Module):
    """A pass of the filter over D days, for a state of X numbers and M numbers seen a day.

    Attributes:
        means: (D, X) given what was seen up to the day.
        covariances: (D, X, X) of `means`.
        predicted: (D, X) given what was seen before the day.
        predicted_covariances: (D, X, X) of `predicted`.
        moves: (D, X, X) derivative of the step that led to the day.
        looks: (D, M, X) derivatives of what is seen; zero where nothing was.
        surprises: (D, M) what was seen minus what was expected.
        surprise_variances: (D, M) of `surprises`.
        gains: (D, M, X).
        log_likelihoods: (D, M) of what was seen given all before it; zero where nothing was.
    """

    means: Float[Array, "D X"]
    covariances: Float[Array, "D X X"]
    predicted: Float[Array, "D X"]
    predicted_covariances: Float[Array, "D X X"]
    moves: Float[Array, "D X X"]
    looks: Float[Array, "D M X"]
    surprises: Float[Array, "D M"]
    surprise_variances: Float[Array, "D M"]
    gains: Float[Array, "D M X"]
    log_likelihoods: Float[Array, "D M"]


def sweep(
    step: Callable[[Array, Array], Array],
    look: Callable[[Array, Array], Array],
    variances: Float[Array, "X"],
    seen: Float[Array, "D M"],
    errors: Float[Array, "D M"],
    first: Float[Array, "X"],
    first_covariance: Float[Array, "X X"],
    around: Float[Array, "D X"],
    own: Bool[Array, ""],
) -> Sweep:
    """Kalman's filter.

    Args:
        step: (state, day) -> the state of the next day, without chance.
        look: (state, day) -> (M,) what is seen of it.
        variances: of the chance that a day adds to each number.
        seen: NaN where nothing was seen.
        errors: variances of `seen`.
        first: expected state on day 0, before anything is seen.
        first_covariance: of `first`.
        around: the path around which the system is made linear.
        own: whether the filter's own path is taken in its place.
    """
    size = first.shape[0]
    known = jnp.isfinite(seen)
    seen, errors = jnp.where(known, seen, 0), jnp.where(known, errors, 1)

    def advance(carry: tuple[Array, Array], day: Array) -> tuple[tuple[Array, Array], tuple]:
        mean, covariance = carry
        base = jnp.where(own, mean, around[day - 1])
        move = jax.jacfwd(step)(base, day - 1)
        mean = step(base, day - 1) + move @ (mean - base)
        covariance = move @ covariance @ move.T + jnp.diag(variances)
        begins = day == 0
        mean = jnp.where(begins, first, mean)
        covariance = jnp.where(begins, first_covariance, covariance)
        predicted = mean, covariance
        base = jnp.where(own, mean, around[day])
        looks = jnp.where(known[day][:, None], jax.jacfwd(look)(base, day), 0)
        expected = look(base, day) - looks @ base
        surprises, spreads, gains, likelihoods = [], [], [], []
        for m in range(seen.shape[1]):
            surprise = jnp.where(known[day, m], seen[day, m] - expected[m] - looks[m] @ mean, 0)
            spread = looks[m] @ covariance @ looks[m] + errors[day, m]
            gain = covariance @ looks[m] / spread
            mean = mean + gain * surprise
            covariance = covariance - spread * jnp.outer(gain, gain)
            covariance = (covariance + covariance.T) / 2
            term = -(jnp.log(2 * np.pi * spread) + surprise**2 / spread) / 2
            likelihoods.append(jnp.where(known[day, m], term, 0))
            surprises.append(surprise)
            spreads.append(spread)
            gains.append(gain)
        parts = [jnp.stack(part) for part in (surprises, spreads, gains, likelihoods)]
        return (mean, covariance), (mean, covariance, *predicted, move, looks, *parts)

    days = jnp.arange(seen.shape[0])
    start = jnp.zeros(size, first.dtype), jnp.zeros((size, size), first.dtype)
    return Sweep(*jax.lax.scan(advance, (first, start[1]), days)[1])


def smooth(passed: Sweep) -> tuple[Float[Array, "D X"], Float[Array, "D X X"]]:
    """Means and covariances of every day given all that was seen.

    Args:
        passed: of the filter.
    """
    size = passed.means.shape[1]
    eye = jnp.eye(size, dtype=passed.means.dtype)

    def back(carry: tuple[Array, Array, Array], day: Sweep) -> tuple[tuple, tuple[Array, Array]]:
        slope, bend, move = carry
        slope, bend = move.T @ slope, move.T @ bend @ move
        for m in reversed(range(day.surprises.shape[0])):
            look, spread = day.looks[m], day.surprise_variances[m]
            left = eye - jnp.outer(day.gains[m], look)
            slope = left.T @ slope - look * day.surprises[m] / spread
            bend = left.T @ bend @ left + jnp.outer(look, look) / spread
        before = day.predicted_covariances
        mean = day.predicted - before @ slope
        return (slope, bend, day.moves), (mean, before - before @ bend @ before)

    zero = jnp.zeros(size, passed.means.dtype), jnp.zeros((size, size), passed.means.dtype)
    return jax.lax.scan(back, (*zero, eye), passed, reverse=True)[1]


def root(covariance: Float[Array, "X X"]) -> Float[Array, "X X"]:
    """A matrix whose product with its transpose is `covariance`, which may be singular.

    Cholesky's, written out: batches must not reach LAPACK (see `dynamics.elimination`).
    """
    size = covariance.shape[0]
    least = 16 * jnp.finfo(covariance.dtype).eps * jnp.diagonal(covariance)

    def eliminate(carry: Array, k: Array) -> tuple[Array, Array]:
        pivot = carry[k, k]
        there = pivot > least[k]
        column = jnp.where(there, carry[:, k] / jnp.sqrt(jnp.where(there, pivot, 1)), 0)
        column = jnp.where(jnp.arange(size) >= k, column, 0)
        return carry - jnp.outer(column, column), column

    return jax.lax.scan(eliminate, covariance, jnp.arange(size))[1].T
