"""Road routing: commuters choose the next road at every junction."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.games.base import Display, FiniteGame
from nashfield.games.kernels import Kernel, Sparse, predecessor_lists
from nashfield.mean_fields import FiniteMeanField
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar

Road = tuple[str, str, float, float, int]

BRAESS: tuple[Road, ...] = (
    ("start", "north", 0.0, 1.0, 1),
    ("start", "south", 1.0, 0.0, 2),
    ("north", "south", 0.0, 0.0, 1),
    ("north", "end", 1.0, 0.0, 2),
    ("south", "end", 0.0, 1.0, 1),
)
"""Braess (1968): with the free link north-south everyone takes it and pays 2; without it, 1.5."""


class RoadRouting(FiniteGame):
    """Commuters from an origin to a destination; a road costs more the more enter it at a time.

    Source: Cabannes et al. (2022), "Solving N-player dynamic routing games with congestion: a mean
    field approach"; the cost of a road is that of Wardrop (1952), free_cost + congestion_cost *
    (share of the commuters who enter it now), paid on entering. A road takes `duration` steps.
    Action k at a junction takes the road number k mod (number of roads that leave it), in the
    order of `roads`; on a road, and at the destination, actions change nothing. Who has not
    arrived at time T pays late_cost. A potential game (Beckmann, McGuire and Winsten 1956).

    Commuters meet only if they enter a road at the same time. In the default network, Braess's,
    durations are such that all who share a road in the static game do.

    Attributes:
        roads: (from, to, free_cost, congestion_cost, duration) of each one-way road.
        origin: the junction where everyone starts.
        destination: the junction where everyone ends; no road needs to leave it.
        horizon: T.
        late_cost: paid after the last decision by who has not arrived.
        free_costs: (R + 1,) cost of each road when empty; the last entry is no road.
        congestion_costs: (R + 1,) what it costs more if everyone enters it.
    """

    roads: tuple[Road, ...]
    origin: str
    destination: str
    horizon: int
    late_cost: Scalar
    free_costs: Float[Array, "R1"]
    congestion_costs: Float[Array, "R1"]
    num_states: int = eqx.field(init=False)
    num_actions: int = eqx.field(init=False)
    _names: tuple[str, ...]
    _entered: np.ndarray
    _successors: np.ndarray
    _predecessors: np.ndarray | None

    def __init__(
        self,
        roads: tuple[Road, ...] = BRAESS,
        origin: str = "start",
        destination: str = "end",
        horizon: int = 3,
        late_cost: ScalarLike = 10.0,
    ):
        """See the class.

        Raises:
            ParameterError: no roads, an unknown junction, one other than the destination that no
                road leaves, a duration below 1, or costs that are not finite.
        """
        self.roads = tuple((str(u), str(v), float(a), float(b), d) for u, v, a, b, d in roads)
        self.origin, self.destination, self.horizon = origin, destination, horizon
        self.late_cost = scalar(late_cost)
        check_size("horizon", horizon)
        check_number("late_cost", self.late_cost)
        self.free_costs = np.array([road[2] for road in self.roads] + [0.0])
        self.congestion_costs = np.array([road[3] for road in self.roads] + [0.0])
        check_number("the free cost of a road", self.free_costs)
        check_number("the congestion cost of a road", self.congestion_costs)
        for road in self.roads:
            check_size(f"the duration of the road {road[0]} - {road[1]}", road[4])
        junctions = list(dict.fromkeys(name for road in self.roads for name in road[:2]))
        for kind, name in (("origin", origin), ("destination", destination)):
            if name not in junctions:
                raise ParameterError(
                    f"{kind} {name!r} is the end of no road; roads join {junctions}"
                )
        self._build(junctions)

    def _build(self, junctions: list[str]) -> None:
        """Numbers the states, junctions first, then the places on long roads."""
        number = {name: i for i, name in enumerate(junctions)}
        names, nowhere = list(junctions), len(self.roads)
        leaving: list[list[tuple[int, int]]] = [[] for _ in junctions]  # (road, next state)
        onward: list[int] = []  # next state of the places on roads
        for index, (tail, head, _, _, duration) in enumerate(self.roads):
            places = [len(names) + i for i in range(duration - 1)]
            names += [f"{tail} - {head} ({i + 1})" for i in range(duration - 1)]
            way = [*places, number[head]]
            onward += way[1:]
            leaving[number[tail]].append((index, way[0]))
        end = number[self.destination]
        leaving[end] = [(nowhere, end)]
        for name in junctions:
            if not leaving[number[name]]:
                raise ParameterError(f"no road leaves {name!r}, which is not the destination")
        leaving += [[(nowhere, state)] for state in onward]
        self.num_states = len(names)
        self.num_actions = max(len(choices) for choices in leaving)
        table = np.array(
            [[choices[a % len(choices)] for a in range(self.num_actions)] for choices in leaving]
        )
        self._names = tuple(names)
        self._entered = table[..., 0].astype(np.int32)
        self._successors = table[..., 1:].astype(np.int32)
        self._predecessors = predecessor_lists(self._successors)

    def initial(self) -> Float[Array, "S"]:
        """Everyone at the origin."""
        return np.eye(self.num_states)[self._names.index(self.origin)]

    def transition(self, t: Time, mean_field: FiniteMeanField) -> Kernel:
        """Along the roads."""
        return Sparse(self._successors, np.ones((1, 1, 1)), self._predecessors)

    def reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """Minus the cost of the road that the action enters."""
        nobody = jnp.zeros(len(self.free_costs), mean_field.states.dtype)
        entering = nobody.at[self._entered].add(mean_field.joint)
        return -(self.free_costs + self.congestion_costs * entering)[self._entered]

    def terminal_reward(self, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Minus the cost of being late."""
        late = np.array(self._names) != self.destination
        return -self.late_cost * late

    @property
    def display(self) -> Display:
        """Junctions and places on roads."""
        return Display(
            states=self._names, actions=tuple(f"road {a}" for a in range(self.num_actions))
        )
