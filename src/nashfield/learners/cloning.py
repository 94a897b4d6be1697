"""Behaviour cloning: one policy that does what many did, by maximum likelihood."""

from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.checks import check_number, check_size
from nashfield.games.continuous import ContinuousGame
from nashfield.learners.response import check_start
from nashfield.policies.gaussian_network import GaussianNetwork, single
from nashfield.policies.mixture_network import MixtureNetwork
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, scalar

Kind = Literal["gaussian", "mean", "mixture"]
"""What a cloned policy is."""

Average = GaussianNetwork | MixtureNetwork

# Spread that a policy begins with which is fitted on its own.
_FIRST_SD = 0.3
# Where an action counts as at the edge, before squashing: sigmoid(2 * 3) = .9975.
_EDGE = 3.0


class Buffer(eqx.Module):
    """What the policies of past iterations did: one slot an iteration, all of the same size.

    Equal numbers are what gives every iteration the weight 1 / count. Nothing is forgotten.

    Attributes:
        states: (K, T, n, D), those of n agents in each of K slots.
        actions: (K, T, n, C).
        count: the first `count` slots are filled.
    """

    states: Float[Array, "*batch K T n D"]
    actions: Float[Array, "*batch K T n C"]
    count: Int[Array, "*batch"]

    @classmethod
    def empty(cls, game: ContinuousGame, *, capacity: int, num_agents: int) -> "Buffer":
        """No slot filled yet.

        Args:
            game: gives T, D and C.
            capacity: K, how many iterations find room.
            num_agents: n.
        """
        check_size("capacity", capacity)
        check_size("num_agents", num_agents)
        size = (capacity, game.horizon, num_agents)
        return cls(
            jnp.zeros((*size, game.state_dim), jnp.float32),
            jnp.zeros((*size, game.control_dim), jnp.float32),
            jnp.zeros((), jnp.int32),
        )

    def put(self, states: Float[Array, "T n D"], actions: Float[Array, "T n C"]) -> "Buffer":
        """Fills the next slot.

        Inside jit, where nothing can be raised, a full buffer stays as it is.

        Raises:
            ValueError: all slots are filled.
        """
        capacity = self.states.shape[-4]
        full = not isinstance(self.count, jax.core.Tracer) and np.any(
            np.asarray(self.count) >= capacity
        )
        if full:
            raise ValueError(
                f"the buffer is full: its capacity is {capacity}; make it with "
                "Buffer.empty(..., capacity=) at least the number of iterations"
            )
        return Buffer(
            jnp.asarray(self.states).at[self.count].set(states.astype(jnp.float32), mode="drop"),
            jnp.asarray(self.actions).at[self.count].set(actions.astype(jnp.float32), mode="drop"),
            jnp.minimum(self.count + 1, self.states.shape[0]),
        )

    def sample(
        self, key: PRNGKeyArray, n: int
    ) -> tuple[Int[Array, "n"], Float[Array, "n D"], Float[Array, "n C"]]:
        """Times, states and actions, each drawn evenly from all that is stored."""
        slot_size = self.states.shape[-3] * self.states.shape[-2]
        slot_key, key = jax.random.split(key)
        # A level below 1 in single precision can round to 1.
        slot = (jax.random.uniform(slot_key, (n,), jnp.float32) * self.count).astype(jnp.int32)
        slot = jnp.minimum(slot, self.count - 1)
        row = jax.random.randint(key, (n,), 0, slot_size)
        place = slot * slot_size + row
        states = self.states.reshape(-1, self.states.shape[-1])[place]
        actions = self.actions.reshape(-1, self.actions.shape[-1])[place]
        return row // self.states.shape[-2], states, actions


class Cloned(eqx.Module):
    """What behaviour cloning found.

    Attributes:
        policy: of the kind that was asked for, its spread a function of the state.
        history: (num_steps,) negative log likelihood of each minibatch, of actions before they are
            squashed into bounds.
    """

    policy: Average
    history: Float[Array, "*batch num_steps"]


class Cloning(eqx.Module):
    """Fits pi(a | t, x) by minimising E[-log pi(a | t, x)] over a `Buffer`.

    Source: Magnino et al. (2025), "Solving continuous mean field games: deep reinforcement learning
    for non-stationary dynamics" (its loss L_BC). Every term of the gradient is weighted by the
    policy's present standard deviation there: else, where past policies agree, a spread that is
    too large never becomes small (Seitzer et al. 2022, "On the pitfalls of heteroscedastic
    uncertainty estimation with probabilistic neural networks", beta = 1/2). Actions at the edge of
    their interval count as 0.25% of it inside.

    Attributes:
        kind: "gaussian", where the mean and the spread depend on time and state; "mean", its mean
            action alone, which does not pay for the spread of what it averages; "mixture" of
            Gaussians, for policies that disagree.
        num_components: of a mixture.
        num_steps: steps of Adam.
        batch_size: rows in each.
        learning_rate: at first; falls linearly to 2% of that.
        hidden: widths of the hidden layers of a fresh network.
    """

    kind: Kind = eqx.field(static=True, default="gaussian")
    num_components: int = eqx.field(static=True, default=5)
    num_steps: int = eqx.field(static=True, default=1000)
    batch_size: int = eqx.field(static=True, default=1024)
    learning_rate: Scalar = eqx.field(converter=scalar, default=2e-3)
    hidden: tuple[int, ...] = eqx.field(static=True, default=(64, 64))

    def __check_init__(self):
        if self.kind not in get_args(Kind):
            raise ParameterError(
                f"kind must be one of {', '.join(get_args(Kind))}, not {self.kind!r}"
            )
        check_size("num_components", self.num_components)
        check_size("num_steps", self.num_steps)
        check_size("batch_size", self.batch_size)
        for width in self.hidden:
            check_size("hidden", width)
        check_number("learning_rate", self.learning_rate, above=0.0)

    def begin(
        self,
        game: ContinuousGame,
        location: Float[Array, "F"],
        scale: Float[Array, "F"],
        *,
        sd: Any,
        key: PRNGKeyArray,
    ) -> Average:
        """A policy that has seen nothing, of the shapes of every fitted one.

        Args:
            game: what it will be played in.
            location: (F,) mean of what it will observe.
            scale: (F,) standard deviation of that.
            sd: deviation of its actions, before they are squashed into bounds.
            key: for the weights.
        """
        shape = {"hidden": self.hidden, "sd": sd, "key": key}
        if self.kind == "mixture":
            shape["num_components"] = self.num_components
            return MixtureNetwork.begin(game, location, scale, **shape)
        policy = GaussianNetwork.begin(game, location, scale, **shape)
        return policy.certain() if self.kind == "mean" else policy

    def fit(
        self,
        game: ContinuousGame,
        buffer: Buffer,
        *,
        key: PRNGKeyArray,
        start: Average | None = None,
    ) -> Cloned:
        """Trains a policy on what is stored; maps over keys and buffers under `jax.vmap`.

        Args:
            game: what the policy will be played in.
            buffer: what was done.
            key: for weights and minibatches.
            start: a policy to go on from, whose spread is a function of the state.

        Raises:
            ValueError: nothing is stored, or `start` is of another kind or has a spread of another.
            ParameterError: `start` was made for another game.
        """
        if start is not None and isinstance(start, MixtureNetwork) != (self.kind == "mixture"):
            raise ValueError(
                f"start is a {type(start).__name__}, but what is fitted is of kind {self.kind!r}: "
                "take start from an earlier fit of the same kind, or leave it out"
            )
        check_start(game, start.body if isinstance(start, MixtureNetwork) else start)
        if not isinstance(buffer.count, jax.core.Tracer) and np.any(np.asarray(buffer.count) < 1):
            raise ValueError("the buffer is empty: fill a slot with buffer.put(states, actions)")
        if isinstance(start, GaussianNetwork) and start.log_sd is not None:
            raise ValueError(
                "start has one log_sd for each time, but a clone's spread depends on the state: "
                "take start from an earlier fit, or leave it out"
            )
        return _fit(self, game, buffer, start, key)


@eqx.filter_jit
def _fit(
    rule: Cloning,
    game: Any,
    buffer: Buffer,
    start: Average | None,
    key: PRNGKeyArray,
) -> Cloned:
    import optax

    rule, game = single(rule), single(game)
    begin_key, key = jax.random.split(key)
    policy = start
    if policy is None:
        location, scale = _standardisation(game, buffer)
        policy = rule.begin(game, location, scale, sd=_FIRST_SD, key=begin_key)
    trained, rest = policy.split()
    weights, unravel = ravel_pytree(jax.tree.map(jnp.asarray, trained))
    # The likelihood of a narrow law has steep walls.
    adam = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam())
    rates = rule.learning_rate * jnp.linspace(1, 0.02, rule.num_steps, dtype=jnp.float32)

    # What observations and bounds are, which is not trained.
    frame = policy.body if isinstance(policy, MixtureNetwork) else policy
    bounded = jnp.isfinite(frame.high)

    def loss(weights: Any, rows: Any) -> tuple[Float[Array, ""], Float[Array, ""]]:
        policy = eqx.combine(unravel(weights), rest)
        times, states, actions = rows
        features = jax.vmap(frame.features)(times, states)
        # What squashing adds does not depend on the weights.
        raw = jnp.where(bounded, jnp.clip(frame.unsquash(actions), -_EDGE, _EDGE), actions)
        terms, present = policy.misfit(times, features, raw)
        weighted = jax.lax.stop_gradient(present) * terms
        return jnp.mean(jnp.sum(weighted, -1)), jnp.mean(jnp.sum(terms, -1))

    def step(carry: Any, now: Any) -> Any:
        weights, moments = carry
        index, rate = now
        rows = buffer.sample(jax.random.fold_in(key, index), rule.batch_size)
        (_, value), slope = jax.value_and_grad(loss, has_aux=True)(weights, rows)
        change, moments = adam.update(slope, moments)
        return (weights - rate * change, moments), value

    indices = jnp.arange(rule.num_steps)
    (weights, _), history = jax.lax.scan(step, (weights, adam.init(weights)), (indices, rates))
    return Cloned(eqx.combine(unravel(weights), rest), history)


def _standardisation(game: Any, buffer: Buffer) -> tuple[Float[Array, "F"], Float[Array, "F"]]:
    """Mean and standard deviation of what is observed in the buffer."""
    _, states, _ = buffer.sample(jax.random.key(0), 4096)
    seen = jax.vmap(game.observe)(states).astype(jnp.float32)
    location, scale = jnp.mean(seen, 0), jnp.std(seen, 0)
    flat = scale <= 1e-6 * (1 + jnp.abs(location))
    return location, jnp.where(flat, 1, scale)
