"""Proximal policy optimisation against a frozen flow, a whole training in one compiled program."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.checks import check_number, check_probability, check_size
from nashfield.games.continuous import ContinuousGame
from nashfield.learners.base import AbstractLearner, falling
from nashfield.learners.environment import Environment
from nashfield.learners.faults import Fault
from nashfield.learners.ppo_loss import Critic, Round, advantages_of, loss
from nashfield.learners.response import Response, begin_policy
from nashfield.policies.gaussian_network import GaussianNetwork, normal_log_density, single
from nashfield.policies.network import Network
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, scalar


class PPO(AbstractLearner):
    """Clipped policy gradients with a learnt critic, on whole episodes of fixed length.

    Each update plays one episode in each of `num_envs` environments, estimates advantages by
    generalised advantage estimation (undiscounted, the critic's value after the last decision
    being zero), and takes `num_epochs` times `num_minibatches` steps of Adam on the clipped
    objective plus the critic's squared error. Policy and critic see the time. The critic's
    outputs are returns standardised by their running mean and deviation, kept true when those
    move (van Hasselt et al. 2016, "Learning values across many orders of magnitude"), so that the
    size of a game's rewards does not matter. Sources: Schulman et al. (2017), "Proximal policy
    optimization algorithms"; Schulman et al. (2016), "High-dimensional continuous control using
    generalized advantage estimation".

    Attributes:
        num_updates: how many rounds of play and learning.
        num_envs: N, agents that play side by side.
        num_epochs: how often what a round saw is gone through.
        num_minibatches: into how many parts; it divides T * N.
        learning_rate: of Adam at first; falls linearly to 2% of that.
        trace: lambda of the advantages.
        clip: how far from 1 a ratio of densities is rewarded.
        step_size: None for clipped ratios. Else eta: a round seeks
            argmax E[eta A ratio] - KL(pi || pi_old), a step of mirror descent, which gets small
            where nothing is to be gained (Tomar et al. 2022, "Mirror descent policy
            optimization", equation 7). A is in units of what returns differ by between agents
            at the same time, so that the size of a game's rewards does not matter.
        entropy_bonus: weight of the policy's entropy, beside advantages of deviation 1. Where
            chance outweighs what actions do, .03 or so keeps up the noise by which the mean
            action is learnt; the noisy policy itself then gets less.
        max_gradient: gradients longer than this are shortened to it.
        hidden: widths of the hidden layers of policy and critic.
        log_sd: log standard deviation of a fresh policy at all times, before squashing. It is in
            the game's units of actions, about which nothing is known beforehand, and a policy that
            is far too sure learns nothing: where good actions are of order 6, as in
            `CrowdAversion`, take log_sd = log 2. A measure is the deviation at which noise alone
            costs half the standard deviation of returns: .12 in `LinearQuadratic`, .08 in
            `LocalEntropy`, 3 in `CrowdAversion`.
        restart_log_sd: what a warm start lifts it to where it is less; in the same units.
    """

    num_updates: int = eqx.field(static=True, default=300)
    num_envs: int = eqx.field(static=True, default=128)
    num_epochs: int = eqx.field(static=True, default=4)
    num_minibatches: int = eqx.field(static=True, default=8)
    learning_rate: Scalar = eqx.field(converter=scalar, default=2e-3)
    trace: Scalar = eqx.field(converter=scalar, default=0.95)
    clip: Scalar = eqx.field(converter=scalar, default=0.2)
    step_size: Scalar | None = eqx.field(converter=scalar, default=None)
    entropy_bonus: Scalar = eqx.field(converter=scalar, default=0.0)
    max_gradient: Scalar = eqx.field(converter=scalar, default=0.5)
    hidden: tuple[int, ...] = eqx.field(static=True, default=(64, 64))
    log_sd: Scalar = eqx.field(converter=scalar, default=-2.0)
    restart_log_sd: Scalar = eqx.field(converter=scalar, default=-3.0)

    last_rate: ClassVar[float] = 0.02

    def __check_init__(self):
        for name in ("num_updates", "num_envs", "num_epochs", "num_minibatches"):
            check_size(name, getattr(self, name))
        for width in self.hidden:
            check_size("hidden", width)
        for name in ("learning_rate", "clip", "max_gradient"):
            check_number(name, getattr(self, name), above=0.0)
        check_probability("trace", self.trace)
        if self.step_size is not None:
            check_number("step_size", self.step_size, above=0.0)
        check_number("entropy_bonus", self.entropy_bonus, least=0.0)
        check_number("log_sd", self.log_sd)
        check_number("restart_log_sd", self.restart_log_sd)

    def check_game(self, game: ContinuousGame) -> None:
        """See `AbstractLearner.check_game`: the minibatches must come out even."""
        size = game.horizon * self.num_envs
        if size % self.num_minibatches:
            raise ParameterError(
                f"num_minibatches = {self.num_minibatches} must divide horizon * num_envs = {size}"
            )

    def begin(
        self, env: Environment, start: Any, key: PRNGKeyArray
    ) -> tuple[GaussianNetwork, Critic, Fault]:
        """See `AbstractLearner.begin`; a policy that begins anew gets its noise back."""
        policy_key, critic_key = jax.random.split(key)
        policy = begin_policy(env, start, hidden=self.hidden, log_sd=self.log_sd, key=policy_key)
        fault = Fault.none(env.game.state_dim, env.game.control_dim)
        if start is not None and policy.log_sd is not None:
            lifted = jnp.maximum(policy.log_sd, jnp.asarray(self.restart_log_sd, jnp.float32))
            policy = eqx.tree_at(lambda p: p.log_sd, policy, lifted)
        if isinstance(start, Response) and isinstance(start.memory, Critic):
            return policy, jax.tree.map(jnp.asarray, start.memory), fault
        widths = (policy.location.shape[0] + 1, *self.hidden, 1)
        # In a game of tiny rewards whatever a fresh critic says would drown them: it says zero.
        network = Network.draw(widths, last_scale=0.0, key=critic_key)
        zero = jnp.zeros((), jnp.float32)
        one = jnp.ones((), jnp.float32)
        return policy, Critic(network, zero, one, zero, one), fault

    def train(
        self,
        env: Environment,
        policy: GaussianNetwork,
        memory: Critic,
        fault: Fault,
        num_updates: Any,
        key: PRNGKeyArray,
    ) -> tuple[GaussianNetwork, Critic, Float[Array, "K"], Fault]:
        """See `AbstractLearner.train`."""
        import optax

        learner, critic = single(self), memory
        trained, rest = policy.split()
        # One long vector of weights: a step of Adam is a few loops, not a few for each layer.
        weights, unravel = ravel_pytree((trained, critic.network))
        adam = optax.chain(
            optax.clip_by_global_norm(learner.max_gradient), optax.scale_by_adam(eps=1e-5)
        )
        rate = falling(learner.learning_rate, learner.last_rate, num_updates)

        def update(carry: Any) -> Any:
            index, weights, critic, moments, history, _ = carry
            play_key, learn_key = jax.random.split(jax.random.fold_in(key, index))
            trained, network = unravel(weights)
            policy = eqx.combine(trained, rest)
            critic = eqx.tree_at(lambda c: c.network, critic, network)
            seen = _play(env, policy, learner.num_envs, play_key)
            rows, moved = advantages_of(learner, critic, seen)
            now = ravel_pytree((trained, moved.network))[0]

            def minibatch(carry: Any, columns: Any) -> Any:
                weights, moments = carry
                slope: Any = jax.grad(loss)(weights, learner, unravel, rest, columns)
                step, moments = adam.update(slope, moments)
                return (weights - rate(index) * step, moments), None

            def epoch(carry: Any, key: PRNGKeyArray) -> Any:
                order = shuffled_places(key, rows.shape[0])
                shuffled = rows[order].reshape(learner.num_minibatches, -1, rows.shape[-1])
                # Networks compute in columns.
                return jax.lax.scan(minibatch, carry, jnp.swapaxes(shuffled, 1, 2))

            keys = jax.random.split(learn_key, learner.num_epochs)
            (now, moments), _ = jax.lax.scan(epoch, (now, moments), keys)
            weights, critic = jax.tree.map(
                lambda old, new: jnp.where(seen.fault.found, old, new),
                (weights, critic),
                (now, moved),
            )
            history = history.at[index].set(jnp.mean(jnp.sum(seen.rewards, 0)))
            return index + 1, weights, critic, moments, history, seen.fault

        def going(carry: Any) -> Any:
            return (carry[0] < num_updates) & ~carry[-1].found

        history = jnp.full(learner.num_updates, jnp.nan, jnp.float32)
        carry = (jnp.asarray(0), weights, critic, adam.init(weights), history, fault)
        _, weights, critic, _, history, fault = jax.lax.while_loop(going, update, carry)
        trained, network = unravel(weights)
        critic = eqx.tree_at(lambda c: c.network, critic, network)
        return eqx.combine(trained, rest), critic, history, fault


def _play(env: Environment, policy: GaussianNetwork, num_envs: int, key: PRNGKeyArray) -> Round:
    """One episode in each environment."""
    game = env.game
    start_key, act_key, move_key = jax.random.split(key, 3)
    size = (game.horizon, num_envs)
    noise = jax.random.normal(act_key, (*size, game.control_dim), jnp.float32)
    chance = jax.random.normal(move_key, (*size, game.noise_dim), jnp.float32)
    times = jnp.arange(game.horizon)

    def step(states: Array, now: Any) -> Any:
        t, noise, chance = now
        features = jax.vmap(policy.features, in_axes=(None, 0))(t, states)
        mean, log_sd = policy.heads(t, features)
        raw = mean + jnp.exp(log_sd) * noise
        actions = policy.squash(raw)
        moved, rewards = env.step(t, states, actions, chance)
        density = jnp.sum(normal_log_density(raw, mean, log_sd), -1)
        return moved, (states, features, raw, actions, density, rewards)

    last, seen = jax.lax.scan(step, env.start(start_key, num_envs), (times, noise, chance))
    states, features, raw, actions, density, rewards = seen
    rewards = rewards.at[-1].add(env.terminal_rewards(last))
    moved = jnp.concatenate([states[1:], last[None]])
    times = jnp.repeat(times, num_envs)

    def rows(x: Array) -> Array:
        return x.reshape(times.shape[0], *x.shape[2:])

    fault = Fault.among(times, rows(states), rows(actions), rows(rewards), rows(moved))
    return Round(rows(features), times, rows(noise), rows(raw), rows(density), rewards, fault)


def shuffled_places(key: PRNGKeyArray, n: int) -> Int[Array, "n"]:
    """0..n-1 in random order, by one sort of words that end in the number itself.

    On CPU ten times faster than `jax.random.permutation`, which sorts pairs, twice. Where the
    leading bits of two words agree the lower number comes first.
    """
    num_bits = (n - 1).bit_length()
    words = jax.random.bits(key, (n,), jnp.uint32) >> num_bits << num_bits
    words = jnp.sort(words | jnp.arange(n, dtype=jnp.uint32))
    return (words & jnp.uint32((1 << num_bits) - 1)).astype(jnp.int32)
