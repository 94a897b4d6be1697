"""What a policy of a game on points is."""

import abc

import equinox as eqx
from jaxtyping import Float

from nashfield.typing import Array, Time


class AbstractControl(eqx.Module):
    """A policy pi_t(a | x) of a ContinuousGame, written for one agent.

    Its actions take `noise`, a vector (C,) of independent standard normal numbers; at noise zero
    this is the mean action (before it is squashed into bounds, where there are some).
    """

    @property
    def horizon(self) -> int | None:
        """For how many decisions this is a policy; None for any."""
        return None

    @abc.abstractmethod
    def action(self, t: Time, x: Float[Array, "D"], noise: Float[Array, "C"]) -> Float[Array, "C"]:
        """What an agent in x does at time t."""

    @abc.abstractmethod
    def log_density(self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"]) -> Float[Array, ""]:
        """Log density of the action `a`; infinite where the policy draws nothing."""

    @abc.abstractmethod
    def certain(self) -> "AbstractControl":
        """The policy that always plays the mean action."""
