"""Does a game on points with a horizon keep its protocol?"""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from nashfield.controls import Pool
from nashfield.games.continuous import ContinuousGame
from nashfield.games.differential import check_no_common_noise
from nashfield.games.tracing import call, check_output, check_sizes
from nashfield.mean_fields import AbstractMeanField
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


def check_users_game(game: Any) -> None:
    """`check_continuous_form` for games that are not of the library, which its tests look at.

    Raises:
        TypeError: it is no game on points, or a class in place of an instance.
        GameError: sizes, shapes or bounds are wrong.
    """
    if isinstance(game, type):
        raise TypeError(f"game must be an instance: write {game.__name__}(...)")
    if not isinstance(game, ContinuousGame):
        raise TypeError(
            f"game must be a ContinuousGame, whose states are points, not {type(game).__name__}"
        )
    if not type(game).__module__.startswith("nashfield."):
        check_continuous_form(game)


def check_control(game: ContinuousGame, policy: Any, name: str | None = None) -> None:
    """Checks that `policy` can be played in `game`.

    Args:
        game: the game.
        policy: what an agent shall play, or a pool of it.
        name: what messages call it; its class if None.

    Raises:
        TypeError: it is no policy of a game on points.
        GameError: agents of a differential game share a noise.
        ValueError: its dimensions or its horizon are those of another game.
    """
    check_users_game(game)
    check_no_common_noise(game)
    kind, title = type(policy).__name__, type(game).__name__
    name = kind if name is None else name
    member = policy.members if isinstance(policy, Pool) else policy
    if not hasattr(member, "action"):
        raise TypeError(
            f"{name} must be a policy of {title}, a game on points, such as "
            f"nashfield.policies.Affine or a Pool of them, not {kind}"
        )
    horizon = getattr(member, "horizon", None)
    if horizon is not None and horizon != game.horizon:
        raise ValueError(
            f"{name} decides at {horizon} times, but {title} has horizon {game.horizon}"
        )
    if isinstance(policy, Pool):
        member = eqx.filter_eval_shape(lambda: policy.member(0))
    sizes = game.state_dim, game.control_dim
    point, noise = (jax.ShapeDtypeStruct((n,), jnp.zeros(()).dtype) for n in sizes)
    try:
        shape = eqx.filter_eval_shape(lambda p, x, z: p.action(0, x, z), member, point, noise).shape
        fault = "" if shape == sizes[1:] else f"its actions have shape {shape}"
    except Exception as error:  # whatever an author's policy may raise
        fault = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    if fault:
        raise ValueError(
            f"{name} does not fit {title}, which has state_dim {sizes[0]} and control_dim "
            f"{sizes[1]}: {fault}"
        )


def _check_bounds(where: str, bounds: Any, size: int) -> None:
    pair = isinstance(bounds, tuple) and len(bounds) == 2
    shapes = [np.shape(bound) for bound in bounds] if pair else []
    if callable(bounds):
        raise GameError(f"{where} must be a property: write @property above its def")
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
    last = game.crowd_of(jnp.zeros((_NUM_AGENTS, game.state_dim)))
    crowd = game.crowd_of(last.states, jnp.zeros((_NUM_AGENTS, game.control_dim)))
    check_output(game, "step", (game.state_dim,), "(state_dim,)", t, x, a, crowd, noise)
    check_output(game, "reward", (), "()", t, x, a, crowd)
    check_output(game, "terminal_reward", (), "()", x, last)
    shape = call(game, "observe", lambda: eqx.filter_eval_shape(game.observe, x)).shape
    if len(shape) != 1:
        raise GameError(
            f"{type(game).__name__}.observe(...) must have one axis, but has shape {shape}"
        )


@eqx.filter_jit
def _played(game: ContinuousGame) -> dict[str, Any]:
    """Some agents' starts, and their moves and rewards at every time."""
    rng = np.random.default_rng(0)
    noise = jnp.asarray(rng.standard_normal((_NUM_AGENTS, game.noise_dim)))
    start = game.initial().sample(jax.random.key(0), _NUM_AGENTS)
    low, high = (jnp.asarray(bound, start.dtype) for bound in game.control_bounds)
    share = jnp.linspace(0, 1, _NUM_AGENTS)[:, None]
    # An open side is tried so far out, from the other side or from zero.
    near = jnp.where(jnp.isfinite(low), low, jnp.minimum(high, 0) - _LARGE_ACTION)
    far = jnp.where(jnp.isfinite(high), high, jnp.maximum(near, 0) + _LARGE_ACTION)
    actions = near + share * (far - near)
    crowd = game.crowd_of(start, jnp.zeros_like(actions))

    def at(t: Any) -> tuple[Any, Any]:
        moved = jax.vmap(lambda x, a, noise: game.step(t, x, a, crowd, noise))(
            start, actions, noise
        )
        paid = jax.vmap(lambda x, a: game.reward(t, x, a, crowd))(start, actions)
        return moved, paid

    moved, paid = jax.lax.map(at, jnp.arange(game.horizon))
    last = game.crowd_of(start)
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
