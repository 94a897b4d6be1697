"""Conformance of a solver."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from nashfield.dynamics import evaluate, population_flow
from nashfield.dynamics.stationary import settle
from nashfield.games import checks
from nashfield.games.base import FiniteGame, Game, StationaryGame
from nashfield.learners.dynamic_programming import optimal_values
from nashfield.policies import random_policy
from nashfield.solvers.base import AbstractSolver, StepInfo
from nashfield.testing.common import (
    CheckError,
    check_leaves,
    held_by_numpy,
    name_of,
    relative_limit,
)
from nashfield.testing.stationary import reference

_NUM_STEPS = 4


def check_solver(solver: Any, game: Game) -> None:
    """Checks a solver on a game in float64 and in float32.

    The start is the given policy; states and policies keep shapes and dtypes; policies are laws;
    the reported exploitability and social welfare are those of the policy that entered the step,
    computed anew by dynamic programming (on a stationary game by plain iteration, without a linear
    system); the same key gives the same bits; iterations after the first compile nothing; and vmap
    runs over the numeric parameters.

    Args:
        solver: the solver; one that works on tables and starts from any of them.
        game: a small game that is known to be right.

    Raises:
        CheckError: what is wrong.
    """
    if not isinstance(solver, AbstractSolver):
        raise CheckError(f"{name_of(solver)} is no solver: derive it from solvers.AbstractSolver")
    if solver.starts_itself:
        raise CheckError(
            f"{name_of(solver)} brings its own first policy: only solvers that start from any "
            "table are checked"
        )
    if not isinstance(game, solver.games):
        raise CheckError(f"{name_of(solver)} does not solve games such as {name_of(game)}")
    for precision in ("float64", "float32"):
        with jax.enable_x64(precision == "float64"):
            held = held_by_numpy(solver, precision)
            held_game = held_by_numpy(game, precision)
            check_leaves(held)
            _check_run(held, held_game, precision)
            _check_vmap(held, held_game, precision)


def _check_run(solver: AbstractSolver, game: Game, precision: str) -> None:
    """A few steps, each looked at, and then once more with the same key."""
    name = name_of(solver)
    traces: Counter[str] = Counter()

    def compiled(method: str) -> Callable[..., Any]:
        def run(solver, *arguments, **keys):
            traces[method] += 1
            return getattr(solver, method)(*arguments, **keys)

        return _named(solver, method, eqx.filter_jit(run))

    init, step, policy_of = compiled("init"), compiled("step"), compiled("policy")
    key = jax.random.key(0)
    start = random_policy(game, key=key)
    state = init(solver, game, start, key=key)
    policy = policy_of(solver, game, state)
    _check_policy(name, policy, start)
    _check_start(name, game, policy, start)
    states = [state]
    for number in range(_NUM_STEPS):
        following, info = step(solver, game, state, key=jax.random.fold_in(key, number))
        _check_same(name, state, following)
        _check_info(name, _judge(game, policy), info, precision)
        state, policy = following, policy_of(solver, game, following)
        _check_policy(name, policy, start)
        states.append(state)
    again = init(solver, game, start, key=key)
    for number, state in enumerate(states):
        if not _identical(state, again):
            what = f"step {number}" if number else "init"
            raise CheckError(f"{name}: {what} differs between two runs with the same key")
        again, _ = step(solver, game, again, key=jax.random.fold_in(key, number))
    for method, number in traces.items():
        if number > 1:
            raise CheckError(
                f"{name}.{method} is compiled {number} times for one game: keep Python numbers out "
                "of the state (write jnp.asarray(0.0, policy.dtype))"
            )


def _check_start(name: str, game: Game, policy: Any, start: Any) -> None:
    """Raises unless `policy` does what `start` does wherever anybody comes."""

    @eqx.filter_jit
    def joint(game, policy):
        if isinstance(game, StationaryGame):
            return settle(game, policy)[0].joint
        return population_flow(game, policy).joint

    does, did = joint(game, policy), joint(game, start)
    away = float(jnp.max(jnp.abs(does - did)))
    if not away <= 1e-3:
        raise CheckError(
            f"{name}.init: the policy of the first state must be the given one, but its flow is "
            f"off by {away:.3g}"
        )


def _identical(one: Any, other: Any) -> bool:
    pairs = zip(jax.tree.leaves((one,)), jax.tree.leaves((other,)), strict=True)
    return all(_bytes(a) == _bytes(b) for a, b in pairs)


def _named(solver: AbstractSolver, method: str, function: Callable) -> Callable[..., Any]:
    def run(*arguments, **keys):
        try:
            return function(*arguments, **keys)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            raise CheckError(f"{name_of(solver)}.{method} fails under jit: {text}") from error

    return run


def _check_policy(name: str, policy: Any, start: Any) -> None:
    if getattr(policy, "shape", None) != start.shape or policy.dtype != start.dtype:
        form = (
            "(num_states, num_actions)" if start.ndim == 2 else "(horizon, num_states, num_actions)"
        )
        found = f"{policy.dtype} {policy.shape}" if hasattr(policy, "shape") else name_of(policy)
        raise CheckError(
            f"{name}.policy must give {form} in the precision of the start, {start.dtype} "
            f"{start.shape}, not {found}"
        )
    table = np.asarray(policy, float)
    off, least = np.abs(table.sum(-1) - 1).max(), table.min()
    if not (off <= checks.tolerance(start.dtype) and least >= 0):
        raise CheckError(
            f"{name}.policy: every row must be a law, but sums are off by {off:.3g} and the "
            f"smallest entry is {least:.3g}"
        )


def _check_same(name: str, state: Any, following: Any) -> None:
    """Raises unless `step` keeps the structure, the shapes and the dtypes of the state."""
    before, structure = jax.tree_util.tree_flatten_with_path(state)
    after, other = jax.tree_util.tree_flatten_with_path(following)
    if structure != other:
        raise CheckError(f"{name}.step changes the structure of the state: {structure} to {other}")
    for (path, old), (_, new) in zip(before, after, strict=True):
        kinds = [f"{jnp.result_type(x)} {jnp.shape(x)}" for x in (old, new)]
        if kinds[0] != kinds[1]:
            where = jax.tree_util.keystr(path)
            raise CheckError(f"{name}.step changes state{where} from {kinds[0]} to {kinds[1]}")


def _check_info(name: str, judged: Any, info: Any, precision: str) -> None:
    """Raises unless `info` says of the policy that entered the step what `_judge` finds."""
    if not isinstance(info, StepInfo):
        raise CheckError(f"{name}.step must return (state, StepInfo), not {name_of(info)}")
    value, best, scale = judged
    limit = relative_limit(precision) * (1 + float(scale))
    for report, expected in {"exploitability": best - value, "social_welfare": value}.items():
        found = getattr(info, report)
        if not abs(float(found) - float(expected)) <= limit:
            raise CheckError(
                f"{name}.step reports the {report} {float(found):.9g}, but the policy that entered "
                f"the step has {float(expected):.9g}"
            )


def _judge(game: Game, policy: Any) -> tuple[Any, Any, Any]:
    """What the policy is worth, what a best response is worth, and the size of such values."""
    if isinstance(game, StationaryGame):
        judged = reference(game, policy)
        return judged.value, judged.best, judged.scale
    return _judge_to_horizon(game, policy)


@eqx.filter_jit
def _judge_to_horizon(game: FiniteGame, policy: Any) -> tuple[Any, Any, Any]:
    flow = population_flow(game, policy)
    played, optimal = evaluate(game, policy, flow), optimal_values(game, flow)
    return played.value, optimal.value, jnp.max(jnp.abs(played.state_values))


def _check_vmap(solver: AbstractSolver, game: Game, precision: str) -> None:
    """Two solvers that differ in every numeric parameter, side by side."""
    numeric, rest = eqx.partition(
        solver, lambda x: isinstance(x, np.ndarray) and x.dtype.kind == "f"
    )
    if not jax.tree.leaves(numeric):
        return
    key = jax.random.key(0)
    start = random_policy(game, key=key)

    def run(numeric, game):
        lane = eqx.combine(numeric, rest)
        state = lane.init(game, start, key=key)
        following, info = lane.step(game, state, key=key)
        return lane.policy(game, following), lane.policy(game, state), info

    lanes = jax.tree.map(lambda x: np.stack([x, 0.9 * x]), numeric)
    mapped = eqx.filter_jit(eqx.filter_vmap(run, in_axes=(0, None)))
    results = _named(solver, "step (vmapped over its numbers)", mapped)(lanes, game)
    for lane in range(2):
        left, entered, info = jax.tree.map(lambda x, lane=lane: x[lane], results)
        _check_policy(name_of(solver), left, start)
        _check_info(name_of(solver), _judge(game, entered), info, precision)


def _bytes(leaf: Any) -> bytes:
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf).tobytes()
