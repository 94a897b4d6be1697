"""Where the states of a stationary game lie on an axis."""

from dataclasses import dataclass

import numpy as np

from nashfield.games.base import StationaryGame
from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.plotting.canvas import Axes, display_of, state_names
from nashfield.solution import Solution

_NUM_NEWCOMERS = 2000
_MAX_NAMES = 12  # more states than this are told apart by place, not by name


@dataclass(frozen=True)
class Places:
    """Places of the states on one axis.

    Attributes:
        order: (S,), the states from left to right.
        at: (S,), places of these, increasing.
        names: of these, where each has a tick of its own.
    """

    order: np.ndarray
    at: np.ndarray
    names: list[str] | None

    @classmethod
    def of(cls, solution: Solution) -> "Places":
        """By name where they are few, else by the one thing that is seen of them, or by number."""
        names = state_names(solution)
        numbers = np.arange(len(names))
        if len(names) <= _MAX_NAMES or (display_of(solution).states and len(names) <= 30):
            return cls(numbers, numbers.astype(float), names)
        game = solution.game
        if isinstance(game, StationaryGame):
            features = np.asarray(game.features(), np.float64)
            if features.shape[1] == 1 and len(np.unique(features)) == len(features):
                order = np.argsort(features[:, 0])
                return cls(order, features[order, 0], None)
        return cls(numbers, numbers.astype(float), None)

    @property
    def edges(self) -> np.ndarray:
        """(S + 1,), where the cell of each state begins and ends."""
        middle = (self.at[1:] + self.at[:-1]) / 2
        first, last = 2 * self.at[0] - middle[:1], 2 * self.at[-1] - middle[-1:]
        return np.concatenate([first, middle, last])

    def frame(self, ax: Axes) -> None:
        """Limits, ticks and label of the axis."""
        ax.set_xlim(self.edges[0], self.edges[-1])
        ax.set_xlabel("state")
        if self.names is not None:
            long = max(map(len, self.names)) * len(self.names) > 60
            ax.set_xticks(self.at, self.names, rotation=45 if long else 0)


def points_of(solution: Solution) -> np.ndarray:
    """States of the crowd and of newcomers, drawn from the initial law, who spread wider.

    Args:
        solution: of a game whose states are points.

    Returns:
        (N, D), each half of them.
    """
    crowd = np.asarray(solution.flow.states, np.float64)
    if not isinstance(solution.game, ContinuousStationaryGame):
        return crowd
    import jax

    levels = jax.random.uniform(jax.random.key(0), (_NUM_NEWCOMERS, solution.game.num_levels))
    newcomers = np.asarray(jax.jit(jax.vmap(solution.game.initial))(levels), np.float64)
    chosen = np.linspace(0, len(crowd) - 1, _NUM_NEWCOMERS).astype(int)
    return np.concatenate([crowd[chosen], newcomers])
