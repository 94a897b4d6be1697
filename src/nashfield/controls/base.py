"""What a policy of a game on points is."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.typing import Array, Time


class AbstractControl(eqx.Module):
    """A policy pi_t(a | x) of a ContinuousGame, written for one agent.

    Its actions take `noise`, a vector (C,) of independent standard normal numbers; at noise zero
    this is the mean action (before it is squashed into bounds, where there are some); of a mixture
    of laws it is the median.
    """

    @property
    def horizon(self) -> int | None:
        """For how many decisions this is a policy; None for any."""
        return None

    @property
    @abc.abstractmethod
    def control_dim(self) -> int:
        """C."""

    @abc.abstractmethod
    def action(self, t: Time, x: Float[Array, "D"], noise: Float[Array, "C"]) -> Float[Array, "C"]:
        """What an agent in x does at time t."""

    def sample(self, key: PRNGKeyArray, t: Time, x: Float[Array, "*N D"]) -> Float[Array, "*N C"]:
        """Draws what agents in the states `x` do at time t."""
        x = jnp.asarray(x)
        noise = jax.random.normal(key, (*x.shape[:-1], self.control_dim), x.dtype)
        action = self.action
        for _ in x.shape[:-1]:
            action = jax.vmap(action, in_axes=(None, 0, 0))
        return action(t, x, noise)

    @abc.abstractmethod
    def log_density(self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"]) -> Float[Array, ""]:
        """Log density of the action `a`; infinite where the policy draws nothing."""

    @abc.abstractmethod
    def certain(self) -> "AbstractControl":
        """The policy that always plays the mean action."""
