"""`nashfield plot`: the pictures of a saved run."""

import argparse

from nashfield.cli.saved import load_run


def main(args: argparse.Namespace) -> int:
    """Draws the pictures into the run folder."""
    solution = load_run(args)
    from nashfield.plotting import save_pictures

    for path in save_pictures(solution, args.folder):
        print(path)
    return 0
