"""Where a Markov chain comes to rest: the time average of start P^t, for every kind of chain."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from nashfield.dynamics.elimination import factor, resolve
from nashfield.typing import Array

_MAX_SOLVES = 100


def limit(matrix: Float[Array, "S S"], start: Float[Array, "S"]) -> Float[Array, "S"]:
    """Time average of start P^t, t = 0, 1, ...; not differentiable.

    A chain with one recurrent class has one stationary law, wherever it starts: that to which the
    resolvent R = e (I - (1 - e) P)^-1, a stochastic matrix, leads in no time if e is next to
    nothing. Its elimination subtracts no two numbers of one sign but on the diagonal, so that the
    smallest shares keep their digits (of which a reward may take the logarithm). Links of less than
    a few eps of the precision may count as none.

    Args:
        matrix: P, rows sum to 1.
        start: the law at time 0.
    """
    closed = _closed(matrix, start)
    leak = max(32, start.size) * float(jnp.finfo(start.dtype).eps)
    identity = jnp.eye(start.size, dtype=start.dtype)
    factors = factor((identity - (1 - leak) * closed).T)
    # Every class leaves one pivot that is next to nothing.
    pivots = jax.lax.top_k(-jnp.abs(jnp.diagonal(factors[0])), min(2, start.size))[0]
    one_class = -pivots[-1] > jnp.finfo(start.dtype).eps ** 0.5
    return jax.lax.cond(
        one_class | (start.size == 1),
        lambda: _resolvent(factors, start),
        lambda: _law(_by_classes(closed)(start)),
    )


def _resolvent(factors, start: Float[Array, "S"]) -> Float[Array, "S"]:
    """Where R leads."""
    eps = jnp.finfo(start.dtype).eps
    least = eps**2  # shares below this need no digits

    def moving(carry):
        _, change, before, count = carry
        # Every solve shrinks the change at one rate: what would one more still change?
        ahead = change * jnp.minimum(change / before, 1)
        return (ahead > 2 * eps) & (count < _MAX_SOLVES)

    def move(carry):
        states, before, _, count = carry
        moved = _law(resolve(factors, states))
        off = jnp.abs(moved - states) / jnp.maximum(moved, least)
        return moved, jnp.max(off), before, count + 1

    one = jnp.ones((), start.dtype)
    return jax.lax.while_loop(moving, move, (start, one, one, 0))[0]


def limits(
    matrix: Float[Array, "S S"], start: Float[Array, "S"]
) -> tuple[Float[Array, "S S"], Float[Array, "S S"]]:
    """P as far as it matters from `start`, and its time average P*; not differentiable.

    Rows of P that the chain from `start` never comes to lead to `start`: then they make no class of
    their own. P* gives `limit(matrix, m) = m P*` for every m that `start` leads to.

    Args:
        matrix: P, rows sum to 1.
        start: the law at time 0.
    """
    closed, factors, regular = _border(matrix, start)
    average = jax.lax.cond(
        regular,
        lambda: jnp.broadcast_to(_law(resolve(factors, start)), closed.shape),
        lambda: _by_classes(closed)(jnp.eye(start.size, dtype=start.dtype)).T,
    )
    return closed, average


def reached(matrix: Float[Array, "S S"], start: Float[Array, "S"]) -> Bool[Array, "S"]:
    """Where the chain from `start` ever comes."""
    leads = (matrix > 0).astype(jnp.float32)

    def grows(carry):
        there, before = carry
        return jnp.any(there != before)

    def grow(carry):
        there, _ = carry
        return there | (there.astype(jnp.float32) @ leads > 0), there

    return jax.lax.while_loop(grows, grow, (start > 0, start < 0))[0]


def _closed(matrix: Float[Array, "S S"], start: Float[Array, "S"]) -> Float[Array, "S S"]:
    """P, but from where nobody comes everyone goes back to the start: no class of their own."""
    return jnp.where(reached(matrix, start)[:, None], matrix, start)


def _border(matrix, start):
    """P closed, the factors of I - P^T + start 1^T, and whether that is far from singular."""
    closed = _closed(matrix, start)
    factors = factor(jnp.eye(start.size, dtype=start.dtype) - closed.T + start[:, None])
    pivots = jnp.abs(jnp.diagonal(factors[0]))
    regular = jnp.min(pivots) > jnp.finfo(start.dtype).eps ** 0.25 * jnp.max(pivots)
    return closed, factors, regular


def _by_classes(matrix: Float[Array, "S S"]) -> Callable[[Array], Array]:
    """The map m -> m P* of one law or of columns of them, by the classes that each enters.

    Outside of the classes m gathers visits until it enters one; inside, with b uniform on the class
    and M what has entered, z = M b + z P - M b sum(z) / M has the sum M and z = z P.
    """
    dtype = matrix.dtype
    identity = jnp.eye(matrix.shape[0], dtype=dtype)
    # Moves that drown in the rounding of 1 - P join no classes.
    leads = _closure(matrix > 64 * jnp.finfo(dtype).eps)
    recurrent = jnp.all(~leads | leads.T, -1)
    same = (leads & leads.T & recurrent[:, None]).astype(dtype)
    uniform = same / jnp.maximum(jnp.sum(same, -1, keepdims=True), 1)
    entering = factor(identity - jnp.where(recurrent[:, None], 0, matrix).T)
    inside = jnp.where(recurrent[:, None], matrix, 0)
    resting = factor(identity - inside.T + uniform)

    def average(mass: Float[Array, "S *K"]) -> Float[Array, "S *K"]:
        stays = recurrent.reshape(-1, *[1] * (mass.ndim - 1))
        entered = jnp.where(stays, resolve(entering, mass), 0)
        return resolve(resting, jnp.dot(uniform, entered, precision="highest"))

    return average


def _closure(leads: Bool[Array, "S S"]) -> Bool[Array, "S S"]:
    """Which states are reached from each, in any number of moves, itself in none."""

    def square(_, closure):
        paths = closure.astype(jnp.float32)
        return paths @ paths > 0

    closure = leads | jnp.eye(leads.shape[0], dtype=bool)
    return jax.lax.fori_loop(0, leads.shape[0].bit_length(), square, closure)


def _law(states: Float[Array, "S"]) -> Float[Array, "S"]:
    """Without what rounding made negative."""
    states = jnp.maximum(states, 0)
    return states / jnp.sum(states)
