"""Beach bar: be near the bar, but not in the crowd."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number, check_probability, check_size
from nashfield.games.base import Display, SeparableGame
from nashfield.games.kernels import Kernel, Sparse, predecessor_lists
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar


class BeachBar(SeparableGame):
    """Towels on a strip of beach with a bar in the middle.

    Source: Perrin et al. (2020), "Fictitious play for mean field games: continuous time analysis
    and applications", section 5.1. x' = x + a + e with a in {-1, 0, 1} and noise e in {-1, 0, 1};
    reward -distance(x, bar) - [a != 0] / S - log mu(x).

    Attributes:
        num_states: S, places on the beach.
        horizon: T.
        noise: probability that the wind moves the towel, half to either side.
        ring: whether the beach closes into a ring; else walls stop the walker.
        floor: added to mu inside the logarithm, so that an empty place has a finite reward.
    """

    num_states: int
    horizon: int
    noise: Scalar
    floor: Scalar
    ring: bool
    num_actions: int = eqx.field(init=False, default=3)
    _successors: np.ndarray
    _predecessors: np.ndarray | None

    def __init__(
        self,
        num_states: int = 100,
        horizon: int = 20,
        noise: ScalarLike = 0.5,
        ring: bool = False,
        floor: ScalarLike = 1e-20,
    ):
        """See the class; the bar stands at num_states // 2.

        Raises:
            ParameterError: fewer than 2 places (3 on a ring), no decision, noise outside [0, 1], or
                a floor that is not positive.
        """
        self.num_states, self.horizon, self.ring = num_states, horizon, ring
        self.noise, self.floor = scalar(noise), scalar(floor)
        check_size("num_states", num_states, 3 if ring else 2)
        check_size("horizon", horizon)
        check_probability("noise", self.noise)
        check_number("floor", self.floor, above=0.0)
        shifts = np.arange(-1, 2)
        moved = np.arange(num_states)[:, None, None] + shifts[:, None] + shifts
        self._successors = moved % num_states if ring else moved.clip(0, num_states - 1)
        self._predecessors = predecessor_lists(self._successors)

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike."""
        return np.full(self.num_states, 1 / self.num_states)

    def kernel(self, t: Time) -> Kernel:
        """The walk and the wind."""
        wind = jnp.array([self.noise / 2, 1 - self.noise, self.noise / 2])
        return Sparse(self._successors, wind[None, None], self._predecessors)

    def state_reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Minus the distance to the bar, minus the log of the crowd."""
        distance = np.abs(np.arange(self.num_states) - self.num_states // 2)
        if self.ring:
            distance = np.minimum(distance, self.num_states - distance)
        return -distance - jnp.log(mean_field.states + self.floor)

    def action_reward(self, t: Time) -> Float[Array, "S A"]:
        """The effort of a step."""
        cost = -np.abs(np.arange(-1.0, 2.0)) / self.num_states
        return np.broadcast_to(cost, (self.num_states, 3))

    @property
    def display(self) -> Display:
        """Actions by name."""
        return Display(actions=("left", "stay", "right"))
