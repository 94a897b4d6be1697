"""The crowd of a stationary game: where it comes to rest if everyone keeps to one policy."""

import warnings
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.dynamics.chains import limit, limits, reached
from nashfield.dynamics.elimination import solver
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
        game, by implicit differentiation of z = Phi(z, pi). Where transitions bend with the crowd
        and it ends in several classes of states, the derivative takes the transitions on the way
        for those at rest.

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
    return limit(chain(kernel, policy), start)


@_law.def_jvp
def _(primals, tangents):
    game, policy = primals
    states = _law(game, policy)

    def change(mass: Float[Array, "S"]) -> Float[Array, "S"]:
        """By what one move of `mass` among the crowd at rest changes."""

        def moved(game, policy):
            kernel = game.transition(FiniteMeanField(states, policy))
            return jnp.asarray(kernel.push(mass[:, None] * policy), mass.dtype)

        return _tangent(moved, primals, tangents, states)

    def start(game, policy):
        return jnp.asarray(game.initial(), policy.dtype)

    first = _tangent(start, primals, tangents, states)
    _, linear = jax.linearize(partial(push, *frozen((game, policy))), frozen(states))
    if game.num_states > MAX_TABLE_STATES:
        return states, _respond_iterated(linear, change(states), states)
    return states, _respond(game, policy, states, linear, change, first)


def _tangent(function, primals, tangents, like: Float[Array, "S"]) -> Float[Array, "S"]:
    """Derivative of `function`, which may depend on nothing."""
    _, tangent = eqx.filter_jvp(function, primals, tangents)
    return jnp.zeros_like(like) if tangent is None else tangent


def _respond(game, policy, states, linear, change, first) -> Float[Array, "S"]:
    """How the crowd at rest follows a change of its moves and of its start.

    dz = (dPhi + (m P*)(J - I)) (I - J + P*)^-1 + m P*, where dPhi is the change of one move of z, J
    = dPhi/dz, and P* the time average of the chain P of one agent among z. m P* is what enters
    other classes than before: m = d start + the change of one move of the visits on the way, (start
    - z) (I - P + P*)^-1; with one class it is 0. For one agent, J = P, this is the derivative of
    start P* (Schweitzer 1968). Where transitions depend on the crowd, P on the way counts as P at
    rest.
    """
    start = jnp.asarray(game.initial(), states.dtype)
    kernel = game.transition(FiniteMeanField(states, policy))
    closed, average = limits(*frozen((chain(kernel, policy), start)))
    identity = jnp.eye(states.size, dtype=states.dtype)
    solve = along = solver((identity - closed + average).T)
    if moves_with_crowd(game):
        visited = reached(closed, start)
        bent = jnp.where(visited[:, None], jax.vmap(linear)(identity), closed)
        solve = solver((identity - bent + average).T)
    visits = along(start - states)
    shift = jnp.dot(first + change(visits), average, precision="highest")
    response = solve(change(states) - shift + linear(shift)) + shift
    return response - jnp.sum(response) * states


def _respond_iterated(linear, change, states) -> Float[Array, "S"]:
    """(I - J)^-1 change on many states, of a chain with one class, in the limit of a small leak.

    Each solve multiplies what the leak e costs by about e / (e + 1 - |second eigenvalue|).
    """
    leak = 1e-6 if states.dtype == jnp.float64 else 1e-2
    change = change - jnp.mean(change)
    solve = partial(iterated, lambda x: x - (1 - leak) * linear(x))
    response = solve(change)
    for _ in range(3):
        response = response + solve(change - response + linear(response))
    return response - jnp.sum(response) * states


def _walk(game, policy, start: Float[Array, "S"]) -> Float[Array, "S"]:
    """Follows the crowd from `start` until it rests, or comes to rest too slowly to be followed."""
    tolerance = 8 * jnp.finfo(start.dtype).eps
    bends = moves_with_crowd(game)

    def moving(carry):
        _, residual, count = carry
        return (residual > tolerance) & (count < game.settling_steps)

    def move(carry):
        states, _, count = carry
        moved = push(game, policy, states)
        moved = moved / jnp.sum(moved)  # rounding would add up over thousands of moves
        residual = jnp.sum(jnp.abs(moved - states))
        # The chain that rests every other time has the same limit and cannot go in circles.
        return moved if bends else (states + moved) / 2, residual, count + 1

    def hurry(states, residual):
        """What is left of the way, if transitions stay what they are now."""
        kernel = game.transition(FiniteMeanField(states, policy))
        there = limit(chain(kernel, policy), states)
        closer = jnp.sum(jnp.abs(push(game, policy, there) - there)) < residual
        return jnp.where(closer, there, states)

    carry = (start, jnp.asarray(jnp.inf, start.dtype), 0)
    states, residual, _ = jax.lax.while_loop(moving, move, carry)
    if game.num_states > MAX_TABLE_STATES:
        return states
    # Who leaves a state once in a thousand moves hardly shows in one of them.
    slow = (residual > tolerance) & (residual <= UNSETTLED_RESIDUAL)
    return jax.lax.cond(slow, hurry, lambda states, _: states, states, residual)
