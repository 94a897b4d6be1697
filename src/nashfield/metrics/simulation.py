"""The game among N agents: how well the mean field stands for them, and what one deviator gains."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.dynamics import sweep
from nashfield.games.base import FiniteGame, StationaryGame
from nashfield.games.continuous import ContinuousGame
from nashfield.games.rates import RateGame
from nashfield.mean_fields import FiniteFlow, FiniteMeanField
from nashfield.metrics.distances import total_variation
from nashfield.metrics.estimates import Estimate
from nashfield.metrics.point_simulation import PointSimulation, simulate_points
from nashfield.metrics.rules import Rules, choose
from nashfield.policies import as_table
from nashfield.typing import Array

# Array entries that one block of seeds may hold at a time, in every table of a step.
_BLOCK_ENTRIES = 1 << 22
# A game without end is played until rewards weigh no more than this share of the first.
_LAST_WEIGHT = 1e-6


class Simulation(eqx.Module):
    """N agents play a mean-field policy, M times; M independent numbers of each kind.

    Attributes:
        returns: (M,) return of one agent, averaged over the N agents; of a stationary game that of
            agent 0 alone, with the control variate that the gains have.
        gains: (M,) return of one agent that plays the best response to the mean-field flow, less
            its return under the policy with the same random numbers, while all others keep the
            policy. The same difference against the frozen mean-field flow, whose mean is the
            exploitability, serves as control variate: the mean stays what it is, the spread
            shrinks as N grows.
        distances: (M,) total variation between the empirical flow and the mean-field flow,
            averaged over time.
        flow: mean over the seeds of the empirical flow, (T + 1, S).
        mean_field_flow: population flow of the policy, the limit of the empirical flow; of a
            stationary game its stationary mean field.
        social_welfare: J(pi; mu^pi), the limit of the returns.
        exploitability: of the policy, the limit of the gains.
        num_agents: N.
    """

    returns: Float[Array, "M"]
    gains: Float[Array, "M"]
    distances: Float[Array, "M"]
    flow: FiniteFlow
    mean_field_flow: FiniteFlow | FiniteMeanField
    social_welfare: Float[Array, ""]
    exploitability: Float[Array, ""]
    num_agents: int = eqx.field(static=True)

    @property
    def mean_return(self) -> Estimate:
        """Return of one agent when all N play the policy."""
        return Estimate.of(self.returns)

    @property
    def gain(self) -> Estimate:
        """What one deviator gains."""
        return Estimate.of(self.gains)

    @property
    def distance(self) -> Estimate:
        """Total variation between the empirical and the mean-field flow, averaged over time."""
        return Estimate.of(self.distances)


def simulate(
    game: Any,
    policy: Any,
    *,
    num_agents: int,
    num_seeds: int = 100,
    key: PRNGKeyArray | None = None,
) -> Simulation | PointSimulation:
    """Plays `policy` among N agents, with their empirical measure in place of the mean field.

    The empirical measure is that of states and actions, and counts every agent, the deviator too.
    The deviator is agent 0; it plays the best response to the mean-field flow, which does not know
    the other agents' places. If the game is continuous in the mean field, its gain tends to the
    exploitability as N grows (Saldi, Basar and Raginsky 2018, "Markov-Nash equilibria in mean-field
    games with discounted cost"); if it is Lipschitz, at the rate N^-1/2 or faster (Yardim, Goldman
    and He 2024, "When is mean-field reinforcement learning tractable and relevant?").

    In a stationary game agent 0 starts from the initial law and all others from the stationary mean
    field, as its definition has it: a newcomer among a crowd at rest. It is followed until the
    discount leaves less than 1e-6 of a reward.

    Args:
        game: the game.
        policy: (T, S, A), or (S, A) for a stationary game, rows sum to 1; there a policy with
            parameters will do as well. Of a game on points a policy such as `policies.Affine`.
        num_agents: N.
        num_seeds: M, independent repetitions; the intervals shrink like M^-1/2.
        key: key(0) if None.

    Returns:
        Returns, gains and distances of every seed, with means and intervals as properties. Of a
        game on points a `PointSimulation`.

    Raises:
        TypeError: a stationary game on points, or a game in continuous time.
        ValueError: num_agents < 1, num_seeds < 2, or it is no policy of this game.
    """
    if num_agents < 1:
        raise ValueError(f"num_agents must be at least 1, not {num_agents}")
    if num_seeds < 2:
        raise ValueError(f"num_seeds must be at least 2 for an interval, not {num_seeds}")
    key = jax.random.key(0) if key is None else key
    if isinstance(game, type):
        raise TypeError(f"game must be an instance: write {game.__name__}(...)")
    if isinstance(game, ContinuousGame):
        return simulate_points(game, policy, num_agents=num_agents, num_seeds=num_seeds, key=key)
    if isinstance(game, RateGame):
        raise TypeError(
            f"simulate plays games in discrete time, but {type(game).__name__} is one in "
            "continuous time: its flow is exact for infinitely many agents"
        )
    if not isinstance(game, FiniteGame | StationaryGame):
        raise TypeError(
            f"simulate plays games with a horizon and games on finitely many states, which "
            f"{type(game).__name__} is not: what is found of it is found by agents already"
        )
    table = jnp.asarray(as_table(game, policy))
    return _simulate(game, table, _num_steps(game), num_agents, num_seeds, key)


def _num_steps(game: FiniteGame | StationaryGame) -> int:
    if isinstance(game, FiniteGame):
        return game.horizon
    discount = float(game.discount)
    return math.ceil(math.log(_LAST_WEIGHT) / math.log(discount)) if discount > 0 else 1


@eqx.filter_jit
def _simulate(game, policy, num_steps: int, num_agents: int, num_seeds: int, key) -> Simulation:
    crowd = sweep(game, policy)
    timeless = isinstance(game, StationaryGame)
    response = jax.nn.one_hot(
        jnp.argmax(crowd.optimal_advantages, -1), game.num_actions, dtype=policy.dtype
    )

    def one_seed(index: Int[Array, ""]):
        seed = jax.random.fold_in(key, index)

        # Both runs draw the same numbers: under vmap they are drawn once.
        def run(deviates):
            first = jnp.where(deviates, response, policy)
            return _play(game, policy, first, crowd.flow, num_steps, num_agents, seed)

        means, own, frozen, flows = jax.vmap(run)(jnp.array([False, True]))
        # The same two runs against the frozen flow gain the exploitability on average: what they
        # gain by luck is luck here too, and is taken off.
        gain = own[1] - own[0] - (frozen[1] - frozen[0]) + crowd.exploitability
        mean = own[0] - frozen[0] + crowd.value if timeless else means[0]
        distance = jnp.mean(total_variation(flows[0], crowd.flow))
        return (mean, gain, distance), flows[0]

    def block(flow, indices):
        samples, flows = jax.vmap(one_seed)(indices)
        # The last block is filled up with seeds that nobody counts.
        counted = (indices < num_seeds).astype(flow.dtype)
        return flow + jnp.tensordot(counted, flows, 1, precision="highest"), samples

    size = _block_size(game, policy, num_steps, num_agents, num_seeds)
    num_blocks = -(-num_seeds // size)
    indices = jnp.arange(num_blocks * size).reshape(num_blocks, size)
    nothing = jnp.zeros((num_steps + 1, game.num_states), crowd.flow.states.dtype)
    flow, samples = jax.lax.scan(block, nothing, indices)
    returns, gains, distances = (values.reshape(-1)[:num_seeds] for values in samples)
    return Simulation(
        returns=returns,
        gains=gains,
        distances=distances,
        flow=FiniteFlow(flow / num_seeds),
        mean_field_flow=crowd.flow,
        social_welfare=crowd.value,
        exploitability=crowd.exploitability,
        num_agents=num_agents,
    )


def _play(game, policy, first, flow, num_steps: int, num_agents: int, key):
    """One run of N agents, where agent 0 plays the policy `first`.

    A double of agent 0 lives in the frozen `flow`, with the same random numbers.

    Returns:
        Mean return of all agents, return of agent 0, return of its double, and the empirical flow
        (T + 1, S).
    """
    num_states, num_actions, dtype = game.num_states, game.num_actions, policy.dtype
    rules = Rules(game, policy, first, flow)

    def frequencies(places, size: int):
        # Integers first: a sum of many times 1 / N would lose digits in float32.
        counts = jnp.zeros(size, jnp.int32).at[places].add(1)
        return counts.astype(dtype) / num_agents

    def step(carry, slices):
        states, double, totals, frozen_total = carry
        t, policy_t, first_t, frozen = rules.at(slices)
        act, move = jax.random.uniform(jax.random.fold_in(key, t), (2, num_agents), dtype)
        own_action = choose(act[:1], first_t[states[:1]])
        actions = jnp.concatenate([own_action, choose(act[1:], policy_t[states[1:]])])
        double_action = choose(act[:1], first_t[double])

        joint = frequencies(states * num_actions + actions, num_states * num_actions)
        joint = joint.reshape(num_states, num_actions)
        present = jnp.sum(joint, -1)
        # Where no agent is there is nothing to count: what agents would do there.
        played = jnp.where(present[:, None] > 0, joint / present[:, None], policy_t)
        crowd = FiniteMeanField(present, played)

        totals += rules.reward(t, crowd)[states, actions].astype(dtype)
        frozen_total += rules.reward(t, frozen)[double, double_action].astype(dtype)
        states = rules.transition(t, crowd).quantile(move, states, actions)
        double = rules.transition(t, frozen).quantile(move[:1], double, double_action)
        return (states, double, totals, frozen_total), present

    levels = jax.random.uniform(jax.random.fold_in(key, num_steps), (num_agents,), dtype)
    states = rules.start(levels)
    carry = (states, states[:1], jnp.zeros(num_agents, dtype), jnp.zeros(1, dtype))
    (states, double, totals, frozen_total), path = jax.lax.scan(
        step, carry, rules.slices(num_steps)
    )
    last = frequencies(states, num_states)
    if isinstance(game, FiniteGame):
        totals += jnp.asarray(game.terminal_reward(FiniteMeanField(last)), dtype)[states]
        terminal = jnp.asarray(game.terminal_reward(FiniteMeanField(flow.states[-1])), dtype)
        frozen_total += terminal[double]
    path = jnp.concatenate([path, last[None]])
    return jnp.mean(totals), totals[0], frozen_total[0], path


def _block_size(game, policy, num_steps: int, num_agents: int, num_seeds: int) -> int:
    """Seeds at a time, so that all tables of one step stay in check."""

    def tables(policy):
        rules = Rules(game, policy, policy, None)
        now = policy if rules.timeless else policy[0]
        crowd, t = FiniteMeanField(now[:, 0], now), jnp.asarray(0)
        return rules.transition(t, crowd), rules.reward(t, crowd)

    shapes = jax.tree.leaves(eqx.filter_eval_shape(tables, policy))
    entries = sum(math.prod(leaf.shape) for leaf in shapes if hasattr(leaf, "shape"))
    entries += game.num_states * (num_steps + 1) + num_agents * game.num_actions
    return max(1, min(num_seeds, _BLOCK_ENTRIES // (2 * entries)))
