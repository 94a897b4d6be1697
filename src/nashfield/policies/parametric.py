"""Policies with parameters: functions of what is seen of a state, trained by gradients."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.games.base import StationaryGame
from nashfield.results import ParameterError
from nashfield.typing import Array


class AbstractPolicy(eqx.Module):
    """A stationary policy pi_theta; what is learnt are its array attributes.

    Attributes:
        fixed: names of attributes that are no parameters.
        certain: whether it plays one action in every state, whatever its parameters. Agents then
            draw nothing for it; and it has no gradient, since its actions jump as they change.
    """

    fixed: ClassVar[tuple[str, ...]] = ()
    certain: ClassVar[bool] = False

    @abc.abstractmethod
    def probabilities(self, features: Float[Array, "*N D"]) -> Float[Array, "*N A"]:
        """pi(a | x) of every action.

        Args:
            features: what is seen of each state (`StationaryGame.features`, or the state itself
                where states are points).
        """

    def table(self, game: StationaryGame) -> Float[Array, "S A"]:
        """The policy on all states of a game.

        Raises:
            ParameterError: the game has another number of actions.
        """
        table = self.probabilities(jnp.asarray(game.features()))
        check_num_actions(self, table.shape[-1], game)
        return table

    def begin(self, game: Any, *, key: PRNGKeyArray) -> "AbstractPolicy":
        """The policy to start from on `game`, with sizes and weights that were left open."""
        return self

    def project(self) -> "AbstractPolicy":
        """The nearest policy whose parameters lie in their convex set Theta."""
        return self

    def split(self) -> tuple["AbstractPolicy", "AbstractPolicy"]:
        """Parameters, and the rest; `equinox.combine` puts them together again."""
        spec = jax.tree.map(eqx.is_inexact_array, self)
        for name in self.fixed:
            spec = eqx.tree_at(lambda p, name=name: getattr(p, name), spec, False)
        return eqx.partition(self, spec)


def check_differentiable(policy: Any) -> None:
    """Raises unless gradients of `policy` mean something.

    Raises:
        ParameterError: it has no parameters, or its actions jump as they change.
    """
    check_parameters(policy)
    if policy.certain:
        raise ParameterError(
            f"{type(policy).__name__} has no gradient, its actions jump as its parameters change: "
            "take SoftThreshold, or a solver with gradient=SimultaneousPerturbation()"
        )


def check_num_actions(policy: AbstractPolicy, num_actions: int, game: Any) -> None:
    """Raises ParameterError unless `policy`, which has so many actions, fits the game."""
    if num_actions != game.num_actions:
        raise ParameterError(
            f"{type(policy).__name__} chooses among {num_actions} actions, but "
            f"{type(game).__name__} has {game.num_actions}: take Gibbs (for a table) or Neural"
        )


def check_parameters(policy: Any) -> None:
    """Raises unless there is something to learn in `policy`.

    Raises:
        ParameterError: it has no parameters.
    """
    name = type(policy).__name__
    if not isinstance(policy, AbstractPolicy):
        raise ParameterError(
            f"a gradient needs a policy with parameters, such as nashfield.policies.SoftThreshold, "
            f"not {name}; for a table, nashfield.policies.Gibbs.of(table)"
        )
    if not jax.tree.leaves(policy.split()[0]):
        raise ParameterError(f"{name} has no parameters to take a gradient of")
