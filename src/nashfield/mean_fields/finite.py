"""Mean fields on finitely many states, and their flow over time."""

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.typing import Array


class FiniteMeanField(eqx.Module):
    """Law of the population at one time, on states and (where the crowd acts) on pairs.

    Attributes:
        states: (*batch, S) share of the population in each state; sums to 1.
        policy: (*batch, S, A) what the crowd does in each state, or None where it takes no decision
            (at the terminal time) or where only the law of the states is known.
    """

    states: Float[Array, "*batch S"]
    policy: Float[Array, "*batch S A"] | None = None

    @property
    def joint(self) -> Float[Array, "*batch S A"]:
        """(*batch, S, A) share of the population in each state-action pair.

        Raises:
            ValueError: the crowd's actions are not known here.
        """
        if self.policy is None:
            raise ValueError(
                "this game reads mean_field.joint, but the crowd's actions are not known here: "
                "pass the flow that population_flow(game, policy) returns (not its states alone), "
                "and read only mean_field.states in terminal_reward"
            )
        return self.states[..., None] * self.policy

    def mean(self) -> Float[Array, ""]:
        """Mean of the state's number."""
        return self.expect(jnp.arange(self.states.shape[0]))

    def expect(self, values: Array) -> Float[Array, ""]:
        """Mean of `values` (S,) over the population."""
        return jnp.dot(self.states, jnp.asarray(values, self.states.dtype), precision="highest")

    def sample(self, key: PRNGKeyArray, n: int) -> Int[Array, "n"]:
        """Draws the states of `n` agents."""
        return jax.random.choice(key, self.states.shape[0], (n,), p=self.states)

    def log_density(self, x: Int[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Log of the share of the population in the states `x`."""
        return jnp.log(jnp.asarray(self.states)[x])


class FiniteFlow(eqx.Module):
    """Mean-field flow: the law of the population at every time.

    It reads as the (T + 1, S) array of its states wherever an array is asked for
    (`np.asarray(flow)`, `jnp.sum(flow, 1)`), and as mean fields one at a time (`flow[t]`).

    Attributes:
        states: (T + 1, S) share of the population in each state; each row sums to 1.
        policy: (T, S, A) what the crowd does, or None where only its states are known.
    """

    states: Float[Array, "T1 S"]
    policy: Float[Array, "T S A"] | None = None

    @property
    def joint(self) -> Float[Array, "T S A"]:
        """(T, S, A) share of the population in each state-action pair.

        Raises:
            ValueError: the crowd's actions are not known here.
        """
        if self.policy is None:
            raise ValueError("this flow holds states only: take it from population_flow")
        return self.states[:-1, :, None] * self.policy

    @property
    def shape(self) -> tuple[int, ...]:
        """(T + 1, S)."""
        return self.states.shape

    @property
    def ndim(self) -> int:
        """Two."""
        return self.states.ndim

    @property
    def dtype(self) -> np.dtype:
        """Precision of the shares."""
        return self.states.dtype

    def __len__(self) -> int:
        return self.states.shape[0]

    def __getitem__(self, t: Any) -> Any:
        """The mean field at time `t`, at -1 the terminal one; that one (t = T) has no actions.

        Several indices, as in flow[t, x], read the array of the states.

        Raises:
            IndexError: a known `t` lies outside -T-1..T.
        """
        if isinstance(t, tuple):
            return self.states[t]
        if isinstance(t, int | np.integer):
            t = range(len(self))[t]  # JAX would clip, and policy has a row less to count back from
            if t == len(self) - 1:
                return FiniteMeanField(self.states[t])
        if self.policy is None:
            return FiniteMeanField(self.states[t])
        return FiniteMeanField(self.states[t], self.policy[t])

    def __iter__(self) -> Iterator[FiniteMeanField]:
        return (self[t] for t in range(len(self)))

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.states, dtype=dtype, copy=copy)

    def __jax_array__(self) -> jax.Array:
        return jnp.asarray(self.states)
