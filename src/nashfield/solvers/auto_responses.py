"""`Auto` where policies are no tables: best responses, steered, and the best iterate."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.games.equilibria import FOUND, find_equilibrium
from nashfield.games.quadratic import QuadraticGame
from nashfield.games.rate_equilibria import answer_policy, judge
from nashfield.learners.riccati import affine_sweep
from nashfield.policies import Affine
from nashfield.solvers import affine_play
from nashfield.solvers.base import Outcome, StepInfo
from nashfield.solvers.best_response import ExactBestResponse
from nashfield.typing import Array

# Time steps of a game in continuous time, where no policy is given.
_NUM_STEPS = 800
# The share of the crowd that goes over: at first; after a gain and after a loss; the least.
_SHARE, _GROW, _SHRINK, _LEAST = 0.5, 1.1, 0.5, 1 / 256


class Responses(eqx.Module):
    """State of `Auto` on quadratic games and in continuous time.

    Attributes:
        policy: the present one, `Affine` or (K + 1, S) actions.
        exploitability: of that policy.
        answer: where it goes: the best response to its crowd; in a quadratic game at first the
            exact equilibrium, if there is one.
        share: how much of the crowd goes there.
        best_policy: the best so far.
        best: what is known of it.
    """

    policy: Any
    exploitability: Float[Array, ""]
    answer: Any
    share: Float[Array, ""]
    best_policy: Any
    best: StepInfo


def start(game: Any, policy: Any) -> Responses:
    """At `policy`; at a start of the game's own if None."""
    if isinstance(game, QuadraticGame):
        policy = _affine(game, policy)
    elif policy is None:
        low, high = game.action_bounds
        middle = (jnp.asarray(low, jnp.result_type(float)) + high) / 2
        policy = jnp.broadcast_to(middle, (_NUM_STEPS + 1, game.num_states))
    info, _, answer = look(game, policy)
    share = jnp.asarray(_SHARE, info.exploitability.dtype)
    if isinstance(game, QuadraticGame):
        exact, code = find_equilibrium(game)
        known = code == FOUND
        pairs = _affine(game, exact.policy), answer
        answer = jax.tree.map(lambda a, b: jnp.where(known, a, b).astype(b.dtype), *pairs)
        share = jnp.where(known, 1, share).astype(share.dtype)
    return Responses(policy, info.exploitability, answer, share, policy, info)


def advance(game: Any, state: Responses) -> tuple[Responses, StepInfo]:
    """A part of the crowd goes over: more after a gain, less after a loss."""

    def mix(old: Array, new: Array) -> Array:
        return (old + state.share * (new - old)).astype(old.dtype)

    policy = jax.tree.map(mix, state.policy, state.answer)
    info, _, answer = look(game, policy)
    gap = info.exploitability
    change = jnp.where(gap <= state.exploitability, _GROW, _SHRINK)
    share = jnp.clip(change * state.share, _LEAST, 1).astype(state.share.dtype)
    # So put, anything is better than NaN.
    better = jnp.isfinite(gap) & ~(state.best.exploitability <= gap)
    best_policy, best = jax.tree.map(
        lambda new, old: jnp.where(better, new, old).astype(old.dtype),
        (policy, info),
        (state.best_policy, state.best),
    )
    return Responses(policy, gap, answer, share, best_policy, best), state.best


def outcome(game: Any, state: Responses) -> Outcome:
    """The best so far, evaluated."""
    info, flow, _ = look(game, state.best_policy)
    return Outcome(state.best_policy, flow, info, jnp.asarray(True))


def look(game: Any, policy: Any) -> tuple[StepInfo, Any, Any]:
    """What is known of a policy, its crowd, and the best response to that."""
    if isinstance(game, QuadraticGame):
        swept = affine_sweep(game, policy)
        answer = _affine(game, swept.best_response)
        return StepInfo(swept.exploitability, swept.value), swept.flow, answer
    unknown = jnp.asarray(jnp.nan, policy.dtype)
    found = judge(game, policy, unknown, jnp.asarray(0))
    info = StepInfo(found.exploitability, found.value)
    return info, found.flow, answer_policy(game, found.flow.states)


def _affine(game: QuadraticGame, policy: Any) -> Affine:
    return affine_play.start_from(game, policy, ExactBestResponse())
