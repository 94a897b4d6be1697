"""Four rooms: fill a building evenly, starting from one corner."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number, check_probability, check_size
from nashfield.games.base import Display, SeparableGame
from nashfield.games.kernels import Kernel
from nashfield.games.two_stage import Routes, TwoStage, routes
from nashfield.games.zoo._grid import ACTIONS, STAY, Grid, grid
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar

_WALL, _ROOMS, _DOORS = "#" * 13, "#.....#.....#", "#...........#"
_HALF = (_ROOMS, _ROOMS, _DOORS, _ROOMS, _ROOMS)
FOUR_ROOMS = (_WALL, *_HALF, "###.#####.###", *_HALF, _WALL)


class FourRooms(SeparableGame):
    """Exploration: everyone starts in one corner and is paid for being where few others are.

    Source: Geist et al. (2022), "Concave utility reinforcement learning: the mean-field game
    viewpoint", exploration of four rooms: r(x, mu) = -aversion * log mu(x), so that the equilibrium
    maximises the entropy of the crowd, summed over time. An agent moves to a
    neighbouring cell or stays; then, with probability `noise`, one of the moves open to it in the
    new cell (to stay is one) befalls it, each with the same probability.

    Attributes:
        rows: the map, '#' a wall, '.' a free cell.
        start: (row, column) of the cell where everyone starts.
        horizon: T.
        noise: probability that the random move befalls the agent.
        aversion: weight of the logarithm.
        floor: added to mu inside the logarithm, so that an empty cell has a finite reward.
    """

    rows: tuple[str, ...]
    start: tuple[int, int]
    horizon: int
    noise: Scalar
    aversion: Scalar
    floor: Scalar
    num_states: int = eqx.field(init=False)
    num_actions: int = eqx.field(init=False, default=5)
    _routes: Routes
    _open: np.ndarray

    def __init__(
        self,
        rows: tuple[str, ...] = FOUR_ROOMS,
        start: tuple[int, int] = (1, 1),
        horizon: int = 40,
        noise: ScalarLike = 1.0,
        aversion: ScalarLike = 1.0,
        floor: ScalarLike = 1e-25,
    ):
        """See the class.

        Raises:
            ParameterError: an impossible map, start, horizon, noise, or floor.
        """
        self.rows, self.start, self.horizon = tuple(rows), (start[0], start[1]), horizon
        self.noise, self.aversion, self.floor = scalar(noise), scalar(aversion), scalar(floor)
        check_size("horizon", horizon)
        check_probability("noise", self.noise)
        check_number("aversion", self.aversion)
        check_number("floor", self.floor, above=0.0)
        cells = self._grid
        cells.state("start", self.start)
        self.num_states = len(cells.cells)
        self._routes = routes(cells.successors, cells.successors)
        self._open = cells.open_moves

    @property
    def _grid(self) -> Grid:
        return grid(self.rows)

    @property
    def open_moves(self) -> np.ndarray:
        """(S, A) whether a move is not blocked: some libraries allow no other."""
        return self._open

    def initial(self) -> Float[Array, "S"]:
        """Everyone at the start."""
        return np.eye(self.num_states)[self._grid.state("start", self.start)]

    def kernel(self, t: Time) -> Kernel:
        """The agent's move, then the random one."""
        befalls = self._open / jnp.sum(self._open, -1, keepdims=True)
        stays = np.arange(self.num_actions) == STAY
        return TwoStage(self._routes, self.noise * befalls + (1 - self.noise) * stays)

    def state_reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Minus the log of the crowd."""
        return -self.aversion * jnp.log(mean_field.states + self.floor)

    def action_reward(self, t: Time) -> Float[Array, "S A"]:
        """Nothing: moves are free."""
        return np.zeros((self.num_states, self.num_actions))

    @property
    def display(self) -> Display:
        """The map."""
        cells = self._grid
        return Display(actions=ACTIONS, cells=cells.cells, shape=cells.shape)
