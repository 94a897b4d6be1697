"""`solve`: one pure function from a game and a solver to a Solution."""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from nashfield.dynamics import population_flow, sweep
from nashfield.games.base import FiniteGame
from nashfield.policies import uniform_policy
from nashfield.results import Result, SolveError
from nashfield.solution import Solution
from nashfield.solvers.base import AbstractSolver, StepInfo
from nashfield.typing import Array, ScalarLike


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
    game: FiniteGame,
    solver: AbstractSolver,
    *,
    num_iterations: int,
    initial_policy: Float[Array, "T S A"] | None = None,
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
        initial_policy: (T, S, A), where to start; uniform if None.
        atol: stop at an exploitability of at most atol + rtol * that of the start.
        rtol: see atol. With both 0 (and not traced) every iteration is done.
        key: for solvers that draw; key(0) if None.
        throw: raise where the solve ends without a usable policy. Inside jit or vmap nothing can
            be raised: look at `solution.result`.

    Returns:
        The solution.

    Raises:
        SolveError: the exploitability became NaN or infinite.
        ValueError: num_iterations is negative, or initial_policy has the wrong shape.
    """
    if num_iterations < 0:
        raise ValueError(f"num_iterations must be at least 0, not {num_iterations}")
    check_policy(game, initial_policy)
    solution = _solve(game, solver, num_iterations, initial_policy, atol, rtol, key)
    traced = isinstance(solution.result_code, jax.core.Tracer)
    if throw and not traced and not solution.result.ok:
        raise SolveError(solution.result.message)
    return solution


@eqx.filter_jit
def _solve(game, solver, num_iterations, policy, atol, rtol, key) -> Solution:
    key = jax.random.key(0) if key is None else key
    progress = start(game, solver, policy, key=key)
    never_stops = all(isinstance(x, int | float) and x == 0 for x in (atol, rtol))
    target = None if never_stops else stop_target(game, policy, atol, rtol)
    progress, infos = iterate(game, solver, progress, length=num_iterations, target=target, key=key)
    return finish(game, solver, progress, infos)


def stop_target(
    game: FiniteGame, policy: Float[Array, "T S A"] | None, atol: ScalarLike, rtol: ScalarLike
) -> Float[Array, ""]:
    """The exploitability at which to stop: atol + rtol * that of `policy` (uniform if None)."""
    policy = uniform_policy(game) if policy is None else policy
    return atol + rtol * sweep(game, policy).exploitability


def start(
    game: FiniteGame,
    solver: AbstractSolver,
    policy: Float[Array, "T S A"] | None,
    *,
    key: PRNGKeyArray,
) -> Progress:
    """Progress before the first step, from `policy` (uniform if None)."""
    if policy is None:
        state = solver.init_uniform(game, key=key)
    else:
        state = solver.init(game, jnp.asarray(policy, float), key=key)
    return Progress(state, jnp.asarray(0), jnp.asarray(int(Result.MAX_ITERATIONS)))


def iterate(
    game: FiniteGame,
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
    game: FiniteGame, solver: AbstractSolver, progress: Progress, infos: StepInfo
) -> Solution:
    """Evaluates the last policy and puts the Solution together."""
    policy = solver.policy(game, progress.state)
    last = StepInfo.of(sweep(game, policy))
    infos = jax.tree.map(lambda steps, end: jnp.append(steps, end.astype(steps.dtype)), infos, last)
    code = progress.result_code
    nonfinite: Bool[Array, ""] = ~jnp.isfinite(last.exploitability)
    code = jnp.where(nonfinite, int(Result.NONFINITE), code)
    return Solution(
        policy=policy,
        flow=population_flow(game, policy),
        history={"exploitability": infos.exploitability, "social_welfare": infos.social_welfare},
        num_steps=progress.num_steps,
        result_code=code,
        state=progress.state,
        game=game,
        solver=solver,
    )


def check_policy(game: FiniteGame, policy: Float[Array, "T S A"] | None) -> None:
    """Raises ValueError unless `policy` (if there is one) has the game's shape."""
    shape = (game.horizon, game.num_states, game.num_actions)
    if policy is not None and policy.shape[-3:] != shape:
        raise ValueError(
            f"initial_policy has shape {policy.shape}, but the game has (horizon, num_states, "
            f"num_actions) = {shape}"
        )
