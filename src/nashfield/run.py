"""`run`: a solve in pieces, with a progress bar, a log, checkpoints, and a way to go on."""

from pathlib import Path
from typing import Any

import jax
from jaxtyping import PRNGKeyArray

from nashfield import record, storage
from nashfield.arguments import check_arguments
from nashfield.chunks import Loop
from nashfield.progress import ProgressReport
from nashfield.results import SolveError
from nashfield.solution import Solution
from nashfield.solvers.base import AbstractSolver
from nashfield.storage import RunFolderError

_RESUME = ", or go on with the run that it holds (--resume, nf.run(..., resume=True))"


def run(
    game: Any,
    solver: AbstractSolver,
    *,
    num_iterations: int,
    initial_policy: Any = None,
    atol: float = 0.0,
    rtol: float = 0.0,
    chunk_size: int = 100,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
    key: PRNGKeyArray | None = None,
    throw: bool = True,
) -> Solution:
    """Runs `solver` on `game` chunk by chunk; finds what `solve` finds.

    One compiled chunk serves every number of iterations, every tolerance, and every game and
    solver of the same shapes. The iteration stops early, between steps, at the tolerance or when
    the exploitability is no longer finite.

    With `out`, a run folder is kept: config.json, history.csv (appended about once a second),
    checkpoint.npz (likewise, and when the run ends or is interrupted), solution.npz. Whatever ends
    the process, `resume=True` goes on from the last checkpoint and ends bitwise where an
    uninterrupted run ends.

    Args:
        game: the game.
        solver: the algorithm.
        num_iterations: at most so many steps, those before a resumption included.
        initial_policy: where to start, see `solve`.
        atol: stop at an exploitability of at most atol + rtol * that of the start.
        rtol: see atol.
        chunk_size: at most so many steps are done between two looks at clock and keyboard.
        out: the run folder, new or empty; None keeps nothing.
        resume: go on with the run in `out`, whose game, solver, key and start must be these.
        progress: True reports on standard error (a bar on a terminal, else lines), False does
            not, None does on a terminal.
        key: for solvers that draw; key(0) if None.
        throw: raise where the run ends without a usable policy.

    Returns:
        The solution. Its history ends with the last step, and its `stats` are "seconds" (of
        iterating, those before a resumption included), "compile_seconds" (of this process) and
        "initial_exploitability".

    Raises:
        SolveError: the exploitability became NaN or infinite; the last good checkpoint is kept.
        RunFolderError: `out` is not empty, cannot be written, or holds another run.
        KeyboardInterrupt: Ctrl-C; everything done so far is saved, the message says how to go on.
        TypeError: game or solver is none.
        ValueError: num_iterations or chunk_size is out of range, or initial_policy is no policy of
            this game.
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, not {chunk_size}")
    if resume and out is None:
        raise ValueError("resume needs out, the folder of the run to go on with")
    check_arguments(game, solver, initial_policy, num_iterations, (atol, rtol))
    key = jax.random.key(0) if key is None else key
    folder = None if out is None else Path(out)
    loop = _loop(game, solver, key, chunk_size, folder)
    config = {}
    if folder is not None:
        settings = {"num_iterations": num_iterations, "atol": atol, "rtol": rtol}
        config = loop.describe(initial_policy, **settings)
        if resume:
            record.check_same_run(folder, config)
        else:
            storage.new_folder(folder, way_out=_RESUME)
    report = ProgressReport(num_iterations, progress)
    loop.begin(initial_policy, atol, rtol)
    if resume:
        loop.restore()
    if loop.num_steps > num_iterations:
        raise RunFolderError(
            f"{out}: this run has already done {loop.num_steps} iterations, more than the "
            f"{num_iterations} asked for"
        )
    if folder is not None:
        storage.write_config(folder, config)
    try:
        loop.go(num_iterations, report)
        solution = loop.finish()
    except KeyboardInterrupt as interrupt:
        if folder is None:
            raise
        loop.save(anew=True)
        raise KeyboardInterrupt(
            f"stopped after {loop.num_steps} iterations, all of them saved; go on with "
            f"resume=True, out={str(out)!r}"
        ) from interrupt
    finally:
        report.close()
    if throw and not solution.result.ok:
        raise SolveError(failure(solution, folder), solution)
    return solution


def _loop(game: Any, solver: AbstractSolver, *more: Any) -> Loop:
    from nashfield.solvers.deep_play import AbstractDeepPlay

    if not isinstance(solver, AbstractDeepPlay):
        return Loop(game, solver, *more)
    from nashfield.phases import PhasedLoop

    return PhasedLoop(game, solver, *more)


def failure(solution: Solution, folder: Path | None) -> str:
    """What to tell the user of a run without a usable policy."""
    message = solution.trouble
    if not message:
        message = f"{solution.result.message} (at iteration {int(solution.num_steps)})"
    if folder is not None and (folder / storage.CHECKPOINT).exists():
        message += f"; the last good state is kept in {folder / storage.CHECKPOINT}"
    return message
