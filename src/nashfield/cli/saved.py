"""A saved run and the game that belongs to it, for the commands that look at one."""

import argparse
from pathlib import Path
from typing import Any

from nashfield.cli import prepare


def load_run(args: argparse.Namespace) -> Any:
    """The solution in `args.folder`, with its game; policy and flow in double precision.

    The game is one of the zoo, or the one named by --game (with the recorded parameters), or comes
    from the recorded file: see `record.rebuild_game` for when that is run.

    Raises:
        RunFolderError: the folder is broken, or its game cannot be had.
    """
    prepare()
    import dataclasses

    import numpy as np

    from nashfield import record, storage
    from nashfield.games.loading import load_game
    from nashfield.mean_fields import FiniteFlow
    from nashfield.solution import Solution

    folder = Path(args.folder)
    solution = Solution.load(folder)
    game = solution.game
    if game is None or args.game is not None:
        config = storage.read_config(folder)
        if args.game is not None:
            game = load_game(args.game, config["game"].get("parameters", {}))
        else:
            game = record.rebuild_game(folder, config, run_file=True)
        record.check_shape(game, solution.policy.shape, folder)
    policy, states = (np.asarray(x, float) for x in (solution.policy, solution.flow))
    return dataclasses.replace(solution, game=game, policy=policy, flow=FiniteFlow(states, policy))
