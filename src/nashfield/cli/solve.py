"""`nashfield solve`: a game, a solver, a run folder, a number, and pictures."""

import argparse
import json
import math
import shlex
import sys
from pathlib import Path
from typing import Any

from nashfield.cli import ERROR, prepare
from nashfield.results import NashfieldError, Result


def main(args: argparse.Namespace) -> int:
    """Solves, saves, draws, and says how far from Nash the answer is."""
    prepare()
    from nashfield.games.loading import load_game, load_solver

    if args.resume and args.out is None:
        raise NashfieldError("--resume goes on with the run in --out DIR: say which")
    game = load_game(args.game, dict(args.set))
    solver = load_solver(args.solver, dict(args.solver_set))
    out = Path(args.out) if args.out else _fresh_folder(args.game, args.solver)
    try:
        solution = _run(args, game, solver, out)
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(_how_to_go_on(args, out, str(interrupt))) from interrupt
    pictures = []
    if solution.result.ok and not args.no_plots:
        from nashfield.plotting import save_pictures

        pictures = save_pictures(solution, out)
    if args.json:
        print(json.dumps(_summary(args, solution, out)))
    elif solution.result.ok:
        _print(args, solution, out, pictures)
    if not solution.result.ok:
        from nashfield.run import failure

        print(f"nashfield: error: {failure(solution, out)}", file=sys.stderr)
        return ERROR
    return 0


def _run(args: argparse.Namespace, game: Any, solver: Any, out: Path) -> Any:
    import jax

    from nashfield.run import run

    return run(
        game,
        solver,
        num_iterations=args.iterations,
        # The floor lets a start that is already an equilibrium count as solved.
        atol=1e-13,
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
    for flag, settings in (("--set", args.set), ("--solver-set", args.solver_set)):
        words += [flag, *(f"{name}={value}" for name, value in settings)] if settings else []
    words += ["--no-plots"] if args.no_plots else []
    words += ["--json"] if args.json else []
    return f"{message}; go on with: {shlex.join([*words, '--out', str(out), '--resume'])}"


def _summary(args: argparse.Namespace, solution: Any, out: Path) -> dict[str, Any]:
    return {
        "game": args.game,
        "solver": args.solver,
        "iterations": int(solution.num_steps),
        "exploitability": _finite(solution.exploitability),
        "initial_exploitability": _finite(solution.stats["initial_exploitability"]),
        "seconds": solution.stats["seconds"],
        "compile_seconds": solution.stats["compile_seconds"],
        "result": Result(solution.result).name.lower(),
        "out": str(out),
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None  # JSON knows no NaN


def _print(args: argparse.Namespace, solution: Any, out: Path, pictures: list[Path]) -> None:
    stats = solution.stats
    rate = int(solution.num_steps) / max(stats["seconds"], 1e-9)
    print(
        f"{args.game} by {args.solver}: {solution.result.message} ({int(solution.num_steps)} "
        f"iterations in {stats['seconds']:.2f} s, {rate:.0f}/s; compiled in "
        f"{stats['compile_seconds']:.2f} s)"
    )
    initial = stats["initial_exploitability"]
    share = f", {solution.exploitability / initial:.2g} of that of the start" if initial else ""
    print(f"exploitability {solution.exploitability:.6g}{share}")
    if solution.result is Result.MAX_ITERATIONS and args.tolerance > 0:
        print(
            f"the tolerance {args.tolerance:g} was not reached: go on with more --iterations and "
            "--resume, or try another --seed or --solver"
        )
    print(f"run folder     {out}")
    if pictures:
        print("pictures       " + " ".join(str(path) for path in pictures))
