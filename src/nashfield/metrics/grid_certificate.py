"""Exploitability on a grid of states, and how far a coarser grid is from it."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.checks import check_size
from nashfield.controls import Pool
from nashfield.dynamics.episodes import play_against, rollout_flow
from nashfield.dynamics.grid_flow import ActNoise, each_member, grid_flow, member_weights
from nashfield.games.continuous import ContinuousGame
from nashfield.games.grids import check_density, grid_of
from nashfield.learners.grid_programming import grid_best_response, grid_values
from nashfield.mean_fields import AbstractFlow
from nashfield.mean_fields.cells import Cells
from nashfield.mean_fields.grid import cell_masses
from nashfield.policies.grid_control import GridControl
from nashfield.results import GameError
from nashfield.typing import Array

# Agents that show where a crowd is, and room left beside it, in shares of its extent.
_NUM_AGENTS = 1024
_NUM_STARTS = 2**15
_NUM_KICKS = 4
_ROOM = 0.25

# At most this share of a crowd, or of the best responders, may leave the box in one step; else the
# box grows, so many times at most, at the sides that were not given.
_MAX_LOST = 1e-3
_GROWTH = 1.5
_NUM_GROWTHS = 8

_NUM_CELLS = {1: 200, 2: 40}
_NUM_ACTIONS = {1: 21, 2: 9}
_NUM_NODES = {1: 7, 2: 3}
_NUM_MOVES = 65


class GridOptions(eqx.Module):
    """How fine a grid is; None stands for a choice by dimension.

    Attributes:
        num_cells: cells along each dimension.
        num_actions: actions of the lattice, along each dimension, that the search begins with.
        low: (D,) least state of the grid.
        high: (D,) greatest state of the grid.
    """

    num_cells: int | tuple[int, ...] | None = None
    num_actions: int | None = None
    low: Any = None
    high: Any = None


class _Look(eqx.Module):
    """What a roll-out shows of a game and a policy."""

    low: np.ndarray
    high: np.ndarray
    starts: np.ndarray
    reach: np.ndarray
    act_noise: ActNoise
    move: float


def grid_gain(
    game: ContinuousGame,
    policy: Any,
    flow: AbstractFlow | None,
    options: GridOptions,
    *,
    key: PRNGKeyArray,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Exploitability, and its change from half the number of cells.

    Args:
        game: the game, with states on the line or in the plane.
        policy: a control, or a pool of them.
        flow: the crowd; that of the policy, pushed forward on the grid, if None.
        options: the grid.
        key: of the roll-out that shows where to put the grid.

    Raises:
        GameError: the crowd or the best responders leave the given box, or every box; or values
            are not finite.
        ParameterError: sizes or bounds of the grid make no sense.
        ValueError: a reward asks for a density that the initial law does not have.
    """
    check_density(game)
    look = _look(game, policy, flow, key)
    dim = game.state_dim
    num_cells = _NUM_CELLS[dim] if options.num_cells is None else options.num_cells
    shape = (num_cells,) * dim if isinstance(num_cells, int | np.integer) else tuple(num_cells)
    num_actions = options.num_actions
    if num_actions is None:
        num_actions = _NUM_ACTIONS.get(game.control_dim, 5)
    check_size("num_actions", num_actions)
    given = np.array([options.low is not None, options.high is not None])
    low, high = options.low, options.high
    low, high = look.low if low is None else low, look.high if high is None else high
    sizes = _sizes(game, look)
    for _ in range(_NUM_GROWTHS):
        cells = grid_of(game, shape, low, high)
        low, high = np.asarray(cells.low), np.asarray(cells.high)
        value, left = _pass(game, policy, flow, cells, look.reach, num_actions, *sizes)
        lost = {who: np.asarray(share) for who, share in left.items()}
        if not game.periodic:
            outside = [np.any(look.starts < low, -1), np.any(look.starts > high, -1)]
            lost["the initial law"] = np.mean(outside, -1)
        _check_given(game, given, (low, high), lost)
        if not max(np.max(share) for share in lost.values()) > _MAX_LOST:
            break
        middle, half = (low + high) / 2, _GROWTH * (high - low) / 2
        low = low if given[0] else middle - half
        high = high if given[1] else middle + half
    else:
        raise GameError(
            f"the crowd or the best response in {type(game).__name__} leaves every box, up to "
            f"{low} and {high}: pass low and high, or take method='learned'"
        )
    half = grid_of(game, tuple(max(n // 2, 2) for n in shape), low, high)
    coarse, _ = _pass(game, policy, flow, half, look.reach, num_actions, *sizes)
    if not np.isfinite([float(value), float(coarse)]).all():
        raise GameError(
            f"values of {type(game).__name__} on the grid from {low} to {high} are not finite: "
            "bound its rewards (for a density, log(mu + eps)), or pass a smaller box"
        )
    return value, jnp.abs(value - coarse)


def _check_given(game: ContinuousGame, given: Any, bounds: Any, lost: dict[str, Any]) -> None:
    for side, name in enumerate(("low", "high")):
        for who, share in lost.items():
            if given[side] and share[side] > _MAX_LOST:
                raise GameError(
                    f"{name} = {bounds[side]} is too narrow for {type(game).__name__}: "
                    f"{share[side]:.2g} of {who} leaves the grid there; pass a wider {name}, or "
                    "leave it out"
                )


@eqx.filter_jit
def _pass(
    game: Any,
    policy: Any,
    flow: AbstractFlow | None,
    cells: Cells,
    reach: Float[Array, "C"],
    num_actions: int,
    act_noise: ActNoise,
    num_moves: int,
    num_nodes: int,
) -> tuple[Float[Array, ""], dict[str, Float[Array, "2"]]]:
    """The gain, and the largest shares of agents that left the box in one step at either side."""
    frozen = None if flow is None else flow.prepare()
    crowd = grid_flow(game, policy, cells, act_noise=act_noise, num_moves=num_moves, frozen=frozen)
    flow = crowd.flow if frozen is None else frozen
    masses = cell_masses(game.initial(), cells)
    weights = member_weights(policy)

    def worth(member: Any) -> Float[Array, ""]:
        return grid_values(
            game, member, flow, cells, masses=masses, act_noise=act_noise, num_nodes=num_nodes
        ).value

    def guess(t: Array, x: Float[Array, "D"]) -> Float[Array, "C"]:
        still = jnp.zeros(game.control_dim)
        return weights @ each_member(policy, lambda member: member.action(t, x, still))

    values = each_member(policy, worth)
    best = grid_best_response(
        game,
        flow,
        cells,
        masses=masses,
        guess=guess,
        reach=reach,
        num_actions=num_actions,
        num_nodes=num_nodes,
    )
    trip = grid_flow(game, best.policy, cells, act_noise="none", num_moves=num_moves, frozen=flow)
    gain = best.values.value - jnp.dot(weights, jnp.where(weights > 0, values, 0))
    lost = {"the policy's crowd": crowd.lost, "the best responders": trip.lost}
    return gain, {who: jnp.max(share, 0) for who, share in lost.items()}


def _sizes(game: ContinuousGame, look: _Look) -> tuple[ActNoise, int, int]:
    """Static sizes: noise of actions, nodes of a push, nodes of an expectation."""
    if look.move == 0:
        return look.act_noise, 1, 1
    return look.act_noise, _NUM_MOVES, _NUM_NODES.get(game.noise_dim, 3)


def _look(game: ContinuousGame, policy: Any, flow: AbstractFlow | None, key: PRNGKeyArray) -> _Look:
    shown = flow
    if shown is None:
        shown = rollout_flow(game, policy, num_agents=_NUM_AGENTS, key=key)
    extent = jax.tree.map(np.asarray, _extent(game, policy, shown, key))
    if flow is not None:
        # Those who play the policy need not be where the given crowd is.
        own = eqx.filter_jit(play_against)(game, policy, flow, num_agents=_NUM_AGENTS, key=key)
        states = np.asarray(own.states).reshape(-1, game.state_dim)
        extent["low"] = np.minimum(extent["low"], states.min(0))
        extent["high"] = np.maximum(extent["high"], states.max(0))
    starts = np.asarray(game.initial().sample(key, _NUM_STARTS))
    member = policy.members if isinstance(policy, Pool) else policy
    kind = "jumps" if isinstance(member, GridControl) else "smooth"
    act_noise: ActNoise = "none" if extent["act"] == 0 else kind  # type: ignore[assignment]
    # Something to search, even around a policy that always does the same.
    reach = np.where(extent["reach"] > 0, 2 * extent["reach"], 1.0)
    room = _ROOM * (extent["high"] - extent["low"])
    room = np.where(room > 0, room, 1.0)
    domain = [np.broadcast_to(bound, room.shape) for bound in game.domain]
    low, high = (
        np.where(np.isfinite(bound), bound, edge)
        for bound, edge in zip(domain, (extent["low"] - room, extent["high"] + room), strict=True)
    )
    return _Look(low, high, starts, reach, act_noise, float(extent["move"]))


@eqx.filter_jit
def _extent(game: Any, policy: Any, flow: AbstractFlow, key: PRNGKeyArray) -> dict[str, Array]:
    """Where the crowd is, how far actions reach, and whether actions and moves take noise."""

    def at(pair: Any) -> dict[str, Array]:
        t, key = pair
        law = flow[t]
        state_key, act_key, move_key = jax.random.split(key, 3)
        states = law.sample(state_key, _NUM_AGENTS)
        normal = jax.random.normal(act_key, (_NUM_AGENTS, game.control_dim), states.dtype)

        def act(noise: Array) -> Float[Array, "K N C"]:
            def of(member: Any) -> Array:
                return jax.vmap(member.action, in_axes=(None, 0, 0))(t, states, noise)

            return each_member(policy, of)

        still = act(0 * normal)
        drawn = act(normal)
        actions = still[0].astype(states.dtype)
        # Drawn, as kicks of one size may cancel: z^2 - 1 is 0 at both 1 and -1.
        kicks = (_NUM_KICKS, _NUM_AGENTS, game.noise_dim)
        kicks = jax.random.normal(move_key, kicks, states.dtype)
        step = jax.vmap(game.step, in_axes=(None, 0, 0, None, 0))
        rest = step(t, states, actions, law, 0 * kicks[0])
        moves = [step(t, states, actions, law, kick) - rest for kick in kicks]
        return {
            "low": jnp.min(states, 0),
            "high": jnp.max(states, 0),
            "reach": (jnp.max(drawn, (0, 1)) - jnp.min(drawn, (0, 1))) / 2,
            "act": jnp.max(jnp.abs(drawn - still)),
            "move": jnp.max(jnp.abs(jnp.stack(moves))),
        }

    times = jnp.arange(game.horizon)
    seen = jax.lax.map(at, (times, jax.random.split(key, game.horizon)))
    least = jax.tree.map(lambda x: jnp.min(x, 0), seen)
    most = jax.tree.map(lambda x: jnp.max(x, 0), seen)
    last = flow.law(game.horizon).sample(key, _NUM_AGENTS)
    return most | {
        "low": jnp.minimum(least["low"], jnp.min(last, 0)),
        "high": jnp.maximum(most["high"], jnp.max(last, 0)),
    }
