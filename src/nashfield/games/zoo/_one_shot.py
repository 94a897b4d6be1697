"""Games of one decision, taken at once by agents who are all alike."""

import abc

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from nashfield.games.base import FiniteGame
from nashfield.games.kernels import Kernel
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Time


class Choice(Kernel):
    """Action a leads to state a + 1 from everywhere.

    Attributes:
        num_actions: A; there are A + 1 states.
    """

    num_actions: int = eqx.field(static=True)

    def expect(self, values: Float[Array, "S"]) -> Float[Array, "S A"]:
        """See `Kernel.expect`."""
        values = jnp.asarray(values)
        return jnp.broadcast_to(values[1:], (self.num_actions + 1, self.num_actions))

    def push(self, mass: Float[Array, "S A"]) -> Float[Array, "S"]:
        """See `Kernel.push`."""
        mass = jnp.asarray(mass)
        return jnp.concatenate([jnp.zeros(1, mass.dtype), jnp.sum(mass, 0)])

    def dense(self) -> Float[Array, "S A S"]:
        """See `Kernel.dense`."""
        rows = jnp.eye(self.num_actions + 1)[1:]
        return jnp.broadcast_to(rows, (self.num_actions + 1, *rows.shape))

    def quantile(
        self, level: Float[Array, "N"], states: Int[Array, "N"], actions: Int[Array, "N"]
    ) -> Int[Array, "N"]:
        """See `Kernel.quantile`; there is no chance."""
        return (actions + 1).astype(states.dtype)


class OneShot(FiniteGame):
    """One decision, after which agents stand by what they chose.

    What a choice pays depends on how much of the crowd makes each. There are A + 1 states; 0 is
    before the decision.
    """

    horizon: int = eqx.field(init=False, default=1)

    @abc.abstractmethod
    def payoffs(self, shares: Float[Array, "A"]) -> Float[Array, "A"]:
        """What every choice pays if so much of the crowd makes each."""

    def initial(self) -> Float[Array, "S"]:
        """Nobody has chosen."""
        return np.eye(self.num_states)[0]

    def transition(self, t: Time, mean_field: FiniteMeanField) -> Kernel:
        """To what is chosen."""
        return Choice(self.num_actions)

    def reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """Nothing yet."""
        return np.zeros((self.num_states, self.num_actions))

    def terminal_reward(self, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """`payoffs` of the crowd's choices."""
        paid = self.payoffs(mean_field.states[1:])
        return jnp.concatenate([jnp.zeros(1, paid.dtype), paid])
