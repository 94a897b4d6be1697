"""A game on points among N agents."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.dynamics.episodes import Episodes, play_among
from nashfield.games.continuous import ContinuousGame
from nashfield.mean_fields import Flow
from nashfield.metrics.estimates import Estimate
from nashfield.typing import Array

# Agents that stand for infinitely many.
_MANY_AGENTS = 20_000
# Numbers that one block of seeds may hold at a time.
_BLOCK_ENTRIES = 1 << 22


class PointSimulation(eqx.Module):
    """N agents play a policy, M times; M independent numbers of each kind.

    Attributes:
        returns: (M,) return of one agent, averaged over the N agents.
        distances: (M,) distance of order 1 (Wasserstein) between the empirical flow and that of
            20,000 agents, averaged over times and coordinates.
        flow: that of 20,000 agents.
        num_agents: N.
    """

    returns: Float[Array, "M"]
    distances: Float[Array, "M"]
    flow: Flow
    num_agents: int = eqx.field(static=True)

    @property
    def mean_return(self) -> Estimate:
        """Return of one agent when all N play the policy."""
        return Estimate.of(self.returns)

    @property
    def distance(self) -> Estimate:
        """Distance between the flows of N and of 20,000 agents."""
        return Estimate.of(self.distances)


def simulate_points(
    game: ContinuousGame, policy: Any, *, num_agents: int, num_seeds: int, key: PRNGKeyArray
) -> PointSimulation:
    """Plays `policy` among N agents; see `simulate`."""
    return _simulate(game, policy, num_agents, num_seeds, key)


@eqx.filter_jit
def _simulate(game, policy, num_agents: int, num_seeds: int, key) -> PointSimulation:
    many_key, key = jax.random.split(key)
    many = play_among(game, policy, num_agents=_MANY_AGENTS, key=many_key)
    limit = _quantiles(many, num_agents)

    def one_seed(index: Array) -> tuple[Array, Array]:
        seed = jax.random.fold_in(key, index)
        found = play_among(game, policy, num_agents=num_agents, key=seed)
        apart = jnp.abs(jnp.sort(found.states, 1) - limit)
        return jnp.mean(found.returns), jnp.mean(apart)

    entries = num_agents * (game.horizon + 1) * (game.state_dim + game.control_dim + 1)
    size = max(1, min(num_seeds, _BLOCK_ENTRIES // entries))
    returns, distances = jax.lax.map(one_seed, jnp.arange(num_seeds), batch_size=size)
    return PointSimulation(returns, distances, many.flow, num_agents)


def _quantiles(episodes: Episodes, num_agents: int) -> Float[Array, "T1 N D"]:
    """Where N agents would be who are spread over the crowd as evenly as can be."""
    ordered = jnp.sort(episodes.states, 1)
    places = (jnp.arange(num_agents) + 0.5) / num_agents * _MANY_AGENTS
    return ordered[:, places.astype(int)]
