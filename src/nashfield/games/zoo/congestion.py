"""Crowds on their way to a goal: on a line, and on a map where the crowd slows one down."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number, check_probability, check_size
from nashfield.games.base import Display, FiniteGame, SeparableGame
from nashfield.games.kernels import Kernel, Sparse, predecessor_lists
from nashfield.games.zoo._grid import ACTIONS, STAY, Grid, grid
from nashfield.mean_fields import FiniteMeanField
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar

ROOM = (
    "............",
    "....#.......",
    "....#...#...",
    "........#...",
    "..###...#...",
    "............",
    "............",
    "....#...#...",
    "....#...#...",
    "............",
)


class CrowdLine(SeparableGame):
    """Walk to a goal on a line; every place costs in proportion to the crowd there.

    Source: Gomes, Mohr and Souza (2010), "Discrete time, finite state space mean field games", with
    the local coupling of Lasry and Lions (2007), "Mean field games", section 2. x' = x + a + e with
    a in {-1, 0, 1} and noise e in {-1, 0, 1}, stopped by the walls; reward
    -attraction * |x - goal| / S - congestion * S * mu(x) - effort * [a != 0].

    A monotone potential game for congestion > 0: transitions do not depend on the crowd, and
    sum_x (mu - nu)(x) (r(x, mu) - r(x, nu)) = -congestion * S * ||mu - nu||^2 < 0 for mu != nu
    (Lasry and Lions 2007, equation 2.2). So its equilibrium flow is unique, and fictitious play
    converges like 1 / k.

    Attributes:
        num_states: S; everyone starts anywhere alike.
        horizon: T.
        goal: the place that attracts; num_states - 1 if None.
        attraction: weight of the distance to the goal.
        congestion: weight of the crowd; S * mu(x) is 1 if everyone is anywhere alike.
        effort: cost of a step.
        noise: probability of a random step, half to either side.
    """

    num_states: int
    horizon: int
    goal: int
    attraction: Scalar
    congestion: Scalar
    effort: Scalar
    noise: Scalar
    num_actions: int = eqx.field(init=False, default=3)
    _successors: np.ndarray
    _predecessors: np.ndarray | None

    def __init__(
        self,
        num_states: int = 20,
        horizon: int = 20,
        goal: int | None = None,
        attraction: ScalarLike = 2.0,
        congestion: ScalarLike = 0.5,
        effort: ScalarLike = 0.1,
        noise: ScalarLike = 0.2,
    ):
        """See the class.

        Raises:
            ParameterError: fewer than 2 states, no decision, a goal off the line, a negative
                congestion or noise outside [0, 1].
        """
        check_size("num_states", num_states, 2)
        check_size("horizon", horizon)
        self.num_states, self.horizon = num_states, horizon
        self.goal = num_states - 1 if goal is None else goal
        check_size("goal", self.goal, 0)
        if self.goal >= num_states:
            raise ParameterError(f"goal must be less than num_states = {num_states}, not {goal}")
        self.attraction, self.congestion = scalar(attraction), scalar(congestion)
        self.effort, self.noise = scalar(effort), scalar(noise)
        check_number("attraction", self.attraction)
        check_number("congestion", self.congestion, least=0.0)
        check_number("effort", self.effort)
        check_probability("noise", self.noise)
        steps = np.arange(-1, 2)
        moved = np.arange(num_states)[:, None, None] + steps[:, None] + steps
        self._successors = moved.clip(0, num_states - 1).astype(np.int32)
        self._predecessors = predecessor_lists(self._successors)

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike."""
        return np.full(self.num_states, 1 / self.num_states)

    def kernel(self, t: Time) -> Kernel:
        """The step and the noise."""
        law = jnp.stack([self.noise / 2, 1 - self.noise, self.noise / 2])
        return Sparse(self._successors, law[None, None], self._predecessors)

    def state_reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Minus the distance to the goal, minus the crowd."""
        distance = np.abs(np.arange(self.num_states) - self.goal) / self.num_states
        crowd = self.num_states * mean_field.states
        return -self.attraction * distance - self.congestion * crowd

    def action_reward(self, t: Time) -> Float[Array, "S A"]:
        """The effort of a step."""
        return jnp.broadcast_to(-self.effort * np.array([1.0, 0.0, 1.0]), (self.num_states, 3))

    @property
    def display(self) -> Display:
        """Actions by name."""
        return Display(actions=("left", "stay", "right"))


class CrowdGrid(FiniteGame):
    """Walk to a goal around obstacles; in a crowd each step is harder, and slower.

    Source: congestion costs after Achdou and Porretta (2018), "Mean field games with congestion"
    (the effort is multiplied by a power of the density; here the first), and speed that falls with
    density after Hughes (2002), "A continuum theory for the flow of pedestrians". With d(x) =
    S * mu(x), which is 1 if everyone is anywhere alike: a step succeeds with probability
    1 / (1 + slowdown * d(x)), otherwise the agent stays; reward
    -attraction * distance(x, goal) / largest distance - aversion * d(x)
    - effort * [a != stay] * (1 + congestion * d(x)),
    where the distance is that of the shortest walk. Walls and obstacles leave the agent in place.

    Transitions depend on the mean field unless slowdown = 0, and the game is not monotone unless
    congestion = slowdown = 0.

    Attributes:
        rows: the map, '#' an obstacle, '.' a free cell; everyone starts anywhere alike.
        goal: (row, column) of the cell that attracts; the last free cell if None.
        horizon: T.
        attraction: weight of the distance to the goal.
        aversion: cost of the crowd.
        effort: cost of a step where nobody is.
        congestion: what the crowd adds to the effort.
        slowdown: what the crowd takes from the speed.
    """

    rows: tuple[str, ...]
    goal: tuple[int, int]
    horizon: int
    attraction: Scalar
    aversion: Scalar
    effort: Scalar
    congestion: Scalar
    slowdown: Scalar
    num_states: int = eqx.field(init=False)
    num_actions: int = eqx.field(init=False, default=5)
    _distances: np.ndarray
    _successors: np.ndarray
    _predecessors: np.ndarray | None

    def __init__(
        self,
        rows: tuple[str, ...] = ROOM,
        goal: tuple[int, int] | None = None,
        horizon: int = 30,
        attraction: ScalarLike = 2.0,
        aversion: ScalarLike = 0.1,
        effort: ScalarLike = 0.1,
        congestion: ScalarLike = 0.5,
        slowdown: ScalarLike = 0.2,
    ):
        """See the class.

        Raises:
            ParameterError: an impossible map, a goal that is no free cell or out of reach of one,
                or a negative aversion, congestion or slowdown.
        """
        self.rows, self.horizon = tuple(rows), horizon
        check_size("horizon", horizon)
        cells = self._grid
        row, column = cells.cells[-1] if goal is None else goal
        self.goal = (int(row), int(column))
        self.attraction, self.aversion = scalar(attraction), scalar(aversion)
        self.effort, self.congestion = scalar(effort), scalar(congestion)
        self.slowdown = scalar(slowdown)
        check_number("attraction", self.attraction)
        check_number("effort", self.effort)
        for name in ("aversion", "congestion", "slowdown"):
            check_number(name, getattr(self, name), least=0.0)
        distances = cells.distances(cells.state("goal", self.goal))
        if np.isinf(distances).any():
            far = tuple(map(int, cells.cells[np.argmax(distances)]))
            raise ParameterError(f"no walk leads from cell {far} to the goal {self.goal}")
        self._distances = distances / max(distances.max(), 1.0)
        self.num_states = len(cells.cells)
        stay = np.broadcast_to(np.arange(self.num_states)[:, None], cells.successors.shape)
        self._successors = np.stack([cells.successors, stay], -1).astype(np.int32)
        self._predecessors = predecessor_lists(self._successors)

    @property
    def _grid(self) -> Grid:
        return grid(self.rows)

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike."""
        return np.full(self.num_states, 1 / self.num_states)

    def transition(self, t: Time, mean_field: FiniteMeanField) -> Kernel:
        """The step, if the crowd lets one pass."""
        speed = 1 / (1 + self.slowdown * self.num_states * mean_field.states)
        law = jnp.stack([speed, 1 - speed], -1)
        return Sparse(self._successors, law[:, None], self._predecessors)

    def reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """The way that is left, the crowd, and the effort in it."""
        crowd = self.num_states * mean_field.states
        moving = np.arange(self.num_actions) != STAY
        place = -self.attraction * self._distances - self.aversion * crowd
        return place[:, None] - self.effort * moving * (1 + self.congestion * crowd[:, None])

    @property
    def display(self) -> Display:
        """The map."""
        cells = self._grid
        return Display(actions=ACTIONS, cells=cells.cells, shape=cells.shape)
