"""What a solve returns."""

from typing import Any

import equinox as eqx
import jax
import jax.core
import numpy as np
from jaxtyping import Float, Int

from nashfield.games.base import FiniteGame
from nashfield.mean_fields import FiniteFlow
from nashfield.results import Result
from nashfield.solvers.base import AbstractSolver
from nashfield.typing import Array


class Solution(eqx.Module):
    """A policy, the crowd that it makes, and how it was found.

    Attributes:
        policy: (T, S, A).
        flow: population flow of the policy, (T + 1, S).
        history: per name an array (num_iterations + 1,): "exploitability" and "social_welfare" of
            every iterate, the start included. Once a tolerance is reached the last value repeats.
        num_steps: iterations done.
        result_code: see `result`.
        state: the solver's state, to go on from.
        game: the game that was solved.
        solver: what solved it.
    """

    policy: Float[Array, "*batch T S A"]
    flow: FiniteFlow
    history: dict[str, Float[Array, "*batch K1"]]
    num_steps: Int[Array, "*batch"]
    result_code: Int[Array, "*batch"]
    state: Any
    game: FiniteGame | None
    solver: AbstractSolver | None

    @property
    def exploitability(self) -> float | Float[Array, "*batch"]:
        """Exploitability of `policy`: a float, or an array under a batch or inside jit."""
        return _plain(self.history["exploitability"][..., -1])

    @property
    def social_welfare(self) -> float | Float[Array, "*batch"]:
        """J(pi; mu^pi) of `policy`."""
        return _plain(self.history["social_welfare"][..., -1])

    @property
    def result(self) -> Result:
        """How the solve ended; under a batch, the worst of them."""
        return Result(int(np.max(np.asarray(self.result_code))))


def _plain(value: Array) -> Any:
    if isinstance(value, jax.core.Tracer) or value.ndim:
        return value
    return float(value)
