"""Conservative treasure hunting: dig where the others do, at the risk of being carried off."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.games.base import Display, FiniteGame
from nashfield.games.kernels import Dense, Kernel
from nashfield.mean_fields import FiniteMeanField
from nashfield.results import ParameterError
from nashfield.typing import Array, ScalarLike, Time, array


class ConservativeTreasureHunting(FiniteGame):
    """Hunters choose a place at t = 0, and dig there or leave for another place afterwards.

    Source: Guo, Hu and Zhang (2022), "MF-OMO: an optimization formulation of mean-field games",
    conservative treasure hunting. With D_t(s) = ||L_t - e_{s,s}||^2, the squared distance of the
    crowd's law L_t on state-action pairs from everyone digging at s: at t = 0 the action names the
    next place and pays nothing; later s' = a with probability (1 + c D) / (1 + n c D), any other
    place with probability c D / (1 + n c D) each, where c = drift_{t-1}; and who stays (a = s) is
    paid treasure_s (1 - D / 2). Transitions and rewards depend on what the crowd does.
    Equilibria: everyone at one place, whichever, if no treasure is negative.

    Attributes:
        num_states: n, the places; the actions name them too.
        horizon: T.
        treasure: (n,) value of each place; one number serves for all.
        drift: (T - 1,) weight of chance at t = 1..T-1; one number serves for all.
    """

    num_states: int
    horizon: int
    treasure: Float[Array, "S"]
    drift: Float[Array, "U"]
    num_actions: int = eqx.field(init=False)

    def __init__(
        self,
        num_states: int = 3,
        horizon: int = 6,
        treasure: ScalarLike | Float[Array, "S"] | tuple[float, ...] = 1.0,
        drift: ScalarLike | Float[Array, "U"] | tuple[float, ...] = 1.0,
    ):
        """See the class.

        Raises:
            ParameterError: a size below 2, a negative drift, or an array of the wrong length.
        """
        self.num_states, self.num_actions, self.horizon = num_states, num_states, horizon
        check_size("num_states", num_states, 2)
        check_size("horizon", horizon, 2)
        self.treasure = _spread("treasure", treasure, num_states)
        self.drift = _spread("drift", drift, horizon - 1)
        check_number("treasure", self.treasure)
        check_number("drift", self.drift, least=0.0)

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike."""
        return np.full(self.num_states, 1 / self.num_states)

    def _distances(self, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        joint = mean_field.joint
        return jnp.sum(joint**2) - 2 * jnp.diagonal(joint) + 1

    def transition(self, t: Time, mean_field: FiniteMeanField) -> Kernel:
        """The place that the action names, or chance."""
        drift = jnp.where(t == 0, 0, jnp.asarray(self.drift)[jnp.maximum(t - 1, 0)])
        chance = (drift * self._distances(mean_field))[:, None, None]
        law = (np.eye(self.num_states) + chance) / (1 + self.num_states * chance)
        return Dense(law)

    def reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """The treasure, for who stays where the crowd stays."""
        paid = jnp.where(t == 0, 0, self.treasure * (1 - self._distances(mean_field) / 2))
        return paid[:, None] * np.eye(self.num_states)

    @property
    def display(self) -> Display:
        """Places by number."""
        places = tuple(f"place {s}" for s in range(self.num_states))
        return Display(states=places, actions=tuple(f"to {place}" for place in places))


def _spread(name: str, value: Any, num: int) -> Array:
    entries: Array = array(value)
    if entries.shape not in ((), (num,)):
        raise ParameterError(f"{name} must be a number or have shape ({num},), not {entries.shape}")
    return entries if entries.shape else entries * np.ones(num)
