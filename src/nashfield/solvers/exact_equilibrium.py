"""Equilibria to rounding: a damped fixed point, polished by Newton's method where agents mix."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.dynamics import Sweep, sweep
from nashfield.games.base import StationaryGame
from nashfield.learners import greedy
from nashfield.solvers.base import AbstractSolver, StepInfo
from nashfield.typing import Array

# Lengths of the projected step, in units of the largest advantage: short ones keep rows mixed,
# long ones make them pure.
_STEPS = np.array([1.0, 10.0, 100.0, 1e3, 1e4])
_DECREASE = 0.9  # a Newton step must bring the exploitability to this share
_ROUNDING = 32  # in units of the last place of the values: there is nothing left to gain
_RESTART, _CYCLES = 24, 4


class ExactState(eqx.Module):
    """State of `ExactEquilibrium`.

    Attributes:
        policy: (S, A).
        num_damped: damped steps so far.
    """

    policy: Float[Array, "S A"]
    num_damped: Int[Array, ""]


class ExactEquilibrium(AbstractSolver):
    """An equilibrium in which agents may mix where they are indifferent, to rounding.

    A policy is an equilibrium where pi = proj(pi + eta Q*(pi)) for any eta > 0: Q* are the optimal
    action values against the stationary mean field of pi, and proj projects every row on the
    simplex. A step solves this by Newton's method: rows that the projection makes pure become pure,
    in all others the mixture is sought at which the actions in use are worth the same. Of several
    eta the best is taken, if its exploitability is smaller. Otherwise a share 1 / (k + 2) of the
    crowd goes over to a best response (k counts such steps), a fixed point iteration whose damping
    grows. The definition is that of a stationary mean-field equilibrium of Subramanian and Mahajan
    (2019). Source: Qi and Sun (1993), "A nonsmooth version of Newton's method", equation (1.2); the
    equation is the natural map of a variational inequality, Facchinei and Pang (2003),
    "Finite-Dimensional Variational Inequalities and Complementarity Problems", section 1.5.

    Newton's method finds the equilibrium near by: of several, another start may find another.
    """

    games: ClassVar[tuple[type, ...]] = (StationaryGame,)

    def init(
        self, game: StationaryGame, policy: Float[Array, "S A"], *, key: PRNGKeyArray
    ) -> ExactState:
        """At `policy`."""
        return ExactState(policy, jnp.zeros((), int))

    def step(
        self, game: StationaryGame, state: ExactState, *, key: PRNGKeyArray
    ) -> tuple[ExactState, StepInfo]:
        """One Newton step for each eta; or, where none is good, one damped step."""
        policy = state.policy
        arrays, rest = eqx.partition(game, eqx.is_array)

        # GMRES ends in LAPACK, which batches must not reach: see `dynamics.elimination`.
        @jax.custom_batching.sequential_vmap
        def newton(arrays, policy):
            return _newton(eqx.combine(arrays, rest), policy)

        current, candidates, gaps = newton(arrays, policy)
        best = jnp.argmin(jnp.where(jnp.isnan(gaps), jnp.inf, gaps))
        gap = current.exploitability
        least = _ROUNDING * jnp.finfo(policy.dtype).eps * jnp.max(jnp.abs(current.state_values))
        polished = gaps[best] < _DECREASE * gap
        rests = ~polished & (gap <= least)
        share = jnp.asarray(1 / (state.num_damped + 2), policy.dtype)
        damped = policy + share * (greedy(current.optimal_advantages) - policy)
        moved = jnp.where(rests, policy, jnp.where(polished, candidates[best], damped))
        count = state.num_damped + ~(polished | rests)
        return ExactState(moved, count.astype(state.num_damped.dtype)), StepInfo.of(current)

    def policy(self, game: StationaryGame, state: ExactState) -> Float[Array, "S A"]:
        """Of the state."""
        return state.policy


def _newton(
    game: StationaryGame, policy: Float[Array, "S A"]
) -> tuple[Sweep, Float[Array, "E S A"], Float[Array, "E"]]:
    """The policy's sweep; for each eta where a Newton step leads, and the exploitability there."""

    def optimal(policy):
        swept = sweep(game, policy)
        return swept.optimal_advantages, swept

    values, respond, current = jax.linearize(optimal, policy, has_aux=True)
    spread = jnp.max(jnp.max(values, -1) - jnp.min(values, -1))
    unit = 1 / jnp.maximum(spread, jnp.finfo(policy.dtype).tiny)
    tolerance = 10 * float(jnp.finfo(policy.dtype).eps)

    def move(eta: Float[Array, ""]) -> tuple[Float[Array, "S A"], Float[Array, ""]]:
        target = _project(policy + eta * values)
        used = target > 0
        num_used = jnp.sum(used, -1, keepdims=True)

        def residual(change):
            """The derivative of pi - proj(pi + eta Q*(pi))."""
            ahead = jnp.where(used, change + eta * respond(change), 0)
            mean = jnp.sum(ahead, -1, keepdims=True) / num_used
            return change - jnp.where(used, ahead - mean, 0)

        change, _ = jax.scipy.sparse.linalg.gmres(
            residual,
            target - policy,
            tol=tolerance,
            restart=min(_RESTART, policy.size),
            maxiter=_CYCLES,
        )
        moved = _project(policy + change)
        there = sweep(game, moved)
        return moved, jnp.where(there.settled, there.exploitability, jnp.inf)

    candidates, gaps = jax.lax.map(move, unit * jnp.asarray(_STEPS, policy.dtype))
    return current, candidates, gaps


def _project(points: Float[Array, "S A"]) -> Float[Array, "S A"]:
    """The nearest point of the simplex to every row (Duchi et al. 2008)."""
    ordered = jnp.sort(points, -1, descending=True)
    # The level above which the rest sums to 1, if so many of the largest stay.
    levels = (jnp.cumsum(ordered, -1) - 1) / jnp.arange(1, points.shape[-1] + 1)
    count = jnp.sum(ordered > levels, -1, keepdims=True)
    nearest = jnp.maximum(points - jnp.take_along_axis(levels, count - 1, -1), 0)
    # Without the dust of rounding, so that pure rows are exactly pure.
    nearest = jnp.where(nearest > 16 * jnp.finfo(points.dtype).eps, nearest, 0)
    return nearest / jnp.sum(nearest, -1, keepdims=True)
