"""The exact crowd of an affine policy, or of a pool of them, in a quadratic game."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.controls import Affine, Pool
from nashfield.games.quadratic import QuadraticGame
from nashfield.games.riccati import Stage
from nashfield.mean_fields import Flow, Gaussian
from nashfield.mean_fields.gaussian import GaussianMixture
from nashfield.results import GameError
from nashfield.typing import Array


class AffineCrowd(eqx.Module):
    """The crowd of K affine policies, of which every agent keeps one.

    Attributes:
        policies: the K policies, arrays (K, T, ...).
        weights: (K,), shares of the policies; 0 for empty places of a pool, which then hold its
            first policy.
        means: (T + 1, K, D), mean states of those who play each.
        covariances: (T + 1, K, D, D).
        action_means: (T, K, C).
        stages: the game's, at t = 0..T-1 among this crowd.
        mixed: whether this is the crowd of a pool.
    """

    policies: Affine
    weights: Float[Array, "K"]
    means: Float[Array, "T1 K D"]
    covariances: Float[Array, "T1 K D D"]
    action_means: Float[Array, "T K C"]
    stages: Stage
    mixed: bool = eqx.field(static=True)

    @property
    def flow(self) -> Flow:
        """A Gaussian at every time; of a pool a mixture of Gaussians.

        Where the initial law is not Gaussian they have the exact means and covariances only.
        """
        action_mean = jnp.einsum("k,tkc->tc", self.weights, self.action_means)
        if not self.mixed:
            laws = Gaussian(self.means[:, 0], self.covariances[:, 0])
            return Flow(laws, action_mean=action_mean)
        weights = jnp.broadcast_to(self.weights, self.means.shape[:2])
        laws = GaussianMixture(weights, Gaussian(self.means, self.covariances))
        return Flow(laws, action_mean=action_mean)


def affine_flow(game: QuadraticGame, policy: Affine | Pool) -> Flow:
    """The exact flow if everyone plays `policy`; see `AffineCrowd.flow`.

    Args:
        game: the game.
        policy: an affine policy, or a pool of them, whose crowd is the mixture of theirs; its mean
            moves all of them.

    Raises:
        GameError: the game is quadratic only among Gaussian crowds, and this is a pool.
        TypeError: the policy is not affine.
        ValueError: it has the wrong shape for this game.
    """
    check_affine(game, policy)
    return affine_crowd(game, policy).flow


@eqx.filter_jit
@jax.default_matmul_precision("highest")
def affine_crowd(game: QuadraticGame, policy: Affine | Pool) -> AffineCrowd:
    """`affine_flow` with what it is made of, without its checks."""
    policies, weights = _members(policy)
    mean, covariance = game.initial_moments()
    count = len(weights)
    start = jnp.tile(mean, (count, 1)), jnp.tile(covariance, (count, 1, 1))

    def step(carry, slices):
        t, policy = slices
        means, covariances = carry
        actions = jnp.einsum("kcd,kd->kc", policy.gain, means) + policy.offset
        law = Gaussian(*_together(weights, means, covariances), action_mean=weights @ actions)
        stage = game.stage(t, law)
        closed = stage.A + stage.B @ policy.gain
        moved = means @ stage.A.T + actions @ stage.B.T + stage.d
        noise = stage.noise_factor @ stage.noise_factor.T
        if policy.spread is not None:
            noise = noise + _square(stage.B @ policy.spread)
        spread = closed @ covariances @ jnp.swapaxes(closed, -2, -1) + noise
        return (moved, spread), (means, covariances, actions, stage)

    by_time = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), policies)
    last, (means, covariances, actions, stages) = jax.lax.scan(
        step, start, (jnp.arange(game.horizon), by_time)
    )
    means, covariances = (
        jnp.concatenate([path, end[None]])
        for path, end in zip((means, covariances), last, strict=True)
    )
    mixed = isinstance(policy, Pool)
    return AffineCrowd(policies, weights, means, covariances, actions, stages, mixed)


def check_affine(game: Any, policy: Any) -> None:
    """Checks that exact numbers of `policy` in `game` can be had; errors as `affine_flow`."""
    if not isinstance(game, QuadraticGame):
        raise TypeError(
            f"exact numbers of affine policies need a QuadraticGame, not {type(game).__name__}"
        )
    member = policy.members if isinstance(policy, Pool) else policy
    if not isinstance(member, Affine):
        kind = f"{'a Pool of ' if member is not policy else ''}{type(member).__name__}"
        raise TypeError(f"exact numbers need an Affine policy, or a Pool of them, not {kind}")
    if isinstance(policy, Pool) and game.reads_covariance:
        raise GameError(
            f"{type(game).__name__} is quadratic only among Gaussian crowds, and the crowd of a "
            "pool of policies is a mixture of Gaussians: there are no exact numbers for it; solve "
            "with FixedPoint(damping=...) (say 0.95), whose policy is one affine policy"
        )
    ahead = ("K",) if isinstance(policy, Pool) else ()
    sizes = (game.horizon, game.control_dim)
    for name, last in (("gain", game.state_dim), ("offset", None), ("spread", game.control_dim)):
        value = getattr(member, name)
        wanted = sizes if last is None else (*sizes, last)
        if value is not None and (
            value.ndim != len(ahead) + len(wanted) or value.shape[len(ahead) :] != wanted
        ):
            text = ", ".join(map(str, (*ahead, *wanted)))
            raise ValueError(
                f"the policy's {name} must have shape ({text}) in this game, not {value.shape}"
            )


def _members(policy: Affine | Pool) -> tuple[Affine, Float[Array, "K"]]:
    """The policies along a leading axis, and their shares."""
    if not isinstance(policy, Pool):
        return jax.tree.map(lambda leaf: _floats(leaf)[None], policy), _floats([1.0])
    used = jnp.arange(policy.capacity) < policy.count

    def fill(leaf: Array) -> Array:
        leaf = _floats(leaf)
        return jnp.where(used.reshape(-1, *(1,) * (leaf.ndim - 1)), leaf, leaf[0])

    weights = jnp.where(used, 1 / policy.count.astype(jnp.result_type(float)), 0)
    return jax.tree.map(fill, policy.members), weights


def _together(weights, means, covariances) -> tuple[Array, Array]:
    """Mean and covariance of a mixture."""
    mean = weights @ means
    apart = means - mean
    within = jnp.einsum("k,kde->de", weights, covariances)
    return mean, within + jnp.einsum("k,kd,ke->de", weights, apart, apart)


def _square(factor: Float[Array, "*K D C"]) -> Float[Array, "*K D D"]:
    return factor @ jnp.swapaxes(factor, -2, -1)


def _floats(value: Any) -> Array:
    return jnp.asarray(value, jnp.result_type(float))
