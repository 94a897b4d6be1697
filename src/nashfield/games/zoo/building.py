"""Building evacuation: down the stairs, but not all at once."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.games.base import Display, SeparableGame
from nashfield.games.kernels import Kernel, Sparse, predecessor_lists
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar

_STEPS = np.array([[0, 1, 0], [0, -1, 0], [0, 0, -1], [0, 0, 1], [-1, 0, 0], [1, 0, 0]])


class BuildingEvacuation(SeparableGame):
    """Leave a building of several floors by stairs in opposite corners, and keep apart.

    Source: Perolat et al. (2022), "Scaling mean field games by online mirror descent", building
    evacuation. Stairs lead down from the corner (0, 0) of a floor and up from its
    opposite corner, onto the same corner of the next floor; a move against a wall, or on stairs
    that are not there, leaves the agent in place. r(x, mu) = bonus * [x on the ground floor]
    - aversion * log max(mu(x), least_density). Everyone starts anywhere alike.

    Attributes:
        num_floors: floors; the ground floor is 0.
        num_rows: rows of cells on each floor.
        num_columns: columns of cells on each floor.
        horizon: T.
        aversion: weight of the logarithm.
        bonus: paid on the ground floor at every time.
        least_density: the logarithm sees no smaller share than this.
    """

    num_floors: int
    num_rows: int
    num_columns: int
    horizon: int
    aversion: Scalar
    bonus: Scalar
    least_density: Scalar
    num_states: int = eqx.field(init=False)
    num_actions: int = eqx.field(init=False, default=6)
    _successors: np.ndarray
    _predecessors: np.ndarray | None

    def __init__(
        self,
        num_floors: int = 5,
        num_rows: int = 10,
        num_columns: int = 10,
        horizon: int = 4,
        aversion: ScalarLike = 1.0,
        bonus: ScalarLike = 10.0,
        least_density: ScalarLike = 1e-20,
    ):
        """See the class.

        Raises:
            ParameterError: a size below 1, or a least_density that is not positive.
        """
        self.num_floors, self.num_rows, self.num_columns = num_floors, num_rows, num_columns
        self.horizon = horizon
        self.aversion, self.bonus = scalar(aversion), scalar(bonus)
        self.least_density = scalar(least_density)
        for name in ("num_floors", "num_rows", "num_columns", "horizon"):
            check_size(name, getattr(self, name))
        check_number("aversion", self.aversion)
        check_number("bonus", self.bonus)
        check_number("least_density", self.least_density, above=0.0)
        shape = (num_floors, num_rows, num_columns)
        self.num_states = num_floors * num_rows * num_columns
        cells = self._cells
        moved = (cells[:, None] + _STEPS).clip(0, np.array(shape) - 1)
        for action, corner in ((4, (0, 0)), (5, (num_rows - 1, num_columns - 1))):
            elsewhere = (cells[:, 1:] != corner).any(-1)
            moved[elsewhere, action] = cells[elsewhere]
        numbers = moved @ np.array([num_rows * num_columns, num_columns, 1])
        self._successors = numbers[..., None].astype(np.int32)
        self._predecessors = predecessor_lists(self._successors)

    @property
    def _cells(self) -> np.ndarray:
        shape = (self.num_floors, self.num_rows, self.num_columns)
        return np.stack(np.unravel_index(np.arange(self.num_states), shape), -1)

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike."""
        return np.full(self.num_states, 1 / self.num_states)

    def kernel(self, t: Time) -> Kernel:
        """One step, without noise."""
        return Sparse(self._successors, np.ones((1, 1, 1)), self._predecessors)

    def state_reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """The bonus of the ground floor, minus the log of the crowd."""
        ground = np.arange(self.num_states) < self.num_rows * self.num_columns
        crowd = jnp.maximum(mean_field.states, self.least_density)
        return self.bonus * ground - self.aversion * jnp.log(crowd)

    def action_reward(self, t: Time) -> Float[Array, "S A"]:
        """Nothing: moves are free."""
        return np.zeros((self.num_states, self.num_actions))

    @property
    def display(self) -> Display:
        """Floors side by side."""
        actions = ("down", "up", "left", "right", "downstairs", "upstairs")
        shape = (self.num_floors, self.num_rows, self.num_columns)
        return Display(actions=actions, cells=self._cells, shape=shape)
