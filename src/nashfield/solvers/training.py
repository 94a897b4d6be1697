"""Solvers that train a policy with parameters: how they begin, and what their states stand for."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from nashfield.policies import AbstractPolicy
from nashfield.solvers.base import AbstractSolver
from nashfield.solvers.starts import first_policy


class AbstractTraining(AbstractSolver):
    """A solver that brings its own first policy; its states hold the policy's `parameters`.

    Attributes:
        start: the first policy; None stands for one that suits the game (see `first_policy`).
    """

    start: eqx.AbstractVar[AbstractPolicy | None]

    starts_itself: ClassVar[bool] = True
    # `policy` is a method: the constructor's argument of that name is kept under another.
    kept_as: ClassVar[dict[str, str]] = {"policy": "start"}

    def first_policy(self, game: Any, *, key: PRNGKeyArray) -> AbstractPolicy:
        """The policy before the first step.

        Args:
            game: the game.
            key: for weights that are drawn.

        Raises:
            ParameterError: the policy has no parameters.
        """
        return first_policy(self.start, game, key=key)

    @abc.abstractmethod
    def init_uniform(self, game: Any, *, key: PRNGKeyArray) -> Any:
        """State before the first step, at `first_policy`."""

    def init(self, game: Any, policy: Any, *, key: PRNGKeyArray) -> Any:
        """At `first_policy`; `policy` is not looked at."""
        return self.init_uniform(game, key=key)

    def policy(self, game: Any, state: Any) -> AbstractPolicy:
        """The policy with the parameters of `state`."""
        like = self.first_policy(game, key=jax.random.key(0))
        return eqx.combine(state.parameters, like.split()[1])
