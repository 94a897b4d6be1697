"""Does a game on points with a horizon keep its protocol?"""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from nashfield.games.continuous import ContinuousGame
from nashfield.games.tracing import call, check_output, check_sizes
from nashfield.mean_fields import AbstractMeanField, Particles
from nashfield.results import GameError

_NUM_AGENTS = 64
# Unbounded actions are tried up to this size.
_LARGE_ACTION = 3.0


def check_continuous_form(game: ContinuousGame) -> None:
    """The part of `check_continuous_game` that costs no compilation.

    Raises:
        GameError: sizes, shapes or bounds are wrong; the message names the method.
    """
    name = type(game).__name__
    check_sizes(game, "horizon", "state_dim", "control_dim", "noise_dim")
    _check_bounds(f"{name}.control_bounds", game.control_bounds, game.control_dim)
    _check_bounds(f"{name}.domain", game.domain, game.state_dim)
    if game.periodic and not all(np.all(np.isfinite(np.asarray(x))) for x in game.domain):
        raise GameError(f"{name} is periodic: its domain must be finite")
    law = call(game, "initial", game.initial)
    if not isinstance(law, AbstractMeanField):
        raise GameError(
            f"{name}.initial() must give the law of the population, such as nashfield.Gaussian, "
            f"nashfield.Uniform or nashfield.Particles, not {type(law).__name__}"
        )
    shape = call(game, "initial", lambda: eqx.filter_eval_shape(law.mean)).shape
    if shape != (game.state_dim,):
        raise GameError(
            f"{name}.initial() must be a law on points of shape (state_dim,) = "
            f"{(game.state_dim,)}, but its mean has shape {shape}"
        )
    _check_shapes(game)


def check_continuous_game(game: ContinuousGame) -> None:
    """Checks sizes, shapes and bounds, and starts, moves and rewards for NaN and infinity.

    Looks at some agents of the initial law, at every time, with small and large actions.

    Raises:
        GameError: what is wrong, and where.
    """
    check_continuous_form(game)
    found = call(game, "step or reward", lambda: _played(game))
    _report(game, jax.tree.map(np.asarray, found))


def _check_bounds(where: str, bounds: Any, size: int) -> None:
    pair = isinstance(bounds, tuple) and len(bounds) == 2
    shapes = [np.shape(bound) for bound in bounds] if pair else []
    if shapes != [(size,), (size,)]:
        raise GameError(
            f"{where} must be two arrays (low, high) of shape {(size,)} each, not {bounds!r}"
        )
    if any(isinstance(bound, jax.core.Tracer) for bound in bounds):
        return
    low, high = (np.asarray(bound) for bound in bounds)
    wrong = np.flatnonzero(~(low < high))
    if len(wrong):
        i = wrong[0]
        raise GameError(
            f"{where}: entry {i} goes from {low[i]:g} to {high[i]:g}; the low end must lie below "
            "the high one"
        )


def _check_shapes(game: ContinuousGame) -> None:
    """Traces every method, as a learner does, and looks at the shapes that come out."""
    floats = jnp.zeros(()).dtype
    t = jax.ShapeDtypeStruct((), np.dtype("int32"))
    x, a, noise = (
        jax.ShapeDtypeStruct((size,), floats)
        for size in (game.state_dim, game.control_dim, game.noise_dim)
    )
    crowd = _crowd(jnp.zeros((_NUM_AGENTS, game.state_dim)), game.control_dim)
    last = Particles(crowd.states)
    check_output(game, "step", (game.state_dim,), "(state_dim,)", t, x, a, crowd, noise)
    check_output(game, "reward", (), "()", t, x, a, crowd)
    check_output(game, "terminal_reward", (), "()", x, last)
    shape = call(game, "observe", lambda: eqx.filter_eval_shape(game.observe, x)).shape
    if len(shape) != 1:
        raise GameError(
            f"{type(game).__name__}.observe(...) must have one axis, but has shape {shape}"
        )


def _crowd(states: Any, control_dim: int) -> Particles:
    return Particles(states, action_mean=jnp.zeros(control_dim))


@eqx.filter_jit
def _played(game: ContinuousGame) -> dict[str, Any]:
    """Some agents' starts, and their moves and rewards at every time."""
    rng = np.random.default_rng(0)
    noise = jnp.asarray(rng.standard_normal((_NUM_AGENTS, game.noise_dim)))
    start = game.initial().sample(jax.random.key(0), _NUM_AGENTS)
    crowd = _crowd(start, game.control_dim)
    low, high = (jnp.asarray(bound, start.dtype) for bound in game.control_bounds)
    share = jnp.linspace(0, 1, _NUM_AGENTS)[:, None]
    low, high = jnp.maximum(low, -_LARGE_ACTION), jnp.minimum(high, _LARGE_ACTION)
    actions = low + share * (high - low)

    def at(t: Any) -> tuple[Any, Any]:
        moved = jax.vmap(lambda x, a, noise: game.step(t, x, a, crowd, noise))(
            start, actions, noise
        )
        paid = jax.vmap(lambda x, a: game.reward(t, x, a, crowd))(start, actions)
        return moved, paid

    moved, paid = jax.lax.map(at, jnp.arange(game.horizon))
    last = Particles(start)
    ended = jax.vmap(lambda x: game.terminal_reward(x, last))(start)
    found = {"initial": start, "step": moved, "reward": paid, "terminal_reward": ended}
    return found | {"actions": actions}


def _report(game: ContinuousGame, found: dict[str, Any]) -> None:
    start, actions = found["initial"], found.pop("actions")
    for method, values in found.items():
        wrong = np.argwhere(~np.isfinite(values))
        if not len(wrong):
            continue
        place = tuple(wrong[0])
        where = f"{type(game).__name__}.{method}"
        if method == "initial":
            raise GameError(f"{where}() gives {values[place[0]]}")
        if method == "terminal_reward":
            raise GameError(f"{where}: in x = {start[place[0]]} it gives {values[place]}")
        t, agent = place[:2]
        raise GameError(
            f"{where}: at t = {t}, x = {start[agent]}, a = {actions[agent]} it gives "
            f"{values[t, agent]}"
        )
