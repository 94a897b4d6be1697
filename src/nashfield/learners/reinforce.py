"""The likelihood-ratio gradient (REINFORCE): from what single agents do and get."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.checks import check_size
from nashfield.dynamics.agents import FiniteAgents, PointAgents, agents_of
from nashfield.dynamics.draws import check_generator, draws_of
from nashfield.dynamics.rollout import Paths, play_paths
from nashfield.learners.critic import AbstractBaseline, BatchMean
from nashfield.learners.gradients import AbstractGradient
from nashfield.policies import AbstractPolicy, check_differentiable
from nashfield.results import ParameterError
from nashfield.typing import Array

# Trajectories whose steps are in memory at one time; 12 bytes a step where states are numbers.
_BLOCK = 2048


class Reinforce(AbstractGradient):
    """The mean over trajectories of sum_t gamma^t dlog pi(a_t | x_t)/dtheta (G_t - b(x_t)).

    G_t = sum_{s >= t} gamma^(s-t) r_s is the sampled return from t on, and b a baseline, which
    does not change the mean. Unbiased for the return of the first `num_steps` steps; what comes
    later is worth at most gamma^num_steps of the whole (7e-10 for gamma = .9 and 200 steps).
    Sources: Williams (1992), "Simple statistical gradient-following algorithms for connectionist
    reinforcement learning"; Subramanian and Mahajan (2019), V there read as the sampled G_t.

    Attributes:
        num_trajectories: how many the mean is taken over.
        num_steps: length of each.
        baseline: what is subtracted from the returns; None for nothing.
        generator: "jax", or "hash", which is several times faster; see `dynamics.draws`.
    """

    num_trajectories: int = eqx.field(static=True, default=100)
    num_steps: int = eqx.field(static=True, default=200)
    baseline: AbstractBaseline | None = None
    generator: str = eqx.field(static=True, default="jax")

    def __check_init__(self):
        check_generator(self.generator)
        check_size("num_trajectories", self.num_trajectories)
        check_size("num_steps", self.num_steps)
        if isinstance(self.baseline, BatchMean) and self.num_trajectories < 2:
            raise ParameterError(
                "BatchMean leaves each trajectory out of its own mean: num_trajectories must be at "
                f"least 2, not {self.num_trajectories}"
            )

    def partial(
        self, game: Any, policy: AbstractPolicy, mean_field: Any, *, key: PRNGKeyArray
    ) -> Any:
        """See `AbstractGradient.partial`.

        Raises:
            ParameterError: the policy has no parameters, or none that it depends on smoothly.
        """
        check_differentiable(policy)
        return _estimate(self, game, policy, mean_field, key)


@eqx.filter_jit
def _estimate(rule: Reinforce, game: Any, policy: AbstractPolicy, mean_field: Any, key) -> Any:
    agents = agents_of(game, policy)
    baseline_key, key = jax.random.split(key)
    if rule.baseline is None:
        baseline = None
    else:
        baseline = rule.baseline.baseline(game, policy, mean_field, key=baseline_key)
    discount = jnp.asarray(game.discount, jnp.float32)
    fading = discount ** jnp.arange(rule.num_steps)

    num_blocks = -(-rule.num_trajectories // _BLOCK)
    size = -(-rule.num_trajectories // num_blocks)

    def block(index) -> Any:
        draws = draws_of(jax.random.fold_in(key, index), rule.generator)
        sizes = {"num_trajectories": size, "num_steps": rule.num_steps}
        paths = play_paths(agents, mean_field, draws, **sizes)
        weights = returns = returns_to_go(paths.rewards, discount)
        if baseline is not None:
            weights = returns - baseline(paths.states, returns).astype(returns.dtype)
        # The last block may play a few more than are asked for.
        counted = index * size + np.arange(size) < rule.num_trajectories
        weights = weights * fading[:, None] * counted / rule.num_trajectories
        return _tally(agents, policy, paths, weights)

    if num_blocks == 1:
        tally = block(0)
    else:
        add = lambda total, index: (jax.tree.map(jnp.add, total, block(index)), None)  # noqa: E731
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(block, 0))
        tally, _ = jax.lax.scan(add, zeros, jnp.arange(num_blocks))
    return _gradient(game, policy, tally) if isinstance(agents, FiniteAgents) else tally


def returns_to_go(rewards: Float[Array, "T N"], discount: Float[Array, ""]) -> Float[Array, "T N"]:
    """G_t = r_t + gamma G_{t+1}, from the last reward on."""

    def step(later, reward):
        now = reward + discount * later
        return now, now

    return jax.lax.scan(step, jnp.zeros_like(rewards[0]), rewards, reverse=True)[1]


def _tally(
    agents: FiniteAgents | PointAgents,
    policy: AbstractPolicy,
    paths: Paths,
    weights: Float[Array, "T N"],
) -> Any:
    """The weights summed in each (x, a); where states are points, their part of the gradient."""
    if isinstance(agents, FiniteAgents):
        num_states, num_actions = agents.table.shape
        # Flat positions: on CPU many times faster than pairs of indices.
        place = (paths.states * num_actions + paths.actions).reshape(-1)
        total = jnp.zeros(num_states * num_actions, agents.table.dtype)
        total = total.at[place].add(weights.reshape(-1).astype(total.dtype))
        return total.reshape(num_states, num_actions)
    parameters, rest = policy.split()

    def surrogate(parameters: Any) -> Float[Array, ""]:
        probabilities = eqx.combine(parameters, rest).probabilities(paths.states)
        chosen = jnp.take_along_axis(probabilities, paths.actions[..., None], -1)[..., 0]
        return _weighed(chosen, weights)

    return eqx.filter_grad(surrogate)(parameters)


def _gradient(game: Any, policy: AbstractPolicy, weights: Float[Array, "S A"]) -> Any:
    """The only derivative that is taken in a finite game: of its table."""
    parameters, rest = policy.split()

    def surrogate(parameters: Any) -> Float[Array, ""]:
        return _weighed(eqx.combine(parameters, rest).table(game), weights)

    return eqx.filter_grad(surrogate)(parameters)


def _weighed(probabilities: Array, weights: Array) -> Float[Array, ""]:
    """Sum of weights * log(probabilities); what has no weight may have probability 0."""
    safe = jnp.where(weights == 0, 1, probabilities)
    return jnp.sum(weights.astype(safe.dtype) * jnp.log(safe))
