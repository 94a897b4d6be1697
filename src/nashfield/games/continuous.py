"""Games with a horizon whose states and actions are points."""

import abc
import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from nashfield.mean_fields import AbstractMeanField, Particles
from nashfield.typing import Array, Time


class ContinuousGame(eqx.Module):
    """A game of T decisions on points x of R^D with actions a of R^C.

    Written for one agent at one point; the library vectorises. Chance enters through `noise`, a
    vector of independent standard normal numbers: the same noise gives the same move, agents are
    drawn many at a time, and in few dimensions the library integrates over it. Rewards are
    maximised. Every argument `mean_field` has `mean()` (D,), `expect(f)`, `sample(key, n)`,
    `log_density(x)`, and before the terminal time `mean_action()` (C,).

    Attributes:
        horizon: T, the number of decisions, taken at t = 0..T-1.
        state_dim: D.
        control_dim: C.
        periodic: whether a state that leaves `domain` at one side comes in at the other.
    """

    horizon: eqx.AbstractVar[int]
    state_dim: eqx.AbstractVar[int]
    control_dim: eqx.AbstractVar[int]
    periodic: ClassVar[bool] = False

    @property
    def noise_dim(self) -> int:
        """How many normal numbers one move takes; D unless a game says otherwise."""
        return self.state_dim

    @property
    def control_bounds(self) -> tuple[Float[Array, "C"], Float[Array, "C"]]:
        """Least and greatest actions; infinite unless a game says otherwise."""
        return np.full(self.control_dim, -np.inf), np.full(self.control_dim, np.inf)

    @property
    def domain(self) -> tuple[Float[Array, "D"], Float[Array, "D"]]:
        """Least and greatest states; infinite unless a game says otherwise."""
        return np.full(self.state_dim, -np.inf), np.full(self.state_dim, np.inf)

    @abc.abstractmethod
    def initial(self) -> AbstractMeanField:
        """Law of the population at time 0."""

    @abc.abstractmethod
    def step(
        self,
        t: Time,
        x: Float[Array, "D"],
        a: Float[Array, "C"],
        mean_field: Any,
        noise: Float[Array, "W"],
    ) -> Float[Array, "D"]:
        """Where an agent in x goes by the action a, among the crowd `mean_field`."""

    @abc.abstractmethod
    def reward(
        self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"], mean_field: Any
    ) -> Float[Array, ""]:
        """What an agent in x gets for the action a, among the crowd `mean_field`."""

    def terminal_reward(self, x: Float[Array, "D"], mean_field: Any) -> Float[Array, ""]:
        """What an agent in x gets after the last decision; zero unless a game says otherwise."""
        return jnp.zeros_like(x[0])

    def free(self, x: Float[Array, "D"]) -> Bool[Array, ""]:
        """Whether an agent may be in x; everywhere in the domain unless a game has walls.

        Only grids ask: `step` keeps agents out of walls.
        """
        return jnp.asarray(True)

    def crowd_of(self, states: Float[Array, "*batch N D"], actions: Any = None) -> Particles:
        """The crowd that agents in these states are; its density knows the domain.

        Args:
            states: (*batch, N, D).
            actions: (*batch, N, C) what they do, or None.
        """
        crowd = Particles.within(states, self.domain, periodic=self.periodic)
        if actions is None:
            return crowd
        return dataclasses.replace(crowd, action_mean=jnp.mean(actions, -2))

    def observe(self, x: Float[Array, "D"]) -> Float[Array, "F"]:
        """What a network sees of a state: the state, unless a game says otherwise."""
        return x
