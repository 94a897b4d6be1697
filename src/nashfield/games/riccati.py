"""Linear moves with quadratic costs, stage by stage: the algebra, for a crowd that is known."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.typing import Array

# Up to this many rows a system's elimination is written out; beyond, it is a loop.
_UNROLLED = 4


class StateCost(eqx.Module):
    """The cost x'Q x + 2 q'x + c.

    Attributes:
        Q: (D, D), symmetric.
        q: (D,).
        c: a number.
    """

    Q: Float[Array, "*batch D D"]
    q: Float[Array, "*batch D"]
    c: Float[Array, "*batch"]

    def expected(
        self, mean: Float[Array, "*batch D"], covariance: Float[Array, "*batch D D"]
    ) -> Float[Array, "*batch"]:
        """Mean cost of states of this mean and covariance."""
        second = covariance + mean[..., :, None] * mean[..., None, :]
        return jnp.sum(self.Q * second, (-2, -1)) + 2 * jnp.sum(self.q * mean, -1) + self.c


class Stage(eqx.Module):
    """One move x' = A x + B a + d + noise_factor z and its cost.

    The cost is x'Q x + 2 q'x + c + a'R a + 2 a'S x + 2 r'a; z is standard normal. What is left out
    is zero.

    Attributes:
        A: (D, D).
        B: (D, C).
        d: (D,).
        noise_factor: (D, W).
        Q: (D, D), symmetric.
        q: (D,).
        c: a number.
        R: (C, C), symmetric.
        S: (C, D).
        r: (C,).
    """

    A: Float[Array, "*batch D D"]
    B: Float[Array, "*batch D C"]
    d: Float[Array, "*batch D"]
    noise_factor: Float[Array, "*batch D W"]
    Q: Float[Array, "*batch D D"]
    q: Float[Array, "*batch D"]
    c: Float[Array, "*batch"]
    R: Float[Array, "*batch C C"]
    S: Float[Array, "*batch C D"]
    r: Float[Array, "*batch C"]

    def __init__(self, A, B, noise_factor, Q, R, *, d=None, q=None, c=None, S=None, r=None):
        """See the class."""
        self.A, self.B, self.noise_factor, self.Q, self.R = A, B, noise_factor, Q, R
        dtype = jnp.result_type(float)
        batch = A.shape[:-2]
        D, C = B.shape[-2:]
        self.d = jnp.zeros((*batch, D), dtype) if d is None else d
        self.q = jnp.zeros((*batch, D), dtype) if q is None else q
        self.c = jnp.zeros(batch, dtype) if c is None else c
        self.S = jnp.zeros((*batch, C, D), dtype) if S is None else S
        self.r = jnp.zeros((*batch, C), dtype) if r is None else r

    @jax.default_matmul_precision("highest")
    def move(
        self, x: Float[Array, "D"], a: Float[Array, "C"], noise: Float[Array, "W"]
    ) -> Float[Array, "D"]:
        """Where an agent in x goes by the action a."""
        return self.A @ x + self.B @ a + self.d + self.noise_factor @ noise

    @jax.default_matmul_precision("highest")
    def cost(self, x: Float[Array, "D"], a: Float[Array, "C"]) -> Float[Array, ""]:
        """What it pays for that."""
        of_state = x @ (self.Q @ x + 2 * self.q) + self.c
        return of_state + a @ (self.R @ a + 2 * (self.S @ x + self.r))


class Response(eqx.Module):
    """The best affine answer a = gain_t x + offset_t to given stages, and the cost to go.

    Attributes:
        gain: (T, C, D).
        offset: (T, C).
        curvature: (T, C, C), G_t: an action that misses the best one by e costs e'G_t e more.
        cost: the least cost to go at time 0, as a function of the state.
    """

    gain: Float[Array, "T C D"]
    offset: Float[Array, "T C"]
    curvature: Float[Array, "T C C"]
    cost: StateCost


def respond(stages: Stage, terminal: StateCost) -> Response:
    """Riccati's recursion from the last stage to the first.

    With the cost to go x'P x + 2 s'x + c of the time after: G = R + B'P B, gain = -G^-1 (S +
    B'P A), offset = -G^-1 (r + B'(P d + s)). Where G is not positive definite no action is best,
    and every number is NaN.

    Args:
        stages: whose arrays have a leading axis T.
        terminal: the cost after the last stage.
    """

    def step(ahead: StateCost, stage: Stage) -> tuple[StateCost, tuple[Array, Array, Array]]:
        A, B = stage.A, stage.B
        G = stage.R + B.T @ ahead.Q @ B
        pushed = ahead.Q @ stage.d + ahead.q
        H = stage.S + B.T @ ahead.Q @ A
        h = stage.r + B.T @ pushed
        answer = -solve_positive(G, jnp.column_stack([H, h]))
        gain, offset = answer[:, :-1], answer[:, -1]
        Q = stage.Q + A.T @ ahead.Q @ A + H.T @ gain
        q = stage.q + A.T @ pushed + gain.T @ h
        spread = jnp.sum((ahead.Q @ stage.noise_factor) * stage.noise_factor)
        c = stage.c + ahead.c + stage.d @ (pushed + ahead.q) + spread + offset @ h
        return StateCost((Q + Q.T) / 2, q, c), (gain, offset, G)

    cost, (gain, offset, curvature) = jax.lax.scan(step, terminal, stages, reverse=True)
    return Response(gain, offset, curvature, cost)


def spread(
    stages: Stage, gain: Float[Array, "T C D"], initial: Float[Array, "D D"]
) -> Float[Array, "T1 D D"]:
    """Covariances at t = 0..T of states that start with `initial` and are moved by the gain."""

    def step(covariance: Array, slices: tuple[Stage, Array]) -> tuple[Array, Array]:
        stage, gain = slices
        closed = stage.A + stage.B @ gain
        moved = closed @ covariance @ closed.T + stage.noise_factor @ stage.noise_factor.T
        return moved, covariance

    last, covariances = jax.lax.scan(step, initial, (stages, gain))
    return jnp.concatenate([covariances, last[None]])


def solve_positive(matrix: Float[Array, "C C"], right: Float[Array, "C K"]) -> Float[Array, "C K"]:
    """Solves matrix x = right; NaN where the matrix is not positive definite.

    Written out here, and `solve_general` too: batches must not reach LAPACK, see
    `dynamics.elimination`.
    """
    return _eliminate(matrix, right)[0]


def log_determinant(matrix: Float[Array, "D D"]) -> Float[Array, ""]:
    """Of a positive definite matrix; NaN where it is not."""
    return jnp.sum(jnp.log(_eliminate(matrix, matrix[:, :0])[1]))


def solve_general(
    matrix: Float[Array, "C C"], right: Float[Array, "C K"], scale: Float[Array, ""] | None = None
) -> Float[Array, "C K"]:
    """Solves matrix x = right with row exchanges; NaN where the matrix is singular to rounding.

    Args:
        matrix: what is solved.
        right: the right-hand sides.
        scale: size of the terms that the matrix is a sum of; its largest entry if None.
    """
    size = matrix.shape[0]
    scale = jnp.max(jnp.abs(matrix)) if scale is None else scale
    limit = 8 * size * jnp.finfo(matrix.dtype).eps * scale

    def eliminate(k, rows):
        below = jnp.where(jnp.arange(size) >= k, jnp.abs(rows[:, k]), -1)
        best = jnp.argmax(below)
        rows = rows.at[k].set(rows[best]).at[best].set(rows[k])
        pivot = rows[k, k]
        row = rows[k] / jnp.where(jnp.abs(pivot) > limit, pivot, np.nan)
        return (rows - rows[:, k, None] * row).at[k].set(row)

    return _loop(size, eliminate, jnp.concatenate([matrix, right], 1))[:, size:]


def _eliminate(matrix: Array, right: Array) -> tuple[Array, Array]:
    """The solution of a positive definite system, and its pivots."""
    size = matrix.shape[0]

    def eliminate(k, carry):
        rows, pivots = carry
        pivot = jnp.where(rows[k, k] > 0, rows[k, k], np.nan)
        row = rows[k] / pivot
        rows = (rows - rows[:, k, None] * row).at[k].set(row)
        return rows, pivots.at[k].set(pivot)

    start = jnp.concatenate([matrix, right], 1), jnp.zeros(size, matrix.dtype)
    rows, pivots = _loop(size, eliminate, start)
    return rows[:, size:], pivots


def _loop(size: int, body: Callable, carry: Any) -> Any:
    """`fori_loop`, written out where it is short."""
    if size > _UNROLLED:
        return jax.lax.fori_loop(0, size, body, carry)
    for k in range(size):
        carry = body(k, carry)
    return carry
