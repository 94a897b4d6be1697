"""Equilibria of games in continuous time: a damped fixed point, and derivatives through it."""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from nashfield.checks import check_number, check_size
from nashfield.games.fixed_points import fixed_point
from nashfield.games.rate_equations import (
    best_actions,
    crowd_of,
    optimal_values,
    policy_values,
    time_step,
)
from nashfield.mean_fields import FiniteFlow
from nashfield.typing import Array

# How it went.
FOUND, NOT_FOUND, DIVERGED = range(3)


class RateEquilibrium(eqx.Module):
    """An equilibrium of a RateGame on a grid of K + 1 times.

    Attributes:
        times: (K + 1,).
        policy: (K + 1, S) actions.
        flow: the crowd, (K + 1, S) states.
        values: (K + 1, S), what an agent gets from every time and state on.
        value: what everyone gets, in the sign of the reward.
        exploitability: what a best response to the flow gains.
        residual: by how much the last iteration moved the crowd.
        num_iterations: how many there were.
    """

    times: Float[Array, "*batch K1"]
    policy: Float[Array, "*batch K1 S"]
    flow: FiniteFlow
    values: Float[Array, "*batch K1 S"]
    value: Float[Array, "*batch"]
    exploitability: Float[Array, "*batch"]
    residual: Float[Array, "*batch"]
    num_iterations: Int[Array, "*batch"]


def find_rate_equilibrium(
    game: Any, num_steps: int, damping: Any, max_iterations: int
) -> tuple[RateEquilibrium, Int[Array, ""]]:
    """The equilibrium of a RateGame, and FOUND, NOT_FOUND or DIVERGED.

    Raises:
        ParameterError: a number is out of range.
    """
    check_size("num_steps", num_steps, 4)
    check_size("max_iterations", max_iterations)
    check_number("damping", damping, 0.0, 1 - 1e-6)
    return _find(game, num_steps, damping, max_iterations)


@eqx.filter_jit
def _find(
    game: Any, num_steps: int, damping: Any, max_iterations: int
) -> tuple[RateEquilibrium, Int[Array, ""]]:
    states, (residual, count) = crowd_fixed_point(game, num_steps, damping, max_iterations)
    found = judge(game, answer_policy(game, states), residual, count)
    code = jnp.where(residual <= _tolerance(states), FOUND, NOT_FOUND)
    code = jnp.where(jnp.isfinite(found.value) & jnp.isfinite(residual), code, DIVERGED)
    return found, code


def judge_actions(game: Any, policy: Any) -> RateEquilibrium:
    """Any policy with its own flow, values and exploitability; no iteration is made.

    Args:
        game: a RateGame.
        policy: (K + 1, S) actions at evenly spaced times, the first at 0, the last at the end.

    Raises:
        ValueError: it has another shape, or actions outside the game's bounds.
    """
    check_actions(game, policy, "policy")
    return _judged(game, jnp.asarray(policy, jnp.result_type(float)))


def check_actions(game: Any, policy: Any, name: str) -> None:
    """Raises ValueError unless `policy`, called `name`, holds actions of a RateGame over time."""
    if np.ndim(policy) != 2 or np.shape(policy)[1] != game.num_states or len(policy) < 5:
        raise ValueError(
            f"{name} must hold the actions of {type(game).__name__} at evenly spaced times, of "
            f"shape (num_steps + 1, num_states) = (K + 1, {game.num_states}) with K >= 4, but has "
            f"shape {np.shape(policy)}"
        )
    if not isinstance(policy, jax.core.Tracer):
        low, high = game.action_bounds
        if not (np.all(policy >= low) and np.all(policy <= high)):
            raise ValueError(
                f"{name} holds actions outside the bounds of {type(game).__name__}: from "
                f"{float(np.min(policy)):g} to {float(np.max(policy)):g}"
            )


@eqx.filter_jit
def _judged(game: Any, policy: Array) -> RateEquilibrium:
    return judge(game, policy, jnp.asarray(jnp.nan, policy.dtype), jnp.asarray(0))


def answer_policy(game: Any, states: Float[Array, "K1 S"]) -> Float[Array, "K1 S"]:
    """The best response to a frozen crowd."""
    return best_actions(game, optimal_values(game, states), states)


def judge(
    game: Any,
    policy: Float[Array, "K1 S"],
    residual: Float[Array, ""],
    num_iterations: Int[Array, ""],
) -> RateEquilibrium:
    """A policy with its own flow, values and exploitability."""
    states = crowd_of(game, policy)
    values = policy_values(game, policy, states)
    best = optimal_values(game, states)
    times = jnp.arange(len(policy)) * time_step(game, len(policy) - 1)
    return RateEquilibrium(
        times=times,
        policy=policy,
        flow=FiniteFlow(states),
        values=values,
        value=states[0] @ values[0],
        exploitability=states[0] @ (best[0] - values[0]),
        residual=residual,
        num_iterations=num_iterations,
    )


def crowd_fixed_point(
    game: Any,
    num_steps: int,
    damping: Any,
    max_iterations: int,
    initial: Float[Array, "S"] | None = None,
) -> tuple[Float[Array, "K1 S"], tuple[Float[Array, ""], Int[Array, ""]]]:
    """The crowd that best responses to it make; the last residual, and the number of iterations.

    Derivatives: with mu = G(theta, mu), dmu = (1 - dG/dmu)^-1 dG/dtheta, and transposed, by the
    same damped iteration.

    Args:
        game: a RateGame.
        num_steps: K.
        damping: share of the old crowd kept.
        max_iterations: of the crowd.
        initial: the law at time 0; the game's own if None.
    """

    def residual(states: Array) -> Array:
        return crowd_of(game, answer_policy(game, states), initial) - states

    step = 1 - jnp.asarray(damping, jnp.result_type(float))
    low, high = game.action_bounds
    middle = jnp.broadcast_to((low + high) / 2, (num_steps + 1, game.num_states))
    start = jax.lax.stop_gradient(crowd_of(game, jnp.asarray(middle, step.dtype), initial))
    return fixed_point(residual, start, step, _tolerance(start), max_iterations)


def _tolerance(states: Array) -> float:
    """What rounding leaves of a residual."""
    return 16 * float(jnp.finfo(states.dtype).eps) * len(states) ** 0.5
