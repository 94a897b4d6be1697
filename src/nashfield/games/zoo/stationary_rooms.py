"""Four rooms without an end: a crowd that spreads out, and stays spread out."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Real

from nashfield.checks import check_law, check_number
from nashfield.games.base import Display, StationaryGame
from nashfield.games.kernels import Kernel, Sparse, predecessor_lists
from nashfield.games.zoo._grid import ACTIONS, STEPS
from nashfield.games.zoo._grid import grid as read
from nashfield.mean_fields import FiniteMeanField
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, ScalarLike, array, scalar

_ROOMS, _DOORS, _WALL = ".....#.....", "...........", "##.#####.##"
ROOMS = (_ROOMS, _ROOMS, _DOORS, _ROOMS, _ROOMS, _WALL, _ROOMS, _ROOMS, _DOORS, _ROOMS, _ROOMS)
_WIND = (0.1, 0.1, 0.4, 0.1, 0.3)


class StationaryFourRooms(StationaryGame):
    """Exploration without an end: everyone is paid for staying where few others are.

    An agent's own step and a random one add up; where the sum of both leads into a wall or out of
    the map, the agent stays where it is. Reward -aversion * log max(mu(x), floor). Unless told
    otherwise a wind blows to the right. Where all random steps are alike, the uniform policy
    spreads the crowd evenly, which is an equilibrium. Source: Geist et al. (2022), "Concave utility
    reinforcement learning: the mean-field game viewpoint" (exploration of four rooms), in the
    stationary form of bench-mfg-suite 0.1.3, whose map and constants are the defaults, but for the
    wind.

    States are all cells, walls included, which an agent can only leave.

    Attributes:
        rows: the map, '#' a wall, '.' a free cell.
        noise: (5,) probabilities of the random step: down, up, right, left, stay.
        aversion: weight of the logarithm.
        floor: a share of the crowd below this counts as this.
        discount: gamma.
        initial_law: (S,) where the crowd comes from; if not given, all free cells alike.
    """

    rows: tuple[str, ...]
    noise: Float[Array, "A"]
    aversion: Scalar
    floor: Scalar
    discount: Array | float
    initial_law: Float[Array, "S"]
    num_states: int = eqx.field(init=False)
    num_actions: int = eqx.field(init=False, default=5)
    _successors: Int[Array, "S A A"]
    _predecessors: Int[Array, "S M"] | None

    def __init__(
        self,
        rows: tuple[str, ...] = ROOMS,
        noise: Real[Array, "A"] | None = None,
        aversion: ScalarLike = 1.0,
        floor: ScalarLike = 1e-12,
        discount: ScalarLike = 0.9,
        initial_law: Real[Array, "S"] | None = None,
    ):
        """See the class.

        Raises:
            ParameterError: an impossible map, or a number out of range.
        """
        self.rows = tuple(rows)
        free = ~self._walls
        self.num_states = free.size
        self.noise = array(_WIND if noise is None else noise)
        self.aversion, self.floor = scalar(aversion), scalar(floor)
        self.discount = scalar(discount)
        self.initial_law = array(free / free.sum() if initial_law is None else initial_law)
        if self.noise.shape != (5,):
            raise ParameterError(f"noise must be 5 probabilities, not of shape {self.noise.shape}")
        if self.initial_law.shape != (free.size,):
            raise ParameterError(
                f"initial_law must have an entry for each of the {free.size} cells, not the shape "
                f"{self.initial_law.shape}"
            )
        check_law("noise", self.noise)
        check_law("initial_law", self.initial_law)
        check_number("aversion", self.aversion)
        check_number("floor", self.floor, above=0.0)
        check_number("discount", self.discount, 0.0, 1 - 1e-12)
        self._successors = _successors(free.reshape(len(self.rows), -1))
        self._predecessors = predecessor_lists(self._successors)

    @property
    def _walls(self) -> np.ndarray:
        read(self.rows)  # checks the map
        return np.array([mark == "#" for row in self.rows for mark in row])

    def initial(self) -> Float[Array, "S"]:
        """`initial_law`."""
        return self.initial_law

    def transition(self, mean_field: FiniteMeanField) -> Kernel:
        """The agent's step and the random one at once."""
        return Sparse(self._successors, self.noise[None, None, :], self._predecessors)

    def reward(self, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """Minus the log of the crowd."""
        crowd = jnp.maximum(mean_field.states, self.floor)
        reward = -self.aversion * jnp.log(crowd)
        return jnp.broadcast_to(reward[:, None], (self.num_states, self.num_actions))

    @property
    def display(self) -> Display:
        """The map."""
        shape = (len(self.rows), len(self.rows[0]))
        cells = np.argwhere(np.ones(shape, bool))
        return Display(actions=ACTIONS, cells=cells, shape=shape, walls=self._walls)


def _successors(free: np.ndarray) -> np.ndarray:
    """(S, 5, 5) where a step and a random step lead from each cell of the map."""
    shape = np.array(free.shape)
    cells = np.argwhere(np.ones(free.shape, bool))
    reached = cells[:, None, None] + STEPS[:, None] + STEPS
    inside = ((reached >= 0) & (reached < shape)).all(-1)
    row, column = np.moveaxis(np.clip(reached, 0, shape - 1), -1, 0)
    stays = np.arange(len(cells))[:, None, None]
    open_cells = inside & free[row, column]
    return np.where(open_cells, row * free.shape[1] + column, stays).astype(np.int32)
