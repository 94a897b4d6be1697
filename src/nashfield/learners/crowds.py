"""How a learner comes to know the stationary mean field of a policy: exactly, or by playing."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from nashfield.dynamics.agents import agents_of
from nashfield.dynamics.draws import Draws
from nashfield.dynamics.rollout import play_crowd
from nashfield.dynamics.stationary import settle
from nashfield.mean_fields import FiniteMeanField, Particles
from nashfield.policies import AbstractPolicy


class AbstractCrowd(eqx.Module):
    """From a policy to the mean field that the crowd makes of it."""

    @abc.abstractmethod
    def __call__(self, game: Any, policy: AbstractPolicy, *, key: PRNGKeyArray) -> Any:
        """The mean field.

        Args:
            game: a StationaryGame, or (where the crowd is played) a ContinuousStationaryGame.
            policy: what everyone plays.
            key: for crowds that are played.
        """


class ExactCrowd(AbstractCrowd):
    """The stationary mean field itself; see `dynamics.stationary_mean_field`."""

    def __call__(self, game: Any, policy: AbstractPolicy, *, key: PRNGKeyArray) -> FiniteMeanField:
        """See `AbstractCrowd.__call__`."""
        return settle(game, policy.table(game))[0]


class PlayedCrowd(AbstractCrowd):
    """The empirical law of N agents after B moves from the initial law, averaged over m batches.

    Source: Subramanian and Mahajan (2019), algorithm Stationary_MF.

    Attributes:
        num_agents: N.
        num_steps: B.
        num_batches: m.
    """

    num_agents: int = eqx.field(static=True, default=1000)
    num_steps: int = eqx.field(static=True, default=200)
    num_batches: int = eqx.field(static=True, default=1)

    def __call__(
        self, game: Any, policy: AbstractPolicy, *, key: PRNGKeyArray
    ) -> FiniteMeanField | Particles:
        """See `AbstractCrowd.__call__`."""
        agents = agents_of(game, policy)

        def batch(key: PRNGKeyArray) -> Any:
            sizes = {"num_agents": self.num_agents, "num_steps": self.num_steps}
            return play_crowd(agents, Draws(key), **sizes)

        crowds = jax.vmap(batch)(jax.random.split(key, self.num_batches))
        if isinstance(crowds, Particles):  # the union of equally many agents
            return Particles(jnp.reshape(crowds.states, (-1, crowds.states.shape[-1])))
        return FiniteMeanField(jnp.mean(crowds.states, 0), crowds.policy[0])
