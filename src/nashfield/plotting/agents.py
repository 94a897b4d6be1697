"""N agents of a game on points, one by one: pictures and an animation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from nashfield.dynamics.episodes import Episodes
from nashfield.games.continuous import ContinuousGame
from nashfield.plotting.canvas import PALETTE, WALL, Axes, integer_ticks, new_axes
from nashfield.plotting.mosaic import chosen_times

_FRAMES_PER_SECOND = 4
_NUM_PATHS = 40
_NUM_BINS = 60
_NUM_PIXELS = 200
_SPEED = "plasma"


def can_draw(game: Any) -> bool:
    """Whether agents of `game` can be seen: points on the line or in the plane."""
    return isinstance(game, ContinuousGame) and game.state_dim <= 2


def plot_agents(
    game: ContinuousGame,
    episodes: Episodes,
    *,
    times: Sequence[int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Where agents are: in the plane one small map a time, on the line their paths.

    In the plane agents are coloured by their speed |a|; after the last decision, where they have
    none, they are grey. Walls are dark.

    Args:
        game: the game, of one or two coordinates.
        episodes: what its agents lived through, from `play_among`.
        times: which times to show in the plane; about twelve if None.
        ax: where to draw, in a grid of subplots; a new figure if None.

    Raises:
        ValueError: more coordinates, a time outside 0..T, or axes in no grid.
    """
    states, speeds = _checked(game, episodes)
    if states.shape[2] == 1:
        ax = new_axes(ax)
        _paths(ax, states[..., 0])
        return ax
    last = len(states) - 1
    times = chosen_times(last, 12) if times is None else list(times)
    if any(not 0 <= t <= last for t in times):
        raise ValueError(f"times must lie in 0..{last}, not {times}")
    columns = min(len(times), 7 if len(times) > 12 else 4)
    rows = -(-len(times) // columns)
    frame = new_axes(ax, 2.0 * columns + 1.0, 2.15 * rows)
    spec = frame.get_subplotspec()
    if spec is None:
        raise ValueError("ax must lie in a grid of subplots: take one of Figure.subplots()")
    frame.axis("off")
    grid = spec.subgridspec(rows, columns)
    figure, norm, walls, dots = frame.figure, _norm(speeds), _walls(game, states), None
    panels = [figure.add_subplot(grid[i // columns, i % columns]) for i in range(len(times))]
    for panel, t in zip(panels, times, strict=True):
        _plane(panel, walls)
        if t == last:
            panel.scatter(*states[t].T, s=2, color="0.45", linewidths=0)
        else:
            dots = panel.scatter(
                *states[t].T, s=2, c=speeds[t], cmap=_SPEED, norm=norm, linewidths=0
            )
        panel.set_title(f"time {t}", fontsize="small")
        panel.set(xticks=[], yticks=[])
    if dots is not None:
        figure.colorbar(dots, ax=panels, label="speed |a|", shrink=0.8)
    return frame


def save_animation(game: ContinuousGame, episodes: Episodes, folder: str | Path) -> list[Path]:
    """Writes agents.gif: the agents of an episode, one frame a time.

    In the plane agents are coloured by speed; on the line a histogram stands beside the paths of
    some of them. Where matplotlib has no writer of GIFs (Pillow is missing) it is a picture a
    frame.

    Args:
        game: the game, of one or two coordinates.
        episodes: what its agents lived through, from `play_among`.
        folder: where to; made if it is not there. Files of the same name are replaced.

    Returns:
        What was written.

    Raises:
        ValueError: more coordinates.
    """
    states, speeds = _checked(game, episodes)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if states.shape[2] == 1:
        figure, show = _line_frames(states[..., 0])
    else:
        figure, show = _plane_frames(game, states, speeds)
    from matplotlib.animation import PillowWriter

    if not PillowWriter.isAvailable():
        paths = []
        for t in range(len(states)):
            show(t)
            paths.append(folder / f"agents-{t:03d}.png")
            figure.savefig(paths[-1], dpi=100)
        return paths
    writer = PillowWriter(fps=_FRAMES_PER_SECOND)
    # A figure that lays itself out anew at every frame trembles.
    show(0)
    figure.canvas.draw()
    figure.set_layout_engine("none")
    with writer.saving(figure, str(folder / "agents.gif"), dpi=100):
        for t in range(len(states)):
            show(t)
            writer.grab_frame()
    return [folder / "agents.gif"]


def _checked(game: ContinuousGame, episodes: Episodes) -> tuple[np.ndarray, np.ndarray]:
    """States (T + 1, N, D), and the lengths of the actions (T, N)."""
    if not can_draw(game):
        raise ValueError(
            f"agents are drawn on the line and in the plane; {type(game).__name__} has "
            f"{getattr(game, 'state_dim', 'no')} coordinates"
        )
    states = np.asarray(episodes.states, np.float64)
    return states, np.linalg.norm(np.asarray(episodes.actions, np.float64), axis=-1)


def _plane_frames(game: Any, states: np.ndarray, speeds: np.ndarray) -> tuple[Any, Any]:
    ax = new_axes(None, 5.6, 4.8)
    _plane(ax, _walls(game, states))
    # After the last decision agents keep the colour they had.
    shown = np.concatenate([speeds, speeds[-1:]])
    dots = ax.scatter(*states[0].T, s=5, c=shown[0], cmap=_SPEED, norm=_norm(speeds), linewidths=0)
    ax.figure.colorbar(dots, ax=ax, label="speed |a|")

    def show(t: int) -> None:
        dots.set_offsets(states[t])
        dots.set_array(shown[t])
        ax.set_title(f"time {t}: {states.shape[1]} agents")

    return ax.figure, show


def _line_frames(states: np.ndarray) -> tuple[Any, Any]:
    low, high = _extent(states)
    edges = np.linspace(low, high, _NUM_BINS + 1)
    counts = np.stack([np.histogram(row, edges, density=True)[0] for row in states])
    frame = new_axes(None, 7.0, 4.4)
    figure = frame.figure
    figure.delaxes(frame)
    paths, bars = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    lines = _paths(paths, states)
    heights = bars.barh((edges[1:] + edges[:-1]) / 2, counts[0], height=edges[1] - edges[0])
    bars.set(xlim=(0, 1.05 * _usual(counts)), ylim=(low, high), xlabel="density of agents")

    def show(t: int) -> None:
        for line, path in zip(lines, _some(states), strict=True):
            line.set_data(np.arange(t + 1), path[: t + 1])
        for bar, height in zip(heights, counts[t], strict=True):
            bar.set_width(height)
        paths.set_title(f"time {t}: {states.shape[1]} agents, {len(lines)} paths")

    return figure, show


def _paths(ax: Axes, states: np.ndarray) -> list[Any]:
    colours = [PALETTE[i % len(PALETTE)] for i in range(_NUM_PATHS)]
    lines = [
        ax.plot(path, color=colour, linewidth=0.9, alpha=0.7)[0]
        for path, colour in zip(_some(states), colours, strict=False)
    ]
    integer_ticks(ax.xaxis, len(states))
    ax.set(xlim=(0, len(states) - 1), ylim=_extent(states), xlabel="time", ylabel="state")
    return lines


def _some(states: np.ndarray) -> np.ndarray:
    """(n, T + 1) states of some agents."""
    return states.T[:_NUM_PATHS]


def _usual(counts: np.ndarray) -> float:
    """A height that shows most of the histograms, however narrow one of them is."""
    tops = counts.max(1)
    return float(min(tops.max(), 2 * np.median(tops)))


def _extent(states: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(states, (0.0005, 0.9995))
    margin = 0.03 * (high - low) + 1e-9
    return float(low - margin), float(high + margin)


def _norm(speeds: np.ndarray) -> Any:
    from matplotlib.colors import Normalize

    return Normalize(0, float(np.quantile(speeds, 0.995)) or 1.0)


def _walls(game: Any, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of what is seen, (2, 2), and which of 200 x 200 points of it are free."""
    low, high = (np.asarray(bound, float) for bound in game.domain)
    ends = np.stack([_extent(states[..., d]) for d in range(2)], 1)
    bounds = np.stack([low, high])
    corners = np.where(np.isfinite(bounds), bounds, ends)
    units = (np.arange(_NUM_PIXELS) + 0.5) / _NUM_PIXELS
    lines = [corners[0, d] + units * (corners[1, d] - corners[0, d]) for d in range(2)]
    points = np.stack(np.meshgrid(*lines, indexing="ij"), -1).reshape(-1, 2)
    free = np.asarray(jax.jit(jax.vmap(game.free))(points))
    return corners, free.reshape(_NUM_PIXELS, _NUM_PIXELS)


def _plane(ax: Axes, walls: tuple[np.ndarray, np.ndarray]) -> None:
    from matplotlib.colors import ListedColormap

    (low, high), free = walls
    extent = (low[0], high[0], low[1], high[1])
    mask = np.ma.masked_where(free, np.ones(free.shape)).T
    ax.imshow(mask, origin="lower", extent=extent, cmap=ListedColormap([WALL]), aspect="equal")
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
