"""`Auto`: many mirror descents side by side, steered by the exploitability that they measure."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.dynamics import sweep
from nashfield.games.base import FiniteGame, Game, StationaryGame
from nashfield.games.quadratic import QuadraticGame
from nashfield.games.rates import RateGame
from nashfield.policies import uniform_policy
from nashfield.solvers import auto_responses
from nashfield.solvers.auto_responses import Responses
from nashfield.solvers.auto_rounds import (
    LEARNING_RATES,
    MAX_ROUNDS,
    ROUND,
    TEMPERATURES,
    AutoState,
    follow,
    next_round,
    pairs,
    slopes,
)
from nashfield.solvers.base import AbstractSolver, Outcome, StepInfo
from nashfield.solvers.online_mirror_descent import MIN_LOGIT, logits
from nashfield.typing import Array

_NUM_LANES = len(LEARNING_RATES) * len(TEMPERATURES)
# Table entries T * S * A from which on fewer lanes run, to save memory.
_LARGE, _HUGE = 5_000_000, 20_000_000


class Auto(AbstractSolver):
    """Solves without being tuned, and never returns worse than its best iterate.

    Mirror descent drawn to an anchor z, y <- (y + eta (Q - max Q + tau z)) / (1 + eta tau),
    pi = softmax(y), runs in 32 lanes that differ in eta and tau. Source: Perolat et al. (2022),
    "Scaling mean field games by online mirror descent", algorithm 1; for the anchor (uniform, or
    following its lane) Sokota et al. (2023), "A unified approach to reinforcement learning, quantal
    response equilibria, and two-player zero-sum games", section 3. Rewards have no unit, so eta
    counts in decisions per exploitability of the uniform policy, and tau in the inverse (a game
    without end counts as one of 1 / (1 - discount) decisions). In a quarter of the lanes eta is
    smaller for earlier decisions; without an end none is earlier.

    After a search over all lanes rounds of growing length follow: the better half of the best
    quarter goes on, the other half restarts at the best policy found with the leader's numbers
    varied. Rounds without gain lead to a new search. One `step` is one iteration of every running
    lane, and its exploitability is that of the best policy so far.

    Where policies are no tables, Auto goes to best responses as `Picard` and `FixedPoint` do, with
    a damping that rises after a loss and falls after a gain; on a `QuadraticGame` its first step
    leads to the exact `equilibrium`, if there is one.
    """

    games: ClassVar[tuple[type, ...]] = (FiniteGame, StationaryGame, QuadraticGame, RateGame)

    def init(self, game: Any, policy: Any, *, key: PRNGKeyArray) -> AutoState | Responses:
        """All lanes at `policy`."""
        if isinstance(game, QuadraticGame | RateGame):
            return auto_responses.start(game, policy)
        start = jnp.asarray(logits(policy))
        num_lanes = _num_lanes(game)
        both = jnp.stack([jnp.asarray(uniform_policy(game), start.dtype), policy])
        infos = jax.lax.map(lambda each: StepInfo.of(sweep(game, each)), both)  # compiled once
        tiny = jnp.finfo(start.dtype).tiny * 1e30
        unit = _decisions(game) / jnp.maximum(infos.exploitability[0], tiny)
        rates, temperatures = pairs(LEARNING_RATES, TEMPERATURES, num_lanes)
        best = jax.tree.map(lambda x: x[1], infos)
        zero = jnp.zeros((), int)
        return AutoState(
            logits=jnp.broadcast_to(start, (num_lanes, *start.shape)),
            learning_rates=rates * unit,
            temperatures=temperatures / unit,
            slopes=slopes(game, num_lanes, start.dtype),
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

    def init_uniform(self, game: Any, *, key: PRNGKeyArray) -> AutoState | Responses:
        """See `AbstractSolver.init_uniform`; without tables the start is the game's own."""
        if isinstance(game, QuadraticGame | RateGame):
            return self.init(game, None, key=key)
        return super().init_uniform(game, key=key)

    def step(
        self, game: Any, state: AutoState | Responses, *, key: PRNGKeyArray
    ) -> tuple[AutoState | Responses, StepInfo]:
        """One iteration of the running lanes; at the end of a round, the next one is set up."""
        if isinstance(state, Responses):
            return auto_responses.advance(game, state)
        if _side_by_side(game, state):
            moved = jax.lax.cond(
                state.searching,
                lambda: _iterate(game, state, state.logits.shape[0]),
                lambda: _iterate(game, state, state.anchors.shape[0]),
            )
        else:
            moved = _iterate(game, state, state.logits.shape[0])
        moved = jax.lax.cond(state.searching, lambda: moved, lambda: follow(moved))
        length = ROUND * jnp.clip(state.num_rounds, 1, MAX_ROUNDS)
        length = jnp.where(state.searching, ROUND, length)
        # Lanes are judged by the second half of a round: one that just restarted at the best policy
        # would look good whatever becomes of it.
        half = moved.num_steps == length // 2
        judged = jnp.where(half, jnp.inf, moved.lane_best)
        moved = eqx.tree_at(lambda s: s.lane_best, moved, judged)
        over = moved.num_steps >= length
        moved = jax.lax.cond(over, lambda: next_round(game, moved, key), lambda: moved)
        return moved, state.best

    def policy(self, game: Any, state: AutoState | Responses) -> Any:
        """The best policy so far."""
        if isinstance(state, Responses):
            return state.best_policy
        return jax.nn.softmax(state.best_logits)

    def outcome(self, game: Any, state: AutoState | Responses, *, key: PRNGKeyArray) -> Outcome:
        """See `AbstractSolver.outcome`."""
        if isinstance(state, Responses):
            return auto_responses.outcome(game, state)
        return super().outcome(game, state, key=key)


def _decisions(game: Game) -> Any:
    """How many decisions count; without an end, those within reach of the discount."""
    return 1 / (1 - game.discount) if isinstance(game, StationaryGame) else game.horizon


def _num_lanes(game: Game) -> int:
    times = 1 if isinstance(game, StationaryGame) else game.horizon
    entries = times * game.num_states * game.num_actions
    return _NUM_LANES if entries <= _LARGE else 16 if entries <= _HUGE else 8


def _side_by_side(game: Game, state: AutoState) -> bool:
    """Whether lanes run in a batch.

    In turn, what a large sweep needs on the way is needed once; and the linear systems of
    stationary games cost more in a batch than in turn.
    """
    return state.logits.shape[0] == _NUM_LANES and not isinstance(game, StationaryGame)


def _iterate(game: Game, state: AutoState, num_lanes: int) -> AutoState:
    """One iteration of those among the first `num_lanes` that are running."""
    num_anchors = state.anchors.shape[0]

    def run(number):
        # A search has no anchor but uniform.
        anchor = state.anchors[jnp.minimum(number, num_anchors - 1)]
        anchor = jnp.where(state.searching, 0.0, anchor)
        return _lane(game, state, number, anchor)

    def run_or_rest(number):
        nothing = jnp.asarray(jnp.inf, state.lane_best.dtype)
        rest = (state.logits[number], StepInfo(nothing, nothing))
        runs = state.searching | (number < num_anchors)
        return jax.lax.cond(runs, lambda: run(number), lambda: rest)

    numbers = jnp.arange(num_lanes)
    if _side_by_side(game, state):
        summed, infos = jax.vmap(run)(numbers)
    else:
        summed, infos = jax.lax.map(run_or_rest, numbers)
    leader = jnp.argmin(infos.exploitability)
    # So put, anything is better than NaN.
    better = ~(state.best.exploitability <= infos.exploitability[leader])
    running = slice(num_lanes)
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


def _lane(
    game: Game, state: AutoState, number: Int[Array, ""], anchor: Float[Array, "*T S A"]
) -> tuple[Float[Array, "*T S A"], StepInfo]:
    """One iteration of one lane: its next logits, and what is known of its present policy."""
    logits, temperature = state.logits[number], state.temperatures[number]
    learning_rate = state.learning_rates[number]
    if not isinstance(game, StationaryGame):
        ahead = (game.horizon - 1 - jnp.arange(game.horizon)) / game.horizon
        learning_rate *= jnp.exp(-state.slopes[number] * ahead)[:, None, None]
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
