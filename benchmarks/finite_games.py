"""Finite games: nashfield beside mfglib and open_spiel.

Both sides are timed in the same run, in turn, on the same games: CPU seconds (user and system, all
threads) of one iteration together with the exploitability of its iterate. Before that their
iterates are compared. See README.md beside this file.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import jax

import _cases
from _bench import HERE, Bench
from _speed import open_spiel, print_speed, speed
from _targets import print_targets, targets

SECTIONS = ("mirror-descent", "fictitious-play", "larger", "open-spiel", "targets")


def main() -> None:
    """Runs the chosen sections and prints their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, default=HERE / ".peers", help="their environment")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--games", nargs="+", help="only games whose label begins so")
    parser.add_argument("--repeats", type=int, default=3, help="medians are over so many")
    parser.add_argument("--cap", type=float, default=60.0, help="seconds for each race to a target")
    parser.add_argument(
        "--quick", action="store_true", help="one short repeat: no numbers to quote"
    )
    parser.add_argument("--json", type=Path, help="write all numbers here")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, Path(folder))
        results: dict[str, Any] = {"versions": bench.versions()}
        print(results["versions"], flush=True)
        for section in options.sections:
            print(f"\n{section} ...", flush=True)
            results[section] = run_section(bench, section)
        bench.close()
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def run_section(bench: Bench, section: str) -> dict:
    """Measures one section and prints its table."""
    if section == "targets":
        rows = targets(bench)
        print_targets(rows, bench.options.cap, "Seconds to a relative exploitability")
        return {"rows": rows}
    if section == "open-spiel":
        rows = open_spiel(bench)
        return {"rows": rows, **print_speed("Mirror descent beside open_spiel", rows, 1000, None)}
    if section == "larger":
        title, cases = "beside mfglib, larger games", _cases.MFGLIB_LARGE
        names, goals = ("OnlineMirrorDescent", "FictitiousPlay"), (100, 10)
    else:
        title, cases = "beside mfglib, its ten games at default size", _cases.MFGLIB
        mirror = section == "mirror-descent"
        names, goals = ("OnlineMirrorDescent" if mirror else "FictitiousPlay",), (300, 50)
    results = {}
    for name in names:
        rows = speed(bench, bench.chosen(cases), name)
        results[name] = {"rows": rows, **print_speed(f"{name} {title}", rows, *goals)}
    return results


if __name__ == "__main__":
    main()
