"""What `nashfield solve` says of a solution: in lines, and as one JSON object."""

import argparse
import math
from pathlib import Path
from typing import Any

from nashfield.results import Result

# A search for the social optimum takes seconds up to so many states, fewer where the crowd bends
# the moves and has to be followed on its way to rest.
_MAX_STATES, _MAX_BENT_STATES = 512, 128


def print_lines(args: argparse.Namespace, solution: Any, out: Path) -> None:
    """Prints how the run ended and how good the answer is."""
    stats = solution.stats
    num_steps = int(solution.num_steps)
    took = f"{num_steps} iterations in {stats['seconds']:.2f} s"
    if num_steps:
        took += f", {_rate(num_steps / max(stats['seconds'], 1e-9))}"
    print(
        f"{args.game} by {args.solver}: {solution.result.message.partition(':')[0]} "
        f"({took}; compiled in {stats['compile_seconds']:.2f} s)"
    )
    name = policy_name(solution.policy)
    if name:
        print(f"policy         {name}")
    share = ", a lower bound: what a learnt best response gains"
    if solution.solver.knows_exploitability(solution.game):
        share = _share(solution.exploitability, stats["initial_exploitability"])
    print(f"exploitability {solution.exploitability:.6g}{share}")
    if _timeless(solution.game):
        print(f"social welfare {solution.social_welfare:.6g}")
    if "gradient_norm" in solution.history:
        print(f"gradient norm  {solution.gradient_norm:.6g}")
    if solution.result is not Result.CONVERGED and args.tolerance > 0:
        most = solution.solver.most_iterations(solution.game)
        way_out = "go on with more --iterations and --resume, or try another --seed or --solver"
        if most is not None and int(solution.num_steps) >= most:
            way_out = f"start anew with --solver-set capacity={10 * most}, or try another --solver"
        print(f"the tolerance {args.tolerance:g} was not reached: {way_out}")
    print(f"run folder     {out}", flush=True)


def find_certificate(solution: Any) -> Any:
    """What the answer on a grid is worth on points; None where there are none."""
    from nashfield.dynamics.discretised import DiscretisedGame

    if not isinstance(solution.game, DiscretisedGame):
        return None
    from nashfield.metrics import exploitability

    return exploitability(solution.game.game, solution.game.control(solution.policy), method="grid")


def print_anarchy(anarchy: dict[str, float | None] | None, solution: Any) -> None:
    """Prints the price of anarchy of a stationary game, or how to get it."""
    from nashfield.games.base import StationaryGame

    if anarchy is None:
        if isinstance(solution.game, StationaryGame):
            print(
                f"price of anarchy: not sought among {solution.game.num_states} states; "
                "nashfield.price_of_anarchy(game, policy) seeks it"
            )
        return
    ratio = "" if anarchy["ratio"] is None else f" {anarchy['ratio']:.6g}"
    print(
        f"price of anarchy{ratio}: the social optimum is at least {anarchy['optimum']:.6g}, a gap "
        f"of {anarchy['gap']:.6g}"
    )


def summary(
    args: argparse.Namespace,
    solution: Any,
    out: Path,
    anarchy: dict[str, float | None] | None = None,
    certificate: Any = None,
) -> dict[str, Any]:
    """The object that --json prints."""
    found = {
        "game": args.game,
        "solver": args.solver,
        "iterations": int(solution.num_steps),
        "exploitability": _finite(solution.exploitability),
        "initial_exploitability": _finite(solution.stats["initial_exploitability"]),
        "social_welfare": _finite(solution.social_welfare),
    }
    if "gradient_norm" in solution.history:
        found["gradient_norm"] = _finite(solution.gradient_norm)
    if anarchy is not None:
        found["price_of_anarchy"] = anarchy
    if certificate is not None:
        numbers = {"value": certificate.value, "error": certificate.error}
        found["on_points"] = {name: _finite(float(x)) for name, x in numbers.items()}
    return found | {
        "seconds": solution.stats["seconds"],
        "compile_seconds": solution.stats["compile_seconds"],
        "result": Result(solution.result).name.lower(),
        "out": str(out),
    }


def find_anarchy(solution: Any) -> dict[str, float | None] | None:
    """Social optimum, gap and ratio; None where there are none, or where it would take minutes."""
    from nashfield.games.base import StationaryGame

    game = solution.game
    if not isinstance(game, StationaryGame) or anarchy_takes_long(game):
        return None
    from nashfield.metrics import price_of_anarchy

    found = price_of_anarchy(game, solution.policy)
    return {name: _finite(float(getattr(found, name))) for name in ("optimum", "gap", "ratio")}


def anarchy_takes_long(game: Any) -> bool:
    """Whether the search for the social optimum of a stationary game is not done unasked."""
    from nashfield.dynamics.stationary import moves_with_crowd

    limit = _MAX_BENT_STATES if moves_with_crowd(game) else _MAX_STATES
    return game.num_states > limit


def unsettled(solution: Any) -> str:
    """What to say of a stationary mean field that does not rest."""
    from nashfield.games.base import StationaryGame

    game = solution.game
    if not isinstance(game, StationaryGame):
        return solution.result.message
    from nashfield.dynamics.stationary import UNSETTLED_RESIDUAL, settle
    from nashfield.policies import as_table

    _, residual = settle(game, as_table(game, solution.policy))
    if residual <= UNSETTLED_RESIDUAL:  # it is a played crowd that has not settled
        return solution.result.message
    steps = int(game.settling_steps)
    return f"{solution.result.message} (residual {float(residual):.2g} after {steps} steps)"


def policy_name(policy: Any) -> str:
    """Name and parameters of a policy that has some, such as SoftThreshold(theta=0.4803)."""
    import dataclasses

    import jax
    import numpy as np

    from nashfield.policies import AbstractPolicy

    if not isinstance(policy, AbstractPolicy):
        return ""
    parameters = policy.split()[0]
    numbers = {
        field.name: value
        for field in dataclasses.fields(policy)
        if (value := getattr(parameters, field.name)) is not None
    }
    if all(hasattr(x, "dtype") and np.ndim(x) == 0 for x in numbers.values()):
        text = ", ".join(f"{name}={float(value):.4g}" for name, value in numbers.items())
    else:
        text = f"{sum(leaf.size for leaf in jax.tree.leaves(parameters))} parameters"
    return f"{type(policy).__name__}({text})"


def _share(exploitability: float, initial: float) -> str:
    """How that of the end compares with that of the start."""
    if not initial:
        return ""
    share = exploitability / initial
    return f", {share:.2g} {'times' if share > 1 else 'of'} that of the start"


def _rate(rate: float) -> str:
    """Iterations a second, or seconds an iteration."""
    return f"{rate:.0f}/s" if rate >= 10 else f"{1 / max(rate, 1e-9):.2g} s each"


def _timeless(game: Any) -> bool:
    from nashfield.games.base import FiniteGame

    return not isinstance(game, FiniteGame)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None  # JSON knows no NaN
