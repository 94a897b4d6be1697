"""`nashfield solve`: a game, a solver, a run folder, a number, and pictures."""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from nashfield.cli import ERROR, prepare, report
from nashfield.cli.grid import on_grid
from nashfield.cli.parser import DEFAULT_GRADIENT_STEPS, DEFAULT_ITERATIONS, DEFAULT_TOLERANCE
from nashfield.registry import SOLVERS, find
from nashfield.results import NashfieldError, Result


def main(args: argparse.Namespace) -> int:
    """Solves, saves, draws, and says how far from Nash the answer is."""
    prepare()
    from nashfield.games.loading import load_game, load_solver

    if args.resume and args.out is None:
        raise NashfieldError("--resume goes on with the run in --out DIR: say which")
    game = load_game(args.game, dict(args.set))
    if args.grid:
        game = on_grid(args.game, game, dict(args.grid))
    solver = load_solver(args.solver, dict(args.solver_set))
    _check_solves(args, game, solver)
    _fill_in(args, game, solver)
    out = Path(args.out) if args.out else _fresh_folder(args.game, args.solver)
    try:
        solution = _run(args, game, solver, out)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(_how_to_go_on(args, out, str(interrupt))) from interrupt
    if not solution.result.ok:
        from nashfield.run import failure

        if args.json:
            print(json.dumps(report.summary(args, solution, out)))
        print(f"nashfield: error: {failure(solution, out)}", file=sys.stderr)
        return ERROR
    if not args.json:
        report.print_lines(args, solution, out)
    if solution.result is Result.UNSETTLED:
        print(f"nashfield: warning: {report.unsettled(solution)}", file=sys.stderr)
    # The answer is out; what follows takes its time.
    pictures = []
    if not args.no_plots:
        from nashfield.plotting import save_pictures

        pictures = save_pictures(solution, out)
    anarchy, certificate = report.find_anarchy(solution), report.find_certificate(solution)
    if args.json:
        print(json.dumps(report.summary(args, solution, out, anarchy, certificate)))
        return 0
    if certificate is not None:
        print(f"on points      {certificate}: the same policy off the grid, which more cells help")
    report.print_anarchy(anarchy, solution)
    if pictures:
        print("pictures       " + " ".join(str(path) for path in pictures))
    return 0


def _check_solves(args: argparse.Namespace, game: Any, solver: Any) -> None:
    """Raises NashfieldError, which names those that do, where the solver cannot take the game."""
    if isinstance(game, solver.games):
        return
    from nashfield.games.continuous import ContinuousGame

    able = [name for name in sorted(SOLVERS) if isinstance(game, _games_of(name))]
    way_out = f"these do: {', '.join(able)}" if able else "no solver does as it is"
    if isinstance(game, ContinuousGame):
        way_out += "; on a grid all solvers of tables do: --grid num_cells=60 num_actions=21"
    raise NashfieldError(f"{args.solver} does not solve {args.game}; {way_out}")


def _fill_in(args: argparse.Namespace, game: Any, solver: Any) -> None:
    """Sets what was left open.

    A solver that trains its own policy may pass an equilibrium on its way to a social optimum, and
    where states are points its exploitability is noisy: neither is a reason to stop.
    """
    trains = solver.starts_itself
    if args.iterations is None:
        usual = DEFAULT_GRADIENT_STEPS if trains else DEFAULT_ITERATIONS
        args.iterations = solver.usual_iterations or usual
        args.iterations = min(args.iterations, solver.most_iterations(game) or args.iterations)
    if args.tolerance is None:
        args.tolerance = 0.0 if trains else DEFAULT_TOLERANCE


def _games_of(name: str) -> tuple[type, ...]:
    return find(SOLVERS, name, "solver").games


def _run(args: argparse.Namespace, game: Any, solver: Any, out: Path) -> Any:
    import jax

    from nashfield.run import run

    return run(
        game,
        solver,
        num_iterations=args.iterations,
        # The floor lets a start that is already an equilibrium count as solved.
        atol=1e-13 if args.tolerance > 0 else 0.0,
        rtol=args.tolerance,
        out=out,
        resume=args.resume,
        progress=True,
        key=jax.random.key(args.seed),
        throw=False,
    )


def _fresh_folder(game: str, solver: str) -> Path:
    """The first of runs/GAME-SOLVER-1, -2, ... that does not exist."""
    name = game.rpartition(":")[2] if ":" in game else Path(game).stem
    number = 1
    while (path := Path("runs") / f"{name}-{solver}-{number}").exists():
        number += 1
    return path


def _how_to_go_on(args: argparse.Namespace, out: Path, saved: str) -> str:
    message = saved.partition(";")[0] or "interrupted"
    if not (out / "config.json").exists():
        return message
    words = ["nashfield", "solve", args.game, "--solver", args.solver]
    for flag in ("iterations", "tolerance", "seed"):
        words += [f"--{flag}", str(getattr(args, flag))]
    flags = {"--set": args.set, "--solver-set": args.solver_set, "--grid": args.grid}
    for flag, settings in flags.items():
        words += [flag, *(f"{name}={value}" for name, value in settings)] if settings else []
    words += ["--no-plots"] if args.no_plots else []
    words += ["--json"] if args.json else []
    return f"{message}; go on with: {shlex.join([*words, '--out', str(out), '--resume'])}"
