"""`solve`: one pure function from a game and a solver to a Solution."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from nashfield.arguments import check_arguments
from nashfield.games.checks import check_form
from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.mean_fields import FiniteFlow, FiniteMeanField
from nashfield.results import Result, SolveError
from nashfield.solution import Solution
from nashfield.solvers.base import AbstractSolver, StepInfo
from nashfield.typing import Array, ScalarLike, scalar

# Rounding over any horizon stays far below this; rows that do not sum to 1 do not.
_MASS_TOLERANCE = 1e-3


class Progress(eqx.Module):
    """Where an iteration stands.

    Attributes:
        state: the solver's.
        num_steps: iterations done.
        result_code: MAX_ITERATIONS while the iteration may go on.
    """

    state: Any
    num_steps: Int[Array, ""]
    result_code: Int[Array, ""]


def solve(
    game: Any,
    solver: AbstractSolver,
    *,
    num_iterations: int,
    initial_policy: Any = None,
    atol: ScalarLike = 0.0,
    rtol: ScalarLike = 0.0,
    key: PRNGKeyArray | None = None,
    throw: bool = True,
) -> Solution:
    """Runs `solver` on `game` in one compiled program.

    Pure: it may be wrapped in jit, vmapped over keys, starts, and the array attributes of game and
    solver, and differentiated with respect to them.

    Args:
        game: the game.
        solver: the algorithm.
        num_iterations: at most so many steps; a new number compiles anew (`run` does not).
        initial_policy: where to start: (T, S, A), or (S, A) for a stationary game, or of a game on
            points a policy such as `policies.Affine`; the solver's own start (uniform) if None.
        atol: stop at an exploitability of at most atol + rtol * that of the start.
        rtol: see atol. With both 0 (and not traced) every iteration is done.
        key: for solvers that draw; key(0) if None.
        throw: raise where the solve ends without a usable policy. Inside jit or vmap nothing can
            be raised: look at `solution.result`.

    Returns:
        The solution.

    Raises:
        GameError: sizes or shapes of a user's game are wrong.
        SolveError: the exploitability became NaN or infinite, or transitions lose mass.
        TypeError: game or solver is none (a class instead of an instance, say).
        ValueError: num_iterations is negative, or initial_policy is no policy of this game.
    """
    check_arguments(game, solver, initial_policy, num_iterations, (atol, rtol))
    never_stops = all(isinstance(x, int | float) and x == 0 for x in (atol, rtol))
    tolerances = None if never_stops else (scalar(atol), scalar(rtol))
    solution = _solve(game, solver, num_iterations, initial_policy, tolerances, key)
    # What went in, not what jit made of its numbers: a game is saved by its parameters.
    solution = dataclasses.replace(solution, game=game, solver=solver)
    traced = isinstance(solution.result_code, jax.core.Tracer)
    if throw and not traced and not solution.result.ok:
        raise SolveError(solution.result.message)
    return solution


@eqx.filter_jit
def _solve(game, solver, num_iterations, policy, tolerances, key) -> Solution:
    key = jax.random.key(0) if key is None else key
    progress = start(game, solver, policy, key=key)  # first: it looks at the game
    target = None
    if tolerances is not None:
        target = stop_target(game, solver, progress, *tolerances, key=key)[1]
    progress, infos = iterate(game, solver, progress, length=num_iterations, target=target, key=key)
    return finish(game, solver, progress, infos, key=key)


def stop_target(
    game: Any,
    solver: AbstractSolver,
    progress: Progress,
    atol: Array,
    rtol: Array,
    *,
    key: PRNGKeyArray,
) -> tuple[StepInfo, Float[Array, ""]]:
    """What is known of the start, and the exploitability at which to stop.

    That is atol + rtol * the exploitability of the start; with both 0 nothing is good enough.
    """
    info = solver.outcome(game, progress.state, key=key).info
    target = atol + rtol * info.exploitability
    return info, jnp.where((atol == 0) & (rtol == 0), -jnp.inf, target)


def start(
    game: Any,
    solver: AbstractSolver,
    policy: Any,
    *,
    key: PRNGKeyArray,
) -> Progress:
    """Progress before the first step, from `policy` (uniform if None).

    Raises:
        GameError: sizes or shapes of a user's game are wrong.
    """
    # Looked at while jit traces: later calls do not pay for it.
    ours = type(game).__module__.startswith("nashfield.")
    if not ours and not isinstance(game, ContinuousStationaryGame):
        check_form(game)
    if policy is None:
        state = solver.init_uniform(game, key=key)
    else:
        held = jax.tree.map(lambda leaf: jnp.asarray(leaf, float), policy)
        state = solver.init(game, held, key=key)
    return Progress(state, jnp.asarray(0), jnp.asarray(int(Result.MAX_ITERATIONS)))


def iterate(
    game: Any,
    solver: AbstractSolver,
    progress: Progress,
    *,
    length: int,
    target: Float[Array, ""] | None = None,
    limit: Int[Array, ""] | None = None,
    key: PRNGKeyArray,
) -> tuple[Progress, StepInfo]:
    """Up to `length` steps; the ground that `solve` and `run` stand on.

    Args:
        game: the game.
        solver: the algorithm.
        progress: where to go on from.
        length: steps that there is room for.
        target: stop at this exploitability; None never stops.
        limit: stop at this number of steps in all, and do no work for the rest of `length` (at the
            price of reverse-mode derivatives); None: after `length`.
        key: folded with the number of the step, so that a resumed run draws what an
            uninterrupted one draws.

    Returns:
        The progress, and for each of the `length` steps what it found (once stopped, the last).
    """

    def step(progress: Progress) -> tuple[Progress, StepInfo]:
        step_key = jax.random.fold_in(key, progress.num_steps)
        state, info = solver.step(game, progress.state, key=step_key)
        return Progress(state, progress.num_steps + 1, progress.result_code), info

    if target is None and limit is None:
        return jax.lax.scan(lambda carry, _: step(carry), progress, length=length)

    # Traced once for all of its uses below: tracing is most of what a tiny game costs.
    step = jax.jit(step, inline=True)

    def advance(progress: Progress) -> tuple[Progress, StepInfo]:
        moved, info = step(progress)
        code = _result(info.exploitability, target)
        stopped = code != int(Result.MAX_ITERATIONS)
        # The step looked at the policy that entered it: if that one is good, it stays.
        kept = Progress(progress.state, progress.num_steps, code)
        return jax.tree.map(lambda a, b: jnp.where(stopped, a, b), kept, moved), info

    def over(progress: Progress) -> Bool[Array, ""]:
        return progress.result_code != int(Result.MAX_ITERATIONS)

    nothing = jax.eval_shape(step, progress)[1]
    if limit is None:

        def scanned(carry, _):
            progress, _ = carry
            carry = jax.lax.cond(over(progress), lambda: carry, lambda: advance(progress))
            return carry, carry[1]

        nothing = jax.tree.map(lambda x: jnp.full(x.shape, jnp.nan, x.dtype), nothing)
        (progress, _), infos = jax.lax.scan(scanned, (progress, nothing), length=length)
        return progress, infos

    def unfinished(carry) -> Bool[Array, ""]:
        progress, _, count = carry
        return ~over(progress) & (progress.num_steps < limit) & (count < length)

    def looped(carry):
        progress, infos, count = carry
        progress, info = advance(progress)
        # What is not overwritten by a later step stands for the steps that were not needed.
        later = jnp.arange(length) >= count
        infos = jax.tree.map(lambda old, new: jnp.where(later, new, old), infos, info)
        return progress, infos, count + 1

    infos = jax.tree.map(lambda x: jnp.full((length, *x.shape), jnp.nan, x.dtype), nothing)
    progress, infos, _ = jax.lax.while_loop(unfinished, looped, (progress, infos, 0))
    return progress, infos


def _result(exploitability: Float[Array, ""], target: Float[Array, ""] | None) -> Int[Array, ""]:
    code = jnp.where(
        jnp.isfinite(exploitability), int(Result.MAX_ITERATIONS), int(Result.NONFINITE)
    )
    if target is None:
        return code
    return jnp.where(exploitability <= target, int(Result.CONVERGED), code)


def finish(
    game: Any,
    solver: AbstractSolver,
    progress: Progress,
    infos: StepInfo | None,
    *,
    key: PRNGKeyArray,
) -> Solution:
    """Evaluates the last policy and puts the Solution together, without game and solver.

    Args:
        game: the game.
        solver: the algorithm.
        progress: where the iteration ended.
        infos: what its steps found; None leaves them out of the history.
        key: for solvers that evaluate by samples.
    """
    last = solver.outcome(game, progress.state, key=key)
    if infos is None:
        whole = jax.tree.map(lambda end: end[None], last.info)
    else:
        whole = jax.tree.map(
            lambda steps, end: jnp.append(steps, end.astype(steps.dtype)), infos, last.info
        )
    code = jnp.where(last.settled, progress.result_code, int(Result.UNSETTLED))
    if isinstance(last.flow, FiniteFlow | FiniteMeanField):
        off = jnp.max(jnp.abs(jnp.sum(last.flow.states, -1) - 1))
        code = jnp.where(off > _MASS_TOLERANCE, int(Result.LOST_MASS), code)
    code = jnp.where(jnp.isfinite(last.info.exploitability), code, int(Result.NONFINITE))
    return Solution(
        policy=last.policy,
        flow=last.flow,
        history=whole.columns(),
        num_steps=progress.num_steps,
        result_code=code,
        state=progress.state,
        game=None,
        solver=None,
    )
