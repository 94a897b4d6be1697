"""Dynamic programming on a grid of states against a frozen flow, in games on points."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.dynamics.grid_flow import ActNoise, act_nodes
from nashfield.dynamics.quadrature import Nodes, gauss_hermite
from nashfield.games.continuous import ContinuousGame
from nashfield.mean_fields import AbstractFlow
from nashfield.mean_fields.cells import Cells
from nashfield.policies.grid_control import GridActions
from nashfield.typing import Array, Time

# Interpolated values that are held at a time.
_BLOCK = 2**19

# Rounds of the search for an action, how far the first one looks, in steps of the lattice, and how
# much closer each looks: together they reach the next action of the lattice, whatever lies between.
_ROUNDS = {1: 10}
_FIRST = {1: 1.0}
_NUM_NEAR = {1: 9}
_NEARER = {1: 0.25}


class GridValues(eqx.Module):
    """What a policy is worth on a grid.

    Attributes:
        value: its mean over the initial law.
        state_values: (T + 1, S), V_t at the centres; the last row is the terminal reward.
    """

    value: Float[Array, ""]
    state_values: Float[Array, "T1 S"]


class GridResponse(eqx.Module):
    """A best response on a grid.

    Attributes:
        policy: one action for each cell.
        values: what it is worth.
    """

    policy: GridActions
    values: GridValues


def grid_values(
    game: ContinuousGame,
    policy: Any,
    flow: AbstractFlow,
    cells: Cells,
    *,
    masses: Float[Array, "S"],
    act_noise: ActNoise = "smooth",
    num_nodes: int = 7,
) -> GridValues:
    """Values of `policy` against the frozen `flow`.

    V_t(x) = E[r_t(x, a) + V_{t+1}(x')] by quadrature over the noise of actions and of moves, with
    V_{t+1} interpolated (`Cells.stencil`).

    Args:
        game: the game.
        policy: a control.
        flow: the crowd.
        cells: the grid.
        masses: (S,) of the initial law.
        act_noise: whether actions take noise.
        num_nodes: Gauss-Hermite nodes for each dimension of a move's noise; 1 where it takes none.
    """
    noise = gauss_hermite(num_nodes, game.noise_dim)
    drawn = act_nodes(act_noise, game.control_dim)
    per_cell = len(drawn.weights) * len(noise.weights) * 4**game.state_dim

    def step(ahead: Array, t: Array) -> tuple[Array, Array]:
        law = flow[t]

        def at(x: Array) -> Array:
            def act(z: Array) -> Array:
                a = policy.action(t, x, z).astype(x.dtype)
                return _action_value(game, t, x, a, law, ahead, cells, noise)

            return jnp.dot(jax.vmap(act)(jnp.asarray(drawn.points, x.dtype)), drawn.weights)

        values = _each_cell(at, cells.centres, per_cell).astype(ahead.dtype)
        return values, values

    return _backward(game, flow, cells, masses, step)[0]


def grid_best_response(
    game: ContinuousGame,
    flow: AbstractFlow,
    cells: Cells,
    *,
    masses: Float[Array, "S"],
    guess: Any = None,
    reach: Float[Array, "C"] | None = None,
    num_actions: int = 21,
    num_nodes: int = 7,
) -> GridResponse:
    """The best response to the frozen `flow`, with actions from a continuum.

    For every cell the best of a coarse lattice of actions, then of ever closer ones around it. In
    dimensions without bounds the lattice lies around `guess`, and the search moves outwards as
    long as the best action lies at the edge of where it looks.

    Args:
        game: the game.
        flow: the crowd.
        cells: the grid.
        masses: (S,) of the initial law.
        guess: a function (t, x) -> (C,) of actions to look at as well; zero, brought into the
            bounds, if None.
        reach: (C,) half the extent of the lattice in dimensions without bounds; 1 if None.
        num_actions: actions of the lattice along each dimension.
        num_nodes: Gauss-Hermite nodes for each dimension of a move's noise; 1 where it takes none.
    """
    noise = gauss_hermite(num_nodes, game.noise_dim)
    dim = game.control_dim
    low, high = (jnp.asarray(bound) for bound in game.control_bounds)
    bounded = jnp.isfinite(low) & jnp.isfinite(high)
    half = jnp.where(bounded, (high - low) / 2, jnp.ones(dim) if reach is None else reach)
    middle = jnp.where(bounded, (high + low) / 2, 0)
    coarse = _offsets(num_actions, dim)
    near = _offsets(_NUM_NEAR.get(dim, 3), dim)
    per_cell = max(len(coarse), len(near)) * len(noise.weights) * 4**game.state_dim

    def step(ahead: Array, t: Array) -> tuple[Array, Any]:
        law = flow[t]

        def at(x: Array) -> tuple[Array, Array]:
            def worth(a: Array) -> Array:
                return _action_value(game, t, x, a, law, ahead, cells, noise)

            def better(found: Any, candidates: Array) -> Any:
                """The best of what was found and of the candidates."""
                best, action, _ = found
                values = jax.vmap(worth)(candidates)
                index = jnp.argmax(values)
                wins = values[index] > best
                action = jnp.where(wins, candidates[index], action)
                return jnp.maximum(values[index], best), action, jnp.where(wins, index, -1)

            def look(found: Any, _: None) -> tuple[Any, None]:
                best, action, radius = found
                candidates = jnp.clip(action + near * radius, low, high).astype(x.dtype)
                best, action, index = better((best, action, -1), candidates)
                edge = (jnp.abs(jnp.asarray(near)[index]) == 1) & (index >= 0) & ~bounded
                radius = jnp.where(edge, 2, _NEARER.get(dim, 0.5)) * radius
                return (best, action, radius.astype(x.dtype)), None

            first = jnp.zeros(dim) if guess is None else guess(t, x)
            first = jnp.clip(first, low, high).astype(x.dtype)
            centre = jnp.where(bounded, middle, first)
            lattice = jnp.clip(centre + coarse * half, low, high).astype(x.dtype)
            best, action, index = better((worth(first), first, -1), lattice)
            edge = (jnp.abs(jnp.asarray(coarse)[index]) == 1) & (index >= 0) & ~bounded
            first_radius = _FIRST.get(dim, 0.5) * 2 * half / max(num_actions - 1, 1)
            radius = jnp.where(edge, half, first_radius).astype(x.dtype)
            rounds = _ROUNDS.get(dim, 10)
            found = jax.lax.scan(look, (best, action, radius), length=rounds)[0]
            return found[0], found[1]

        values, actions = _each_cell(at, cells.centres, per_cell)
        return values.astype(ahead.dtype), (values.astype(ahead.dtype), actions)

    values, actions = _backward(game, flow, cells, masses, step)
    return GridResponse(GridActions(actions, cells), values)


def _action_value(
    game: ContinuousGame,
    t: Time,
    x: Float[Array, "D"],
    a: Float[Array, "C"],
    law: Any,
    ahead: Float[Array, "S"],
    cells: Cells,
    noise: Nodes,
) -> Float[Array, ""]:
    """Q_t(x, a)."""

    def arrive(z: Array) -> Array:
        moved = game.step(t, x, a, law, z).astype(x.dtype)
        return cells.interpolate(ahead, moved)

    expected = jnp.dot(jax.vmap(arrive)(jnp.asarray(noise.points, x.dtype)), noise.weights)
    return (game.reward(t, x, a, law) + expected).astype(ahead.dtype)


def _backward(
    game: ContinuousGame, flow: AbstractFlow, cells: Cells, masses: Array, step: Any
) -> tuple[GridValues, Any]:
    last = flow[game.horizon]
    terminal = jax.vmap(game.terminal_reward, in_axes=(0, None))(cells.centres, last)
    terminal = terminal.astype(cells.centres.dtype)
    times = jnp.arange(game.horizon)
    first, outputs = jax.lax.scan(step, terminal, times, reverse=True)
    rows, actions = outputs if isinstance(outputs, tuple) else (outputs, None)
    # Where nobody starts nothing is counted, not even what is infinite there.
    value = jnp.dot(masses, jnp.where(masses > 0, first, 0), precision="highest")
    return GridValues(value, jnp.concatenate([rows, terminal[None]])), actions


def _each_cell(function: Any, centres: Float[Array, "S D"], per_cell: int) -> Any:
    """`function` of every centre, some at a time, so that memory stays in check."""
    size = max(1, _BLOCK // per_cell)
    if size >= centres.shape[0]:
        return jax.vmap(function)(centres)
    return jax.lax.map(function, centres, batch_size=size)


def _offsets(num: int, dim: int) -> np.ndarray:
    """(num^dim, dim) points of a lattice over [-1, 1]^dim."""
    line = np.linspace(-1.0, 1.0, num) if num > 1 else np.zeros(1)
    return np.stack(np.meshgrid(*[line] * dim, indexing="ij"), -1).reshape(-1, dim)
