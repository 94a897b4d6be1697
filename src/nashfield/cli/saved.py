"""A saved run and the game that belongs to it, for the commands that look at one."""

import argparse
from pathlib import Path
from typing import Any

from nashfield.cli import prepare


def load_run(args: argparse.Namespace) -> Any:
    """The solution in `args.folder`, with its game; tables and crowds in double precision.

    The game is one of the zoo, or the one named by --game (with the recorded parameters), or comes
    from the recorded file: see `record.rebuild_game` for when that is run.

    Raises:
        RunFolderError: the folder is broken, or its game cannot be had.
    """
    prepare()
    import dataclasses

    import jax
    import numpy as np

    from nashfield import record, storage
    from nashfield.games.loading import load_game
    from nashfield.solution import Solution

    folder = Path(args.folder)
    config = storage.read_config(folder)
    storage.check_is_run(folder, config)
    if args.game is not None:
        game = load_game(args.game, config["game"].get("parameters", {}))
    else:
        game = record.rebuild_game(folder, config, run_file=True)
    solution = Solution.load(folder, game=game)
    policy, flow = jax.tree.map(
        lambda x: np.asarray(x, float) if np.asarray(x).dtype.kind == "f" else x,
        (solution.policy, solution.flow),
    )
    return dataclasses.replace(solution, policy=policy, flow=flow)
