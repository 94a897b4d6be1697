"""Stationary games whose states are points: played by sampling, never tabulated."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Float, Int

from nashfield.typing import Array


class ContinuousStationaryGame(eqx.Module):
    """A discounted game without time on points x of R^D, with A actions.

    Written for one agent at one point; the library vectorises. Chance enters through levels,
    numbers drawn uniformly from [0, 1): the same levels give the same move. The mean field has
    `mean()` (D,) and `expect(f)`.

    Attributes:
        discount: gamma in [0, 1).
        state_dim: D.
        num_actions: A.
    """

    discount: eqx.AbstractVar[Array | float]
    state_dim: eqx.AbstractVar[int]
    num_actions: eqx.AbstractVar[int]

    @property
    def num_levels(self) -> int:
        """U, how many levels one start and one move take; 1 unless a game says otherwise."""
        return 1

    @abc.abstractmethod
    def initial(self, levels: Float[Array, "U"]) -> Float[Array, "D"]:
        """Where an agent starts."""

    @abc.abstractmethod
    def move(
        self,
        state: Float[Array, "D"],
        action: Int[Array, ""],
        mean_field: Any,
        levels: Float[Array, "U"],
    ) -> Float[Array, "D"]:
        """Where an agent goes among the crowd `mean_field`."""

    @abc.abstractmethod
    def reward(
        self, state: Float[Array, "D"], action: Int[Array, ""], mean_field: Any
    ) -> Float[Array, ""]:
        """Reward of one agent among the crowd `mean_field`."""

    @abc.abstractmethod
    def optimal_value(self, mean_field: Any) -> Float[Array, ""]:
        """Value of a best response against the frozen crowd, averaged over the initial law.

        What the exploitability is measured from. A game without a closed form can get it by dynamic
        programming on a fine grid.
        """
