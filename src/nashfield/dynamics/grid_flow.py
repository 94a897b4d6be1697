"""Forward in time on a grid: the crowd of a policy of a game on points, without chance."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.controls import Pool
from nashfield.dynamics.quadrature import Nodes, even, gauss_hermite, normal_lattice
from nashfield.games.continuous import ContinuousGame
from nashfield.mean_fields import AbstractFlow
from nashfield.mean_fields.cells import Cells
from nashfield.mean_fields.grid import GridLaw, cell_masses, grid_laws
from nashfield.typing import Array

# Points that stand for the agents of one cell: along a line, and in the plane.
_NUM_PLACES = 4
_NUM_POINTS = 512

# Moves that are computed at a time.
_BLOCK = 2**16

ActNoise = Literal["none", "smooth", "jumps"]
"""Whether actions take noise, and whether they are smooth in it or jump (tables do)."""


def act_nodes(kind: ActNoise, dim: int) -> Nodes:
    """Nodes of the noise of actions."""
    if kind == "none":
        return Nodes(np.zeros((1, dim)), np.ones(1))
    if dim == 1:
        return even(33 if kind == "smooth" else 129, 1)
    if kind == "smooth" and dim == 2:
        return gauss_hermite(5, 2)
    points = normal_lattice(_NUM_POINTS, dim)
    return Nodes(points, np.full(len(points), 1 / len(points)))


class Spread(eqx.Module):
    """What stands for the agents of one cell: where they are in it, and what befalls them.

    Attributes:
        places: (M, D) offsets from the centre, in cells.
        act_noise: (M, C).
        move_noise: (M, L, W) noise of the moves that follow each action.
        weights: (M, L), sum 1.
    """

    places: Float[Array, "*B M D"]
    act_noise: Float[Array, "*B M C"]
    move_noise: Float[Array, "*B M L W"]
    weights: Float[Array, "*B M L"]

    @classmethod
    def of(cls, game: ContinuousGame, act_noise: ActNoise, num_moves: int) -> "Spread":
        """Evenly spaced nodes on the line, an even lattice in the plane.

        Args:
            game: the game.
            act_noise: whether actions take noise.
            num_moves: nodes of the noise of a move along a line; 1 where moves take none.
        """
        dims = (game.state_dim, game.control_dim, game.noise_dim)
        if dims == (1, 1, 1):
            act, move = (
                act_nodes("smooth" if act_noise == "jumps" else act_noise, 1),
                even(num_moves, 1),
            )
            num_acts = len(act.weights)
            place = np.repeat((np.arange(_NUM_PLACES) + 0.5) / _NUM_PLACES - 0.5, num_acts)
            z = np.tile(act.points[:, 0], _NUM_PLACES)
            if num_acts > 1:
                # Staggered from place to place, so that together they see every jump.
                z = z + place * (act.points[1, 0] - act.points[0, 0])
            weights = np.exp(-(z**2) / 2)[:, None] * move.weights
            moves = np.broadcast_to(move.points, (len(z), num_moves, 1))
            return cls(place[:, None], z[:, None], moves, weights / weights.sum())
        from scipy.special import ndtr

        points = normal_lattice(_NUM_POINTS, sum(dims))
        places, act, move = np.split(points, np.cumsum(dims)[:-1], axis=1)
        act = 0 * act if act_noise == "none" else act
        move = move if num_moves > 1 else 0 * move
        weights = np.full((len(points), 1), 1 / len(points))
        return cls(ndtr(places) - 0.5, act, move[:, None], weights)


class GridFlow(eqx.Module):
    """The crowd of a policy, on a grid.

    Attributes:
        flow: of `GridLaw`s.
        masses: (T + 1, K, S) the law of the agents that keep each member of a pool; K = 1 for a
            policy that is none.
        lost: (T, 2) the shares of the crowd that left the box at each time, below and above, and
            were set to its edge.
    """

    flow: AbstractFlow
    masses: Float[Array, "T1 K S"]
    lost: Float[Array, "T 2"]


def grid_flow(
    game: ContinuousGame,
    policy: Any,
    cells: Cells,
    *,
    act_noise: ActNoise = "smooth",
    num_moves: int = 33,
    frozen: AbstractFlow | None = None,
) -> GridFlow:
    """Pushes the crowd of `policy` forward, cell by cell.

    The agents of one cell are spread evenly over it; each moves by its own action, and is shared
    among the centres nearest to where it arrives. Second order in the width of a cell.

    Args:
        game: the game.
        policy: a control, or a `Pool` of them: the members' laws are pushed apart, all of them in
            the crowd that they are together.
        cells: the grid.
        act_noise: whether actions take noise.
        num_moves: nodes of the noise of a move along a line; 1 where moves take none.
        frozen: the crowd that they meet; their own if None.
    """
    weights = member_weights(policy)
    centres = cells.centres
    start = cell_masses(game.initial(), cells)
    start = jnp.broadcast_to(start, (weights.shape[0], cells.num_cells))
    spread = Spread.of(game, act_noise, num_moves)
    moves = cells.num_cells * spread.weights.shape[1]
    blocks = _blocks(spread, max(1, _BLOCK // moves))
    drawn = act_nodes(act_noise, game.control_dim)

    def mean_actions(member: Any, t: Array) -> Float[Array, "S C"]:
        act = jax.vmap(jax.vmap(member.action, in_axes=(None, None, 0)), in_axes=(None, 0, None))
        actions = act(t, centres, jnp.asarray(drawn.points, start.dtype))
        return jnp.einsum("smc,m->sc", actions, drawn.weights, precision="highest")

    def push(member: Any, masses: Array, t: Array, law: Any) -> tuple[Array, Array]:
        def move(x: Array, mass: Array, place: Array, za: Array, zws: Array, weight: Array) -> Any:
            x = x + place * cells.width
            a = member.action(t, x, za).astype(x.dtype)

            def arrive(z: Array, weight: Array) -> Any:
                moved = game.step(t, x, a, law, z).astype(x.dtype)
                index, shares = cells.shares(moved)
                share = mass * weight
                return index, shares * share, share * _beyond(cells, moved)

            return jax.vmap(arrive)(zws, weight)

        everyone = jax.vmap(
            jax.vmap(move, in_axes=(0, 0, *[None] * 4)), in_axes=(None, None, *[0] * 4)
        )

        def block(carry: Any, nodes: Spread) -> tuple[Any, None]:
            total, lost = carry
            parts = (nodes.places, nodes.act_noise, nodes.move_noise, nodes.weights)
            index, arriving, left = everyone(centres, masses, *parts)
            total = total.at[index.reshape(-1)].add(arriving.reshape(-1).astype(total.dtype))
            return (total, lost + jnp.sum(left, (0, 1, 2)).astype(total.dtype)), None

        zero = jnp.zeros_like(masses)
        return jax.lax.scan(block, (zero, jnp.zeros(2, zero.dtype)), blocks)[0]

    def step(masses: Array, t: Array) -> tuple[Array, Any]:
        mixture = jnp.dot(weights, masses, precision="highest")
        actions = each_member(policy, lambda member: mean_actions(member, t))
        mean = jnp.einsum("k,ks,ksc->c", weights, masses, actions, precision="highest")
        law = GridLaw(mixture, cells, action_mean=mean) if frozen is None else frozen[t]
        moved, lost = each_member(policy, lambda member, m: push(member, m, t, law), masses)
        return moved.astype(masses.dtype), (masses, mean, weights @ lost)

    last, (masses, means, lost) = jax.lax.scan(step, start, jnp.arange(game.horizon))
    masses = jnp.concatenate([masses, last[None]])
    mixture = jnp.einsum("k,tks->ts", weights, masses, precision="highest")
    return GridFlow(grid_laws(mixture, cells, means), masses, lost)


def each_member(policy: Any, function: Callable, *slices: Any) -> Any:
    """`function(member, *slices_k)` for every member of a pool, results stacked along K.

    A policy that is no pool is its only member.
    """
    if isinstance(policy, Pool):
        return jax.vmap(function)(policy.members, *slices)
    found = function(policy, *jax.tree.map(lambda x: x[0], slices))
    return jax.tree.map(lambda x: x[None], found)


def member_weights(policy: Any) -> Float[Array, "K"]:
    """Shares of the agents that keep each member of a pool."""
    if not isinstance(policy, Pool):
        return jnp.ones(1)
    return jnp.where(jnp.arange(policy.capacity) < policy.count, 1 / policy.count, 0.0)


def _beyond(cells: Cells, x: Float[Array, "D"]) -> Array:
    """(2,) whether `x` lies below, and above the box; on a torus nothing does."""
    if cells.periodic:
        return jnp.zeros(2, bool)
    return jnp.stack([jnp.any(x < cells.low), jnp.any(x > cells.high)])


def _blocks(spread: Spread, size: int) -> Spread:
    """Nodes in blocks of `size`, filled up with nodes of weight 0."""
    num = spread.weights.shape[0]
    size = min(size, num)
    padding = -num % size

    def split(x: Array) -> Array:
        padded = jnp.pad(jnp.asarray(x), ((0, padding), *[(0, 0)] * (x.ndim - 1)))
        return padded.reshape(-1, size, *x.shape[1:])

    return jax.tree.map(split, spread)
