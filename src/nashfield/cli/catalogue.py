"""`nashfield games` and `nashfield solvers`: what there is."""

import argparse
import json


def main(args: argparse.Namespace) -> int:
    """Prints a line for each game or solver, or one JSON list."""
    from nashfield.games.loading import describe
    from nashfield.registry import GAMES, SOLVERS, find

    kind = args.command.removesuffix("s")
    table = GAMES if kind == "game" else SOLVERS
    entries = [describe(find(table, name, kind)) for name in sorted(table)]
    if args.json:
        print(json.dumps(entries))
        return 0
    width = max(len(entry["name"]) for entry in entries)
    for entry in entries:
        parameters = ", ".join(map(_parameter, entry["parameters"]))
        print(f"{entry['name']:{width}}  {entry['summary']}" + (parameters and f" [{parameters}]"))
    return 0


def _parameter(parameter: dict) -> str:
    name = parameter["name"]
    return f"{name}={parameter['default']}" if "default" in parameter else name
