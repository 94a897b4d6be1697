"""What a crowd on points is: its law at one time, and its flow over time."""

import abc
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.typing import Array


class AbstractMeanField(eqx.Module):
    """Law of the population at one time on points of R^D.

    Attributes:
        action_mean: (C,) mean of what the crowd does at this time; None where it is not known, or
            where the crowd takes no decision (at the terminal time).
    """

    action_mean: Float[Array, "*batch C"] | None = eqx.field(default=None, kw_only=True)

    @abc.abstractmethod
    def mean(self) -> Float[Array, "D"]:
        """Mean state."""

    @abc.abstractmethod
    def expect(self, function: Callable[[Array], Array]) -> Array:
        """Mean of `function`, which takes one state (D,), over the population."""

    @abc.abstractmethod
    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        """Draws the states of `n` agents."""

    @abc.abstractmethod
    def log_density(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Log of the density at the states `x`."""

    def prepare(self) -> "AbstractMeanField":
        """The same law for many looks: what each look would compute again is kept.

        Its densities may be interpolated from a table (`Particles.prepare` says how well).
        """
        return self

    def mean_action(self) -> Float[Array, "C"]:
        """Mean of what the crowd does.

        Raises:
            ValueError: that is not known here.
        """
        if self.action_mean is None:
            raise ValueError(
                "this game reads mean_field.mean_action(), but what the crowd does is not known "
                "here: take the flow from rollout_flow(game, policy), and do not ask for actions "
                "in terminal_reward"
            )
        return self.action_mean


class AbstractFlow(eqx.Module):
    """Mean-field flow on points: the law of the population at t = 0..T.

    Attributes:
        action_mean: (T, C) mean of what the crowd does, or None where that is not known.
    """

    action_mean: Float[Array, "*batch T C"] | None = eqx.field(default=None, kw_only=True)

    @abc.abstractmethod
    def __len__(self) -> int:
        """T + 1."""

    @abc.abstractmethod
    def law(self, t: Any) -> AbstractMeanField:
        """Law at time `t` in 0..T, which may be traced, without what the crowd does."""

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "T1 n D"]:
        """Draws the states of `n` agents at every time; those of different times are independent.

        Trajectories in the sense of the laws alone: joined up they are nobody's path.
        """
        return _sample(self, key, n)

    def sample_from(self, first: int, key: PRNGKeyArray, n: int) -> Float[Array, "S n D"]:
        """As `sample`, at the times first..T alone; all of them at once."""
        times = jnp.arange(first, len(self))
        keys = jax.random.split(key, len(times))
        return jax.vmap(lambda t, key: self.law(t).sample(key, n))(times, keys)

    def prepare(self) -> "AbstractFlow":
        """The same flow for many looks: what each look would compute again is kept.

        Its densities may be interpolated from a table (`Particles.prepare` says how well).
        """
        return self

    def __getitem__(self, t: Any) -> AbstractMeanField:
        """The mean field at time `t`, at -1 the terminal one; that one (t = T) has no actions.

        Raises:
            IndexError: a known `t` lies outside -T-1..T.
        """
        if isinstance(t, int | np.integer):
            t = range(len(self))[t]  # JAX would clip
            if t == len(self) - 1:
                return self.law(t)
        law = self.law(t)
        if self.action_mean is None:
            return law
        return dataclasses.replace(law, action_mean=jnp.asarray(self.action_mean)[t])

    def __iter__(self) -> Iterator[AbstractMeanField]:
        return (self[t] for t in range(len(self)))


@eqx.filter_jit
def _sample(flow: AbstractFlow, key: PRNGKeyArray, n: int) -> Float[Array, "T1 n D"]:
    return flow.sample_from(0, key, n)


def one_by_one(flow: AbstractFlow, first: int, key: PRNGKeyArray, n: int) -> Array:
    """What `sample_from` gives, time after time: for draws that fill a processor's caches."""
    times = jnp.arange(first, len(flow))
    keys = jax.random.split(key, len(times))
    return jax.lax.map(lambda pair: flow.law(pair[0]).sample(pair[1], n), (times, keys))


class Flow(AbstractFlow):
    """A flow made of one law a time.

    Attributes:
        laws: laws of one kind, whose arrays have a leading axis T + 1.
    """

    laws: AbstractMeanField

    def __len__(self) -> int:
        return jax.tree.leaves(self.laws)[0].shape[0]

    def law(self, t: Any) -> AbstractMeanField:
        """See `AbstractFlow.law`."""
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[t], self.laws)

    def prepare(self) -> "Flow":
        """See `AbstractFlow.prepare`."""
        return Flow(self.laws.prepare(), action_mean=self.action_mean)

    def means(self) -> Float[Array, "T1 D"]:
        """Mean state at every time."""
        return jax.vmap(lambda law: law.mean())(self.laws)
