"""Maps of cells and walls, and the moves on them."""

from dataclasses import dataclass

import numpy as np

from nashfield.results import ParameterError

ACTIONS = ("down", "up", "right", "left", "stay")
STEPS = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [0, 0]])
STAY = 4


@dataclass(frozen=True)
class Grid:
    """The free cells of a map, numbered row by row, and the five moves from each.

    Attributes:
        shape: rows and columns.
        cells: (S, 2) row and column of each free cell.
        successors: (S, 5) where each move of ACTIONS leads; a blocked one leaves the agent there.
        open_moves: (S, 5) whether the move is not blocked; to stay never is.
    """

    shape: tuple[int, int]
    cells: np.ndarray
    successors: np.ndarray
    open_moves: np.ndarray

    def state(self, name: str, cell: tuple[int, int]) -> int:
        """Number of the free cell (row, column).

        Raises:
            ParameterError: it is a wall or lies outside; the message calls it `name`.
        """
        found = np.flatnonzero((self.cells == np.asarray(cell)).all(-1))
        if not found.size:
            raise ParameterError(f"{name} {tuple(cell)} is not a free cell of the map")
        return int(found[0])

    def distances(self, state: int) -> np.ndarray:
        """(S,) steps of the shortest walk between each cell and `state`; inf where none is."""
        distance = np.full(len(self.cells), np.inf)
        distance[state] = 0
        while True:
            nearer = np.minimum(distance, distance[self.successors].min(-1) + 1)
            if np.array_equal(nearer, distance):
                return distance
            distance = nearer


def grid(rows: tuple[str, ...]) -> Grid:
    """Reads a map.

    Args:
        rows: one string a row, '#' a wall, '.' a free cell; beyond the edge there is nowhere to go.

    Raises:
        ParameterError: no rows, rows of unequal length, another character, or no free cell.
    """
    if not rows or len({len(row) for row in rows}) != 1:
        raise ParameterError(f"rows must be strings of one length, at least one, not {rows!r}")
    foreign = set("".join(rows)) - {"#", "."}
    if foreign:
        raise ParameterError(f"rows may hold '#' (wall) and '.' (free) only, not {min(foreign)!r}")
    free = np.array([[mark == "." for mark in row] for row in rows])
    cells = np.argwhere(free)
    if not len(cells):
        raise ParameterError("rows must hold at least one free cell '.'")
    number = np.full((free.shape[0] + 2, free.shape[1] + 2), -1)
    number[1:-1, 1:-1][free] = np.arange(len(cells))
    targets = cells[:, None] + STEPS + 1
    reached = number[targets[..., 0], targets[..., 1]]
    successors = np.where(reached >= 0, reached, np.arange(len(cells))[:, None])
    return Grid(free.shape, cells, successors.astype(np.int32), reached >= 0)
