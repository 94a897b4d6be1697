"""A game on points as a game on cells: every solver for finite games then solves it."""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.dynamics.quadrature import even, gauss_hermite
from nashfield.games.base import Display, FiniteGame
from nashfield.games.continuous import ContinuousGame
from nashfield.games.differential import check_no_common_noise
from nashfield.games.grids import check_density, grid_of, reads_crowd_or_time
from nashfield.games.kernels import Kernel, Sparse, predecessor_lists
from nashfield.mean_fields import FiniteMeanField
from nashfield.mean_fields.cells import Cells
from nashfield.mean_fields.grid import GridLaw, cell_masses
from nashfield.policies.grid_control import GridControl, action_lattice
from nashfield.results import ParameterError
from nashfield.typing import Array, Time

# Gauss-Hermite nodes of each noise, by its dimension: in the plane they keep mean and variance.
_NUM_NODES = {1: 7, 2: 2}
# Noise that spans more cells than this gets nodes in all the cells on its way.
_MAX_SPAN = 0.5
_REACH = 4.0
_LEAST_EVEN = 9
# Entries of the kernel's lists at most.
_MAX_ENTRIES = 1 << 24
_NUM_PROBES = 64


class DiscretisedGame(FiniteGame):
    """A ContinuousGame whose states are cells and whose actions are a lattice.

    An agent at the centre of a cell moves as in the game on points, its noise replaced by nodes
    (Gauss-Hermite's, or where the noise spans several cells evenly spaced ones, which leave none of
    them out), and is shared among the centres nearest to where it arrives (so that it
    arrives there on average); rewards are those at the centres, among a crowd whose density is
    constant in each cell. Its equilibria tend to those of the game on points as both grids are
    refined: the model-based yardstick for what is learnt, on the line and in the plane.

    Attributes:
        game: the game on points.
        cells: the states.
        low: (C,) least action.
        high: (C,) greatest action.
        shape: actions along each dimension.
        num_nodes: evenly spaced nodes of each noise; 0 for Gauss-Hermite's.
        moves: the kernel, where it depends neither on the crowd nor on time, else None.
    """

    game: ContinuousGame
    cells: Cells
    low: Float[Array, "C"]
    high: Float[Array, "C"]
    shape: tuple[int, ...]
    num_nodes: int
    moves: Sparse | None
    horizon: int
    num_states: int
    num_actions: int

    def initial(self) -> Float[Array, "S"]:
        """Share of the initial law in each cell."""
        return cell_masses(self.game.initial(), self.cells)

    def transition(self, t: Time, mean_field: FiniteMeanField) -> Kernel:
        """See the class."""
        if self.moves is not None:
            return self.moves
        law = self.crowd(mean_field)
        return _kernel(self.game, self.cells, self.actions, self.num_nodes, t, law)

    def reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """Rewards at the centres."""
        law = self.crowd(mean_field)
        each = jax.vmap(self.game.reward, in_axes=(None, None, 0, None))
        return jax.vmap(each, in_axes=(None, 0, None, None))(
            t, self.cells.centres, self.actions, law
        )

    def terminal_reward(self, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Terminal rewards at the centres."""
        each = jax.vmap(self.game.terminal_reward, in_axes=(0, None))
        return each(self.cells.centres, self.crowd(mean_field))

    @property
    def actions(self) -> Float[Array, "A C"]:
        """The lattice."""
        return action_lattice(self.low, self.high, self.shape)

    @property
    def settings(self) -> dict[str, Any]:
        """What `discretise` was given, all of it."""
        bounds = {"low": self.cells.low, "high": self.cells.high}
        bounds |= {"action_low": self.low, "action_high": self.high}
        sizes = {"num_cells": self.cells.shape, "num_actions": self.shape}
        return {name: list(size) for name, size in sizes.items()} | {
            name: np.asarray(bound, float).tolist() for name, bound in bounds.items()
        }

    def crowd(self, mean_field: FiniteMeanField) -> GridLaw:
        """The crowd on cells as one on points."""
        mean = None
        if mean_field.policy is not None:
            mean = jnp.einsum("sa,ac->c", mean_field.joint, self.actions, precision="highest")
        return GridLaw(jnp.asarray(mean_field.states), self.cells, action_mean=mean)

    def control(self, table: Float[Array, "T S A"]) -> GridControl:
        """A policy of this game as one of the game on points; `GridControl` says how it acts.

        Raises:
            ValueError: the table has the wrong shape.
        """
        wanted = (self.horizon, self.num_states, self.num_actions)
        if np.shape(table) != wanted:
            raise ValueError(
                f"the table must have shape {wanted}, (T, S, A) of this game, not {np.shape(table)}"
            )
        return GridControl(jnp.asarray(table), self.low, self.high, self.cells, self.shape)

    @property
    def display(self) -> Display:
        """In the plane, a map: the first coordinate to the right, the second one upwards."""
        if len(self.cells.shape) != 2:
            return Display()
        columns, rows = np.unravel_index(np.arange(self.num_states), self.cells.shape)
        places = np.stack([self.cells.shape[1] - 1 - rows, columns], -1)
        walls = None if self.cells.free is None else ~np.asarray(self.cells.free)
        return Display(cells=places, shape=self.cells.shape[::-1], walls=walls)


def discretise(
    game: ContinuousGame,
    *,
    num_cells: int | tuple[int, ...],
    num_actions: int | tuple[int, ...],
    low: Any = None,
    high: Any = None,
    action_low: Any = None,
    action_high: Any = None,
) -> DiscretisedGame:
    """Puts a game on points on grids of states and actions.

    Args:
        game: the game; for more than two dimensions the tables become very large.
        num_cells: cells along each dimension, one number for all or one for each.
        num_actions: actions along each dimension, likewise.
        low: (D,) or a number, least state; that of the game's domain if None.
        high: (D,) or a number, greatest state; beyond, agents are set to the nearest cells.
        action_low: (C,) or a number, least action; that of the game's bounds if None.
        action_high: (C,) or a number, greatest action.

    Raises:
        ParameterError: sizes or bounds make no sense, or are infinite and none are given.
        GameError: agents of a differential game share a noise.
        ValueError: a reward asks for the density of the crowd, and the initial law has none.
    """
    check_no_common_noise(game)
    check_density(game)
    cells = grid_of(game, num_cells, low, high)
    dim = game.control_dim
    shape = (num_actions,) * dim if isinstance(num_actions, int) else tuple(num_actions)
    if len(shape) != dim or any(isinstance(n, bool) or n < 1 for n in shape):
        raise ParameterError(
            f"num_actions must be a whole number of at least 1, or {dim} of them, not "
            f"{num_actions!r}"
        )
    least, most = (
        _bound(name, value, bound, dim)
        for name, value, bound in zip(
            ("action_low", "action_high"),
            (action_low, action_high),
            game.control_bounds,
            strict=True,
        )
    )
    if not (least < most).all():
        raise ParameterError(f"action_low must be less than action_high, not {least} and {most}")
    actions = action_lattice(least, most, shape)
    num_nodes = _even_nodes(game, cells, actions)
    moves = None
    if not reads_crowd_or_time(game):
        moves = _constant(game, cells, actions, num_nodes)
    return DiscretisedGame(
        game=game,
        cells=cells,
        low=least,
        high=most,
        shape=shape,
        num_nodes=num_nodes,
        moves=moves,
        horizon=game.horizon,
        num_states=cells.num_cells,
        num_actions=int(np.prod(shape)),
    )


def _bound(name: str, value: Any, bound: Any, dim: int) -> np.ndarray:
    edge = np.asarray(bound if value is None else value, float)
    if edge.shape not in ((), (dim,)) or not np.isfinite(edge).all():
        why = "the game's actions have no bounds: pass" if value is None else "pass"
        raise ParameterError(f"{why} {name} as a finite number or {dim} of them, not {edge}")
    return np.broadcast_to(edge, (dim,)).copy()


@eqx.filter_jit
def _lists(game: Any, cells: Cells, actions: Array, num_nodes: int, t: Any, law: Any) -> Sparse:
    return _kernel(game, cells, actions, num_nodes, t, law)


def _spread_evenly(game: ContinuousGame, cells: Cells) -> GridLaw:
    uniform = jnp.full(cells.num_cells, 1 / cells.num_cells)
    return GridLaw(uniform, cells, action_mean=jnp.zeros(game.control_dim))


def _even_nodes(game: ContinuousGame, cells: Cells, actions: Float[Array, "A C"]) -> int:
    """How many evenly spaced nodes each noise takes; 0 where Gauss-Hermite's will do.

    Few nodes far apart would push a crowd that starts in one place into spikes, whose density
    grows as cells are refined.
    """
    where = np.arange(cells.num_cells) if cells.free is None else np.flatnonzero(cells.free)
    probes = where[np.linspace(0, len(where) - 1, _NUM_PROBES).astype(int)]
    span = _spans(game, cells, actions, jnp.asarray(probes))
    if isinstance(span, jax.core.Tracer):
        return 0
    span = float(span)
    if not _MAX_SPAN < span < np.inf:
        return 0
    wanted = max(_LEAST_EVEN, 2 * int(np.ceil(_REACH * span)) + 1)
    room = _MAX_ENTRIES / (cells.num_cells * len(actions) * 2 ** len(cells.shape))
    most = int(room ** (1 / game.noise_dim))
    return min(wanted, most) if most >= _LEAST_EVEN else 0


@eqx.filter_jit
def _spans(game: Any, cells: Cells, actions: Array, places: Array) -> Float[Array, ""]:
    """Cells that one standard deviation of a noise spans, in most places."""
    law, centres = _spread_evenly(game, cells), cells.centres
    acts = np.linspace(0, len(actions) - 1, _NUM_PROBES).astype(int)

    def at(x: Array, a: Array, t: Array) -> Array:
        def kick(z: Array) -> Array:
            ends = (game.step(t, x, a, law, sign * z) for sign in (1, -1))
            apart = jnp.abs(jnp.subtract(*ends))
            if cells.periodic:
                apart = jnp.minimum(apart, jnp.asarray(cells.high) - cells.low - apart)
            return jnp.max(apart / 2 / cells.width)

        return jnp.max(jax.vmap(kick)(jnp.eye(game.noise_dim, dtype=centres.dtype)))

    times = jnp.asarray([0, game.horizon // 2, game.horizon - 1])
    each = jax.vmap(jax.vmap(at, (0, 0, None)), (None, None, 0))
    return jnp.quantile(each(centres[places], jnp.asarray(actions)[acts], times), 0.9)


def _constant(
    game: ContinuousGame, cells: Cells, actions: Float[Array, "A C"], num_nodes: int
) -> Sparse:
    """The kernel of a game whose moves depend neither on the crowd nor on time."""
    law = _spread_evenly(game, cells)
    kernel = _lists(game, cells, actions, num_nodes, jnp.asarray(0), law)
    if isinstance(kernel.successors, jax.core.Tracer):
        return kernel
    successors, probabilities = _merged(*map(np.asarray, (kernel.successors, kernel.probabilities)))
    lists = predecessor_lists(successors, possible=probabilities > 0)
    return Sparse(successors, probabilities, lists)


def _merged(successors: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same lists (S, A, K) with every successor named once, and K as small as it can be.

    Nodes of the noise arrive in the same few cells. Shorter rows are filled up with probability 0.
    """
    num_states, num_actions, num_entries = successors.shape
    rounding = np.finfo(probabilities.dtype).eps
    names = np.where(probabilities > rounding, successors, num_states).reshape(-1, num_entries)
    order = np.argsort(names, -1)
    names = np.take_along_axis(names, order, -1)
    weights = np.take_along_axis(probabilities.reshape(names.shape), order, -1)
    place = np.cumsum(np.diff(names, axis=-1, prepend=names[:, :1]) > 0, -1)
    row, entry = np.nonzero(names < num_states)
    place, names, weights = (each[row, entry] for each in (place, names, weights))
    size = place.max() + 1
    own = np.repeat(np.arange(num_states, dtype=successors.dtype), num_actions)
    merged = np.repeat(own[:, None], size, 1)
    merged[row, place] = names
    sums = np.bincount(row * size + place, weights, merged.size).reshape(merged.shape)
    sums /= sums.sum(-1, keepdims=True)
    shape = (num_states, num_actions, size)
    return merged.reshape(shape), sums.astype(probabilities.dtype).reshape(shape)


def _kernel(
    game: ContinuousGame,
    cells: Cells,
    actions: Float[Array, "A C"],
    num_nodes: int,
    t: Time,
    law: GridLaw,
) -> Sparse:
    dim = game.noise_dim
    noise = gauss_hermite(_NUM_NODES.get(dim, 3), dim)
    if num_nodes:
        noise = even(num_nodes, dim, _REACH)
    centres = cells.centres

    def arrive(x: Array, a: Array, z: Array) -> tuple[Array, Array]:
        return cells.shares(game.step(t, x, a, law, z).astype(centres.dtype))

    each = jax.vmap(arrive, in_axes=(None, None, 0))
    each = jax.vmap(jax.vmap(each, in_axes=(None, 0, None)), in_axes=(0, None, None))
    index, shares = each(centres, actions, jnp.asarray(noise.points, centres.dtype))
    weighted = shares * jnp.asarray(noise.weights, shares.dtype)[:, None]
    sizes = (*index.shape[:2], -1)
    # Shares sum to 1 up to rounding; in single precision a horizon of them would show.
    probabilities = weighted.reshape(sizes)
    probabilities = probabilities / jnp.sum(probabilities, -1, keepdims=True)
    return Sparse(index.reshape(sizes).astype(jnp.int32), probabilities)
