"""The stationary mean field as samples show it: N agents, B moves, m batches."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, PRNGKeyArray

from nashfield.dynamics.agents import agents_of
from nashfield.dynamics.draws import check_generator, draws_of
from nashfield.dynamics.rollout import play_snapshots
from nashfield.mean_fields import FiniteMeanField, Particles
from nashfield.policies import AbstractPolicy
from nashfield.results import ParameterError
from nashfield.typing import Array

UNSETTLED_DRIFT = 5.0
"""Above this drift, in standard errors, a played crowd has not settled."""


class Estimate(eqx.Module):
    """A mean field known by playing.

    Attributes:
        mean_field: the empirical law after the last move, over all batches.
        drift: how far the mean of the agents' features moved in the second half of the moves, in
            its own standard errors (the largest over features). A crowd at rest has a drift around
            1, one above `UNSETTLED_DRIFT` was still on its way. A chain so slow that B moves change
            next to nothing cannot be told from one at rest.
    """

    mean_field: FiniteMeanField | Particles
    drift: Float[Array, ""]

    @property
    def settled(self) -> Bool[Array, ""]:
        """Whether the crowd had come to rest."""
        return self.drift <= UNSETTLED_DRIFT


def check_sizes(num_agents: Any, num_steps: Any, num_batches: Any, generator: Any) -> None:
    """Checks how a crowd is to be played.

    Raises:
        ParameterError: a size is no integer of at least 1, or there is no such generator.
    """
    sizes = {"num_agents": num_agents, "num_steps": num_steps, "num_batches": num_batches}
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ParameterError(f"{name} must be an integer of at least 1, not {size!r}")
    check_generator(generator)


def estimate_mean_field(
    game: Any,
    policy: AbstractPolicy | Array,
    *,
    num_agents: int,
    num_steps: int,
    num_batches: int,
    generator: str,
    key: PRNGKeyArray,
) -> Estimate:
    """Lets m crowds of N agents start from the initial law and move B times; averages their laws.

    Source: Subramanian and Mahajan (2019), algorithm Stationary_MF.

    Args:
        game: a StationaryGame or a ContinuousStationaryGame.
        policy: what everyone plays: with parameters, or for a StationaryGame a table (S, A).
        num_agents: N.
        num_steps: B.
        num_batches: m.
        generator: "jax" or "hash"; see `dynamics.draws`.
        key: one for all batches.
    """
    agents = agents_of(game, policy)

    def batch(key: PRNGKeyArray) -> tuple[Any, Array]:
        sizes = {"num_agents": num_agents, "num_steps": num_steps}
        middle, last = play_snapshots(agents, draws_of(key, generator), **sizes)
        return agents.mean_field(last), agents.features(last) - agents.features(middle)

    crowds, moved = jax.vmap(batch)(jax.random.split(key, num_batches))
    drift = _drift(jnp.reshape(moved, (-1, moved.shape[-1])))
    if isinstance(crowds, Particles):  # the union of equally many agents
        return Estimate(Particles(jnp.reshape(crowds.states, (-1, crowds.states.shape[-1]))), drift)
    return Estimate(FiniteMeanField(jnp.mean(crowds.states, 0), crowds.policy[0]), drift)


def _drift(moved: Float[Array, "N D"]) -> Float[Array, ""]:
    """Largest mean in standard errors, agents being independent."""
    count = moved.shape[0]
    if count == 1:
        return jnp.zeros((), moved.dtype)
    mean = jnp.abs(jnp.mean(moved, 0))
    error = jnp.std(moved, 0) / jnp.sqrt(count - 1.0)
    # Without noise every move counts, and none is none.
    return jnp.max(jnp.where(mean > 0, mean / error, 0)).astype(moved.dtype)
