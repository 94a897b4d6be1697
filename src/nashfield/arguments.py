"""What `solve` and `run` are given: is it what they need?"""

from typing import Any

import numpy as np
from jax.core import Tracer

from nashfield.games.base import FiniteGame, StationaryGame
from nashfield.games.continuous import ContinuousGame
from nashfield.games.continuous_checks import check_control
from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.games.differential import check_no_common_noise
from nashfield.games.rate_equilibria import check_actions
from nashfield.games.rates import RateGame
from nashfield.policies import check_policy
from nashfield.solvers.base import AbstractSolver

_GAMES = (FiniteGame, StationaryGame, ContinuousGame, ContinuousStationaryGame, RateGame)


def check_arguments(
    game: Any, solver: Any, policy: Any, num_iterations: int, tolerances: tuple[Any, Any]
) -> None:
    """Checks what `solve` and `run` are given.

    Raises:
        TypeError: game or solver is none, or the number of iterations is no whole number.
        GameError: agents of a differential game share a noise.
        ValueError: a negative number of iterations, a tolerance where the exploitability is known
            by chance alone, or no policy of this game.
    """
    for name, value, kinds in (
        ("game", game, _GAMES),
        ("solver", solver, (AbstractSolver,)),
    ):
        if isinstance(value, type):
            raise TypeError(f"{name} must be an instance: write {value.__name__}(...)")
        if not isinstance(value, kinds):
            raise TypeError(f"{name} must be {_one_of(kinds)}, not {type(value).__name__}")
    check_no_common_noise(game)
    if not isinstance(game, solver.games):
        way_out = "`nashfield solvers` lists what there is"
        if isinstance(game, ContinuousGame) and FiniteGame in solver.games:
            way_out = "nashfield.discretise(game) makes a game on finitely many states of it"
        raise TypeError(
            f"{type(solver).__name__} solves only {_one_of(solver.games)}, which "
            f"{type(game).__name__} is not; {way_out}"
        )
    if policy is not None and solver.starts_itself:
        raise ValueError(
            f"{type(solver).__name__} starts from its own policy: leave initial_policy out, and "
            f"write {type(solver).__name__}(policy=...)"
        )
    if not isinstance(num_iterations, int | np.integer):
        raise TypeError(f"num_iterations must be a whole number, not {num_iterations!r}")
    if num_iterations < 0:
        raise ValueError(f"num_iterations must be at least 0, not {num_iterations}")
    solver.check_iterations(game, num_iterations)
    wanted = any(not isinstance(x, Tracer) and np.any(np.asarray(x) != 0) for x in tolerances)
    if wanted and not solver.knows_exploitability(game):
        raise ValueError(
            f"{type(solver).__name__} cannot stop at a tolerance in {type(game).__name__}, where "
            "best responses are learnt and what they gain is known by chance: leave atol and rtol "
            "out"
        )
    if policy is None:
        return
    if isinstance(game, ContinuousGame):
        check_control(game, policy, "initial_policy")
    elif isinstance(game, RateGame):
        check_actions(game, policy, "initial_policy")
    else:
        check_policy(game, policy, "initial_policy")


def _one_of(kinds: tuple[type, ...]) -> str:
    return "of class " + " or ".join(kind.__name__ for kind in kinds)
