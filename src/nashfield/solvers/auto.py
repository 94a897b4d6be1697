"""`Auto`: many mirror descents side by side, steered by the exploitability that they measure."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from nashfield.dynamics import sweep
from nashfield.games.base import Game
from nashfield.policies import uniform_policy
from nashfield.solvers.base import AbstractSolver, StepInfo
from nashfield.solvers.online_mirror_descent import MIN_LOGIT, logits
from nashfield.typing import Array

# A first search runs every pair of these, in units of the game (see `Auto`).
_LEARNING_RATES = np.logspace(-1.5, 2.0, 8)
_TEMPERATURES = np.array([0.0, 0.01, 0.03, 0.01])
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
_MAX_STALLS = 5  # rounds without success before a new search
_ROUND = 100  # iterations of a first round; the n-th after a search lasts n times as long,
_MAX_ROUNDS = 10  # up to so many times

_NUM_LANES = len(_LEARNING_RATES) * len(_TEMPERATURES)
# Table entries T * S * A from which on fewer lanes run, to save memory.
_LARGE, _HUGE = 5_000_000, 20_000_000


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

    logits: Float[jax.Array, "L T S A"]
    learning_rates: Float[jax.Array, "L"]
    temperatures: Float[jax.Array, "L"]
    slopes: Float[jax.Array, "L"]
    lane_best: Float[jax.Array, "L"]
    anchors: Float[jax.Array, "K T S A"]
    periods: Int[jax.Array, "K"]
    best_logits: Float[jax.Array, "T S A"]
    best: StepInfo
    unit: Float[jax.Array, ""]
    searching: Bool[jax.Array, ""]
    num_searches: Int[jax.Array, ""]
    num_rounds: Int[jax.Array, ""]
    num_steps: Int[jax.Array, ""]
    stalls: Int[jax.Array, ""]
    round_start: Float[jax.Array, ""]


class Auto(AbstractSolver):
    """Solves without being tuned, and never returns worse than its best iterate.

    Mirror descent drawn to an anchor z, y <- (y + eta (Q - max Q + tau z)) / (1 + eta tau),
    pi = softmax(y), runs in 32 lanes that differ in eta and tau. Source: Perolat et al. (2022),
    "Scaling mean field games by online mirror descent", algorithm 1; for the anchor (uniform, or
    following its lane) Sokota et al. (2023), "A unified approach to reinforcement learning, quantal
    response equilibria, and two-player zero-sum games", section 3. Rewards have no unit, so eta
    counts in decisions per exploitability of the uniform policy, and tau in the inverse. In a
    quarter of the lanes eta is smaller for earlier decisions.

    After a search over all lanes rounds of growing length follow: the better half of the best
    quarter goes on, the other half restarts at the best policy found with the leader's numbers
    varied. Rounds without gain lead to a new search. One `step` is one iteration of every running
    lane, and its exploitability is that of the best policy so far.
    """

    def init(self, game: Game, policy: Float[Array, "*T S A"], *, key: PRNGKeyArray) -> AutoState:
        """All lanes at `policy`."""
        start = jnp.asarray(logits(policy))
        num_lanes = _num_lanes(game)
        uniform = sweep(game, uniform_policy(game)).exploitability
        unit = game.horizon / jnp.maximum(uniform, jnp.finfo(start.dtype).tiny * 1e30)
        rates, temperatures = _pairs(_LEARNING_RATES, _TEMPERATURES, num_lanes)
        best = StepInfo.of(sweep(game, policy))
        zero = jnp.zeros((), int)
        return AutoState(
            logits=jnp.broadcast_to(start, (num_lanes, *start.shape)),
            learning_rates=rates * unit,
            temperatures=temperatures / unit,
            slopes=_slopes(num_lanes, start.dtype),
            lane_best=jnp.full(num_lanes, jnp.inf, start.dtype),
            anchors=jnp.zeros((num_lanes // 4, *start.shape), start.dtype),
            periods=jnp.zeros(num_lanes // 4, int),
            best_logits=start,
            best=best,
            unit=unit,
            searching=jnp.asarray(True),
            num_searches=zero + 1,
            num_rounds=zero,
            num_steps=zero,
            stalls=zero,
            round_start=jnp.asarray(best.exploitability),
        )

    def step(
        self, game: Game, state: AutoState, *, key: PRNGKeyArray
    ) -> tuple[AutoState, StepInfo]:
        """One iteration of the running lanes; at the end of a round, the next one is set up."""
        moved = jax.lax.cond(
            state.searching,
            lambda: _iterate(game, state, jnp.zeros_like(state.logits)),
            lambda: _follow(_iterate(game, state, state.anchors)),
        )
        length = _ROUND * jnp.clip(state.num_rounds, 1, _MAX_ROUNDS)
        length = jnp.where(state.searching, _ROUND, length)
        # Lanes are judged by the second half of a round: one that just restarted at the best policy
        # would look good whatever becomes of it.
        half = moved.num_steps == length // 2
        judged = jnp.where(half, jnp.inf, moved.lane_best)
        moved = eqx.tree_at(lambda s: s.lane_best, moved, judged)
        over = moved.num_steps >= length
        moved = jax.lax.cond(over, lambda: _next_round(moved, key), lambda: moved)
        return moved, state.best

    def policy(self, game: Game, state: AutoState) -> Float[Array, "*T S A"]:
        """The best policy so far."""
        return jax.nn.softmax(state.best_logits)


def _num_lanes(game: Game) -> int:
    entries = game.horizon * game.num_states * game.num_actions
    return _NUM_LANES if entries <= _LARGE else 16 if entries <= _HUGE else 8


def _pairs(rates: np.ndarray, temperatures: np.ndarray, num_lanes: int) -> tuple[Any, Any]:
    """All pairs of rates and temperatures; every second (or fourth) rate where lanes are few."""
    rates = rates[:: len(rates) * len(temperatures) // num_lanes]
    first, second = np.meshgrid(rates, temperatures, indexing="ij")
    return first.ravel(), second.ravel()


def _slopes(num_lanes: int, dtype: Any) -> Float[jax.Array, "L"]:
    return jnp.tile(jnp.asarray(_SLOPES, dtype), num_lanes // len(_SLOPES))


def _iterate(game: Game, state: AutoState, anchors: Float[Array, "R T S A"]) -> AutoState:
    """One iteration of the first lanes, as many as there are anchors."""
    ahead = (game.horizon - 1 - jnp.arange(game.horizon)) / game.horizon

    def lane(logits, learning_rate, temperature, slope, anchor):
        learning_rate = learning_rate * jnp.exp(-slope * ahead)[:, None, None]
        current = sweep(game, jax.nn.softmax(logits))
        gain = current.advantages - jnp.max(current.advantages, -1, keepdims=True)
        summed = logits + learning_rate * (gain + temperature * anchor)
        summed = summed / (1 + learning_rate * temperature)
        summed = jnp.maximum(summed - jnp.max(summed, -1, keepdims=True), MIN_LOGIT)
        # Where numbers overflow, every action is alike again; NaN is infinitely far from Nash.
        summed = jnp.where(jnp.isfinite(summed), summed, 0.0).astype(logits.dtype)
        info = StepInfo.of(current)
        far = jnp.where(jnp.isfinite(info.exploitability), info.exploitability, jnp.inf)
        return summed, StepInfo(far, info.social_welfare)

    running = slice(anchors.shape[0])
    rates, temperatures = state.learning_rates[running], state.temperatures[running]
    lanes = (state.logits[running], rates, temperatures, state.slopes[running], anchors)
    if state.logits.shape[0] == _NUM_LANES:
        summed, infos = jax.vmap(lane)(*lanes)
    else:  # one after the other: what a sweep needs on the way is needed once
        summed, infos = jax.lax.map(lambda x: lane(*x), lanes)
    leader = jnp.argmin(infos.exploitability)
    # So put, anything is better than NaN.
    better = ~(state.best.exploitability <= infos.exploitability[leader])
    lane_best = jnp.minimum(state.lane_best[running], infos.exploitability)
    return eqx.tree_at(
        lambda s: (s.logits, s.lane_best, s.best_logits, s.best, s.num_steps),
        state,
        (
            state.logits.at[running].set(summed),
            state.lane_best.at[running].set(lane_best),
            jnp.where(better, state.logits[leader], state.best_logits),
            jax.tree.map(lambda x, old: jnp.where(better, x[leader], old), infos, state.best),
            state.num_steps + 1,
        ),
    )


def _follow(state: AutoState) -> AutoState:
    """Moves the moving anchors to their lanes from time to time."""
    due = (state.periods > 0) & (state.num_steps % jnp.maximum(state.periods, 1) == 0)
    present = jnp.maximum(state.logits[: due.shape[0]], _MIN_ANCHOR)
    anchors = jnp.where(due[:, None, None, None], present, state.anchors)
    return eqx.tree_at(lambda s: s.anchors, state, anchors)


def _next_round(state: AutoState, key: PRNGKeyArray) -> AutoState:
    """The round is over: refine around the best, or search anew."""
    success = state.best.exploitability < _GAIN * state.round_start
    stalls = jnp.where(success | state.searching, 0, state.stalls + 1)
    state = eqx.tree_at(
        lambda s: (s.lane_best, s.num_steps, s.stalls, s.round_start, s.searching),
        _refine(state),
        (
            jnp.full_like(state.lane_best, jnp.inf),
            jnp.zeros_like(state.num_steps),
            stalls,
            state.best.exploitability,
            jnp.asarray(False),
        ),
    )
    return jax.lax.cond(stalls >= _MAX_STALLS, lambda: _search(state, key), lambda: state)


def _refine(state: AutoState) -> AutoState:
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
    slopes = state.slopes[order]
    num_varied = num_running - num_kept
    fresh = jnp.asarray(_PERIODS[:num_varied])
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
            slopes.at[varied].set(slopes[0] + _SLOPE_SHIFTS[:num_varied]),
            anchored[source]
            .at[varied]
            .set(jnp.where((fresh > 0)[:, None, None, None], anchor, 0.0)),
            periods[source].at[varied].set(fresh),
            state.num_rounds + 1,
        ),
    )


def _search(state: AutoState, key: PRNGKeyArray) -> AutoState:
    """Fresh lanes, by turns with long steps from uniform and short ones from a random policy."""
    num_lanes = state.logits.shape[0]
    long = state.num_searches % 2 == 1
    pairs = zip(
        _pairs(_LONG_RATES, _LONG_TEMPERATURES, num_lanes),
        _pairs(_SHORT_RATES, _SHORT_TEMPERATURES, num_lanes),
        strict=True,
    )
    rates, temperatures = (jnp.where(long, a, b) for a, b in pairs)
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
            _slopes(num_lanes, state.slopes.dtype),
            *(jnp.asarray(True), state.num_searches + 1),
            *(jnp.zeros_like(state.num_rounds), jnp.zeros_like(state.stalls)),
        ),
    )
