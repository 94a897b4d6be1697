"""Distances between laws on finitely many states, one number a law."""

import jax.numpy as jnp
from jaxtyping import Float

from nashfield.mean_fields import FiniteFlow, FiniteMeanField
from nashfield.typing import Array, ScalarLike

Laws = FiniteFlow | FiniteMeanField | Float[Array, "..."]
"""Laws of the states: a flow, a mean field, or an array whose last axis runs over the states."""


def total_variation(a: Laws, b: Laws) -> Float[Array, "..."]:
    """Total variation, half of sum_x |a(x) - b(x)|: 0 for equal laws, 1 for disjoint ones.

    Args:
        a: a flow, a mean field, or an array whose last axis runs over the states.
        b: likewise; a single law is compared with each of a flow.

    Returns:
        One number a time, (T + 1,) for two flows; `.max()` of it compares whole flows.

    Raises:
        ValueError: the laws do not live on the same states, or their numbers of times differ.
    """
    return jnp.sum(jnp.abs(_difference(a, b)), -1) / 2


def wasserstein(
    a: Laws,
    b: Laws,
    positions: Float[Array, "S"] | None = None,
    *,
    period: ScalarLike | None = None,
) -> Float[Array, "..."]:
    """Wasserstein distance of order 1: the mean way that mass must go to turn `a` into `b`.

    On the line the integral of |F_a - F_b|, where F is the distribution function; on a ring
    min_c of the integral of |F_a - F_b - c|, at a weighted median c (Rabin, Delon and Gousseau
    2011, "Transportation distances on the circle").

    Args:
        a: a flow, a mean field, or an array whose last axis runs over the states.
        b: likewise; a single law is compared with each of a flow.
        positions: (S,) where the states lie; 0, 1, 2, ... if None.
        period: length of the ring, at least the extent of the positions; None for the line.

    Returns:
        One number a time, (T + 1,) for two flows, in the unit of the positions.

    Raises:
        ValueError: the laws do not live on the same states, or their numbers of times differ.
    """
    difference = _difference(a, b)
    num_states = difference.shape[-1]
    if positions is None:
        places = jnp.arange(num_states, dtype=difference.dtype)
    else:
        places = jnp.asarray(positions, difference.dtype)
    if places.shape != (num_states,):
        raise ValueError(f"positions has shape {places.shape}, but there are {num_states} states")
    order = jnp.argsort(places)
    places, surplus = places[order], jnp.cumsum(difference[..., order], -1)
    if period is None:
        return jnp.sum(jnp.abs(surplus[..., :-1]) * jnp.diff(places), -1)
    gaps = jnp.diff(places, append=places[:1] + period)
    by_size = jnp.argsort(surplus, -1)
    weights = jnp.cumsum(gaps[by_size], -1)
    median = jnp.argmax(2 * weights >= jnp.sum(gaps), -1, keepdims=True)
    shift = jnp.take_along_axis(jnp.take_along_axis(surplus, by_size, -1), median, -1)
    return jnp.sum(jnp.abs(surplus - shift) * gaps, -1)


def _difference(a: Laws, b: Laws) -> Float[Array, "..."]:
    left, right = (jnp.asarray(getattr(law, "states", law)) for law in (a, b))
    if left.shape[-1:] != right.shape[-1:]:
        raise ValueError(f"the laws live on different states: shapes {left.shape}, {right.shape}")
    if left.ndim == right.ndim and left.shape != right.shape:
        raise ValueError(f"the flows have different lengths: shapes {left.shape}, {right.shape}")
    return left - right
