"""Single agents of a stationary game under one policy, many at a time.

What model-free methods may see of a game: starts, moves and rewards of agents, no table of
probabilities. Chance enters through levels, uniform in [0, 1).
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from nashfield.games.base import StationaryGame
from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.mean_fields import FiniteMeanField, Particles
from nashfield.policies import AbstractPolicy
from nashfield.policies.parametric import check_num_actions
from nashfield.results import ParameterError
from nashfield.typing import Array


class FiniteAgents(eqx.Module):
    """Agents of a game on finitely many states; a state is its number.

    Attributes:
        game: the game.
        table: (S, A), what the agents do.
        certain: whether that is one action in every state, which then takes no level.
        num_levels: levels of one start or move.
    """

    game: StationaryGame
    table: Float[Array, "S A"]
    certain: bool = eqx.field(static=True, default=False)
    num_levels: int = eqx.field(static=True, default=1)

    def start(self, levels: Float[Array, "1 N"]) -> Int[Array, "N"]:
        """States drawn from the initial law."""
        return draw_states(levels[0], jnp.asarray(self.game.initial(), levels.dtype))

    def act(self, states: Int[Array, "N"], level: Float[Array, "N"]) -> Int[Array, "N"]:
        """Actions drawn from the policy."""
        if self.certain:
            return _entries(jnp.argmax(self.table, -1).astype(jnp.int32), states)
        cumulated = _cumulated(jnp.asarray(self.table, level.dtype))
        actions = jnp.zeros(states.shape, jnp.int32)
        for a in range(self.table.shape[1] - 1):
            actions += level >= _entries(cumulated[:, a], states)
        return actions

    def move(
        self,
        states: Int[Array, "N"],
        actions: Int[Array, "N"],
        mean_field: FiniteMeanField,
        levels: Float[Array, "1 N"],
    ) -> Int[Array, "N"]:
        """Next states among the crowd `mean_field`."""
        return self.game.transition(mean_field).quantile(levels[0], states, actions)

    def reward(
        self, states: Int[Array, "N"], actions: Int[Array, "N"], mean_field: FiniteMeanField
    ) -> Float[Array, "N"]:
        """Rewards among the crowd `mean_field`, in single precision."""
        table = jnp.asarray(self.game.reward(mean_field), jnp.float32)
        return _pairs(table, states, actions)

    def rewards(self, mean_field: FiniteMeanField) -> Callable[[Array, Array], Array]:
        """`reward` as a function of states and of what the policy does there.

        For one crowd and many moves: what does not change is computed once.
        """
        table = jnp.asarray(self.game.reward(mean_field), jnp.float32)
        if self.certain:
            choice = jnp.argmax(self.table, -1)[:, None]
            table = jnp.take_along_axis(table, choice, -1)[:, 0]
            return lambda states, actions: _entries(table, states)
        return lambda states, actions: _pairs(table, states, actions)

    def features(self, states: Int[Array, "N"]) -> Float[Array, "N D"]:
        """What is seen of the states."""
        return jnp.asarray(self.game.features(), jnp.float32)[states]

    def mean_field(self, states: Int[Array, "N"]) -> FiniteMeanField:
        """The crowd that these agents are."""
        counts = jnp.zeros(self.table.shape[0], jnp.int32).at[states].add(1)
        return FiniteMeanField(counts.astype(self.table.dtype) / states.shape[0], self.table)


class PointAgents(eqx.Module):
    """Agents of a game whose states are points, kept in single precision as their levels are.

    Attributes:
        game: the game.
        policy: what the agents do.
        num_levels: levels of one start or move.
    """

    game: ContinuousStationaryGame
    policy: AbstractPolicy
    num_levels: int = eqx.field(static=True)

    def start(self, levels: Float[Array, "U N"]) -> Float[Array, "N D"]:
        """States drawn from the initial law."""
        return jax.vmap(self.game.initial, in_axes=1)(levels).astype(levels.dtype)

    def act(self, states: Float[Array, "N D"], level: Float[Array, "N"]) -> Int[Array, "N"]:
        """Actions drawn from the policy."""
        cumulated = _cumulated(self.policy.probabilities(states))[:, :-1]
        return jnp.sum(level[:, None] >= cumulated, -1, dtype=jnp.int32)

    def move(
        self,
        states: Float[Array, "N D"],
        actions: Int[Array, "N"],
        mean_field: Particles,
        levels: Float[Array, "U N"],
    ) -> Float[Array, "N D"]:
        """Next states among the crowd `mean_field`."""
        move = jax.vmap(self.game.move, in_axes=(0, 0, None, 1))
        return move(states, actions, mean_field, levels).astype(levels.dtype)

    def reward(
        self, states: Float[Array, "N D"], actions: Int[Array, "N"], mean_field: Particles
    ) -> Float[Array, "N"]:
        """Rewards among the crowd `mean_field`, in single precision."""
        return self.rewards(mean_field)(states, actions)

    def rewards(self, mean_field: Particles) -> Callable[[Array, Array], Array]:
        """`reward` for one crowd and many moves."""

        def reward(state: Float[Array, "D"], action: Int[Array, ""]) -> Float[Array, ""]:
            return jnp.asarray(self.game.reward(state, action, mean_field), jnp.float32)

        return jax.vmap(reward)

    def features(self, states: Float[Array, "N D"]) -> Float[Array, "N D"]:
        """What is seen of the states: they themselves."""
        return states

    def mean_field(self, states: Float[Array, "N D"]) -> Particles:
        """The crowd that these agents are."""
        return Particles(states)


def agents_of(game: Any, policy: AbstractPolicy | Array) -> FiniteAgents | PointAgents:
    """Agents of `game` that play `policy`.

    Args:
        game: a StationaryGame or a ContinuousStationaryGame.
        policy: with parameters, or for a StationaryGame a table (S, A).

    Raises:
        ParameterError: a table for states that are points, or a policy with another number of
            actions than the game.
    """
    if not isinstance(game, ContinuousStationaryGame):
        if isinstance(policy, AbstractPolicy):
            return FiniteAgents(game, policy.table(game), policy.certain)
        return FiniteAgents(game, jnp.asarray(policy))
    if not isinstance(policy, AbstractPolicy):
        raise ParameterError(
            f"states of {type(game).__name__} are points, of which there is no table: give a "
            "policy that is a function of the state, such as nashfield.policies.SoftThreshold"
        )
    point = jax.ShapeDtypeStruct((game.state_dim,), jnp.float32)
    shape = eqx.filter_eval_shape(policy.probabilities, point).shape
    check_num_actions(policy, shape[-1], game)
    return PointAgents(game, policy, game.num_levels)


def draw_states(levels: Float[Array, "N"], law: Float[Array, "S"]) -> Int[Array, "N"]:
    """One state for every level, by the inverse distribution function; none of probability 0."""
    return jnp.searchsorted(_cumulated(law), levels, side="right").astype(jnp.int32)


def _cumulated(rows: Float[Array, "*N A"]) -> Float[Array, "*N A"]:
    """Sums of the probabilities up to each entry; infinite where all later ones have none.

    Rounding may leave a sum below 1, and a level above it would draw what is never drawn.
    """
    later = jnp.flip(jnp.cumsum(jnp.flip(rows, -1), -1), -1) - rows
    return jnp.where(later > 0, jnp.cumsum(rows, -1), jnp.inf)


def _entries(values: Array, indices: Int[Array, "N"]) -> Array:
    """values[indices] without the care for negative indices and such that lie outside."""
    indices = indices.astype(jnp.uint32)
    return jnp.asarray(values).at[indices].get(mode="promise_in_bounds")


def _pairs(table: Float[Array, "S A"], states: Array, actions: Array) -> Float[Array, "N"]:
    """table[states, actions]."""
    return _entries(table.reshape(-1), table.shape[1] * states + actions)
