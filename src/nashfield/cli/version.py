"""`nashfield --version`."""

import argparse


def main(args: argparse.Namespace) -> int:
    """Prints the version."""
    from nashfield import __version__

    print(f"nashfield {__version__}")
    return 0
