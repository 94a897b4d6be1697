"""Damped fixed points, and derivatives through them by the implicit function theorem."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from nashfield.typing import Array

# Steps are halved where the residual grows, and grow where it falls.
_SHRINK, _GROW, _LEAST_STEP = 0.5, 1.1, 1 / 256
# Of the linear equation that derivatives solve.
_NUM_LINEAR = 2000


def fixed_point(
    residual: Callable,
    start: Array,
    step: Array,
    tolerance: Array | float,
    max_iterations: int,
) -> tuple[Array, tuple[Float[Array, ""], Int[Array, ""]]]:
    """A root of residual(x) = G(x) - x, by x <- x + step residual(x), see `damped`.

    Derivatives: with x = G(theta, x), dx = (1 - dG/dx)^-1 dG/dtheta, and transposed, by the same
    iteration, at a memory that does not depend on the number of iterations; NaN where that has not
    come close in 2,000.

    Args:
        residual: may close over what derivatives are taken of.
        start: the first point.
        step: the first step, in (0, 1].
        tolerance: what the residual may be in the end, and that of a derivative in units of it.
        max_iterations: at most so many.

    Returns:
        The point; its residual, and the number of iterations.
    """

    def solve(residual: Callable, x: Array) -> tuple[Array, tuple[Array, Array]]:
        found, missed, count = damped(residual, x, step, tolerance, max_iterations)
        return found, (missed, count.astype(missed.dtype))  # what has no derivative is refused

    def iterate(linear: Callable, right: Array) -> Array:
        size = jnp.max(jnp.abs(right))
        found, missed, _ = damped(
            lambda x: linear(x) - right,
            jnp.zeros_like(right),
            step,
            tolerance * size,
            _NUM_LINEAR,
        )
        close = missed <= jnp.maximum(tolerance, jnp.finfo(right.dtype).eps ** 0.5) * size
        return jnp.where(close, found, jnp.nan)

    def solve_linear(linear: Callable, right: Array) -> Array:
        return jax.lax.custom_linear_solve(linear, right, iterate, iterate)

    found, (missed, count) = jax.lax.custom_root(residual, start, solve, solve_linear, has_aux=True)
    return found, (missed, count.astype(int))


def damped(
    residual: Callable,
    start: Array,
    step: Array,
    limit: Array | float,
    max_iterations: int,
) -> tuple[Array, Float[Array, ""], Int[Array, ""]]:
    """Repeats x <- x + step residual(x) until no entry of the residual exceeds `limit`.

    The step is halved where the residual grows. The point of the least residual is returned.

    Returns:
        The point, its residual, and the number of iterations.
    """

    def size(x: Array) -> Array:
        return jnp.max(jnp.abs(x))

    def unfinished(carry: tuple[Array, ...]) -> Array:
        _, missed, _, _, least, count = carry
        return (least > limit) & (count < max_iterations) & jnp.isfinite(size(missed))

    def advance(carry: tuple[Array, ...]) -> tuple[Array, ...]:
        x, missed, step, best, least, count = carry
        x = x + step * missed
        before, missed = size(missed), residual(x)
        now = size(missed)
        change = jnp.where(now > before, _SHRINK, _GROW)
        step = jnp.where(count > 0, jnp.clip(step * change, _LEAST_STEP, 1), step)
        better = now < least
        return x, missed, step, jnp.where(better, x, best), jnp.where(better, now, least), count + 1

    # The residual is traced once: at the start no step is made.
    nothing, unknown = jnp.zeros_like(start), jnp.asarray(jnp.inf, start.dtype)
    carry = (start, nothing, step, start, unknown, jnp.asarray(0))
    _, _, _, best, least, count = jax.lax.while_loop(unfinished, advance, carry)
    return best, least, count
