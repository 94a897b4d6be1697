"""Crowds and policies of games on points."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nashfield.dynamics.discretised import DiscretisedGame
from nashfield.games.quadratic import QuadraticGame
from nashfield.mean_fields import Flow
from nashfield.mean_fields.grid import GridLaw
from nashfield.plotting.canvas import MASS, PALETTE, Axes, integer_ticks, new_axes
from nashfield.plotting.mosaic import chosen_times
from nashfield.policies import Pool
from nashfield.results import GameError
from nashfield.solution import Solution
from nashfield.solvers.deep_play import AbstractDeepPlay

_NUM_SAMPLES = 20_000
_NUM_CELLS = 80
_NUM_ARROWS = 16
_QUANTILES = (0.05, 0.5, 0.95)
# So far to either side of the mean of a Gaussian law do they lie.
_DEVIATIONS = 1.645
_ACTIONS = "coolwarm"


def off_grid(solution: Solution) -> Solution:
    """A solution of a discretised game as one of the game on points; others as they are."""
    game = solution.game
    if not isinstance(game, DiscretisedGame):
        return solution
    num_times = game.horizon + 1
    cells = jax.tree.map(lambda x: np.broadcast_to(x, (num_times, *np.shape(x))), game.cells)
    flow = Flow(GridLaw(np.asarray(solution.flow.states), cells))
    policy = game.control(solution.policy)
    return dataclasses.replace(solution, game=game.game, flow=flow, policy=policy)


def draw_points(solution: Solution, ax: Axes | None) -> Axes:
    """Where the crowd is, from samples of its flow.

    On the line: the density over time and state, with the exact equilibrium on top of what was
    learnt where the game knows it. In the plane: small maps, one a time. Beyond:
    median and 90% band of every coordinate.
    """
    samples = draw_samples(solution.flow)
    if samples.shape[2] == 1:
        ax = _strip(samples[..., 0], ax)
        _exact_lines(ax, solution)
        return ax
    if samples.shape[2] == 2:
        return _small_maps(samples, solution, ax)
    return _bands(samples, "state", ax)


def draw_controls(solution: Solution, ax: Axes | None) -> Axes:
    """What agents do on average.

    On the line, with one control: the mean action over time and state. In the plane, with two:
    arrows where the crowd is. Else: median and 90% band of every control over the crowd.
    """
    samples = draw_samples(solution.flow)[:-1]
    state_dim, control_dim = samples.shape[2], solution.game.control_dim
    if state_dim == control_dim == 1:
        return _mean_actions(samples[..., 0], solution.policy, ax)
    if state_dim == control_dim == 2:
        return _arrows(samples, solution.policy, ax)
    return _bands(np.asarray(mean_actions(solution.policy, samples, control_dim)), "action", ax)


def draw_samples(flow: Any) -> np.ndarray:
    """(T + 1, N, D) states of agents of the crowd."""
    keys = jax.random.split(jax.random.key(0), len(flow))
    pairs = zip(flow, keys, strict=True)
    return np.stack([np.asarray(law.sample(key, _NUM_SAMPLES)) for law, key in pairs])


def mean_actions(policy: Any, states: np.ndarray, control_dim: int) -> jax.Array:
    """(T, N, C) mean actions at the states (T, N, D); of a pool the mean over its members."""

    def act(policy: Any, t: Any, x: Any) -> Any:
        return policy.certain().action(t, x, jnp.zeros(control_dim, x.dtype))

    def over(policy: Any) -> Any:
        at = jax.vmap(jax.vmap(act, (None, None, 0)), (None, 0, 0))
        return at(policy, jnp.arange(states.shape[0]), jnp.asarray(states))

    if not isinstance(policy, Pool):
        return over(policy)
    members = policy.member(_spread(int(policy.count)))
    return jnp.mean(jax.lax.map(over, members), 0)


def _spread(count: int) -> np.ndarray:
    """Up to 32 of the first `count` numbers, evenly spread."""
    return np.linspace(0, count - 1, min(count, 32)).round().astype(int)


def _cells(values: np.ndarray) -> np.ndarray:
    """Edges of cells that hold all but a few of the values."""
    low, high = np.quantile(values, [0.0005, 0.9995])
    margin = 0.02 * (high - low) + 1e-9
    return np.linspace(low - margin, high + margin, _NUM_CELLS + 1)


def _time_edges(num_times: int) -> np.ndarray:
    return np.arange(num_times + 1) - 0.5


def _strip(samples: np.ndarray, ax: Axes | None) -> Axes:
    ax = new_axes(ax)
    edges = _cells(samples)
    density = np.stack([np.histogram(row, edges, density=True)[0] for row in samples])
    norm = _root_norm(density)
    image = ax.pcolormesh(_time_edges(len(samples)), edges, density.T, cmap=MASS, norm=norm)
    _quantile_lines(ax, samples)
    integer_ticks(ax.xaxis, len(samples))
    ax.set_xlabel("time")
    ax.set_ylabel("state")
    ax.figure.colorbar(image, ax=ax, label="density of the crowd")
    return ax


def _exact_lines(ax: Axes, solution: Solution) -> None:
    """The exact equilibrium on top of a learnt crowd, where the game knows one."""
    game = solution.game
    if not isinstance(solution.solver, AbstractDeepPlay) or not isinstance(game, QuadraticGame):
        return
    try:
        laws: Any = game.equilibrium().flow.laws
    except GameError:
        return
    mean = np.asarray(laws.location)[:, 0]
    reach = _DEVIATIONS * np.sqrt(np.asarray(laws.covariance)[:, 0, 0])
    for line, style in ((mean - reach, "--"), (mean, "-"), (mean + reach, "--")):
        label = "exact equilibrium, likewise" if style == "-" else None
        ax.plot(line, style, color=PALETTE[5], linewidth=1.2, label=label)
    ax.legend(loc="upper right", fontsize="small", framealpha=0.8)


def _quantile_lines(ax: Axes, samples: np.ndarray) -> None:
    lines = np.quantile(samples, _QUANTILES, axis=1)
    styles = (("--", None), ("-", "median, and 90% of the crowd"), ("--", None))
    for line, (style, label) in zip(lines, styles, strict=True):
        ax.plot(line, style, color="white", linewidth=1.6, alpha=0.8)
        ax.plot(line, style, color="black", linewidth=0.9, label=label)
    ax.legend(loc="upper right", fontsize="small", framealpha=0.8)


def _root_norm(density: np.ndarray) -> Any:
    from matplotlib.colors import PowerNorm

    return PowerNorm(0.5, 0, float(np.quantile(density[density > 0], 0.995)))


def _small_maps(samples: np.ndarray, solution: Solution, ax: Axes | None) -> Axes:
    frame, panels = _panels(ax, len(samples))
    flat = samples.reshape(-1, 2)
    low, high = (np.asarray(bound, float) for bound in solution.game.domain)
    edges = [
        np.linspace(low[i], high[i], _NUM_CELLS + 1)
        if np.isfinite(low[i]) and np.isfinite(high[i])
        else _cells(flat[:, i])
        for i in range(2)
    ]
    times = chosen_times(len(samples) - 1, 6)
    maps = [np.histogram2d(*samples[t].T, bins=edges, density=True)[0] for t in times]
    norm = _root_norm(np.stack(maps))
    images = []
    for panel, t, density in zip(panels, times, maps, strict=True):
        images.append(panel.pcolormesh(edges[0], edges[1], density.T, cmap=MASS, norm=norm))
        panel.set_title(f"time {t}", fontsize="small")
        panel.set_aspect("equal")
    frame.figure.colorbar(images[0], ax=panels, label="density of the crowd")
    return frame


def _arrows(samples: np.ndarray, policy: Any, ax: Axes | None) -> Axes:
    frame, panels = _panels(ax, len(samples))
    times = chosen_times(len(samples) - 1, 6)
    flat = samples.reshape(-1, 2)
    ends = np.quantile(flat, [0.001, 0.999], axis=0).T
    axes = [np.linspace(low, high, _NUM_ARROWS) for low, high in ends]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    actions = np.asarray(
        mean_actions(policy, np.broadcast_to(grid, (len(samples), *grid.shape)), 2)
    )
    for panel, t in zip(panels, times, strict=True):
        panel.scatter(*samples[t][:2000].T, s=1, color=PALETTE[4], alpha=0.3, linewidths=0)
        panel.quiver(*grid.T, *actions[t].T, angles="xy", width=0.006)
        panel.set_title(f"time {t}", fontsize="small")
        panel.set_aspect("equal")
    return frame


def _panels(ax: Axes | None, num_times: int) -> tuple[Axes, Any]:
    """The axes to give back, and small ones for up to six times in their place."""
    frame = new_axes(ax, 9.0, 6.0)
    frame.axis("off")
    count = len(chosen_times(num_times - 1, 6))
    columns = min(count, 3)
    rows = -(-count // columns)
    spec = frame.get_subplotspec()
    grid = spec.subgridspec(rows, columns) if spec is not None else None
    if grid is None:
        raise ValueError("ax must lie in a grid of subplots: take one of Figure.subplots()")
    figure = frame.figure
    panels = [figure.add_subplot(grid[i // columns, i % columns]) for i in range(count)]
    for panel in panels:
        panel.tick_params(labelsize="x-small")
    return frame, panels


def _mean_actions(samples: np.ndarray, policy: Any, ax: Axes | None) -> Axes:
    from matplotlib.colors import CenteredNorm

    ax = new_axes(ax)
    edges = _cells(samples)
    centres = np.broadcast_to((edges[1:] + edges[:-1]) / 2, (len(samples), _NUM_CELLS))
    actions = np.asarray(mean_actions(policy, centres[..., None], 1))[..., 0]
    image = ax.pcolormesh(
        _time_edges(len(samples)), edges, actions.T, cmap=_ACTIONS, norm=CenteredNorm()
    )
    _quantile_lines(ax, samples)
    integer_ticks(ax.xaxis, len(samples))
    ax.set_xlabel("time")
    ax.set_ylabel("state")
    ax.figure.colorbar(image, ax=ax, label="mean action")
    return ax


def _bands(values: np.ndarray, name: str, ax: Axes | None) -> Axes:
    ax = new_axes(ax)
    low, middle, high = np.quantile(values, _QUANTILES, axis=1)
    times = np.arange(len(values))
    for i in range(values.shape[2]):
        color = PALETTE[i % len(PALETTE)]
        ax.plot(times, middle[:, i], color=color, label=f"{name} {i}")
        ax.fill_between(times, low[:, i], high[:, i], color=color, alpha=0.2, linewidth=0)
    integer_ticks(ax.xaxis, len(times))
    ax.set_xlabel("time")
    ax.set_ylabel(f"{name}: median and 90% of the crowd")
    ax.legend(frameon=False)
    return ax
