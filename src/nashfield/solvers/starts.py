"""What solvers that train a policy begin with: its parameters, and how a gradient is known."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.learners import (
    AbstractCrowd,
    AbstractGradient,
    ExactCrowd,
    ExactGradient,
    PlayedCrowd,
    Reinforce,
    SimultaneousPerturbation,
)
from nashfield.policies import (
    AbstractPolicy,
    Gibbs,
    Neural,
    SoftThreshold,
    check_differentiable,
    check_parameters,
)
from nashfield.results import ParameterError
from nashfield.typing import Array


def on_points(game: Any) -> bool:
    """Whether the states of `game` are points, so that nothing is known exactly."""
    return isinstance(game, ContinuousStationaryGame)


def check_start(policy: Any) -> None:
    """Raises ParameterError unless `policy` is None or may have parameters."""
    if policy is not None and not isinstance(policy, AbstractPolicy):
        check_parameters(policy)


def first_policy(policy: AbstractPolicy | None, game: Any, *, key: PRNGKeyArray) -> AbstractPolicy:
    """The policy to train on `game`, its parameters JAX arrays in their set.

    Args:
        policy: None stands for `SoftThreshold` where there are two actions and one feature, else
            for `Gibbs`, and for `Neural` where states are points.
        game: the game.
        key: for weights that are drawn.

    Raises:
        ParameterError: the policy has no parameters.
    """
    policy = (_usual(game) if policy is None else policy).begin(game, key=key)
    check_parameters(policy)
    parameters, rest = policy.split()
    return eqx.combine(jax.tree.map(_strong, parameters), rest).project()


def crowd_for(game: Any, crowd: AbstractCrowd | None) -> AbstractCrowd:
    """`crowd`; None stands for the exact one, and for a played one where states are points.

    Raises:
        ParameterError: the exact crowd of points.
    """
    if crowd is None:
        return PlayedCrowd() if on_points(game) else ExactCrowd()
    if on_points(game) and isinstance(crowd, ExactCrowd):
        raise ParameterError(
            f"ExactCrowd needs a game on finitely many states, and those of {type(game).__name__} "
            "are points: take crowd=PlayedCrowd()"
        )
    return crowd


def gradient_for(
    game: Any, policy: AbstractPolicy, gradient: AbstractGradient | None, *, alone: bool
) -> AbstractGradient:
    """`gradient`; None stands for the exact one where there is one, else for an estimate.

    Args:
        game: the game.
        policy: what it is the gradient of.
        gradient: how it is known.
        alone: whether one agent's point of view is enough (`AbstractGradient.partial`).

    Raises:
        ParameterError: `policy` jumps, and `gradient` needs a smooth one; or the exact gradient
            where states are points.
    """
    if gradient is None:
        if policy.certain or (on_points(game) and not alone):
            return SimultaneousPerturbation()
        return Reinforce() if on_points(game) else ExactGradient()
    if gradient.smooth:
        check_differentiable(policy)
    if on_points(game) and isinstance(gradient, ExactGradient):
        raise ParameterError(
            f"ExactGradient needs a game on finitely many states, and those of "
            f"{type(game).__name__} are points: take gradient="
            + ("Reinforce()" if alone else "SimultaneousPerturbation()")
        )
    return gradient


def moved(policy: AbstractPolicy, change: Any) -> Any:
    """Parameters of `policy` after `change` and projection, in the precision they had."""
    parameters, rest = policy.split()
    new = jax.tree.map(lambda x, d: (x + d).astype(x.dtype), parameters, change)
    return eqx.combine(new, rest).project().split()[0]


def length(gradient: Any) -> Float[Array, ""]:
    """Euclidean norm of a gradient."""
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradient)))


def _usual(game: Any) -> AbstractPolicy:
    num_features = game.state_dim if on_points(game) else np.shape(game.features())[1]
    if game.num_actions == 2 and num_features == 1:
        return SoftThreshold()
    return Neural() if on_points(game) else Gibbs()


def _strong(x: Any) -> Array:
    """A JAX array with a dtype of its own, which no step changes."""
    x = jnp.asarray(x)
    return jax.lax.convert_element_type(x, x.dtype)
