"""Fictitious play and fixed point on quadratic games: exact, with affine policies."""

from typing import Any

import jax
import jax.numpy as jnp

from nashfield.dynamics.affine import check_affine
from nashfield.games.quadratic import QuadraticGame
from nashfield.learners.riccati import AffineSweep, affine_sweep
from nashfield.policies import Affine, Pool
from nashfield.results import GameError, ParameterError
from nashfield.solvers.base import Outcome, StepInfo
from nashfield.solvers.best_response import AbstractBestResponse, ExactBestResponse
from nashfield.typing import Scalar


def start_from(game: QuadraticGame, policy: Any, best_response: AbstractBestResponse) -> Affine:
    """The first policy: `policy`, or the game's own where that is None, with a spread.

    A policy without one gets a spread of zero: states have one structure, whatever they start
    from, and files of them can be read without knowing that.

    Raises:
        ParameterError: the solver's best response is not exact.
        TypeError: the policy is not affine.
        ValueError: it has the wrong shape for this game.
    """
    if not isinstance(best_response, ExactBestResponse):
        raise ParameterError(
            f"{type(game).__name__} is a game on points, where best responses are exact: leave "
            f"best_response = {type(best_response).__name__}(...) out"
        )
    if policy is None:
        return _with_spread(game.starting_policy())
    if not isinstance(policy, Affine):
        raise TypeError(
            f"on {type(game).__name__} the first policy must be an Affine one, not "
            f"{type(policy).__name__}"
        )
    check_affine(game, policy)
    first = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(float)), policy)
    return _with_spread(first)


def start_pool(game: QuadraticGame, first: Affine, capacity: int) -> Pool:
    """A pool of `first` with room for `capacity` more.

    Raises:
        GameError: the game is quadratic only among Gaussian crowds.
    """
    if game.reads_covariance:
        raise GameError(
            f"{type(game).__name__} is quadratic only among Gaussian crowds, and the crowd of "
            "fictitious play is a mixture of Gaussians: solve it with FixedPoint(damping=0.95)"
        )
    members = jax.tree.map(lambda leaf: jnp.tile(leaf, (capacity + 1,) + (1,) * leaf.ndim), first)
    return Pool(members, jnp.asarray(1))


def step_pool(game: QuadraticGame, pool: Pool) -> tuple[Pool, StepInfo]:
    """Puts the best response to the pool's crowd into the pool."""
    swept = affine_sweep(game, pool)
    return pool.put(_with_spread(swept.best_response)), _info(swept)


def step_mixed(game: QuadraticGame, policy: Affine, damping: Scalar) -> tuple[Affine, StepInfo]:
    """From `policy` to damping times it plus the rest of the best response."""
    swept = affine_sweep(game, policy)

    def mix(old, new):
        return (damping * old + (1 - damping) * new).astype(old.dtype)

    return jax.tree.map(mix, policy, _with_spread(swept.best_response)), _info(swept)


def outcome(game: QuadraticGame, policy: Affine | Pool) -> Outcome:
    """The policy, evaluated exactly."""
    swept = affine_sweep(game, policy)
    return Outcome(policy, swept.flow, _info(swept), jnp.asarray(True))


def _info(swept: AffineSweep) -> StepInfo:
    return StepInfo(swept.exploitability, swept.value)


def _with_spread(policy: Affine) -> Affine:
    """The policy, with a spread of zero where it has none."""
    if policy.spread is not None:
        return policy
    offset = jnp.asarray(policy.offset)
    spread = jnp.zeros((*offset.shape, offset.shape[-1]), offset.dtype)
    return Affine(policy.gain, policy.offset, spread)
