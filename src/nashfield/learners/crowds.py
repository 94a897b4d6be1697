"""How a learner comes to know the stationary mean field of a policy: exactly, or by playing."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from nashfield.dynamics.estimation import Estimate, check_sizes, estimate_mean_field
from nashfield.dynamics.stationary import UNSETTLED_RESIDUAL, settle
from nashfield.mean_fields import FiniteMeanField, Particles
from nashfield.policies import AbstractPolicy


class AbstractCrowd(eqx.Module):
    """From a policy to the mean field that the crowd makes of it."""

    @abc.abstractmethod
    def estimate(self, game: Any, policy: AbstractPolicy, *, key: PRNGKeyArray) -> Estimate:
        """The mean field, and whether the crowd has settled in it.

        Args:
            game: a StationaryGame, or (where the crowd is played) a ContinuousStationaryGame.
            policy: what everyone plays.
            key: for crowds that are played.
        """

    def __call__(
        self, game: Any, policy: AbstractPolicy, *, key: PRNGKeyArray
    ) -> FiniteMeanField | Particles:
        """The mean field; arguments as in `estimate`."""
        return self.estimate(game, policy, key=key).mean_field


class ExactCrowd(AbstractCrowd):
    """The stationary mean field itself; see `dynamics.stationary_mean_field`."""

    def estimate(self, game: Any, policy: AbstractPolicy, *, key: PRNGKeyArray) -> Estimate:
        """See `AbstractCrowd.estimate`."""
        mean_field, residual = settle(game, policy.table(game))
        return Estimate(mean_field, jnp.where(residual <= UNSETTLED_RESIDUAL, 0.0, jnp.inf))


class PlayedCrowd(AbstractCrowd):
    """The empirical law of N agents after B moves from the initial law, averaged over m batches.

    Source: Subramanian and Mahajan (2019), algorithm Stationary_MF.

    Attributes:
        num_agents: N.
        num_steps: B.
        num_batches: m.
        generator: "jax", or "hash", which is several times faster; see `dynamics.draws`.
    """

    num_agents: int = eqx.field(static=True, default=1000)
    num_steps: int = eqx.field(static=True, default=200)
    num_batches: int = eqx.field(static=True, default=1)
    generator: str = eqx.field(static=True, default="jax")

    def __check_init__(self):
        check_sizes(self.num_agents, self.num_steps, self.num_batches, self.generator)

    def estimate(self, game: Any, policy: AbstractPolicy, *, key: PRNGKeyArray) -> Estimate:
        """See `AbstractCrowd.estimate`."""
        return estimate_mean_field(
            game,
            policy,
            num_agents=self.num_agents,
            num_steps=self.num_steps,
            num_batches=self.num_batches,
            generator=self.generator,
            key=key,
        )
