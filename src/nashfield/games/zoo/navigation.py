"""Navigation on a grid of any size: reach a place, around walls and crowds."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from nashfield.checks import check_number, check_probability, check_size
from nashfield.games.base import Display, SeparableGame
from nashfield.games.grid_walk import GridWalk, open_moves
from nashfield.games.kernels import Kernel
from nashfield.games.zoo._grid import ACTIONS
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar


class GridNavigation(SeparableGame):
    """A crowd spreads from everywhere towards the middle of a grid, and shuns itself.

    Source: Perolat et al. (2022), "Scaling mean field games by online mirror descent", section 5
    (crowd modelling in two dimensions), with walls: rows of blocks with gaps between them. The
    dynamics are those of `GridWalk`; reward
    -attraction * (|i - rows // 2| + |j - columns // 2|) / (rows + columns)
    - aversion * log(S * mu(x) + floor) - effort * [a != stay].

    States are all cells, walls included (where nobody ever is), so that a move is a shift of an
    array: 90,000 cells need no list of successors.

    Attributes:
        rows: cells from top to bottom.
        columns: cells from left to right.
        horizon: T.
        attraction: weight of the distance.
        aversion: weight of the crowd.
        effort: cost of a move.
        noise: probability that a random move takes the place of the chosen one.
        spacing: distance between walls; 0 for none.
        floor: keeps the logarithm finite.
    """

    rows: int
    columns: int
    horizon: int
    attraction: Scalar
    aversion: Scalar
    effort: Scalar
    noise: Scalar
    spacing: int
    floor: Scalar
    num_states: int = eqx.field(init=False)
    num_actions: int = eqx.field(init=False, default=5)
    _free: Bool[np.ndarray, "rows columns"]
    _open_moves: Bool[np.ndarray, "A S"]

    def __init__(
        self,
        rows: int = 15,
        columns: int = 15,
        horizon: int = 20,
        attraction: ScalarLike = 5.0,
        aversion: ScalarLike = 0.2,
        effort: ScalarLike = 0.02,
        noise: ScalarLike = 0.1,
        spacing: int = 5,
        floor: ScalarLike = 1e-6,
    ):
        """See the class.

        Raises:
            ParameterError: a size below 2 (spacing: below 0), no decision, an aversion or floor
                that is negative, or noise outside [0, 1].
        """
        check_size("rows", rows, 2)
        check_size("columns", columns, 2)
        check_size("horizon", horizon)
        check_size("spacing", spacing, 0)
        self.rows, self.columns, self.horizon, self.spacing = rows, columns, horizon, spacing
        self.attraction, self.aversion = scalar(attraction), scalar(aversion)
        self.effort, self.noise, self.floor = scalar(effort), scalar(noise), scalar(floor)
        check_number("attraction", self.attraction)
        check_number("aversion", self.aversion, least=0.0)
        check_number("effort", self.effort)
        check_number("floor", self.floor, above=0.0)
        check_probability("noise", self.noise)
        self.num_states = rows * columns
        self._free = _map(rows, columns, spacing)
        self._open_moves = open_moves(self._free)

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike, but on no wall."""
        return jnp.asarray(self._free.reshape(-1) / self._free.sum(), float)

    def kernel(self, t: Time) -> Kernel:
        """The walk."""
        return GridWalk(self.columns, self._open_moves, self.noise)

    def state_reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Near the middle is good, in the crowd is bad."""
        i, j = np.mgrid[: self.rows, : self.columns]
        distance = np.abs(i - self.rows // 2) + np.abs(j - self.columns // 2)
        place = (distance / (self.rows + self.columns)).reshape(-1)
        crowd = jnp.log(self.num_states * mean_field.states + self.floor)
        return -self.attraction * jnp.asarray(place, crowd.dtype) - self.aversion * crowd

    def action_reward(self, t: Time) -> Float[Array, "S A"]:
        """A move costs its effort."""
        moves = np.array([1.0, 1.0, 1.0, 1.0, 0.0])
        return jnp.broadcast_to(-self.effort * moves, (self.num_states, 5))

    @property
    def display(self) -> Display:
        """Cells and walls."""
        cells = np.argwhere(np.ones_like(self._free))
        walls = ~self._free.reshape(-1)
        return Display(actions=ACTIONS, cells=cells, shape=self._free.shape, walls=walls)


def _map(rows: int, columns: int, spacing: int) -> np.ndarray:
    """Horizontal walls of `spacing` cells with gaps as wide, every `spacing` rows, staggered."""
    free = np.ones((rows, columns), dtype=bool)
    if not spacing:
        return free
    columns_of = np.arange(columns)
    for number, row in enumerate(range(spacing // 2, rows, spacing)):
        if row != rows // 2:
            free[row, (columns_of + number * spacing) // spacing % 2 == 1] = False
    return free
