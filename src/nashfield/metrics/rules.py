"""How N agents play a game: the same words with a horizon and without time."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float, Int

from nashfield.dynamics.agents import draw_states
from nashfield.dynamics.forward import crowd_slices
from nashfield.games.base import StationaryGame
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array


class Rules(eqx.Module):
    """A game, what is played in it, and the frozen crowd that its agents do not see.

    Attributes:
        game: the game.
        policy: what the crowd plays.
        first: what agent 0 plays.
        flow: the frozen crowd.
    """

    game: Any
    policy: Any
    first: Any
    flow: Any

    @property
    def timeless(self) -> bool:
        """Whether the game is stationary."""
        return isinstance(self.game, StationaryGame)

    def slices(self, num_steps: int) -> Any:
        """What a scan over time runs over."""
        times = jnp.arange(num_steps)
        if self.timeless:
            return times
        return times, self.policy, self.first, crowd_slices(self.flow)

    def at(self, slices: Any) -> Any:
        """Time, both policies and the frozen crowd then."""
        return (slices, self.policy, self.first, self.flow) if self.timeless else slices

    def transition(self, t: Array, crowd: FiniteMeanField) -> Any:
        """Kernel of one agent among `crowd`."""
        return self.game.transition(crowd) if self.timeless else self.game.transition(t, crowd)

    def reward(self, t: Array, crowd: FiniteMeanField) -> Any:
        """Reward, as much as it weighs at time t."""
        if self.timeless:
            return jnp.asarray(self.game.discount**t * self.game.reward(crowd))
        return jnp.asarray(self.game.reward(t, crowd))  # an array of NumPy takes no traced index

    def start(self, levels: Float[Array, "N"]) -> Int[Array, "N"]:
        """Where the agents begin: by the initial law, or as a newcomer into a crowd at rest."""
        initial = jnp.asarray(self.game.initial(), levels.dtype)
        if not self.timeless:
            return draw_states(levels, initial)
        newcomer = draw_states(levels[:1], initial)
        return jnp.concatenate([newcomer, draw_states(levels[1:], self.flow.states)])


def choose(level: Float[Array, "N"], rows: Float[Array, "N A"]) -> Int[Array, "N"]:
    """One action for every row of probabilities, by its inverse distribution function."""
    cumulated = jnp.cumsum(rows, -1)
    return jnp.sum(cumulated <= level[:, None] * cumulated[:, -1:], -1, dtype=jnp.int32)
