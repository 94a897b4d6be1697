"""The rounds of `Auto`: which lanes run, with which numbers, and from where."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from nashfield.games.base import Game, StationaryGame
from nashfield.solvers.base import StepInfo
from nashfield.typing import Array

# A first search runs every pair of these, in units of the game (see `Auto`).
LEARNING_RATES = np.logspace(-1.5, 2.0, 8)
TEMPERATURES = np.array([0.0, 0.01, 0.03, 0.01])
# An early decision moves the crowd of all later ones. Where that tells, steps must be the smaller
# the earlier: the rate of time t is that of the lane times exp(-slope * (T - 1 - t) / T).
_SLOPES = np.array([0.0, 0.0, 0.0, 3.0])
# Later searches start over with long steps and little temperature (from uniform), and with short
# steps from a random policy: what the one cannot reach the other may.
_LONG_RATES, _LONG_TEMPERATURES = np.logspace(0.5, 3.0, 8), np.array([0.0, 0.003, 0.01, 0.01])
_SHORT_RATES, _SHORT_TEMPERATURES = np.logspace(-2.0, 0.5, 8), np.array([0.0, 0.003, 0.01, 0.01])
# How the lanes that lose a round go on from the best policy: the leader's numbers times these,
# every other with an anchor that moves. (Without one, games that cycle stall at what the
# temperature costs; with one, temperature slows a lane down and costs nothing in the end.)
_RATE_FACTORS = np.array([0.3, 1.0, 3.0, 0.3])
_TEMPERATURE_FACTORS = np.array([1.0, 1.0, 0.3, 3.0])
_SLOPE_SHIFTS = np.array([0.0, 0.0, 1.5, 0.0])
_PERIODS = np.array([0, 50, 0, 200])  # iterations until an anchor catches up with its lane
_MIN_ANCHOR = -50.0  # an anchor never holds an action further down than this

_GAIN = 0.9  # a round is a success if it leaves at most this share of the exploitability
MAX_STALLS = 5  # rounds without success before a new search
ROUND = 100  # iterations of a first round; the n-th after a search lasts n times as long,
MAX_ROUNDS = 10  # up to so many times


class AutoState(eqx.Module):
    """State of `Auto`; L lanes, of which the first L / 4 run in a narrow round.

    Attributes:
        logits: of every lane's policy.
        learning_rates: of every lane.
        temperatures: of every lane.
        slopes: of every lane.
        lane_best: lowest exploitability of every lane in this round; infinite where it rests.
        anchors: logits to which temperature draws the lanes of a narrow round; 0 is uniform.
        periods: iterations after which an anchor catches up with its lane; 0: never.
        best_logits: of the best policy so far.
        best: what is known of that policy.
        unit: decisions per exploitability of the uniform policy, the unit of learning rates.
        searching: whether all lanes run.
        num_searches: searches begun.
        num_rounds: narrow rounds since the last search.
        num_steps: iterations in this round.
        stalls: rounds in a row without success.
        round_start: the best exploitability when this round began.
    """

    logits: Float[jax.Array, "L *T S A"]
    learning_rates: Float[jax.Array, "L"]
    temperatures: Float[jax.Array, "L"]
    slopes: Float[jax.Array, "L"]
    lane_best: Float[jax.Array, "L"]
    anchors: Float[jax.Array, "K *T S A"]
    periods: Int[jax.Array, "K"]
    best_logits: Float[jax.Array, "*T S A"]
    best: StepInfo
    unit: Float[jax.Array, ""]
    searching: Bool[jax.Array, ""]
    num_searches: Int[jax.Array, ""]
    num_rounds: Int[jax.Array, ""]
    num_steps: Int[jax.Array, ""]
    stalls: Int[jax.Array, ""]
    round_start: Float[jax.Array, ""]


def pairs(rates: np.ndarray, temperatures: np.ndarray, num_lanes: int) -> tuple[Any, Any]:
    """All pairs of rates and temperatures; every second (or fourth) rate where lanes are few."""
    rates = rates[:: len(rates) * len(temperatures) // num_lanes]
    first, second = np.meshgrid(rates, temperatures, indexing="ij")
    return first.ravel(), second.ravel()


def slopes(game: Game, num_lanes: int, dtype: Any) -> Float[jax.Array, "L"]:
    """Of every lane in a search; zero without an end, where no decision is earlier than another."""
    if isinstance(game, StationaryGame):
        return jnp.zeros(num_lanes, dtype)
    return jnp.tile(jnp.asarray(_SLOPES, dtype), num_lanes // len(_SLOPES))


def follow(state: AutoState) -> AutoState:
    """Moves the moving anchors to their lanes from time to time."""
    due = (state.periods > 0) & (state.num_steps % jnp.maximum(state.periods, 1) == 0)
    present = jnp.maximum(state.logits[: due.shape[0]], _MIN_ANCHOR)
    anchors = jnp.where(_each(due, present), present, state.anchors)
    return eqx.tree_at(lambda s: s.anchors, state, anchors)


def _each(flags: Bool[Array, "R"], like: Array) -> Bool[Array, "R ..."]:
    """One flag for each table, in a shape that goes with tables such as `like`."""
    return flags.reshape(-1, *[1] * (like.ndim - 1))


def next_round(game: Game, state: AutoState, key: PRNGKeyArray) -> AutoState:
    """The round is over: refine around the best, or search anew."""
    success = state.best.exploitability < _GAIN * state.round_start
    stalls = jnp.where(success | state.searching, 0, state.stalls + 1)
    state = eqx.tree_at(
        lambda s: (s.lane_best, s.num_steps, s.stalls, s.round_start, s.searching),
        _refine(game, state),
        (
            jnp.full_like(state.lane_best, jnp.inf),
            jnp.zeros_like(state.num_steps),
            stalls,
            state.best.exploitability,
            jnp.asarray(False),
        ),
    )
    return jax.lax.cond(stalls >= MAX_STALLS, lambda: _search(game, state, key), lambda: state)


def _refine(game: Game, state: AutoState) -> AutoState:
    """Sorts the lanes; of the best quarter, the worse half restarts at the best policy."""
    num_running = state.periods.shape[0]
    num_kept = (num_running + 1) // 2
    order = jnp.argsort(state.lane_best)
    # After a search no lane has an anchor but uniform.
    anchored = jnp.where(state.searching, 0.0, state.anchors)
    periods = jnp.where(state.searching, 0, state.periods)
    source = jnp.minimum(order[:num_running], num_running - 1)
    varied = slice(num_kept, num_running)
    rates, temperatures = state.learning_rates[order], state.temperatures[order]
    old_slopes = state.slopes[order]
    num_varied = num_running - num_kept
    fresh = jnp.asarray(_PERIODS[:num_varied])
    shifts = 0.0 if isinstance(game, StationaryGame) else _SLOPE_SHIFTS[:num_varied]
    anchor = jnp.maximum(state.best_logits, _MIN_ANCHOR)
    return eqx.tree_at(
        lambda s: (
            *(s.logits, s.learning_rates, s.temperatures, s.slopes),
            *(s.anchors, s.periods, s.num_rounds),
        ),
        state,
        (
            state.logits[order].at[varied].set(state.best_logits),
            rates.at[varied].set(rates[0] * _RATE_FACTORS[:num_varied]),
            temperatures.at[varied].set(temperatures[0] * _TEMPERATURE_FACTORS[:num_varied]),
            old_slopes.at[varied].set(old_slopes[0] + shifts),
            anchored[source]
            .at[varied]
            .set(jnp.where(_each(fresh > 0, state.anchors), anchor, 0.0)),
            periods[source].at[varied].set(fresh),
            state.num_rounds + 1,
        ),
    )


def _search(game: Game, state: AutoState, key: PRNGKeyArray) -> AutoState:
    """Fresh lanes, by turns with long steps from uniform and short ones from a random policy."""
    num_lanes = state.logits.shape[0]
    long = state.num_searches % 2 == 1
    each = zip(
        pairs(_LONG_RATES, _LONG_TEMPERATURES, num_lanes),
        pairs(_SHORT_RATES, _SHORT_TEMPERATURES, num_lanes),
        strict=True,
    )
    rates, temperatures = (jnp.where(long, a, b) for a, b in each)
    random = jax.random.normal(key, state.best_logits.shape, state.best_logits.dtype)
    start = jnp.where(long, 0.0, random)
    return eqx.tree_at(
        lambda s: (
            *(s.logits, s.learning_rates, s.temperatures, s.slopes),
            *(s.searching, s.num_searches, s.num_rounds, s.stalls),
        ),
        state,
        (
            jnp.broadcast_to(start, state.logits.shape),
            (rates * state.unit).astype(state.learning_rates.dtype),
            (temperatures / state.unit).astype(state.temperatures.dtype),
            slopes(game, num_lanes, state.slopes.dtype),
            *(jnp.asarray(True), state.num_searches + 1),
            *(jnp.zeros_like(state.num_rounds), jnp.zeros_like(state.stalls)),
        ),
    )
