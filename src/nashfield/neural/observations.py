"""What was seen of crowds, and what was known of their circumstances."""

from typing import Any

import equinox as eqx
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.results import ParameterError
from nashfield.typing import Array, array


class Inputs(eqx.Module):
    """Exogenous inputs: known from outside, each value holding until the next.

    Attributes:
        times: (L,) increasing; before the first one its values hold as well.
        values: (L, I), or (G, L, I) where each of G observed games has its own.
    """

    times: Float[Array, "L"] = eqx.field(converter=array)
    values: Float[Array, "*games L I"] = eqx.field(converter=array)

    def __check_init__(self):
        if any(isinstance(x, jax.core.Tracer) for x in (self.times, self.values)):
            return
        shape = np.shape(self.values)
        lists = np.ndim(self.times) == 1 and len(shape) in (2, 3)
        if not lists or shape[-2] != len(self.times) or 0 in shape:
            raise ParameterError(
                "inputs must have times (L,) and values (L, I), or (G, L, I) for G games, none of "
                f"which is 0, not {np.shape(self.times)} and {shape}"
            )
        if not (np.isfinite(self.times).all() and np.isfinite(self.values).all()):
            raise ParameterError("times and values of inputs must be finite")
        if np.any(np.diff(np.asarray(self.times)) <= 0):
            raise ParameterError("the times of inputs must increase")

    def at(self, t: Any) -> Float[Array, "I"]:
        """The values that hold at time t."""
        place = jnp.searchsorted(jnp.asarray(self.times), t, side="right") - 1
        return jnp.asarray(self.values)[jnp.maximum(place, 0)]


class Observations(eqx.Module):
    """States of N agents in G plays of one game, at M times.

    Attributes:
        times: (M,) increasing; at time 0 they are where crowds start.
        states: (G, M, N, D). Agents need no identity: at every time they may be in another order.
        inputs: exogenous inputs, or None.
    """

    times: Float[Array, "M"] = eqx.field(converter=array)
    states: Float[Array, "G M N D"] = eqx.field(converter=array)
    inputs: Inputs | None = None

    def __check_init__(self):
        shape = np.shape(self.states)
        if len(shape) != 4 or np.shape(self.times) != shape[1:2] or 0 in shape:
            raise ParameterError(
                "observations must have times (M,) and states (num_games, M, num_agents, "
                f"state_dim), not {np.shape(self.times)} and {shape}"
            )
        _check_finite(self.states)
        if not np.isfinite(self.times).all() or np.any(np.diff(np.asarray(self.times)) <= 0):
            raise ParameterError("the times of observations must be finite and increase")
        inputs = self.inputs
        if inputs is not None and np.ndim(inputs.values) == 3 and len(inputs.values) != shape[0]:
            raise ParameterError(
                f"inputs are of {len(inputs.values)} games, but observations of {shape[0]}"
            )

    @classmethod
    def last_turn(cls, game: Any, states: Any) -> "Observations":
        """What is known at the end of the game alone.

        Args:
            game: gives the duration and the dimension of states.
            states: (G, N, D), or (G, N) on the line.

        Raises:
            ParameterError: another shape, or numbers that are not finite.
        """
        try:
            states = np.asarray(states, float)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"states of the last turn must be numbers ({error})") from error
        if states.ndim == 2 and game.state_dim == 1:
            states = states[..., None]
        if states.ndim != 3 or states.shape[-1] != game.state_dim:
            raise ParameterError(
                "states of the last turn must have shape (num_games, num_agents, state_dim) with "
                f"state_dim = {game.state_dim}, not {states.shape}"
            )
        return cls(np.asarray([float(game.duration)]), states[:, None])

    @property
    def num_games(self) -> int:
        """G."""
        return self.states.shape[0]

    @property
    def apart(self) -> bool:
        """Whether each game has inputs of its own, so that games differ by more than chance."""
        return self.inputs is not None and np.ndim(self.inputs.values) == 3

    @property
    def from_the_start(self) -> bool:
        """Whether it was seen where crowds start."""
        return bool(self.times[0] == 0)


def check_observations(game: Any, observations: Any, name: str = "observations") -> None:
    """Raises unless `observations` are of crowds that can play `game`.

    Raises:
        TypeError: they are no Observations.
        ParameterError: their dimension, their times or their states are not of the game.
    """
    if not isinstance(observations, Observations):
        raise TypeError(
            f"{name} must be neural.Observations, or states of the last turn, not "
            f"{type(observations).__name__}"
        )
    title, dim = type(game).__name__, observations.states.shape[-1]
    if dim != game.state_dim:
        raise ParameterError(
            f"{name} have states of dimension {dim}, those of {title} have {game.state_dim}"
        )
    times, duration = np.asarray(observations.times), float(game.duration)
    if times[0] < 0 or times[-1] > duration * (1 + 1e-6) or times[-1] <= 0:
        raise ParameterError(
            f"{name} are from times {times[0]:g} to {times[-1]:g}, but {title} lasts from 0 to "
            f"{duration:g}: set its duration, or leave times out"
        )
    low, high = (np.asarray(bound) for bound in game.domain)
    states = np.asarray(observations.states)
    if np.any(states < low) or np.any(states > high):
        raise ParameterError(
            f"{name} hold states outside the domain of {title}, from {low} to {high}: the least "
            f"is {states.min():g}, the greatest {states.max():g}"
        )


def _check_finite(states: Any) -> None:
    bad = np.argwhere(~np.isfinite(np.asarray(states)))
    if len(bad):
        game, time, agent, _ = bad[0]
        raise ParameterError(
            f"observations must be finite: game {game}, time {time}, agent {agent} is "
            f"{np.asarray(states)[tuple(bad[0])]}; leave agents out who were not seen"
        )
