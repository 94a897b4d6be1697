"""What all pictures share: axes without global state, names, colours, and checks of the input."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from nashfield.games.base import Display
from nashfield.solution import Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
else:  # matplotlib is not imported before the first picture
    Axes = Any

# Okabe and Ito's palette: eight colours that colour-blind readers tell apart.
PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000",
)  # fmt: skip
WALL = "#4d4d4d"
MASS = "viridis"
PROBABILITY = "cividis"


def new_axes(ax: Axes | None, width: float = 6.4, height: float = 4.2) -> Axes:
    """`ax`, or the axes of a new figure that no global state knows of.

    Args:
        ax: where to draw; None for a new figure.
        width: of the new figure, in inches.
        height: of the new figure, in inches.
    """
    if ax is not None:
        if not hasattr(ax, "imshow"):
            raise TypeError(f"ax must be matplotlib Axes or None, not {type(ax).__name__}")
        return ax
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def check_solution(solution: Any, function: str, *, batch: bool = False) -> Solution:
    """Names what is wrong with the input of a picture.

    Args:
        solution: what the user passed.
        function: what the user called.
        batch: whether several solutions along a leading axis will do.

    Raises:
        TypeError: it is no Solution.
        ValueError: it is a batch of solutions.
    """
    if not isinstance(solution, Solution):
        raise TypeError(
            f"{function} draws a Solution (what solve returns), not {type(solution).__name__}"
        )
    if not batch and np.ndim(solution.num_steps):
        raise ValueError(
            f"{function} draws one solution, but this is a batch of shape "
            f"{np.shape(solution.num_steps)}: take one of them, "
            "jax.tree.map(lambda x: x[0] if equinox.is_array(x) else x, solution)"
        )
    return solution


def display_of(solution: Solution) -> Display:
    """Names and places, as far as the game is known and gives them for all its states."""
    return getattr(solution.game, "display", Display())


def title_of(solution: Solution) -> str:
    """The game's name in words, or nothing."""
    if solution.game is None:
        return ""
    return words(type(getattr(solution.game, "game", solution.game)).__name__)


def words(name: str) -> str:
    """BeachBar -> Beach bar, SIRContact -> SIR contact."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name).strip("_")
    parts = [part if len(part) > 1 and part.isupper() else part.lower() for part in spaced.split()]
    text = " ".join(parts)
    return text[:1].upper() + text[1:]


def state_names(solution: Solution) -> list[str]:
    """Names of the states, or their numbers."""
    names = display_of(solution).states
    return list(names or map(str, range(np.shape(solution.flow.states)[-1])))


def action_names(solution: Solution, num_actions: int) -> list[str]:
    """Names of the actions, or their numbers."""
    names = display_of(solution).actions
    return list(names or (f"action {a}" for a in range(num_actions)))


def integer_ticks(axis: Any, count: int) -> None:
    """Ticks on whole numbers only, for times and states."""
    from matplotlib.ticker import FixedLocator, MaxNLocator

    few = count <= 12
    axis.set_major_locator(FixedLocator(range(count)) if few else MaxNLocator("auto", integer=True))
