"""Exact equilibria of quadratic games: the crowd's means, its covariances, the gains."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.controls import Affine
from nashfield.games.riccati import Stage, StateCost, respond, solve_general, spread
from nashfield.mean_fields import Flow, Gaussian
from nashfield.typing import Array

# Damped steps that lead from a wide crowd to where Newton's steps converge, and the latter.
_NUM_DAMPED, _NUM_NEWTON = 200, 12
_DAMPING = 0.95


class Equilibrium(eqx.Module):
    """An exact equilibrium of a game.

    Attributes:
        policy: what everyone plays, an affine policy.
        flow: the crowd, with its mean actions.
        value: what everyone gets, in the sign of the reward.
    """

    policy: Any
    flow: Flow
    value: Float[Array, "*batch"]


@eqx.filter_jit
@jax.default_matmul_precision("highest")
def find_equilibrium(game: Any) -> Equilibrium:
    """The exact equilibrium of a QuadraticGame; NaN where there is none, or more than one."""
    mean, covariance = game.initial_moments()
    if game.reads_covariance:
        covariances = covariance_equilibrium(game)
    else:
        covariances = jnp.tile(covariance, (game.horizon + 1, 1, 1))
    means, action_mean = mean_equilibrium(game, covariances)
    flow = Flow(Gaussian(means, covariances), action_mean=action_mean)
    stages, terminal = game.stages(flow)
    response = respond(stages, terminal)
    covariances = spread(stages, response.gain, covariance)
    return Equilibrium(
        Affine(response.gain, response.offset),
        Flow(Gaussian(means, covariances), action_mean=action_mean),
        -response.cost.expected(mean, covariance),
    )


def covariance_equilibrium(game: Any) -> Float[Array, "T1 D D"]:
    """Covariances that best responses to them make, where the gains read nothing but them.

    Damped steps from the crowd of the game's `starting_policy`, then Newton's method, whose last
    step carries the derivatives.
    """
    start = game.initial_moments()[1]
    arrays, rest = eqx.partition(game, eqx.is_array)
    held = eqx.combine(jax.lax.stop_gradient(arrays), rest)

    def stages(game: Any, covariances: Array) -> tuple[Stage, StateCost]:
        means = jnp.zeros(covariances.shape[:2], covariances.dtype)
        actions = jnp.zeros((game.horizon, game.control_dim), covariances.dtype)
        return game.stages(Flow(Gaussian(means, covariances), action_mean=actions))

    def answer(game: Any, later: Array) -> Array:
        covariances = jnp.concatenate([start[None], later])
        moves, terminal = stages(game, covariances)
        return spread(moves, respond(moves, terminal).gain, start)[1:]

    def damped(later: Array, _: None) -> tuple[Array, None]:
        return _DAMPING * later + (1 - _DAMPING) * answer(held, later), None

    def newton(game: Any, later: Array) -> Array:
        def missed(flat: Array) -> Array:
            return answer(game, flat.reshape(later.shape)).ravel() - flat

        flat = later.ravel()
        slope = jax.lax.stop_gradient(jax.jacfwd(missed)(flat))
        moved = flat - solve_general(slope, missed(flat)[:, None])[:, 0]
        return moved.reshape(later.shape)

    moves, _ = stages(held, jnp.tile(start, (game.horizon + 1, 1, 1)))
    later = spread(moves, game.starting_policy().gain, start)[1:]
    later, _ = jax.lax.scan(damped, jax.lax.stop_gradient(later), length=_NUM_DAMPED)
    later, _ = jax.lax.scan(lambda x, _: (newton(held, x), None), later, length=_NUM_NEWTON)
    return jnp.concatenate([start[None], newton(game, jax.lax.stop_gradient(later))])


def mean_equilibrium(
    game: Any, covariances: Float[Array, "T1 D D"]
) -> tuple[Float[Array, "T1 D"], Float[Array, "T C"]]:
    """Means of states and actions at equilibrium, for a crowd of given covariances.

    With d, q and r linearised in the crowd's (m, a), the mean agent's costate Pi m + p and

        R a + S m + r(m, a) + B'(Pi' m' + p') = 0,  m' = A m + B a + d(m, a)

    give a = F m + f, from the last time to the first.

    Args:
        game: the game.
        covariances: what stages that read a covariance read.
    """
    D, C = game.state_dim, game.control_dim
    zeros = jnp.zeros(D + C, covariances.dtype)

    def backward(ahead: tuple[Array, Array], slices: tuple[Array, Array]):
        t, covariance = slices
        Pi, p = ahead

        def parts(crowd: Float[Array, "DC"]) -> Stage:
            law = Gaussian(crowd[:D], covariance, action_mean=crowd[D:])
            return game.stage(t, law)

        stage, slopes = parts(zeros), jax.jacfwd(parts)(zeros)
        A, B = stage.A + slopes.d[:, :D], stage.B + slopes.d[:, D:]
        onward = stage.B.T @ Pi
        matrix = stage.R + slopes.r[:, D:] + onward @ B
        of_mean = stage.S + slopes.r[:, :D] + onward @ A
        known = stage.r + stage.B.T @ (Pi @ stage.d + p)
        scale = jnp.max(jnp.abs(stage.R)) + jnp.max(jnp.abs(onward @ B))
        answer = -solve_general(matrix, jnp.column_stack([of_mean, known]), scale)
        F, f = answer[:, :-1], answer[:, -1]
        A, d = A + B @ F, stage.d + B @ f  # of the crowd that plays so
        cross = stage.S.T + slopes.q[:, D:]
        p = stage.q + cross @ f + stage.A.T @ (Pi @ d + p)
        Pi = stage.Q + slopes.q[:, :D] + cross @ F + stage.A.T @ Pi @ A
        return (Pi, p), (A, d, F, f)

    def end(mean: Float[Array, "D"]) -> StateCost:
        return game.terminal(Gaussian(mean, covariances[-1]))

    last, slopes = end(zeros[:D]), jax.jacfwd(end)(zeros[:D])
    start = (last.Q + slopes.q, last.q)
    slices = (jnp.arange(game.horizon), covariances[:-1])
    _, (A, d, F, f) = jax.lax.scan(backward, start, slices, reverse=True)

    def forward(mean: Array, slices: tuple[Array, ...]) -> tuple[Array, tuple[Array, Array]]:
        A, d, F, f = slices
        return A @ mean + d, (mean, F @ mean + f)

    final, (means, actions) = jax.lax.scan(forward, game.initial_moments()[0], (A, d, F, f))
    return jnp.concatenate([means, final[None]]), actions
