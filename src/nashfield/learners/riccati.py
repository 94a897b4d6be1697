"""Exact best responses in quadratic games, and the exact exploitability of affine policies."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.controls import Affine, Pool
from nashfield.dynamics.affine import AffineCrowd, affine_crowd, check_affine
from nashfield.games.quadratic import QuadraticGame
from nashfield.games.riccati import Stage, StateCost, respond
from nashfield.mean_fields import AbstractFlow, Flow
from nashfield.typing import Array


class AffineResponse(eqx.Module):
    """An exact best response.

    Attributes:
        policy: the affine policy.
        value: what it gets against the frozen crowd, from the game's initial law.
    """

    policy: Affine
    value: Float[Array, ""]


class AffineSweep(eqx.Module):
    """An affine policy, or a pool of them, against its own crowd.

    Attributes:
        flow: the crowd, see `dynamics.affine.AffineCrowd.flow`.
        value: J(pi; mu^pi); of a pool, the mean over its members.
        best_response: an optimal policy against that crowd.
        best_value: what that gets.
        exploitability: the difference, as a sum of squares that keeps its digits.
    """

    flow: Flow
    value: Float[Array, ""]
    best_response: Affine
    best_value: Float[Array, ""]
    exploitability: Float[Array, ""]


@eqx.filter_jit
@jax.default_matmul_precision("highest")
def affine_best_response(game: QuadraticGame, flow: AbstractFlow) -> AffineResponse:
    """The best response to the frozen `flow`, by Riccati's recursion.

    NaN where none is best, because rewards can be raised without bound.

    Args:
        game: the game.
        flow: the crowd at t = 0..T, of any kind that knows what the game reads: its means, and its
            mean actions or covariances.
    """
    response = respond(*game.stages(flow))
    value = -response.cost.expected(*game.initial_moments())
    return AffineResponse(Affine(response.gain, response.offset), value)


def affine_sweep(game: QuadraticGame, policy: Affine | Pool) -> AffineSweep:
    """Evaluates `policy` against its own crowd, together with its best response.

    An action that misses the best one by e costs e'G_t e (see `games.riccati.Response`): the
    exploitability is the sum over time of the mean of e'G_t e along the policy's own path, and no
    large values are subtracted.

    Args:
        game: the game.
        policy: an affine policy, with or without noise, or a pool of them.

    Raises:
        GameError: the game is quadratic only among Gaussian crowds, and this is a pool.
        TypeError: the policy is not affine.
        ValueError: it has the wrong shape for this game.
    """
    check_affine(game, policy)
    return _sweep(game, policy)


@eqx.filter_jit
@jax.default_matmul_precision("highest")
def _sweep(game: QuadraticGame, policy: Affine | Pool) -> AffineSweep:
    crowd = affine_crowd(game, policy)
    flow = crowd.flow
    terminal = game.terminal(flow[game.horizon])
    response = respond(crowd.stages, terminal)
    missed = jax.vmap(_mean_square)(
        response.curvature,
        crowd.policies.gain.swapaxes(0, 1) - response.gain[:, None],
        crowd.policies.offset.swapaxes(0, 1) - response.offset[:, None],
        None if crowd.policies.spread is None else crowd.policies.spread.swapaxes(0, 1),
        crowd.means[:-1],
        crowd.covariances[:-1],
    )
    exploitability = jnp.sum(missed @ crowd.weights)
    value = -jnp.sum(_costs(crowd, terminal) @ crowd.weights)
    best = Affine(response.gain, response.offset)
    return AffineSweep(flow, value, best, value + exploitability, exploitability)


def _mean_square(
    G: Float[Array, "C C"],
    gain: Float[Array, "K C D"],
    offset: Float[Array, "K C"],
    spread: Float[Array, "K C C"] | None,
    means: Float[Array, "K D"],
    covariances: Float[Array, "K D D"],
) -> Float[Array, "K"]:
    """Mean of e'G e for e = gain x + offset + spread z."""
    e = jnp.einsum("kcd,kd->kc", gain, means) + offset
    second = gain @ covariances @ gain.swapaxes(-2, -1) + e[:, :, None] * e[:, None, :]
    if spread is not None:
        second = second + spread @ spread.swapaxes(-2, -1)
    return jnp.einsum("cb,kcb->k", G, second)


def _costs(crowd: AffineCrowd, terminal: StateCost) -> Float[Array, "T1 K"]:
    """Mean cost of each policy at every time."""

    def at(stage: Stage, gain, spread, means, covariances, actions) -> Float[Array, "K"]:
        cost = jax.vmap(StateCost(stage.Q, stage.q, stage.c).expected)(means, covariances)
        offset = actions - jnp.einsum("kcd,kd->kc", gain, means)
        cost = cost + _mean_square(stage.R, gain, offset, spread, means, covariances)
        with_state = gain @ covariances + actions[:, :, None] * means[:, None, :]
        cost = cost + 2 * jnp.einsum("cd,kcd->k", stage.S, with_state)
        return cost + 2 * actions @ stage.r

    policies = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), crowd.policies)
    running = jax.vmap(at)(
        crowd.stages,
        policies.gain,
        policies.spread,
        crowd.means[:-1],
        crowd.covariances[:-1],
        crowd.action_means,
    )
    last = jax.vmap(terminal.expected)(crowd.means[-1], crowd.covariances[-1])
    return jnp.concatenate([running, last[None]])
