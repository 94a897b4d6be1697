"""Least squares by Gauss and Newton's steps, from several starts at once."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from nashfield.games.riccati import solve_positive
from nashfield.results import GameError
from nashfield.typing import Array

# Levenberg's share of the diagonal: at first, after success, after failure, when it gives up.
_WEIGHT, _EASE, _TIGHTEN, _MOST = 1e-2, 0.2, 5.0, 1e10
# A step changes no number by more than this.
_LONGEST = 1.0
# Numbers that change by less than this have been found.
_SETTLED = 1e-10
# Directions that move the residuals by so much less than others cannot be told from rounding.
_APART = 1e-7


class Descent(eqx.Module):
    """Where every start ended.

    Attributes:
        points: (R, N).
        losses: (R,) mean squared residuals.
        jacobians: (R, O, N).
    """

    points: Float[Array, "R N"]
    losses: Float[Array, "R"]
    jacobians: Float[Array, "R O N"]


def descend(
    residuals: Callable[[Array], Array],
    starts: Float[Array, "R N"],
    num_known: Any,
    num_iterations: Any,
) -> Descent:
    """Minimises the sum of squared residuals from every start.

    Gauss and Newton's steps, shortened as Levenberg and Marquardt do (the diagonal of J'J grows
    until a step succeeds), on the forward-mode Jacobian. A step to where residuals are not finite
    fails. To be called under jit.

    Args:
        residuals: (N,) -> (O,), 0 where nothing is known.
        starts: first points.
        num_known: how many residuals count.
        num_iterations: of every start, at most.
    """
    dtype = starts.dtype
    size = jax.eval_shape(residuals, starts[0]).shape[0]

    def look(point: Array) -> tuple[Array, Array, Array]:
        def twice(point: Array) -> tuple[Array, Array]:
            missed = residuals(point)
            return missed, missed

        jacobian, missed = jax.jacfwd(twice, has_aux=True)(point)
        return missed, jacobian, jnp.sum(missed**2) / num_known

    def search(point: Array) -> tuple[Array, Array, Array]:
        def unfinished(carry: tuple[Any, ...]) -> Bool[Array, ""]:
            _, _, weight, moved, count = carry
            return (weight < _MOST) & (moved > _SETTLED) & (count < num_iterations)

        def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            point, (missed, jacobian, loss), weight, _, count = carry
            square = jacobian.T @ jacobian
            bent = square + weight * jnp.diag(jnp.diag(square) + jnp.finfo(dtype).tiny)
            step = -solve_positive(bent, (jacobian.T @ missed)[:, None])[:, 0]
            step = step * jnp.minimum(1, _LONGEST / jnp.max(jnp.abs(step)))
            step = jnp.where(jnp.isfinite(step), step, 0)
            there = look(point + step)
            # The first look is at the start, which is kept whatever it is worth.
            better = there[2] < loss
            first = count == 0
            kept = jax.tree.map(
                lambda new, old: jnp.where(better, new, old),
                (point + step, there),
                (point, (missed, jacobian, loss)),
            )
            eased = jnp.where(better, _EASE, _TIGHTEN) * weight
            moved = jnp.where(better & ~first, jnp.max(jnp.abs(step)), jnp.inf)
            return *kept, jnp.where(first, weight, eased), moved, count + 1

        # One look in the program: the first step is one of length zero, to the start itself.
        nothing = (
            jnp.zeros(size, dtype),
            jnp.zeros((size, len(point)), dtype),
            jnp.asarray(jnp.inf, dtype),
        )
        weight, far = jnp.asarray(_WEIGHT, dtype), jnp.asarray(jnp.inf, dtype)
        carry = (point, nothing, weight, far, jnp.asarray(0))
        point, (_, jacobian, loss), *_ = jax.lax.while_loop(unfinished, advance, carry)
        return point, loss, jacobian

    return Descent(*jax.vmap(search)(starts))


def standard_errors(jacobian: np.ndarray, loss: float, num_known: int) -> np.ndarray:
    """Of a least-squares solution, from the size of what it misses.

    Args:
        jacobian: (O, N) there.
        loss: mean squared residual.
        num_known: how many residuals count.
    """
    freedom = max(num_known - jacobian.shape[1], 1)
    return np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)) * loss * num_known / freedom)


def check_apart(names: Sequence[str], jacobian: np.ndarray) -> None:
    """Raises unless every direction among the numbers moves the residuals.

    Raises:
        GameError: one does not; the message names the numbers that it mixes.
    """
    _, sizes, directions = np.linalg.svd(jacobian, full_matrices=False)
    if sizes[-1] > _APART * sizes[0]:
        return
    mixed = [n for n, part in zip(names, directions[-1], strict=True) if abs(part) > 0.1]
    if len(mixed) == 1:
        raise GameError(f"the trajectories do not depend on {mixed[0]}: leave it out of parameters")
    raise GameError(
        f"the trajectories do not tell {' and '.join(mixed)} apart: they can change together "
        "without any effect on the crowd; leave one of them out of parameters"
    )
