"""Conformance of a game."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from nashfield.dynamics import evaluate, population_flow, sweep
from nashfield.dynamics.forward import crowd_slices
from nashfield.dynamics.linear import MAX_TABLE_STATES
from nashfield.dynamics.stationary import UNSETTLED_RESIDUAL
from nashfield.games import checks
from nashfield.games.base import FiniteGame, StationaryGame
from nashfield.games.continuous import ContinuousGame
from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.games.rate_equilibria import judge_actions
from nashfield.games.rates import RateGame
from nashfield.testing.common import (
    CheckError,
    check_leaves,
    check_traces,
    copy_of,
    held_by_numpy,
    name_of,
    relative_limit,
)
from nashfield.testing.continuous import check_played
from nashfield.testing.stationary import reference


def check_game(game: Any) -> None:
    """Checks a game in float64 and in float32: its protocol, its values, and that it stays traced.

    Beyond `games.checks.check_game` (sizes, shapes, probabilities, rewards, push the transpose of
    expect, jit): the value of a random policy by backward induction equals the sum over time of
    <mu_t pi_t, r_t>, its exploitability is finite and not negative, both precisions agree, and
    another game of the same sizes compiles nothing. Of a stationary game the stationary mean field,
    the value and the exploitability of that policy are those found by plain iteration (where the
    crowd settles, and a table of all moves fits). Of a RateGame middling actions have a finite
    value, the same in both precisions, and a crowd that keeps its mass. A ContinuousGame
    is played among some agents, who stay finite and do the same again for the same key.

    Args:
        game: of any kind.

    Raises:
        GameError: the protocol is broken.
        CheckError: anything else.
    """
    found = {}
    for precision in ("float64", "float32"):
        with jax.enable_x64(precision == "float64"):
            held = held_by_numpy(game, precision)
            checks.check_game(held)
            check_leaves(held)
            if isinstance(held, ContinuousStationaryGame):
                continue  # it is only played
            if isinstance(held, ContinuousGame):
                check_played(held)
                continue
            if isinstance(held, RateGame):
                found[precision] = _check_rates(held)
                continue
            stationary = isinstance(held, StationaryGame)
            values = _check_rest(held, precision) if stationary else _check_values(held, precision)
            found[precision] = values
    if not found:
        return
    (double, scale), (single, _) = found["float64"], found["float32"]
    if abs(double - single) > 1e-3 * scale:
        raise CheckError(
            f"{name_of(game)}: the same policy is worth {double:.9g} in float64 but {single:.9g} "
            "in float32: avoid differences of large numbers"
        )


def _check_rates(game: RateGame) -> tuple[float, float]:
    """The value of middling actions in continuous time, whose crowd keeps its mass."""
    low, high = (np.asarray(bound, float) for bound in game.action_bounds)
    found = judge_actions(game, np.tile((low + high) / 2, (401, 1)))
    mass = np.abs(np.asarray(found.flow.states).sum(-1) - 1).max()
    value, gap = float(found.value), float(found.exploitability)
    scale = 1 + float(np.abs(np.asarray(found.values)).max())
    if not (np.isfinite(value) and gap >= -1e-4 * scale and mass < 1e-3):
        raise CheckError(
            f"{name_of(game)}: middling actions have the value {value:.6g} and the exploitability "
            f"{gap:.6g}, and their crowd misses a mass of 1 by {mass:.2g}"
        )
    return value, scale


def _check_values(game: FiniteGame, precision: str) -> tuple[float, float]:
    """J of a random policy, and the size of the rewards that it is made of."""
    num_traces = 0

    @eqx.filter_jit
    def run(game, policy):
        nonlocal num_traces
        num_traces += 1
        flow = population_flow(game, policy)

        def collect(slices):
            t, crowd = slices
            return crowd.joint * game.reward(t, crowd)

        paid = jax.lax.map(collect, (jnp.arange(game.horizon), crowd_slices(flow)))
        last = flow[game.horizon]
        end = last.states * game.terminal_reward(last)
        collected = jnp.sum(paid) + jnp.sum(end)
        scale = jnp.sum(jnp.abs(paid)) + jnp.sum(jnp.abs(end))
        value = evaluate(game, policy, flow).value
        return value, collected, scale, sweep(game, policy).exploitability

    shape = (game.horizon, game.num_states)
    policy = np.random.default_rng(0).dirichlet(np.ones(game.num_actions), shape)
    value, collected, scale, gap = map(float, run(game, policy))
    run(copy_of(game), policy)
    check_traces(game, num_traces)
    limit = relative_limit(precision) * scale
    if not (np.isfinite(gap) and gap >= -limit):
        raise CheckError(
            f"{name_of(game)}: in {precision} a policy has the exploitability {gap:.6g}"
        )
    if not abs(value - collected) <= limit:
        raise CheckError(
            f"{name_of(game)}: in {precision} a policy is worth {value:.9g} by backward induction, "
            f"but collects {collected:.9g}: is the kernel's push the transpose of its expect?"
        )
    return value, scale


def _check_rest(game: StationaryGame, precision: str) -> tuple[float, float]:
    """J of a random policy, and the size of the values that it is made of."""
    num_traces = 0

    @eqx.filter_jit
    def run(game, policy):
        nonlocal num_traces
        num_traces += 1
        return sweep(game, policy)

    shape = (game.num_states,)
    policy = np.random.default_rng(0).dirichlet(np.ones(game.num_actions), shape)
    found = run(game, policy)
    run(copy_of(game), policy)
    check_traces(game, num_traces)
    if not found.residual <= UNSETTLED_RESIDUAL or game.num_states > MAX_TABLE_STATES:
        return float(found.value), float(jnp.max(jnp.abs(found.state_values)))
    by_hand = reference(game, policy)
    limit = relative_limit(precision)
    for name, number, expected, scale in (
        ("value", found.value, by_hand.value, 1 + by_hand.scale),
        ("exploitability", found.exploitability, by_hand.best - by_hand.value, 1 + by_hand.scale),
        ("mean field", found.flow.states, by_hand.mean_field, 1.0),
    ):
        off = float(np.max(np.abs(np.asarray(number) - expected)))
        if not off <= limit * scale:
            raise CheckError(
                f"{name_of(game)}: in {precision} the {name} of a policy is off by {off:.3g} from "
                "what plain iteration finds: is the kernel's push the transpose of its expect?"
            )
    return float(found.value), by_hand.scale
