"""What a solver is."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Float, PRNGKeyArray

from nashfield.dynamics import Sweep
from nashfield.games.base import FiniteGame
from nashfield.policies import uniform_policy
from nashfield.typing import Array


class StepInfo(eqx.Module):
    """What a step learns about the policy that ENTERED it.

    Attributes:
        exploitability: of that policy, against its own flow.
        social_welfare: J(pi; mu^pi), what every agent gets if all play that policy.
    """

    exploitability: Float[Array, ""]
    social_welfare: Float[Array, ""]

    @classmethod
    def of(cls, sweep: Sweep) -> "StepInfo":
        """Reads both numbers off a sweep."""
        return cls(sweep.exploitability, sweep.value)


class AbstractSolver(eqx.Module):
    """One algorithm: `init` once, `step` many times, `policy` at any time.

    All three are pure and are called inside jit. A state is any pytree of arrays whose shapes and
    dtypes `step` keeps. Numbers such as learning rates are array attributes (`typing.scalar`), so
    that changing them compiles nothing and vmap can run over them.
    """

    @abc.abstractmethod
    def init(self, game: FiniteGame, policy: Float[Array, "T S A"], *, key: PRNGKeyArray) -> Any:
        """State before the first step; `self.policy` of it is the start, or close to it.

        Args:
            game: the game.
            policy: (T, S, A), where to start.
            key: for solvers that draw.
        """

    def init_uniform(self, game: FiniteGame, *, key: PRNGKeyArray) -> Any:
        """State before the first step from the uniform policy, which need not be stored."""
        return self.init(game, uniform_policy(game), key=key)

    @abc.abstractmethod
    def step(self, game: FiniteGame, state: Any, *, key: PRNGKeyArray) -> tuple[Any, StepInfo]:
        """One iteration.

        Args:
            game: the game.
            state: the present state.
            key: a fresh one for every step.

        Returns:
            The next state, and what is known of the policy of the present one.
        """

    @abc.abstractmethod
    def policy(self, game: FiniteGame, state: Any) -> Float[Array, "T S A"]:
        """The policy that `state` stands for."""
