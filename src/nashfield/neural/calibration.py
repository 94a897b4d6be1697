"""The numbers of a game, from the paths of its crowd at equilibrium."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.checks import check_number, check_size
from nashfield.games.base import FiniteGame
from nashfield.games.rates import RateGame
from nashfield.neural.equilibrium_paths import EquilibriumPaths
from nashfield.neural.gauss_newton import Descent, check_apart, descend, standard_errors
from nashfield.results import GameError, ParameterError
from nashfield.typing import Array, ScalarLike, scalar

# Time steps, unless said otherwise.
_LEAST_STEPS = 200
# Noise may carry observed shares so far beyond 0 and 1.
_OUTSIDE = 0.2


class Calibration(eqx.Module):
    """A game whose equilibrium goes through observed paths.

    Attributes:
        game: with the numbers that were found.
        numbers: what was found, by name.
        standard_errors: of the logarithms of the numbers, from the Jacobian and the size of the
            residuals.
        loss: mean squared residual.
        losses: (num_starts,) where every start ended.
        paths: (P, M, S), the crowds of `game` at the times of the observations.
    """

    game: RateGame | FiniteGame
    numbers: dict[str, Float[Array, ""]]
    standard_errors: dict[str, Float[Array, ""]]
    loss: Float[Array, ""]
    losses: Float[Array, "R"]
    paths: Float[Array, "P M S"]


def calibrate(
    game: RateGame | FiniteGame,
    trajectories: Any,
    *,
    parameters: Sequence[str] | str | None = None,
    temperature: ScalarLike | None = None,
    initial_laws: Any = None,
    num_starts: int = 5,
    num_iterations: int = 60,
    num_steps: int | None = None,
    spread: ScalarLike = 0.7,
    damping: ScalarLike = 0.5,
    key: PRNGKeyArray | None = None,
) -> Calibration:
    """Finds numbers of `game` from paths of its crowd, by least squares.

    Gauss and Newton's steps for the logarithms of the numbers, shortened as Levenberg and Marquardt
    do, on the Jacobian that the implicit function theorem gives of the equilibrium; from several
    starts, of which the best end is returned. First-order descent stalls here: the numbers' effects
    are nearly parallel.

    In continuous time best responses are smooth in the game's numbers, and the equilibrium is
    Nash's. In discrete time a best response is a choice among finitely many actions, which no
    derivative sees: there the crowd is taken to play the entropy-regularised equilibrium
    (`dynamics.regularised`), at a `temperature` that says how sharply agents choose. It has to be
    given: rewards and temperature multiplied by the same number change nothing.

    Only numbers that change the crowd can be found: of the costs of `games.SIRContact` their ratio
    (fix c_a, and find c_I). A rate of infection that may vary in time absorbs the behaviour
    altogether; then the cost has to be fixed. Numbers stay positive, but a probability is not kept
    below 1: starts and steps after which shares leave [0, 1], or no equilibrium is found, are given
    up.

    Args:
        game: gives the form, the numbers that are known, and the first start.
        trajectories: (M, S), or (P, M, S) for P paths: shares of the population at M evenly spaced
            times, the first at 0 and the last at the game's end. NaN where nothing was seen.
        parameters: names of the numbers to find; positive. Those that the game calls `identifiable`
            if None.
        temperature: of the entropy, in discrete time.
        initial_laws: (P, S) where every path begins; the game's own initial law if None.
        num_starts: at the game's numbers, and around them.
        num_iterations: of every start, at most.
        num_steps: in continuous time, time steps of the equilibrium, a multiple of M - 1; the least
            multiple that is not below 200 if None.
        spread: standard deviation of the logarithms of the numbers that starts begin with.
        damping: of the equilibrium's iteration.
        key: draws the starts; key(0) if None.

    Raises:
        GameError: no start led anywhere, or the paths do not tell the numbers apart.
        ParameterError: an argument is out of range.
        TypeError: the game is of another kind.
    """
    if not isinstance(game, RateGame | FiniteGame):
        raise TypeError(
            "calibrate takes a game on finitely many states with an end, a RateGame (as "
            f"sir-contact) or a FiniteGame (as susceptible-infected), not {type(game).__name__}"
        )
    check_size("num_starts", num_starts)
    check_size("num_iterations", num_iterations)
    check_number("spread", spread, least=0.0)
    check_number("damping", damping, 0.0, 1 - 1e-6)
    if isinstance(parameters, str):
        parameters = (parameters,)
    names = tuple(getattr(game, "identifiable", ()) if parameters is None else parameters)
    _check_names(game, names)
    seen = _paths(game, trajectories)
    num_steps = _grid(game, seen.shape[1] - 1, num_steps)
    paths = EquilibriumPaths(
        game,
        names,
        _laws(game, initial_laws, len(seen)),
        scalar(damping),
        _temperature(game, temperature),
        num_steps,
        num_steps // (seen.shape[1] - 1),
    )
    middle = np.log([float(getattr(game, name)) for name in names])
    key = jax.random.key(0) if key is None else key
    shifts = jax.random.normal(key, (num_starts, len(names))) * spread
    begin = jnp.asarray(middle) + shifts.at[0].set(0)
    ends = _descend(paths, begin, seen, jnp.asarray(num_iterations))
    losses = np.asarray(ends.losses, float)
    if not np.isfinite(losses).any():
        way_out = "a higher temperature" if isinstance(game, FiniteGame) else "more num_steps"
        raise GameError(
            f"calibrate: no start of {type(game).__name__} has a finite loss: begin with other "
            f"numbers, a smaller spread, {way_out}, or a higher damping"
        )
    best = int(np.nanargmin(losses))
    jacobian = np.asarray(ends.jacobians[best], float)
    check_apart(names, jacobian)
    errors = standard_errors(jacobian, losses[best], int(np.isfinite(seen).sum()))
    found = paths.at(ends.points[best])
    return Calibration(
        game=found,
        numbers={name: getattr(found, name) for name in names},
        standard_errors=dict(zip(names, jnp.asarray(errors), strict=True)),
        loss=ends.losses[best],
        losses=ends.losses,
        paths=jnp.broadcast_to(_simulate(paths, ends.points[best]), seen.shape),
    )


@eqx.filter_jit
def _descend(
    paths: EquilibriumPaths,
    begin: Float[Array, "R N"],
    seen: Float[Array, "P M S"],
    num_iterations: Int[Array, ""],
) -> Descent:
    known = jnp.isfinite(seen)
    target = jnp.where(known, seen, 0)

    def residuals(logs: Array) -> Array:
        return jnp.where(known, paths(logs) - target, 0).ravel()

    return descend(residuals, begin, jnp.sum(known), num_iterations)


@eqx.filter_jit
def _simulate(paths: EquilibriumPaths, logs: Float[Array, "N"]) -> Float[Array, "P M S"]:
    return paths(logs)


def _check_names(game: RateGame | FiniteGame, names: tuple[str, ...]) -> None:
    known = [
        name
        for name in type(game).__dataclass_fields__
        if hasattr(getattr(game, name), "dtype") and np.ndim(getattr(game, name)) == 0
    ]
    for name in names:
        if name not in known:
            raise ParameterError(
                f"{type(game).__name__} has no number {name!r}; it has {', '.join(known)}"
            )
        if not float(getattr(game, name)) > 0:
            raise ParameterError(
                f"{name} must begin with a positive number, not {float(getattr(game, name)):g}"
            )
    if not names:
        raise ParameterError(
            f"name the numbers to find, as in parameters=({known[0]!r},): {type(game).__name__} "
            f"has {', '.join(known)}"
        )
    if len(set(names)) < len(names):
        raise ParameterError(f"parameters must name numbers, each one once, not {names!r}")


def _paths(game: RateGame | FiniteGame, trajectories: Any) -> np.ndarray:
    try:
        seen = np.asarray(trajectories, float)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"trajectories must be an array of shares ({error})") from error
    seen = seen[None] if seen.ndim == 2 else seen
    if seen.ndim != 3 or seen.shape[-1] != game.num_states or seen.shape[1] < 2:
        raise ParameterError(
            "trajectories must have shape (num_times, num_states) or (num_paths, num_times, "
            f"num_states) with num_states = {game.num_states} and at least 2 times, not "
            f"{np.shape(trajectories)}"
        )
    if np.isinf(seen).any() or not np.isfinite(seen).any():
        raise ParameterError("trajectories must be finite, or NaN where nothing was seen")
    low, high = np.nanmin(seen), np.nanmax(seen)
    if low < -_OUTSIDE or high > 1 + _OUTSIDE:
        raise ParameterError(
            f"trajectories must be shares of the population, but go from {low:.4g} to {high:.4g}: "
            "divide counts by the population"
        )
    return seen


def _laws(game: RateGame | FiniteGame, initial_laws: Any, num_paths: int) -> Array | None:
    if initial_laws is None:
        return None
    laws = np.asarray(initial_laws, float)
    if laws.shape != (num_paths, game.num_states):
        raise ParameterError(
            "initial_laws must have shape (num_paths, num_states) = "
            f"({num_paths}, {game.num_states}), not {laws.shape}"
        )
    if laws.min() < 0 or np.abs(laws.sum(-1) - 1).max() > 1e-6:
        raise ParameterError("every row of initial_laws must be shares that sum to 1")
    return jnp.asarray(laws)


def _temperature(game: RateGame | FiniteGame, temperature: ScalarLike | None) -> Array | None:
    name = type(game).__name__
    if isinstance(game, RateGame):
        if temperature is not None:
            raise ParameterError(f"{name} is played in continuous time: leave temperature out")
        return None
    if temperature is None:
        raise ParameterError(
            f"{name} is played in discrete time, where best responses have no derivatives: say at "
            "which temperature its crowd chooses (temperature=0.1 times a usual reward, say)"
        )
    check_number("temperature", temperature, above=0.0)
    return scalar(temperature)


def _grid(game: RateGame | FiniteGame, num_gaps: int, num_steps: int | None) -> int:
    name, gaps = type(game).__name__, f"the {num_gaps} steps between the times of the trajectories"
    if isinstance(game, FiniteGame):
        if num_steps is not None:
            raise ParameterError(f"{name} has its own times: leave num_steps out")
        if game.horizon % num_gaps:
            raise ParameterError(
                f"the horizon of {name}, {game.horizon}, must be a multiple of {gaps}"
            )
        return game.horizon
    if num_steps is None:
        return num_gaps * -(-_LEAST_STEPS // num_gaps)
    check_size("num_steps", num_steps, 4)
    if num_steps % num_gaps:
        raise ParameterError(f"num_steps must be a multiple of {gaps}, not {num_steps}")
    return num_steps
