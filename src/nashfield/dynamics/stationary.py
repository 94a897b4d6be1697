"""The crowd of a stationary game: where it comes to rest if everyone keeps to one policy."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Bool, Float, PRNGKeyArray

from nashfield.dynamics.elimination import factor, resolve, solver
from nashfield.dynamics.estimation import (
    UNSETTLED_DRIFT,
    check_sizes,
    estimate_mean_field,
)
from nashfield.dynamics.linear import MAX_TABLE_STATES, chain, frozen, iterated
from nashfield.games.base import StationaryGame
from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.mean_fields import FiniteMeanField, Particles
from nashfield.policies import AbstractPolicy
from nashfield.policies.tabular import as_table
from nashfield.results import ParameterError, Result
from nashfield.typing import Array

# Above this total change in one move the crowd has not settled.
UNSETTLED_RESIDUAL = 1e-5
_MAX_SOLVES = 100


def push(
    game: StationaryGame, policy: Float[Array, "S A"], states: Float[Array, "S"]
) -> Float[Array, "S"]:
    """Phi(z, pi), the crowd after one move.

    Phi(z, pi)(y) = sum_{x,a} z(x) pi(a|x) P(y|x,a,z) (Subramanian and Mahajan 2019, eq. 1).
    """
    mean_field = FiniteMeanField(states, policy)
    return jnp.asarray(game.transition(mean_field).push(mean_field.joint), states.dtype)


def moves_with_crowd(game: StationaryGame) -> bool:
    """Whether transitions depend on the mean field, found by tracing alone."""
    states = jnp.zeros((2, game.num_states))
    crowd = FiniteMeanField(states, jnp.zeros((2, game.num_states, game.num_actions)))

    def transition(game: StationaryGame, crowd: FiniteMeanField) -> Any:
        return eqx.filter(game.transition(crowd), eqx.is_array)

    try:
        # An output that depends on the batched crowd cannot leave vmap without a batch axis.
        eqx.filter_eval_shape(jax.vmap(transition, in_axes=(None, 0), out_axes=None), game, crowd)
    except ValueError:
        return True
    return False


def stationary_mean_field(
    game: StationaryGame | ContinuousStationaryGame,
    policy: Float[Array, "S A"] | AbstractPolicy,
    *,
    num_agents: int | None = None,
    num_steps: int = 200,
    num_batches: int = 1,
    generator: str = "jax",
    key: PRNGKeyArray | None = None,
) -> FiniteMeanField | Particles:
    """The stationary mean field z = Phi(z, pi) that the crowd reaches from its initial law.

    Where transitions do not depend on the crowd this is the limit of the time average from the
    initial law, for every chain: periodic, transient and reducible ones too. Where they do, the
    crowd is moved step by step until one move changes it by less than rounding does, or
    `game.settling_steps` are over. With `num_agents` it is played instead of computed: the
    empirical law of N agents after B moves, averaged over m batches.

    Args:
        game: the game.
        policy: (S, A), rows sum to 1; or a policy with parameters, which it must be where states
            are points.
        num_agents: N of a played crowd; None for the exact one, which takes finitely many states.
        num_steps: B.
        num_batches: m.
        generator: "jax" or "hash", of the played crowd's random numbers; see `dynamics.draws`.
        key: for a played crowd.

    Returns:
        The mean field, with what the crowd does. The exact one is differentiable in policy and
        game, by implicit differentiation of z = Phi(z, pi).

    Warns:
        RuntimeWarning: the crowd has not settled.

    Raises:
        ParameterError: a game with a horizon; a crowd that has to be played and `num_agents` or
            `key` is missing; a size below 1; a policy of another kind than the game takes.
        ValueError: a table that is no policy of the game.
    """
    if not isinstance(game, StationaryGame | ContinuousStationaryGame):
        raise ParameterError(
            f"{type(game).__name__} has a horizon and no stationary mean field: see population_flow"
        )
    if num_agents is not None:
        sizes = {"num_agents": num_agents, "num_steps": num_steps, "num_batches": num_batches}
        return _played(game, policy, key, generator=generator, **sizes)
    if isinstance(game, ContinuousStationaryGame):
        raise ParameterError(
            f"states of {type(game).__name__} are points: its crowd has to be played, give "
            "num_agents (such as 1000) and key"
        )
    if key is not None:
        raise ParameterError("a key is for a played crowd: give num_agents too, or no key")
    mean_field, residual = _mean_field(game, as_table(game, policy))
    if not isinstance(residual, jax.core.Tracer) and not residual <= UNSETTLED_RESIDUAL:
        warnings.warn(
            f"{Result.UNSETTLED.message} (residual {float(residual):.2g} after "
            f"{int(game.settling_steps)} steps)",
            RuntimeWarning,
            stacklevel=2,
        )
    return mean_field


def _played(game, policy, key, **options) -> FiniteMeanField | Particles:
    """The played crowd, with a warning if it was still on its way."""
    check_sizes(**options)
    if key is None:
        raise ParameterError("a played crowd needs a key, such as key=jax.random.key(0)")
    if isinstance(game, StationaryGame):
        policy = as_table(game, policy)
    estimate = _estimate(game, policy, key=key, **options)
    drift = estimate.drift
    if not isinstance(drift, jax.core.Tracer) and not drift <= UNSETTLED_DRIFT:
        warnings.warn(
            f"the played crowd has not settled: in the second half of its {options['num_steps']} "
            f"moves the mean of its features moved by {float(drift):.0f} standard errors; raise "
            "num_steps",
            RuntimeWarning,
            stacklevel=3,
        )
    return estimate.mean_field


_estimate = eqx.filter_jit(estimate_mean_field)


@eqx.filter_jit
def _mean_field(game, policy) -> tuple[FiniteMeanField, Float[Array, ""]]:
    return settle(game, jnp.asarray(policy, float))


def settle(
    game: StationaryGame, policy: Float[Array, "S A"]
) -> tuple[FiniteMeanField, Float[Array, ""]]:
    """The stationary mean field, and its residual, the sum of |Phi(z, pi) - z|."""
    states = _law(game, policy)
    mean_field = FiniteMeanField(states, policy)
    moved = push(*frozen((game, policy, states)))
    return mean_field, jnp.sum(jnp.abs(moved - frozen(states)))


@eqx.filter_custom_jvp
def _law(game: StationaryGame, policy: Float[Array, "S A"]) -> Float[Array, "S"]:
    start = jnp.asarray(game.initial(), policy.dtype)
    if moves_with_crowd(game) or game.num_states > MAX_TABLE_STATES:
        return _walk(game, policy, start)
    kernel = game.transition(FiniteMeanField(start, policy))
    return _limit(chain(kernel, policy), start)


@_law.def_jvp
def _(primals, tangents):
    game, policy = primals
    states = _law(game, policy)

    def moved(game, policy):
        return push(game, policy, states)

    _, change = eqx.filter_jvp(moved, primals, tangents)
    if change is None:  # nothing that the crowd's moves depend on
        return states, jnp.zeros_like(states)
    # z = Phi(z, .) gives dz = dPhi + J dz, and the shares keep their sum.
    change = change - jnp.mean(change)
    tangent = _respond(game, policy, states, change)
    return states, tangent - jnp.sum(tangent) * states


def _respond(game, policy, states, change):
    """(I - J)^-1 change with J = dPhi/dz, in the limit of a small leak.

    Each solve multiplies what the leak e costs by about e / (e + 1 - |second eigenvalue|).
    """
    leak = 1e-6 if states.dtype == jnp.float64 else 1e-2
    _, linear = jax.linearize(lambda states: push(game, policy, states), states)
    solve = _inverse(linear, leak, states)
    response = solve(change)
    for _ in range(3):
        response = response + solve(change - response + linear(response))
    return response


def _inverse(linear: Callable, leak: float, like: Float[Array, "S"]) -> Callable:
    """(I - (1 - leak) J)^-1 as a function."""
    if like.size > MAX_TABLE_STATES:
        return partial(iterated, lambda x: x - (1 - leak) * linear(x))
    identity = jnp.eye(like.size, dtype=like.dtype)
    matrix = jax.vmap(linear, out_axes=1)(identity)
    return solver(identity - (1 - leak) * matrix)


def _walk(game, policy, start: Float[Array, "S"]) -> Float[Array, "S"]:
    """Follows the crowd from `start` until it rests."""
    tolerance = 8 * jnp.finfo(start.dtype).eps

    def moving(carry):
        _, residual, count = carry
        return (residual > tolerance) & (count < game.settling_steps)

    def move(carry):
        states, _, count = carry
        moved = push(game, policy, states)
        moved = moved / jnp.sum(moved)  # rounding would add up over thousands of moves
        return moved, jnp.sum(jnp.abs(moved - states)), count + 1

    carry = (start, jnp.asarray(jnp.inf, start.dtype), 0)
    return jax.lax.while_loop(moving, move, carry)[0]


def _limit(matrix: Float[Array, "S S"], start: Float[Array, "S"]) -> Float[Array, "S"]:
    """Time average of start P^t, t = 0, 1, ...

    A chain with one recurrent class has one stationary law z, wherever it starts: the solution of
    (I - P^T + start 1^T) z = start. With several classes that system is singular.
    """
    # From where nobody comes everyone goes back to the start: no class of their own.
    closed = jnp.where(_reached(matrix, start)[:, None], matrix, start)
    system = jnp.eye(start.size, dtype=start.dtype) - closed.T + start[:, None]
    factors = factor(system)
    pivots = jnp.abs(jnp.diagonal(factors[0]))
    regular = jnp.min(pivots) > jnp.finfo(start.dtype).eps ** 0.25 * jnp.max(pivots)
    return jax.lax.cond(
        regular,
        lambda: _law_of(resolve(factors, start)),
        lambda: _absorbed(matrix, start),
    )


def _reached(matrix: Float[Array, "S S"], start: Float[Array, "S"]) -> Bool[Array, "S"]:
    """Where the chain from `start` ever comes."""
    leads = (matrix > 0).astype(jnp.float32)

    def grows(carry):
        reached, before = carry
        return jnp.any(reached != before)

    def grow(carry):
        reached, _ = carry
        return reached | (reached.astype(jnp.float32) @ leads > 0), reached

    return jax.lax.while_loop(grows, grow, (start > 0, start < 0))[0]


def _law_of(states: Float[Array, "S"]) -> Float[Array, "S"]:
    """Without what rounding made negative."""
    states = jnp.maximum(states, 0)
    return states / jnp.sum(states)


def _absorbed(matrix: Float[Array, "S S"], start: Float[Array, "S"]) -> Float[Array, "S"]:
    """Time average of start P^t, whatever the chain.

    By the resolvent R = e (I - (1 - e) P)^-1, a stochastic matrix with the stationary laws and the
    absorption probabilities of P, which forgets all else e / (1 - |eigenvalue|) times faster.
    """
    leak = 1e-6 if start.dtype == jnp.float64 else 1e-2
    tolerance = 2 * jnp.finfo(start.dtype).eps
    identity = jnp.eye(start.size, dtype=start.dtype)
    factors = factor((identity - (1 - leak) * matrix).T)

    def moving(carry):
        _, change, count = carry
        return (change > tolerance) & (count < _MAX_SOLVES)

    def move(carry):
        states, _, count = carry
        moved = _law_of(resolve(factors, states))
        return moved, jnp.sum(jnp.abs(moved - states)), count + 1

    carry = (start, jnp.asarray(jnp.inf, start.dtype), 0)
    return jax.lax.while_loop(moving, move, carry)[0]
