"""Many small maps in one pair of axes: grids at several times, or tables of several actions."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nashfield.games.base import Display
from nashfield.plotting.canvas import WALL, Axes, check_solution, display_of

if TYPE_CHECKING:
    from matplotlib.cm import ScalarMappable as ScalarMappable
else:  # matplotlib is not imported before the first picture
    ScalarMappable = Any

Length = float | int  # cells, and fractions of them
Pair = tuple[Length, Length]


@dataclass(frozen=True)
class Grid:
    """Where the states lie on a plane; the floors of a building stand side by side.

    Attributes:
        rows: (S,) row of each state in the picture.
        columns: (S,) column of each state in the picture.
        height: rows of the picture.
        width: columns of the picture, floors and the gaps between them included.
        walls: (height, width), cells of the grid where no state is, or one that is a wall.
        floors: left columns of the floors.
        floor_width: columns of one floor.
    """

    rows: np.ndarray
    columns: np.ndarray
    height: int
    width: int
    walls: np.ndarray
    floors: tuple[int, ...]
    floor_width: int

    @classmethod
    def of(cls, display: Display) -> "Grid | None":
        """The grid of a game, or None where its states have no places."""
        if display.cells is None:
            return None
        cells = np.asarray(display.cells)
        shape = display.shape or tuple(int(extent) + 1 for extent in cells.max(0))
        if cells.shape[1] == 2:
            cells, shape = np.insert(cells, 0, 0, axis=1), (1, *shape)
        num_floors, height, floor_width = shape
        floors = tuple(floor * (floor_width + 1) for floor in range(num_floors))
        rows, columns = cells[:, 1], cells[:, 2] + np.asarray(floors)[cells[:, 0]]
        width = floors[-1] + floor_width
        walls = np.zeros((height, width), bool)
        for left in floors:
            walls[:, left : left + floor_width] = True
        walls[rows, columns] = False if display.walls is None else display.walls
        return cls(rows, columns, height, width, walls, floors, floor_width)

    @classmethod
    def under(cls, solution: Any, function: str) -> "Grid | None":
        """The grid of a solution's game, for the picture `function`, which draws one solution.

        Raises:
            TypeError: it is no Solution.
            ValueError: it is a batch of solutions.
        """
        return cls.of(display_of(check_solution(solution, function)))

    def image(self, values: np.ndarray) -> np.ndarray:
        """Values (S,) of the states as a picture (height, width), NaN where no state is."""
        picture = np.full((self.height, self.width), np.nan)
        picture[self.rows, self.columns] = values
        return picture

    def draw(self, ax: Axes, corner: Pair, values: np.ndarray, colors: ScalarMappable) -> None:
        """One map with its top left at `corner`: values (S,), walls, a frame around each floor."""
        from matplotlib.colors import ListedColormap
        from matplotlib.patches import Rectangle

        left, top = corner
        size = (self.width, self.height)
        draw_table(ax, corner, size, np.ma.masked_invalid(self.image(values)), colors)
        if self.walls.any():
            shown = np.ma.masked_where(~self.walls, np.zeros(self.walls.shape))
            draw_table(ax, corner, size, shown, new_colors(ListedColormap([WALL])))
        for floor in self.floors:
            corner, size = (left + floor, top), (self.floor_width, self.height)
            ax.add_patch(Rectangle(corner, *size, fill=False, edgecolor=WALL, linewidth=1))


@dataclass(frozen=True)
class Mosaic:
    """Places of equal tiles in one pair of axes.

    Attributes:
        count: number of tiles.
        height: of one tile.
        width: of one tile.
        across: tiles in a row.
        gap: between tiles.
        header: space above a tile, for its label.
    """

    count: int
    height: Length
    width: Length
    across: int
    gap: Length
    header: Length

    @classmethod
    def fit(cls, count: int, height: Length, width: Length, aspect: Length = 1.2) -> "Mosaic":
        """The arrangement whose outline comes closest to `aspect` (width over height)."""
        gap = 0.05 * max(width, height)

        def header(across: int) -> float:
            # A line of text takes the same share of the picture's width, whatever is in it.
            return 0.04 * across * (width + gap)

        def misfit(across: int) -> float:
            down = math.ceil(count / across)
            outline = across * (width + gap) / (down * (height + header(across)))
            # Empty places at the end count against an arrangement.
            return abs(math.log(outline / aspect)) + 3 * (across * down - count) / count

        across = min(range(1, count + 1), key=misfit)
        return cls(count, height, width, across, gap, header(across))

    @property
    def size(self) -> Pair:
        """Width and height of the whole."""
        down = math.ceil(self.count / self.across)
        return (
            self.across * (self.width + self.gap) - self.gap,
            down * (self.height + self.header),
        )

    def corner(self, tile: int) -> Pair:
        """Left and top of a tile."""
        row, column = divmod(tile, self.across)
        left = column * (self.width + self.gap)
        return left, row * (self.height + self.header) + self.header

    def frame(self, ax: Axes, labels: list[str], *, equal: bool) -> None:
        """Sets the limits (top down), takes the axes' own ticks away, and labels the tiles."""
        width, height = self.size
        margin = 0.02 * width
        ax.set_xlim(-margin, width + margin)
        ax.set_ylim(height + margin, 0)
        ax.set_aspect("equal" if equal else "auto")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        for tile, label in enumerate(labels):
            left, top = self.corner(tile)
            ax.annotate(
                label,
                (left + self.width / 2, top),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                va="bottom",
            )


def draw_table(
    ax: Axes,
    corner: Pair,
    size: Pair,
    table: np.ndarray,
    colors: ScalarMappable,
) -> None:
    """A table as a picture; its first row on top, its top left at `corner`."""
    (left, top), (width, height) = corner, size
    extent = (left, left + width, top + height, top)
    norm: Any = colors.norm
    ax.imshow(table, extent=extent, cmap=colors.cmap, norm=norm, interpolation="nearest")


def new_colors(cmap: Any, norm: Any = None) -> ScalarMappable:
    """Colours that several pictures and one colour bar share; from 0 to 1 without a norm."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(norm or Normalize(0, 1), cmap)


def chosen_times(last: int, count: int) -> list[int]:
    """At most `count` times from 0 to `last`, both included, spread evenly."""
    return sorted({round(t) for t in np.linspace(0, last, min(count, last + 1))})


def mass_norm(maps: np.ndarray) -> Any:
    """Colours for shares of the population: square root, so that thin crowds can be seen too.

    Args:
        maps: (..., S), one law a row. Rows whose largest share is far above that of the others (a
            crowd that starts in one place) may pass the end of the scale.
    """
    from matplotlib.colors import PowerNorm

    largest = np.max(maps, axis=-1)
    top = min(float(np.max(largest)), 3 * float(np.median(largest)))
    return PowerNorm(0.5, vmin=0, vmax=top if top > 0 else 1)


def mass_bar(ax: Axes, colors: ScalarMappable, maps: np.ndarray) -> None:
    """The colour bar of `mass_norm(maps)`, pointed where shares pass its end."""
    norm: Any = colors.norm
    passed = bool(np.max(maps) > norm.vmax)
    label = "share of the population"
    ax.figure.colorbar(colors, ax=ax, label=label, extend="max" if passed else "neither")
