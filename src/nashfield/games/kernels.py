"""Transition kernels: dense, sparse, and shifts on a grid.

A kernel gives P(y | x, a) through two maps, each the transpose of the other: `expect`,
(P v)(x, a) = sum_y P(y | x, a) v(y), and `push`, (m P)(y) = sum_{x,a} m(x, a) P(y | x, a).
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.typing import Array


class Kernel(eqx.Module):
    """Law of the next state given state and action."""

    @abc.abstractmethod
    def expect(self, values: Float[Array, "S"]) -> Float[Array, "S A"]:
        """Expected value of `values` at the next state, for every state-action pair."""

    @abc.abstractmethod
    def push(self, mass: Float[Array, "S A"]) -> Float[Array, "S"]:
        """Law of the next state if `mass` is the law of the state-action pair."""

    @abc.abstractmethod
    def dense(self) -> Float[Array, "S A S"]:
        """The whole table P(y | x, a); for small games, checks and tests."""

    def quantile(
        self, level: Float[Array, "N"], states: Int[Array, "N"], actions: Int[Array, "N"]
    ) -> Int[Array, "N"]:
        """Inverse distribution function of the next states of N agents.

        With levels uniform in [0, 1) it draws the next states; with the same levels twice, two
        runs that differ little stay close to one another.

        Args:
            level: (N,) in [0, 1).
            states: (N,) present states.
            actions: (N,) actions.

        Returns:
            (N,) next states; none that has probability 0.
        """
        return Dense(self.dense()).quantile(level, states, actions)

    def sample(
        self, key: PRNGKeyArray, states: Int[Array, "N"], actions: Int[Array, "N"]
    ) -> Int[Array, "N"]:
        """Draws the next states of N agents, each from its own state and action."""
        return self.quantile(jax.random.uniform(key, states.shape), states, actions)


class Dense(Kernel):
    """Kernel as a full table.

    Attributes:
        probabilities: (S, A, S), probabilities[x, a, y] = P(y | x, a).
    """

    probabilities: Float[Array, "S A Y"]

    def expect(self, values: Float[Array, "S"]) -> Float[Array, "S A"]:
        """See `Kernel.expect`."""
        return jnp.einsum("xay,y->xa", self.probabilities, values, precision="highest")

    def push(self, mass: Float[Array, "S A"]) -> Float[Array, "S"]:
        """See `Kernel.push`."""
        return jnp.einsum("xay,xa->y", self.probabilities, mass, precision="highest")

    def dense(self) -> Float[Array, "S A S"]:
        """See `Kernel.dense`."""
        return jnp.asarray(self.probabilities)

    def quantile(
        self, level: Float[Array, "N"], states: Int[Array, "N"], actions: Int[Array, "N"]
    ) -> Int[Array, "N"]:
        """See `Kernel.quantile`; bisects, so that no (N, S) table of rows is made."""
        cumulated = jnp.cumsum(self.probabilities, -1)
        num_states = cumulated.shape[-1]
        target = level * cumulated[states, actions, -1]

        def halve(_, bounds):
            low, high = bounds
            middle = (low + high) // 2
            right = cumulated[states, actions, middle] <= target
            return jnp.where(right, middle + 1, low), jnp.where(right, high, middle)

        # The answer is the first state whose cumulated probability exceeds the target.
        bounds = (jnp.zeros_like(states), jnp.full_like(states, num_states - 1))
        return jax.lax.fori_loop(0, (num_states - 1).bit_length(), halve, bounds)[0]


class Sparse(Kernel):
    """Kernel as a list of K successors of every state-action pair.

    Attributes:
        successors: (S, A, K) integers in 0..S-1; a state may be named more than once.
        probabilities: (S, A, K), or anything that broadcasts to it.
        predecessors: (S, M) positions in the flattened (S, A, K) lists whose successor is the
            row's state, padded with S * A * K; None for successors that depend on the mean field
            (`push` then scatters, which is slower). Made by `predecessor_lists`.
    """

    successors: Int[Array, "S A K"]
    probabilities: Float[Array, "#S #A #K"]
    predecessors: Int[Array, "S M"] | None = None

    def expect(self, values: Float[Array, "S"]) -> Float[Array, "S A"]:
        """See `Kernel.expect`."""
        return jnp.sum(self.probabilities * jnp.asarray(values)[self.successors], axis=-1)

    def push(self, mass: Float[Array, "S A"]) -> Float[Array, "S"]:
        """See `Kernel.push`."""
        moved = jnp.asarray(mass)[:, :, None] * self.probabilities
        if self.predecessors is None:
            zeros = jnp.zeros(mass.shape[0], moved.dtype)
            return zeros.at[self.successors.reshape(-1)].add(moved.reshape(-1))
        # A gather: on CPU many times faster than the scatter above.
        arrivals = moved.reshape(-1).at[self.predecessors].get(mode="fill", fill_value=0)
        return jnp.sum(arrivals, axis=-1)

    def dense(self) -> Float[Array, "S A S"]:
        """See `Kernel.dense`."""
        num_states, num_actions, _ = self.successors.shape
        rows, columns = np.ogrid[:num_states, :num_actions]
        table = jnp.zeros((num_states, num_actions, num_states))
        return table.at[rows[:, :, None], columns[:, :, None], self.successors].add(
            self.probabilities
        )

    def quantile(
        self, level: Float[Array, "N"], states: Int[Array, "N"], actions: Int[Array, "N"]
    ) -> Int[Array, "N"]:
        """See `Kernel.quantile`; looks at the K successors only."""
        probabilities = jnp.asarray(self.probabilities)
        row, column = (
            index if size > 1 else 0
            for index, size in zip((states, actions), probabilities.shape, strict=False)
        )
        num_successors = self.successors.shape[2]
        weights = jnp.broadcast_to(probabilities[row, column], (*states.shape, num_successors))
        cumulated = jnp.cumsum(weights, -1)
        target = level * cumulated[:, -1]
        choice = jnp.sum(cumulated <= target[:, None], -1)
        return jnp.asarray(self.successors)[states, actions, choice].astype(states.dtype)


def predecessor_lists(
    successors: np.ndarray, num_targets: int | None = None, possible: np.ndarray | None = None
) -> np.ndarray | None:
    """Turns successor lists (S, A, K) around, for `Sparse.predecessors`.

    Args:
        successors: (S, A, K) integers in 0..S-1, known in advance (not traced).
        num_targets: how many states there are to arrive in; S if None.
        possible: (S, A, K) which entries count, for lists filled up with entries of probability
            0; all if None.

    Returns:
        (S, M) positions in the flattened lists, padded with S * A * K, where M is the largest
        number of arrivals of any state; None where a few states draw so many arrivals that the
        padding would outweigh the gain.
    """
    num_states = successors.shape[0] if num_targets is None else num_targets
    flat = np.asarray(successors).reshape(-1)
    entries = np.arange(flat.size) if possible is None else np.flatnonzero(possible)
    arrivals = np.bincount(flat[entries], minlength=num_states)
    width = int(arrivals.max())
    if width * num_states > 4 * flat.size:
        return None
    order = entries[np.argsort(flat[entries], kind="stable")]
    starts = np.concatenate([[0], np.cumsum(arrivals)[:-1]])
    table = np.full((num_states, width), flat.size, dtype=np.int32)
    table[flat[order], np.arange(order.size) - starts[flat[order]]] = order
    return table
