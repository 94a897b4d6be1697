"""Soft actor-critic against a frozen flow, a whole training in one compiled program."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, PRNGKeyArray

from nashfield.checks import check_number, check_probability, check_size
from nashfield.games.continuous import ContinuousGame
from nashfield.learners.base import AbstractLearner, falling
from nashfield.learners.environment import Environment, play
from nashfield.learners.faults import Fault
from nashfield.learners.response import Response, begin_policy
from nashfield.learners.soft_loss import Memory, SoftLoss
from nashfield.policies.gaussian_network import GaussianNetwork, check_sd
from nashfield.policies.network import Network
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, scalar


class SAC(AbstractLearner):
    """Maximum-entropy policies, from two critics and a replay of what was seen.

    Each update plays one episode in each of `num_envs` environments into the replay, then takes
    `num_steps` steps of Adam on batches drawn from it: on the critics' error against
    r + min(Q1', Q2') - temperature log pi, where the primes are slowly following copies; on the
    policy, through the lesser critic; and on the temperature, which keeps the entropy of the
    actions at that of a normal law of deviation `target_sd`. In the first tenth of the updates
    only the critics learn: a policy that follows critics who know nothing wanders off. Policy and
    critics see the time; returns are undiscounted, and after the last decision nothing is added to
    the terminal reward. Critics measure what is above the mean return to come at each time when
    training began, in units of its deviation, so that the size of a game's rewards does not
    matter; errors count squared up to one unit, and beyond it in proportion. Sources: Haarnoja et
    al. (2018), "Soft actor-critic algorithms and applications"; Ng, Harada and Russell (1999),
    "Policy invariance under reward transformations".

    Attributes:
        num_updates: how many rounds of play and learning.
        num_envs: N, agents that play side by side.
        num_steps: steps of Adam in a round.
        batch_size: how many decisions a step sees.
        capacity: how many decisions the replay holds, in whole rounds, but one at least.
        learning_rate: of Adam at first; falls linearly to 2% of that.
        target_rate: how far the copies of the critics follow in one step.
        target_sd: deviation of the actions that a fresh policy begins with and the temperature
            aims at: in half widths of the interval of an action (less than .484, the entropy of
            uniform actions), and where it is unbounded in its own units.
        hidden: widths of the hidden layers of policy and critics.
    """

    num_updates: int = eqx.field(static=True, default=500)
    num_envs: int = eqx.field(static=True, default=32)
    num_steps: int = eqx.field(static=True, default=40)
    batch_size: int = eqx.field(static=True, default=256)
    capacity: int = eqx.field(static=True, default=100_000)
    learning_rate: Scalar = eqx.field(converter=scalar, default=2e-3)
    target_rate: Scalar = eqx.field(converter=scalar, default=0.01)
    target_sd: Scalar = eqx.field(converter=scalar, default=0.1)
    hidden: tuple[int, ...] = eqx.field(static=True, default=(64, 64))

    last_rate: ClassVar[float] = 0.02
    critics_first: ClassVar[float] = 0.1

    def __check_init__(self):
        for name in ("num_updates", "num_envs", "num_steps", "batch_size", "capacity"):
            check_size(name, getattr(self, name))
        for width in self.hidden:
            check_size("hidden", width)
        check_number("learning_rate", self.learning_rate, above=0.0)
        check_probability("target_rate", self.target_rate)
        check_sd("target_sd", self.target_sd)

    def check_game(self, game: ContinuousGame) -> None:
        """See `AbstractLearner.check_game`: no law on an interval has more entropy than a level."""
        low, high = game.control_bounds
        if any(isinstance(x, jax.core.Tracer) for x in (low, high, self.target_sd)):
            return
        bounded = np.isfinite(np.asarray(high) - np.asarray(low))
        if np.any(bounded) and np.any(self.target_sd >= _UNIFORM_SD):
            raise ParameterError(
                f"target_sd must be below {_UNIFORM_SD:.3f} in {type(game).__name__}, whose "
                f"actions are bounded, not {self.target_sd}: even uniform actions have no more "
                "entropy than normal ones of that many half widths"
            )

    def begin(
        self, env: Environment, start: Any, key: PRNGKeyArray
    ) -> tuple[GaussianNetwork, Memory, Fault]:
        """See `AbstractLearner.begin`; the units of fresh critics come from episodes."""
        policy_key, memory_key = jax.random.split(key)
        policy = begin_policy(env, start, hidden=self.hidden, sd=self.target_sd, key=policy_key)
        if isinstance(start, Response) and isinstance(start.memory, Memory):
            fault = Fault.none(env.game.state_dim, env.game.control_dim)
            return policy, jax.tree.map(jnp.asarray, start.memory), fault
        play_key, *keys = jax.random.split(memory_key, 3)
        record = play(env, policy, num_agents=_NUM_AGENTS, key=play_key)
        to_come = jnp.cumsum(record.rewards[::-1], 0)[::-1]
        potential = jnp.mean(to_come, 1)
        deviation = jnp.sqrt(jnp.mean((to_come - potential[:, None]) ** 2))
        # A game that pays nothing has deviation zero.
        scale = deviation + 1e-6 * (1 + jnp.max(jnp.abs(potential)))
        widths = (policy.location.shape[0] + 1 + env.game.control_dim, *self.hidden, 1)
        first, second = (
            Network.draw(widths, activation="relu", last_scale=0.1, key=key) for key in keys
        )
        critics, temperature = (first, second), jnp.log(jnp.float32(_FIRST_TEMPERATURE))
        potential = jnp.append(potential, 0)
        memory = Memory(critics, critics, temperature, potential, scale, jnp.asarray(True))
        return policy, memory, Fault.during(record)

    def train(
        self,
        env: Environment,
        policy: GaussianNetwork,
        memory: Memory,
        fault: Fault,
        num_updates: Any,
        key: PRNGKeyArray,
    ) -> tuple[GaussianNetwork, Memory, Float[Array, "K"], Fault]:
        """See `AbstractLearner.train`."""
        import optax

        trained, rest = policy.split()
        # One long vector of weights, critics first: a step of Adam is a few loops in all.
        weights, unravel = ravel_pytree((memory.critics, trained, memory.log_temperature))
        copies, unravel_copies = ravel_pytree(memory.copies)
        # A short memory of squares: the first errors are many times those that follow.
        adam: Any = optax.scale_by_adam(b2=0.99)
        rate = falling(self.learning_rate, self.last_rate, num_updates)
        follow = jnp.asarray(self.target_rate, jnp.float32)
        waiting = jnp.where(memory.fresh, self.critics_first * num_updates, 0)
        loss = SoftLoss.of(unravel, policy, self.target_sd)

        size = env.game.horizon * self.num_envs
        num_rounds = min(max(self.capacity // size, 1), self.num_updates)
        width = 2 * (policy.location.shape[0] + 1) + env.game.control_dim + 2
        replay = jnp.zeros((num_rounds * size, width), jnp.float32)

        def update(carry: Any) -> Any:
            index, weights, copies, moments, replay, history, _ = carry
            play_key, pick_key, noise_key = jax.random.split(jax.random.fold_in(key, index), 3)
            policy = eqx.combine(unravel(weights)[1], rest)
            record = play(env, policy, num_agents=self.num_envs, key=play_key)
            rows = loss.rows(policy, memory, record)
            replay = jax.lax.dynamic_update_slice(replay, rows, (index % num_rounds * size, 0))
            draws = (self.num_steps, self.batch_size)
            filled = jnp.minimum(index + 1, num_rounds) * size
            picks = jax.random.randint(pick_key, draws, 0, filled)
            size_of_noise = (draws[0], 2, draws[1], env.game.control_dim)
            noises = jax.random.normal(noise_key, size_of_noise, jnp.float32)

            def step(carry: Any, drawn: Any) -> Any:
                weights, copies, moments = carry
                picks, noise = drawn
                slope = jax.grad(loss)(
                    weights, unravel_copies(copies), replay[picks], noise, index >= waiting
                )
                change, moments = adam.update(slope, moments)
                weights = weights - rate(index) * change
                copies = copies + follow * (weights[: copies.size] - copies)
                return (weights, copies, moments), None

            old = weights, copies, moments
            new, _ = jax.lax.scan(step, old, (picks, noises))
            fault = Fault.during(record)
            kept = jax.tree.map(lambda old, new: jnp.where(fault.found, old, new), old, new)
            history = history.at[index].set(jnp.mean(record.returns))
            return index + 1, *kept, replay, history, fault

        def going(carry: Any) -> Any:
            return (carry[0] < num_updates) & ~carry[-1].found

        history = jnp.full(self.num_updates, jnp.nan, jnp.float32)
        carry = (jnp.asarray(0), weights, copies, adam.init(weights), replay, history, fault)
        _, weights, copies, _, _, history, fault = jax.lax.while_loop(going, update, carry)
        critics, trained, log_temperature = unravel(weights)
        copies, policy = unravel_copies(copies), eqx.combine(trained, rest)
        units = memory.potential, memory.scale
        memory = Memory(critics, copies, log_temperature, *units, jnp.asarray(False))
        return policy, memory, history, fault


# 2 / sqrt(2 pi e): a normal law of that deviation has the entropy of the uniform one on [-1, 1].
_UNIFORM_SD = 2 / math.sqrt(2 * math.pi * math.e)
# Agents whose returns the units of the critics come from.
_NUM_AGENTS = 1024
_FIRST_TEMPERATURE = 0.1
