"""`nashfield paper`: a paper's tables and figures run again."""

import argparse
import json
import sys
from pathlib import Path

from nashfield.cli import prepare


def main(args: argparse.Namespace) -> int:
    """Runs the paper, prints its numbers beside ours, and draws its figures."""
    from nashfield import storage
    from nashfield.registry import PAPERS, find

    reproduce = find(PAPERS, args.paper, "paper")
    prepare()
    import jax

    folder = Path(args.out) if args.out else _fresh_folder(args.paper)
    storage.new_folder(folder)

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    report = reproduce(quick=args.quick, key=jax.random.key(args.seed), tell=tell)
    paths = report.save(folder)
    if args.json:
        print(json.dumps({"paper": args.paper, "rows": [row.as_json() for row in report.rows]}))
        return 0
    print(report.title)
    print(report.table())
    judged = [row for row in report.rows if row.agrees is not None]
    print(f"{sum(row.agrees is True for row in judged)} of {len(judged)} bars kept")
    print("files  " + " ".join(map(str, paths)))
    return 0


def _fresh_folder(paper: str) -> Path:
    """The first of runs/PAPER-1, -2, ... that does not exist."""
    number = 1
    while (path := Path("runs") / f"{paper}-{number}").exists():
        number += 1
    return path
