"""Does a game keep its protocol? Every violation has a message that says where it is."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from nashfield.games.base import AbstractGame, FiniteGame, StationaryGame
from nashfield.games.continuous import ContinuousGame
from nashfield.games.continuous_checks import check_continuous_form, check_continuous_game
from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.games.continuous_stationary_checks import (
    check_continuous_stationary_game,
    check_discount,
)
from nashfield.games.kernels import Dense, Kernel, Sparse
from nashfield.games.rate_checks import check_rate_form, check_rate_game
from nashfield.games.rates import RateGame
from nashfield.games.tracing import call, shape_of
from nashfield.mean_fields import FiniteMeanField
from nashfield.results import GameError
from nashfield.typing import Array

# Above so many table entries over the whole horizon a few times stand for all.
_MAX_ENTRIES = 10_000_000
_FEW_TIMES = 8

# Up to so many entries the table of a kernel of an unknown kind is written out.
_MAX_TABLE = 1_000_000

_CROWDS = (
    "the uniform crowd",
    "a crowd drawn at random",
    "a crowd all in the first state, playing the first action",
    "a crowd all in the last state, playing the last action",
)


def check_game(game: Any) -> None:
    """Checks sizes, shapes, and values of a game on crowds spread out, random, and in one place.

    Looks at every time (at eight of them for a very large game), and writes no dense table of a
    large kernel.

    Args:
        game: of any kind.

    Raises:
        GameError: what is wrong, and where.
    """
    if isinstance(game, ContinuousStationaryGame):
        check_continuous_stationary_game(game)
        return
    if isinstance(game, ContinuousGame):
        check_continuous_game(game)
        return
    if isinstance(game, RateGame):
        check_rate_game(game)
        return
    _check_kind(game)
    _check_sizes(game)
    _check_initial(game)
    crowds = _crowds(game)
    _check_shapes(game, jax.eval_shape(lambda: _one(crowds, 0)))
    times = _times(game)
    # A fresh function each time: JAX would mix the dtypes of a game's NumPy constants in one that
    # is kept and meets both precisions.
    faults_of = eqx.filter_jit(lambda game, crowds: _faults(game, times, crowds))
    faults = call(game, "transition or reward", lambda: faults_of(game, crowds))
    _report(game, times, jax.tree.map(np.asarray, faults))


def check_form(game: Any) -> None:
    """The part of `check_game` that costs no compilation: sizes and shapes, by tracing alone.

    Args:
        game: a FiniteGame, a StationaryGame, a ContinuousGame or a RateGame.

    Raises:
        GameError: what is wrong, and where.
    """
    if isinstance(game, ContinuousGame):
        check_continuous_form(game)
        return
    if isinstance(game, RateGame):
        check_rate_form(game)
        return
    _check_kind(game)
    _check_sizes(game)
    states, pairs = (game.num_states,), (game.num_states, game.num_actions)
    initial = shape_of(game, "initial", lambda game: jnp.asarray(game.initial()), game)
    where = f"{type(game).__name__}.initial()"
    _check_shape(initial, states, f"{where} must have shape (num_states,)")
    crowd = jax.eval_shape(lambda: FiniteMeanField(jnp.zeros(states), jnp.zeros(pairs)))
    _check_shapes(game, crowd)


def tolerance(dtype: Any) -> float:
    """How far from 1 a sum of probabilities may be in this precision."""
    return 1e-8 if np.finfo(dtype).bits >= 64 else 1e-5


def _check_kind(game: Any) -> None:
    if isinstance(game, type):
        raise GameError(f"{game.__name__} is a class: pass a game, such as {game.__name__}()")
    if not isinstance(game, FiniteGame | StationaryGame):
        raise GameError(
            f"{type(game).__name__} is no game: derive it from nashfield.FiniteGame, "
            "nashfield.SeparableGame, nashfield.StationaryGame, nashfield.ContinuousGame, or "
            "nashfield.ContinuousStationaryGame"
        )


def _check_sizes(game: FiniteGame | StationaryGame) -> None:
    names = ["num_states", "num_actions"] + ["horizon"] * isinstance(game, FiniteGame)
    for name in names:
        value = getattr(game, name, None)
        where = f"{type(game).__name__}.{name}"
        if value is None:
            raise GameError(f"{where} is missing: set it to a positive integer")
        if isinstance(value, bool) or not isinstance(value, int):
            raise GameError(
                f"{where} must be a Python int, because array shapes follow from it, not "
                f"{value!r} of type {type(value).__name__}"
            )
        if value < 1:
            raise GameError(f"{where} must be at least 1, not {value}")
    if isinstance(game, StationaryGame):
        check_discount(game)


def _check_initial(game: AbstractGame) -> None:
    where = f"{type(game).__name__}.initial()"
    initial = np.asarray(call(game, "initial", game.initial))
    _check_shape(initial, (game.num_states,), f"{where} must have shape (num_states,)")
    finite = np.isfinite(initial)
    if not finite.all():
        state = int(np.argmin(finite))
        raise GameError(f"{where} is {initial[state]} in state {state}")
    limit = tolerance(np.result_type(initial.dtype, np.float32))
    if initial.min() < -limit:
        state = int(initial.argmin())
        raise GameError(f"{where} is negative, {initial[state]:.6g}, in state {state}")
    total = initial.sum(dtype=float)
    if abs(total - 1) > limit:
        raise GameError(f"{where} must sum to 1, but sums to {total:.9g}")


def _crowds(game: AbstractGame) -> FiniteMeanField:
    """The crowds of `_CROWDS` along a leading axis."""
    num_states, num_actions = game.num_states, game.num_actions
    rng = np.random.default_rng(0)
    states = np.zeros((4, num_states))
    policies = np.zeros((4, num_states, num_actions))
    states[0], policies[0] = 1 / num_states, 1 / num_actions
    states[1] = rng.dirichlet(np.ones(num_states))
    policies[1] = rng.dirichlet(np.ones(num_actions), num_states)
    states[2, 0] = states[3, -1] = 1
    policies[2, :, 0] = policies[3, :, -1] = 1
    return FiniteMeanField(states, policies)


def _one(crowds: FiniteMeanField, index: Any) -> FiniteMeanField:
    return jax.tree.map(lambda x: jnp.asarray(x)[index], crowds)


def _times(game: FiniteGame | StationaryGame) -> np.ndarray:
    if isinstance(game, StationaryGame):
        return np.zeros(1, int)
    if game.horizon * game.num_states * game.num_actions <= _MAX_ENTRIES:
        return np.arange(game.horizon)
    return np.unique(np.linspace(0, game.horizon - 1, _FEW_TIMES).astype(int))


def _transition(game: Any, t: Any, crowd: FiniteMeanField) -> Kernel:
    kernel = game.transition(*((crowd,) if isinstance(game, StationaryGame) else (t, crowd)))
    if not isinstance(kernel, Kernel):
        raise GameError(
            f"{type(game).__name__}.transition must return a kernel, such as "
            "nashfield.Dense(table) or nashfield.Sparse(successors, probabilities), not "
            f"{type(kernel).__name__}"
        )
    return jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, np.ndarray) else x, kernel)


def _reward(game: Any, t: Any, crowd: FiniteMeanField) -> jax.Array:
    reward = game.reward(*((crowd,) if isinstance(game, StationaryGame) else (t, crowd)))
    return jnp.asarray(reward)


def _terminal(game: Any, crowd: FiniteMeanField) -> jax.Array:
    if isinstance(game, StationaryGame):
        return jnp.zeros(game.num_states)
    return jnp.asarray(game.terminal_reward(FiniteMeanField(crowd.states)))


def _check_shapes(game: Any, crowd: Any) -> None:
    """Traces every method, as a solver does, and looks at the shapes that come out."""
    name, num_states = type(game).__name__, game.num_states
    pairs = (num_states, game.num_actions)
    t = jax.ShapeDtypeStruct((), jnp.asarray(0).dtype)
    kernel = shape_of(game, "transition", _transition, game, t, crowd)
    where = f"{name}.transition:"
    if isinstance(kernel, Dense):
        text = f"{where} Dense.probabilities must have shape (num_states, num_actions, num_states)"
        _check_shape(kernel.probabilities, (*pairs, num_states), text)
    elif isinstance(kernel, Sparse):
        _check_sparse(kernel, pairs, where)
    values = jax.ShapeDtypeStruct((num_states,), crowd.states.dtype)
    mass = jax.ShapeDtypeStruct(pairs, crowd.states.dtype)
    expected = shape_of(game, "transition", lambda k, v: k.expect(v), kernel, values)
    _check_shape(
        expected, pairs, f"{where} expect(values) must have shape (num_states, num_actions)"
    )
    pushed = shape_of(game, "transition", lambda k, m: k.push(m), kernel, mass)
    _check_shape(pushed, values.shape, f"{where} push(mass) must have shape (num_states,)")
    reward = shape_of(game, "reward", _reward, game, t, crowd)
    _check_shape(reward, pairs, f"{name}.reward(...) must have shape (num_states, num_actions)")
    terminal = shape_of(game, "terminal_reward", _terminal, game, crowd)
    text = f"{name}.terminal_reward(...) must have shape (num_states,)"
    _check_shape(terminal, (num_states,), text)


def _check_sparse(kernel: Sparse, pairs: tuple[int, int], where: str) -> None:
    successors, probabilities = kernel.successors.shape, kernel.probabilities.shape
    if len(successors) != 3 or successors[:2] != pairs:
        raise GameError(
            f"{where} Sparse.successors must have shape (num_states, num_actions, K) = "
            f"({pairs[0]}, {pairs[1]}, K), but has shape {successors}"
        )
    if kernel.successors.dtype.kind not in "iu":
        raise GameError(
            f"{where} Sparse.successors must be integers, not {kernel.successors.dtype}"
        )
    fits = zip(probabilities, successors, strict=False)
    if len(probabilities) != 3 or any(p not in (1, s) for p, s in fits):
        raise GameError(
            f"{where} Sparse.probabilities must have the shape of the successors, {successors}, or "
            f"one that broadcasts to it, but has shape {probabilities}"
        )


def _check_shape(array: Any, shape: tuple[int, ...], text: str) -> None:
    if tuple(array.shape) != shape:
        raise GameError(f"{text} = {shape}, but has shape {tuple(array.shape)}")
    if np.dtype(array.dtype).kind not in "fiub":
        raise GameError(f"{text} and hold real numbers, not {array.dtype}")


def _faults(game: Any, times: Array, crowds: FiniteMeanField) -> dict[str, Any]:
    """For every time and crowd, per kind of fault: is there one, its first pair, and its value."""
    num_states, num_actions = game.num_states, game.num_actions
    rng = np.random.default_rng(0)
    values = jnp.asarray(rng.random(num_states))
    mass = rng.dirichlet(np.ones(num_states * num_actions)).reshape(num_states, num_actions)
    mass = jnp.asarray(mass)

    def look(slices):
        t, index = slices
        crowd = _one(crowds, index)
        kernel = _transition(game, t, crowd)
        sums = kernel.expect(jnp.ones(num_states))
        limit = tolerance(sums.dtype)
        faults = {}
        table = None
        if isinstance(kernel, Sparse):
            listed = kernel.successors
            faults["successor"] = _first((listed < 0) | (listed >= num_states), listed)
            table = jnp.broadcast_to(kernel.probabilities, listed.shape)
        elif num_states**2 * num_actions <= _MAX_TABLE or isinstance(kernel, Dense):
            table = kernel.dense()
        if table is not None:
            faults["negative"] = _first(table < -limit, table)
        faults["sum"] = _first(~(jnp.abs(sums - 1) <= limit), sums)
        forward = jnp.dot(kernel.push(mass), values, precision="highest")
        apart = jnp.abs(forward - jnp.sum(mass * kernel.expect(values)))
        faults["transpose"] = _first(~(apart <= limit), apart)
        reward = _reward(game, t, crowd)
        faults["reward"] = _first(~jnp.isfinite(reward), reward)
        terminal = _terminal(game, crowd)
        faults["terminal_reward"] = _first(~jnp.isfinite(terminal), terminal)
        return faults

    indices = jnp.tile(jnp.arange(len(_CROWDS)), len(times))
    return jax.lax.map(look, (jnp.repeat(jnp.asarray(times), len(_CROWDS)), indices))


def _first(bad: Array, values: Array) -> tuple[Array, Array, Array]:
    place = jnp.argmax(bad)
    row = place // bad.shape[2] if bad.ndim == 3 else place
    return jnp.any(bad), row, values.reshape(-1)[place]


def _report(game: Any, times: np.ndarray, faults: dict[str, Any]) -> None:
    """Raises for the first fault, kinds in the order in which one explains the next."""
    kinds = ("successor", "negative", "sum", "transpose", "reward", "terminal_reward")
    for kind in (kind for kind in kinds if kind in faults):
        found, rows, values = faults[kind]
        if not found.any():
            continue
        first = int(np.argmax(found))
        time, crowd = divmod(first, len(_CROWDS))
        row, value = int(rows[first]), values[first]
        state, action = divmod(row, game.num_actions)
        when = "" if isinstance(game, StationaryGame) else f"t = {times[time]}, "
        pair = f"at {when}state {state}, action {action}"
        text = {
            "successor": f"transition: {pair}, successor {value} is not one of the "
            f"{game.num_states} states (numbered from 0)",
            "negative": f"transition: {pair}, a probability is negative, {value:.6g}",
            "sum": f"transition: {pair}, the probabilities of the next state must sum to 1, but "
            f"sum to {value:.9g}",
            "transpose": f"transition: the kernel's push is not the transpose of its expect, off "
            f"by {value:.3g} (predecessors of a Sparse kernel must come from predecessor_lists)",
            "reward": f"reward: {pair}, the reward is {value}",
            "terminal_reward": f"terminal_reward: in state {row}, the reward is {value}",
        }[kind]
        raise GameError(f"{type(game).__name__}.{text} (for {_CROWDS[crowd]})")
