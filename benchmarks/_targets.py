"""Seconds to a relative exploitability, ours beside theirs."""

from collections.abc import Callable
from typing import Any

import _cases
import _report
import nashfield as nf
from _bench import Bench
from _cases import Setting
from _link import PeerError
from _ours import race
from _speed import legal_uniform
from nashfield import registry
from nashfield.games.base import FiniteGame

TARGETS = [1e-2, 1e-3]


def targets(bench: Bench) -> list[dict]:
    """Seconds to a relative exploitability, ours beside theirs."""
    cap = bench.options.cap
    rows = []
    for case in bench.chosen(_cases.MFGLIB):
        try:
            game, _ = bench.load_mfglib(case, "float64")
        except (PeerError, AttributeError, TypeError) as error:
            rows.append({"game": case.label, "error": str(error)})
            continue
        row: dict[str, Any] = {"game": case.label, "ours": best_of_ours(game, cap)}
        bench.load_mfglib(case, "float32")
        for name, settings in (
            ("default", _cases.MFGLIB_DEFAULTS),
            ("published", case.published),
        ):
            row[name] = best_of([(str(s), s.source, mfglib_race(bench, s)) for s in settings], cap)
        rows.append(row)
        print_targets([row], cap, title=None)
    for case in bench.chosen(_cases.OPEN_SPIEL):
        game, arrays = bench.load_open_spiel(case)
        start = legal_uniform(game, arrays["table"])
        row = {"game": case.label, "ours": best_of_ours(game, cap, start)}
        row["default"] = best_of(
            [(str(s), s.source, spiel_race(bench, s)) for s in case.published], cap
        )
        row["published"] = None
        rows.append(row)
        print_targets([row], cap, title=None)
    return rows


def mfglib_race(bench: Bench, setting: Setting) -> Callable[[float], list]:
    """A race of mfglib with one thread."""
    return lambda cap: bench.mfglib.ask(
        "race",
        algorithm=setting.algorithm,
        options=setting.options,
        targets=TARGETS,
        cap=cap,
        num_threads=1,
    )


def spiel_race(bench: Bench, setting: Setting) -> Callable[[float], list]:
    """A race of open_spiel."""
    return lambda cap: bench.open_spiel.ask(
        "race", algorithm=setting.algorithm, options=setting.options, targets=TARGETS, cap=cap
    )


def best_of(runners: list[tuple[str, str, Callable]], cap: float) -> dict:
    """For each target the fastest of several races.

    Once one has reached the last target, the others need not run longer than it did.
    """
    best: dict[str, Any] = {"seconds": [None] * len(TARGETS), "setting": [None] * len(TARGETS)}
    for name, source, run in runners:
        limit = cap if best["seconds"][-1] is None else best["seconds"][-1]
        try:
            reached = run(limit)
        except PeerError as error:
            best.setdefault("errors", []).append(f"{name}: {error}")
            continue
        for k, seconds in enumerate(reached):
            known = best["seconds"][k]
            if seconds is not None and (known is None or seconds < known):
                best["seconds"][k], best["setting"][k] = (
                    seconds,
                    f"{name}{source and '; ' + source}",
                )
    return best


def best_of_ours(game: FiniteGame, cap: float, policy=None) -> dict:
    """The fastest of our solvers; compilation apart."""
    spent: list[float] = []

    def runner(solver) -> Callable[[float], list]:
        def run(limit: float) -> list:
            reached, compile_seconds = race(game, solver, TARGETS, limit, policy)
            spent.append(compile_seconds)
            return reached

        return run

    best = best_of([(n, "", runner(s)) for n, s in our_solvers().items()], cap)
    return {**best, "compile": max(spent)}


def our_solvers() -> dict[str, Any]:
    """What takes part in the races: `auto` where it exists."""
    if "auto" in registry.SOLVERS:
        return {"auto": registry.find(registry.SOLVERS, "auto", "solver")()}
    rates = (0.03, 0.1, 0.3, 1.0, 3.0)
    mirror = {f"mirror descent {r}": nf.OnlineMirrorDescent(learning_rate=r) for r in rates}
    return {**mirror, "fictitious play": nf.solvers.FictitiousPlay()}


def print_targets(rows: list[dict], cap: float, title: str | None) -> None:
    """A table of seconds to the targets."""

    def seconds(entry: dict | None, k: int) -> str:
        if entry is None:
            return _report.CROSS
        value = entry["seconds"][k]
        return f"> {cap:g}" if value is None else _report.number(value)

    kinds = ("ours", "default", "published")
    done = [row for row in rows if "error" not in row]
    if title is None:
        for row in done:
            print(f"  {row['game']}: " + ", ".join(f"{k} {seconds(row[k], 1)}" for k in kinds))
        return
    header = ["game", *(f"{kind} {target:g}" for kind in kinds for target in TARGETS), "compile s"]
    body = [
        [
            row["game"],
            *(seconds(row[kind], k) for kind in kinds for k in range(len(TARGETS))),
            _report.number(row["ours"]["compile"]),
        ]
        for row in done
    ]
    _report.table(title, header, body)
    for row in rows:
        if "error" in row:
            print(f"{row['game']}: {row['error']}")
            continue
        for kind in kinds:
            if row[kind] is not None and row[kind]["setting"][-1]:
                print(f"{row['game']}, {kind}: {row[kind]['setting'][-1]}")
