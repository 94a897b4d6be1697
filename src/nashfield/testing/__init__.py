"""Conformance: does a game, a solver, or a mean field of yours keep the library's protocols?

Call these from your own tests. What they raise says what is wrong.
"""

from nashfield.testing.common import CheckError
from nashfield.testing.games import check_game
from nashfield.testing.mean_fields import check_mean_field
from nashfield.testing.solvers import check_solver

__all__ = ["CheckError", "check_game", "check_mean_field", "check_solver"]
