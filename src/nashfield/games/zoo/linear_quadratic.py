"""The linear-quadratic game on a line of integers."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.games.base import Display, FiniteGame
from nashfield.games.kernels import Kernel, Sparse
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Scalar, Time, scalar


class FiniteLinearQuadratic(FiniteGame):
    """Follow the mean of the crowd, at a quadratic cost.

    Source: Perrin et al. (2020), "Fictitious play for mean field games: continuous time analysis
    and applications", linear-quadratic example, after Carmona, Fouque and Sun (2015). With m the
    mean of the crowd,
    x' = round(x + (attraction (m - x) + a) step + deviation z sqrt(step)) clipped to the line;
    reward (-a^2 / 2 + coupling a (m - x) - running_weight (m - x)^2 / 2) step, but at t = T - 1
    -terminal_weight (m - x)^2 / 2, whatever the action. Everyone starts anywhere alike.

    The noise z takes the values deviation * k for k in -3..3 with weights proportional to
    exp(-(deviation k)^2 / 2): so the game was published and is compared. With deviation 3 all but
    2% of the weight falls on k = 0, and the next values are 9 sqrt(step) apart, not 3. The rounded
    move is piecewise constant in m: no gradient passes from the crowd into the transitions.

    Attributes:
        max_state: states are -max_state..max_state.
        max_action: actions are -max_action..max_action.
        horizon: T.
        deviation: sigma.
        step: Delta, the length of a time step.
        attraction: K.
        coupling: q.
        running_weight: kappa.
        terminal_weight: c_term.
    """

    max_state: int = 5
    max_action: int = 2
    horizon: int = 4
    deviation: Scalar = eqx.field(converter=scalar, default=3.0)
    step: Scalar = eqx.field(converter=scalar, default=0.1)
    attraction: Scalar = eqx.field(converter=scalar, default=1.0)
    coupling: Scalar = eqx.field(converter=scalar, default=0.01)
    running_weight: Scalar = eqx.field(converter=scalar, default=0.5)
    terminal_weight: Scalar = eqx.field(converter=scalar, default=1.0)

    num_states: int = eqx.field(init=False)
    num_actions: int = eqx.field(init=False)

    def __post_init__(self):
        for name in ("max_state", "max_action", "horizon"):
            check_size(name, getattr(self, name))
        check_number("deviation", self.deviation, least=0.0)
        check_number("step", self.step, above=0.0)
        for name in ("attraction", "coupling", "running_weight", "terminal_weight"):
            check_number(name, getattr(self, name))
        self.num_states, self.num_actions = 2 * self.max_state + 1, 2 * self.max_action + 1

    @property
    def _positions(self) -> np.ndarray:
        return np.arange(-self.max_state, self.max_state + 1.0)

    @property
    def _controls(self) -> np.ndarray:
        return np.arange(-self.max_action, self.max_action + 1.0)

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike."""
        return np.full(self.num_states, 1 / self.num_states)

    def transition(self, t: Time, mean_field: FiniteMeanField) -> Kernel:
        """The drift towards the mean, the action and the noise, rounded."""
        noise = np.arange(-3.0, 4.0) * self.deviation
        weights = jnp.exp(-(noise**2) / 2)
        x, a = self._positions[:, None, None], self._controls[:, None]
        drift = (self.attraction * (mean_field.expect(self._positions) - x) + a) * self.step
        moved = jnp.round(x + drift + self.deviation * noise * jnp.sqrt(self.step))
        successors = jnp.clip(moved, -self.max_state, self.max_state) + self.max_state
        law = weights / jnp.sum(weights)
        return Sparse(successors.astype(int), law[None, None])

    def reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """Quadratic in the action and in the distance to the mean."""
        gap = mean_field.expect(self._positions) - self._positions[:, None]
        a = self._controls
        running = -(a**2) / 2 + self.coupling * a * gap - self.running_weight * gap**2 / 2
        terminal = -self.terminal_weight * gap**2 / 2
        return jnp.where(t == self.horizon - 1, terminal, running * self.step)

    @property
    def display(self) -> Display:
        """Positions and controls by number."""
        return Display(
            states=tuple(f"{x:g}" for x in self._positions),
            actions=tuple(f"{a:+g}" for a in self._controls),
        )
