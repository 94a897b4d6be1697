"""The crowd's path at equilibrium as a function of a game's numbers."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.dynamics.forward import flow_and_kernels
from nashfield.dynamics.regularised import regularised_fixed_point
from nashfield.games.base import FiniteGame
from nashfield.games.rate_equilibria import crowd_fixed_point
from nashfield.typing import Array

# Iterations of a fixed point, and the square roots of rounding by which it may be missed.
_MAX_ITERATIONS, _MISSED = 300, 100.0


class EquilibriumPaths(eqx.Module):
    """Crowds of a game at equilibrium, from given first laws, at evenly spaced times.

    Attributes:
        game: a RateGame, or a FiniteGame, of which the entropy-regularised equilibrium is taken.
        names: of the numbers that vary, given by their logarithms.
        laws: (P, S) where the paths begin; None for one path, from the game's own initial law.
        damping: of the equilibrium's iteration.
        temperature: of the entropy; None in continuous time.
        num_steps: of a grid of times; in discrete time the horizon.
        every: how many steps lie between two times.
    """

    game: Any
    names: tuple[str, ...] = eqx.field(static=True)
    laws: Float[Array, "P S"] | None
    damping: Float[Array, ""]
    temperature: Float[Array, ""] | None
    num_steps: int = eqx.field(static=True)
    every: int = eqx.field(static=True)

    def at(self, logs: Float[Array, "N"]) -> Any:
        """The game with these numbers."""
        values = tuple(jnp.exp(logs[i]) for i in range(len(self.names)))
        return eqx.tree_at(
            lambda game: tuple(getattr(game, name) for name in self.names), self.game, values
        )

    def __call__(self, logs: Float[Array, "N"]) -> Float[Array, "P M S"]:
        """The paths; NaN where no equilibrium is found, or a crowd is none."""
        game = self.at(logs)

        def path(law: Array) -> Array:
            if isinstance(game, FiniteGame):
                return self._in_steps(game, law)
            found, (missed, _) = crowd_fixed_point(
                game, self.num_steps, self.damping, _MAX_ITERATIONS, law
            )
            return _where_found(found, missed)

        own = jnp.asarray(game.initial(), logs.dtype)[None]
        return jax.vmap(path)(own if self.laws is None else self.laws)[:, :: self.every]

    def _in_steps(self, game: FiniteGame, law: Array) -> Array:
        assert self.temperature is not None
        policy, (missed, _) = regularised_fixed_point(
            game, self.temperature, self.damping, _MAX_ITERATIONS, law
        )
        return _where_found(flow_and_kernels(game, policy, law)[0].states, missed)


def _where_found(states: Float[Array, "T1 S"], missed: Float[Array, ""]) -> Float[Array, "T1 S"]:
    rounding = _MISSED * jnp.finfo(states.dtype).eps ** 0.5
    # A number that leaves its range (a probability above 1, say) makes shares that are none.
    found = (missed < rounding) & (jnp.min(states) > -rounding) & (jnp.max(states) < 1 + rounding)
    return jnp.where(found, states, jnp.nan)
