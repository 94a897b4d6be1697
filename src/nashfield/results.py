"""How a solve ended, and what to change if it ended badly."""

import enum
from typing import Any


class Result(enum.IntEnum):
    """Outcome of a solve; `str(result)` is a sentence for the user."""

    MAX_ITERATIONS = 0
    CONVERGED = 1
    NONFINITE = 2
    LOST_MASS = 3
    UNSETTLED = 4

    @property
    def ok(self) -> bool:
        """Whether the policy can be used."""
        return self not in (Result.NONFINITE, Result.LOST_MASS)

    @property
    def message(self) -> str:
        """What happened and what to change."""
        return _MESSAGES[self]

    def __str__(self) -> str:
        return self.message


_MESSAGES = {
    Result.MAX_ITERATIONS: "all iterations done",
    Result.CONVERGED: "the tolerance was reached",
    Result.LOST_MASS: (
        "the shares of the population do not add up to 1: the game's initial law or its transition "
        "rows do not sum to 1; nashfield.testing.check_game says which"
    ),
    Result.UNSETTLED: (
        "the stationary mean field has not settled: every number is that of the crowd at its last "
        "step; raise the game's settling_steps (for a PlayedCrowd its num_steps), and if that does "
        "not help the crowd goes in circles"
    ),
    Result.NONFINITE: (
        "the exploitability became NaN or infinite: check the game with "
        "nashfield.testing.check_game, lower the learning rate or raise the temperature of the "
        'solver, or solve in float64 (jax.config.update("jax_enable_x64", True))'
    ),
}


class NashfieldError(Exception):
    """Base of the errors whose message tells the user what to change."""


class SolveError(NashfieldError, RuntimeError):
    """A solve ended without a usable policy.

    Attributes:
        solution: where it ended, its last good iterate if the solver keeps one; None where that is
            not known.
    """

    def __init__(self, message: str, solution: Any = None):
        """See the class."""
        super().__init__(message)
        self.solution = solution


class GameError(NashfieldError, ValueError):
    """A game that breaks its protocol; the message names the method, the time, and the entry."""


class ParameterError(NashfieldError, ValueError):
    """A parameter of a game or solver that is missing, unknown, or of the wrong kind."""
