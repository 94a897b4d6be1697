"""Best responses to a frozen crowd on points that need no training, and what they gain."""

from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.controls import AbstractControl
from nashfield.dynamics.episodes import play_against
from nashfield.games.continuous import ContinuousGame
from nashfield.games.quadratic import QuadraticGame
from nashfield.learners.grid_programming import grid_best_response
from nashfield.learners.riccati import affine_best_response
from nashfield.mean_fields import AbstractFlow
from nashfield.mean_fields.cells import Cells
from nashfield.mean_fields.grid import cell_masses
from nashfield.typing import Array

Reference = Literal["exact", "grid", "learned"]
"""Where a best response comes from: Riccati's recursion, a grid on the line, or training."""

_NUM_CELLS = 200
# Room beside a crowd on an unbounded line, in shares of its extent.
_ROOM = 0.25


def reference_of(game: ContinuousGame) -> Reference:
    """The best that there is for `game`: exact where it is quadratic, a grid on the line."""
    if isinstance(game, QuadraticGame) and not game.reads_covariance:
        return "exact"
    return "grid" if game.state_dim == game.control_dim == 1 else "learned"


def reference_response(
    game: ContinuousGame, flow: AbstractFlow, states: Float[Array, "T1 N D"]
) -> AbstractControl | None:
    """A best response to the frozen `flow` without training; None where there is none.

    Pure, so that it can stand inside of a step. On the line a grid of 200 cells over the domain,
    or over where `states` are and a quarter of their extent to either side.

    Args:
        game: the game.
        flow: the crowd.
        states: where agents are at every time.
    """
    kind = reference_of(game)
    if kind == "exact":
        return affine_best_response(game, flow).policy  # type: ignore[arg-type]
    if kind == "learned":
        return None
    low, high = jnp.min(states, (0, 1)), jnp.max(states, (0, 1))
    room = _ROOM * (high - low) + 1e-3
    least, most = (jnp.asarray(bound) for bound in game.domain)
    low = jnp.where(jnp.isfinite(least), least, low - room)
    high = jnp.where(jnp.isfinite(most), most, high + room)
    cells = Cells(low, high, shape=(_NUM_CELLS,), periodic=game.periodic)
    masses = cell_masses(game.initial(), cells)
    return grid_best_response(game, flow.prepare(), cells, masses=masses).policy


def gain(
    game: ContinuousGame,
    policy: Any,
    response: AbstractControl,
    flow: AbstractFlow,
    *,
    num_agents: int,
    key: PRNGKeyArray,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean return of `policy` against the frozen `flow`, and what `response` gets beyond it.

    Every agent plays both in the same episode: most of the chance cancels.

    Args:
        game: the game.
        policy: a control, or a `Pool`.
        response: what is tried in its place.
        flow: the crowd.
        num_agents: how many agents try.
        key: for starts, actions and moves.
    """
    flow = flow.prepare()

    def returns(policy: Any) -> Float[Array, "N"]:
        return play_against(game, policy, flow, num_agents=num_agents, key=key).returns

    ours = returns(policy)
    return jnp.mean(ours), jnp.mean(returns(response) - ours)


def sliced_wasserstein(
    a: Float[Array, "*batch N D"], b: Float[Array, "*batch N D"], *, num_slices: int = 16
) -> Float[Array, "*batch"]:
    """Wasserstein distance of order 1 between two samples of equal size.

    On the line it is exact, the mean distance of order statistics; else the mean over `num_slices`
    directions, evenly spread over the half circle in the plane and drawn once in more dimensions,
    of that of the projections (Bonneel et al. 2015, "Sliced and Radon Wasserstein barycenters of
    measures"). Two samples of one law are apart by about its deviation / sqrt(N).

    Args:
        a: samples of one law.
        b: samples of the other, as many.
        num_slices: directions.
    """
    dim = a.shape[-1]
    if dim == 1:
        directions = np.ones((1, 1))
    elif dim == 2:
        angle = np.pi * (np.arange(num_slices) + 0.5) / num_slices
        directions = np.stack([np.cos(angle), np.sin(angle)])
    else:
        directions = np.random.default_rng(0).normal(size=(dim, num_slices))
        directions /= np.linalg.norm(directions, axis=0)
    directions = jnp.asarray(directions, a.dtype)
    gaps = jnp.sort(a @ directions, -2) - jnp.sort(b.astype(a.dtype) @ directions, -2)
    return jnp.mean(jnp.abs(gaps), (-2, -1))
