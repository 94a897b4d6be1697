"""A game on points among N agents."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.dynamics.affine import check_affine
from nashfield.dynamics.episodes import Episodes, play_among
from nashfield.games.continuous_checks import check_control
from nashfield.games.grids import reads_density
from nashfield.learners.riccati import affine_sweep
from nashfield.mean_fields import Flow
from nashfield.metrics.estimates import Estimate
from nashfield.results import GameError
from nashfield.typing import Array

# Agents that stand for infinitely many.
_MANY_AGENTS = 20_000
# Numbers that one block of seeds may hold at a time.
_BLOCK_ENTRIES = 1 << 22


class PointSimulation(eqx.Module):
    """N agents play a policy, M times; M independent numbers of each kind.

    Attributes:
        returns: (M,) return of one agent, averaged over the N agents.
        gains: (M,) return of agent 0 if it plays the best response to the mean-field flow, less its
            return under the policy with the same random numbers; None where no exact best response
            is known.
        distances: (M,) distance of order 1 (Wasserstein) between the empirical flow and that of
            20,000 agents, averaged over times and coordinates.
        flow: that of 20,000 agents.
        num_agents: N.
    """

    returns: Float[Array, "M"]
    gains: Float[Array, "M"] | None
    distances: Float[Array, "M"]
    flow: Flow
    num_agents: int = eqx.field(static=True)

    @property
    def mean_return(self) -> Estimate:
        """Return of one agent when all N play the policy."""
        return Estimate.of(self.returns)

    @property
    def gain(self) -> Estimate | None:
        """What one deviator gains."""
        return None if self.gains is None else Estimate.of(self.gains)

    @property
    def distance(self) -> Estimate:
        """Distance between the flows of N and of 20,000 agents."""
        return Estimate.of(self.distances)


def simulate_points(
    game: Any, policy: Any, *, num_agents: int, num_seeds: int, key: PRNGKeyArray
) -> PointSimulation:
    """Plays `policy` among N agents of a ContinuousGame; see `simulate`.

    Raises:
        GameError: a return is not finite.
        TypeError: it is no policy of a game on points.
        ValueError: it is one of another game, or a single agent is paid by the crowd's density.
    """
    check_control(game, policy)
    if num_agents == 1 and reads_density(game):
        raise ValueError(
            f"{type(game).__name__} pays by the density of the crowd, and a single agent has none: "
            "take num_agents of at least 2"
        )
    try:
        check_affine(game, policy)
        response = affine_sweep(game, policy).best_response
    except (GameError, TypeError):
        response = None
    found = _simulate(game, policy, response, num_agents, num_seeds, key)
    if not bool(jnp.all(jnp.isfinite(found.returns))):
        raise GameError(
            f"{type(game).__name__}: returns are not finite; nashfield.testing.check_game says at "
            "which t, x and a. Where rewards read the density, the crowd must not be all in one "
            "point at the start"
        )
    return found


@eqx.filter_jit
def _simulate(game, policy, response, num_agents: int, num_seeds: int, key) -> PointSimulation:
    many_key, key = jax.random.split(key)
    many = play_among(game, policy, num_agents=_MANY_AGENTS, key=many_key)
    limit = _quantiles(many, num_agents)

    def one_seed(index: Array) -> tuple[Array, Array | None, Array]:
        seed = jax.random.fold_in(key, index)
        found = play_among(game, policy, num_agents=num_agents, key=seed)
        gain = None
        if response is not None:
            other = play_among(game, policy, num_agents=num_agents, deviation=response, key=seed)
            gain = other.returns[0] - found.returns[0]
        apart = jnp.abs(jnp.sort(found.states, 1) - limit)
        return jnp.mean(found.returns), gain, jnp.mean(apart)

    entries = num_agents * (game.horizon + 1) * (game.state_dim + game.control_dim + 1)
    size = max(1, min(num_seeds, _BLOCK_ENTRIES // entries))
    returns, gains, distances = jax.lax.map(one_seed, jnp.arange(num_seeds), batch_size=size)
    return PointSimulation(returns, gains, distances, many.flow(game), num_agents)


def _quantiles(episodes: Episodes, num_agents: int) -> Float[Array, "T1 N D"]:
    """Where N agents would be who are spread over the crowd as evenly as can be."""
    ordered = jnp.sort(episodes.states, 1)
    places = (jnp.arange(num_agents) + 0.5) / num_agents * _MANY_AGENTS
    return ordered[:, places.astype(int)]
