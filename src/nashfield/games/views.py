"""One question to a game, in a form that policies and crowds can hold."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from nashfield.typing import Array


class AbstractView(eqx.Module):
    """A game with arrays alone among the leaves.

    So what holds it can be stacked, mapped over, traced and saved, whatever else a game holds.

    Attributes:
        arrays: the game's arrays.
        rest: the game without them.
    """

    arrays: Any
    rest: Any = eqx.field(static=True)

    @classmethod
    def of(cls, game: Any) -> Any:
        """That of `game`."""
        return cls(*eqx.partition(game, lambda x: isinstance(x, jax.Array | np.ndarray)))

    @property
    def game(self) -> Any:
        """The game."""
        return eqx.combine(self.arrays, self.rest)


class Observer(AbstractView):
    """What a network sees of a state: a game's `observe`."""

    def __call__(self, x: Float[Array, "D"]) -> Float[Array, "F"]:
        """What is seen in `x`."""
        return self.game.observe(x)


class Free(AbstractView):
    """Where agents may be: a game's `free`."""

    def __call__(self, x: Float[Array, "D"]) -> Array:
        """Whether an agent may be in `x`."""
        return self.game.free(x)
