"""Grids of states for games on points."""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.games.continuous import ContinuousGame
from nashfield.mean_fields import Gaussian
from nashfield.mean_fields.cells import Cells
from nashfield.mean_fields.grid import GridLaw
from nashfield.results import ParameterError
from nashfield.typing import Array


def grid_of(
    game: ContinuousGame, num_cells: int | tuple[int, ...], low: Any = None, high: Any = None
) -> Cells:
    """Cells for the states of `game`; cells whose centres lie in walls are not free.

    Args:
        game: the game.
        num_cells: cells along each dimension, one number for all or one for each.
        low: (D,) or a number, least state of the grid; that of the game's domain if None.
        high: (D,) or a number, greatest state.

    Raises:
        ParameterError: sizes or bounds make no sense, or the domain is infinite and none are given.
    """
    dim = game.state_dim
    shape = (num_cells,) * dim if isinstance(num_cells, int | np.integer) else tuple(num_cells)
    if len(shape) != dim or any(isinstance(n, bool) or n < 2 for n in shape):
        raise ParameterError(
            f"num_cells must be a whole number of at least 2, or {dim} of them, not {num_cells!r}"
        )
    given = []
    for name, value, bound in zip(("low", "high"), (low, high), game.domain, strict=True):
        edge = np.asarray(bound if value is None else value, float)
        if edge.shape not in ((), (dim,)) or not np.isfinite(edge).all():
            why = "the game's domain is infinite: pass" if value is None else "pass"
            raise ParameterError(f"{why} {name} as a finite number or {dim} of them, not {edge}")
        given.append(np.broadcast_to(edge, (dim,)))
    if not (given[0] < given[1]).all():
        raise ParameterError(f"low must be less than high, not {given[0]} and {given[1]}")
    if game.periodic and (low is not None or high is not None):
        ends = [np.asarray(bound, float) for bound in game.domain]
        if not all(np.array_equal(a, b) for a, b in zip(given, ends, strict=True)):
            raise ParameterError("the game is periodic: its grid spans the domain, leave low, high")
    sizes = tuple(int(n) for n in shape)
    cells = Cells(given[0], given[1], shape=sizes, periodic=game.periodic)
    if type(game).free is ContinuousGame.free:
        return cells
    free = np.asarray(jax.vmap(game.free)(cells.centres))
    return Cells(given[0], given[1], free, shape=sizes, periodic=game.periodic)


class _Listener(GridLaw):
    """A crowd that notes what is asked of it."""

    heard: list = eqx.field(static=True, default_factory=list)

    def log_density(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        self.heard.append("density")
        return super().log_density(x)


def reads_density(game: ContinuousGame) -> bool:
    """Whether moves or rewards of `game` ask for the density of the crowd at time 0."""
    heard: list = []

    def ask(t: Array, x: Array, a: Array, z: Array, masses: Array, mean: Array) -> Any:
        law = _Listener(masses, _some_cells(game), heard=heard, action_mean=mean)
        return game.reward(0, x, a, law), game.step(0, x, a, law, z)

    jax.eval_shape(ask, *_arguments(game))
    return bool(heard)


def reads_crowd_or_time(game: ContinuousGame) -> bool:
    """Whether moves of `game` may depend on the crowd or on time."""

    def move(t: Array, x: Array, a: Array, z: Array, masses: Array, mean: Array) -> Array:
        return game.step(t, x, a, GridLaw(masses, _some_cells(game), action_mean=mean), z)

    program = jax.make_jaxpr(move)(*_arguments(game)).jaxpr
    # Back from the result: what is computed and not used does not count.
    needed = set(map(id, program.outvars))
    for line in reversed(program.eqns):
        if needed & set(map(id, line.outvars)):
            needed |= set(map(id, line.invars))
    t, _, _, _, masses, mean = program.invars
    return any(id(given) in needed for given in (t, masses, mean))


def _some_cells(game: ContinuousGame) -> Cells:
    dim = game.state_dim
    return Cells(np.zeros(dim), np.ones(dim), shape=(2,) * dim)


def _arguments(game: ContinuousGame) -> list[jax.ShapeDtypeStruct]:
    dim, controls = game.state_dim, game.control_dim
    points = [
        jax.ShapeDtypeStruct((n,), jnp.result_type(float))
        for n in (dim, controls, game.noise_dim, 2**dim, controls)
    ]
    return [jax.ShapeDtypeStruct((), int), *points]


def check_density(game: ContinuousGame) -> None:
    """Raises unless the initial law of `game` has a density, or nobody asks for it.

    Raises:
        ValueError: it has none, and a reward or a move asks.
    """
    law = game.initial()
    if not isinstance(law, Gaussian) or isinstance(law.covariance, jax.core.Tracer):
        return
    if np.all(np.diagonal(np.asarray(law.covariance)) > 0) or not reads_density(game):
        return
    raise ValueError(
        f"{type(game).__name__} asks for the density of the crowd, but at time 0 the crowd lies in "
        "a point or on a line and has none: give its initial law a positive variance"
    )
