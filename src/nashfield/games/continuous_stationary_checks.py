"""Does a stationary game on points keep its protocol?"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.games.tracing import call, check_output, check_sizes
from nashfield.mean_fields import Particles
from nashfield.results import GameError

_NUM_AGENTS = 64
_CROWDS = ("a crowd that has just started", "a crowd all in one point")


def check_continuous_stationary_game(game: ContinuousStationaryGame) -> None:
    """Checks sizes and shapes, and starts, moves, rewards and values for NaN and infinity.

    Raises:
        GameError: what is wrong, and where.
    """
    check_sizes(game, "state_dim", "num_actions", "num_levels")
    check_discount(game)
    _check_shapes(game)
    found = call(game, "move or reward", lambda: _played(game))
    _report(game, jax.tree.map(np.asarray, found))


def check_discount(game: Any) -> None:
    """Checks the discount of a stationary game; of a traced one nothing is known.

    Raises:
        GameError: it lies outside of [0, 1).
    """
    if isinstance(game.discount, jax.core.Tracer):
        return
    discount = np.asarray(game.discount)
    if discount.shape != () or not 0 <= discount < 1:
        raise GameError(f"{type(game).__name__}.discount must lie in [0, 1), not {discount}")


def _check_shapes(game: ContinuousStationaryGame) -> None:
    """Traces every method, as a learner does, and looks at the shapes that come out."""
    floats = jnp.zeros(()).dtype
    state = jax.ShapeDtypeStruct((game.state_dim,), floats)
    levels = jax.ShapeDtypeStruct((game.num_levels,), floats)
    action = jax.ShapeDtypeStruct((), np.dtype("int32"))
    crowd = Particles(jnp.zeros((_NUM_AGENTS, game.state_dim)))

    def check(method: str, shape: tuple[int, ...], means: str, *arguments: Any) -> None:
        check_output(game, method, shape, means, *arguments)

    point = ((game.state_dim,), "(state_dim,)")
    check("initial", *point, levels)
    check("move", *point, state, action, crowd, levels)
    check("reward", (), "()", state, action, crowd)
    check("optimal_value", (), "()", crowd)


@eqx.filter_jit
def _played(game: ContinuousStationaryGame) -> dict[str, Any]:
    """Some agents' starts and first moves, among the crowds of `_CROWDS`."""
    rng = np.random.default_rng(0)
    levels = rng.random((2, _NUM_AGENTS, game.num_levels))
    levels[:, 0], levels[:, 1] = 0, 1 - 1e-7  # as far as levels go
    start = jax.vmap(game.initial)(jnp.asarray(levels[0]))
    crowds = Particles(jnp.stack([start, jnp.broadcast_to(start[-1], start.shape)]))

    def among(crowd: Particles) -> tuple[Any, ...]:
        def act(function: Callable) -> Any:
            over_agents = jax.vmap(function, in_axes=(0, None, 0))
            over_actions = jax.vmap(over_agents, in_axes=(None, 0, None))
            return over_actions(start, jnp.arange(game.num_actions), jnp.asarray(levels[1]))

        moved = act(lambda x, a, levels: game.move(x, a, crowd, levels))
        paid = act(lambda x, a, _: game.reward(x, a, crowd))
        return moved, paid, game.optimal_value(crowd)

    moved, paid, value = jax.lax.map(among, crowds)
    return {"initial": start, "move": moved, "reward": paid, "optimal_value": value}


def _report(game: ContinuousStationaryGame, found: dict[str, Any]) -> None:
    start = found["initial"]
    for method, values in found.items():
        wrong = np.argwhere(~np.isfinite(values))
        if not len(wrong):
            continue
        place = wrong[0]
        where = f"{type(game).__name__}.{method}"
        if method == "initial":
            raise GameError(f"{where} gives {values[place[0]]}")
        crowd = _CROWDS[place[0]]
        if method == "optimal_value":
            raise GameError(f"{where} is {values[place[0]]} (for {crowd})")
        action, agent = place[1:3]
        raise GameError(
            f"{where}: at {start[agent]}, action {action}, it gives {values[tuple(place[:3])]} "
            f"(for {crowd})"
        )
