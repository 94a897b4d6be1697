"""The numbers of a game, from the paths of its crowd at equilibrium."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, PRNGKeyArray

from nashfield.checks import check_number, check_size
from nashfield.games.rate_equilibria import crowd_fixed_point
from nashfield.games.rates import RateGame
from nashfield.games.riccati import solve_positive
from nashfield.results import GameError, ParameterError
from nashfield.typing import Array, ScalarLike, scalar

# Time steps, unless said otherwise, and iterations of the crowd.
_LEAST_STEPS, _MAX_CROWDS = 200, 300
# Levenberg's share of the diagonal: at first, after success, after failure, when it gives up.
_WEIGHT, _EASE, _TIGHTEN, _MOST = 1e-2, 0.2, 5.0, 1e10
# A step changes no number by more than this factor.
_LONGEST = 1.0
# Numbers that change by less than this factor have been found.
_SETTLED = 1e-10
# Directions that move the paths by so much less than others cannot be told from rounding.
_APART = 1e-7


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

    game: RateGame
    numbers: dict[str, Float[Array, ""]]
    standard_errors: dict[str, Float[Array, ""]]
    loss: Float[Array, ""]
    losses: Float[Array, "R"]
    paths: Float[Array, "P M S"]


def calibrate(
    game: RateGame,
    trajectories: Any,
    *,
    parameters: Sequence[str],
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

    Only numbers that change the crowd can be found: of the costs of `games.SIRContact` their ratio
    (fix c_a, and find c_I). A rate of infection that may vary in time absorbs the behaviour
    altogether; then the cost has to be fixed.

    Args:
        game: gives the form, the numbers that are known, and the first start.
        trajectories: (M, S), or (P, M, S) for P paths: shares of the population at M evenly spaced
            times, the first at 0 and the last at the game's duration. NaN where nothing was seen.
        parameters: names of the numbers to find; positive.
        initial_laws: (P, S) where every path begins; the game's own initial law if None.
        num_starts: at the game's numbers, and around them.
        num_iterations: of every start, at most.
        num_steps: time steps of the equilibrium, a multiple of M - 1; the least multiple that is
            not below 200 if None.
        spread: standard deviation of the logarithms of the numbers that starts begin with.
        damping: of the equilibrium's iteration.
        key: draws the starts; key(0) if None.

    Raises:
        GameError: no start led anywhere, or the paths do not tell the numbers apart.
        ParameterError: an argument is out of range.
        TypeError: the game has no continuous time.
    """
    if not isinstance(game, RateGame):
        raise TypeError(f"calibrate takes a RateGame, not {type(game).__name__}")
    check_size("num_starts", num_starts)
    check_size("num_iterations", num_iterations)
    check_number("spread", spread, least=0.0)
    check_number("damping", damping, 0.0, 1 - 1e-6)
    names = tuple(parameters)
    _check_names(game, names)
    seen = _paths(game, trajectories)
    starts = _laws(game, initial_laws, len(seen))
    num_steps = _grid(seen.shape[1] - 1, num_steps)
    middle = np.log([float(getattr(game, name)) for name in names])
    key = jax.random.key(0) if key is None else key
    shifts = jax.random.normal(key, (num_starts, len(names))) * spread
    begin = jnp.asarray(middle) + shifts.at[0].set(0)
    ends, losses, scaled = _descend(
        game, names, begin, seen, starts, num_steps, scalar(damping), num_iterations
    )
    if not np.isfinite(losses).any():
        raise GameError(
            f"calibrate: no start of {type(game).__name__} has a finite loss: begin with other "
            "numbers, a smaller spread, or more num_steps"
        )
    best = int(np.nanargmin(losses))
    jacobian = np.asarray(scaled[best], float)
    _check_apart(names, jacobian)
    count = max(int(np.isfinite(seen).sum()) - len(names), 1)
    total = float(losses[best]) * int(np.isfinite(seen).sum())
    errors = np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)) * total / count)
    found = _with_numbers(game, names, ends[best])
    paths = _simulate(game, names, ends[best], starts, num_steps, scalar(damping))
    return Calibration(
        game=found,
        numbers={name: getattr(found, name) for name in names},
        standard_errors=dict(zip(names, jnp.asarray(errors), strict=True)),
        loss=losses[best],
        losses=losses,
        paths=paths[:, :: num_steps // (seen.shape[1] - 1)],
    )


@eqx.filter_jit
def _descend(
    game: RateGame,
    names: tuple[str, ...],
    begin: Float[Array, "R N"],
    seen: Float[Array, "P M S"],
    laws: Float[Array, "P S"],
    num_steps: int,
    damping: Any,
    num_iterations: int,
) -> tuple[Float[Array, "R N"], Float[Array, "R"], Float[Array, "R O N"]]:
    """Where every start ends: logarithms, mean squared residual, Jacobian."""
    known = jnp.isfinite(seen)
    target = jnp.where(known, seen, 0)
    every = num_steps // (seen.shape[1] - 1)

    def miss(logs: Array) -> tuple[Array, Array]:
        paths = _simulate(game, names, logs, laws, num_steps, damping)[:, ::every]
        missed = jnp.where(known, paths - target, 0).ravel()
        return missed, missed

    def look(logs: Array) -> tuple[Array, Array, Array]:
        jacobian, missed = jax.jacfwd(miss, has_aux=True)(logs)
        return missed, jacobian, jnp.sum(missed**2) / jnp.sum(known)

    def search(logs: Array) -> tuple[Array, Array, Array]:
        def unfinished(carry: tuple[Any, ...]) -> Bool[Array, ""]:
            _, _, weight, moved, count = carry
            return (weight < _MOST) & (moved > _SETTLED) & (count < num_iterations)

        def advance(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            logs, (missed, jacobian, loss), weight, _, count = carry
            square = jacobian.T @ jacobian
            tiny = jnp.finfo(logs.dtype).tiny
            bent = square + weight * jnp.diag(jnp.diag(square) + tiny)
            step = -solve_positive(bent, (jacobian.T @ missed)[:, None])[:, 0]
            longest = jnp.max(jnp.abs(step))
            step = step * jnp.minimum(1, _LONGEST / longest)
            step = jnp.where(jnp.isfinite(step), step, 0)
            there = look(logs + step)
            # The first look is at the start, which is kept whatever it is worth.
            better = there[2] < loss
            first = count == 0
            kept = jax.tree.map(
                lambda new, old: jnp.where(better, new, old),
                (logs + step, there),
                (logs, (missed, jacobian, loss)),
            )
            eased = jnp.where(better, _EASE, _TIGHTEN) * weight
            moved = jnp.where(better & ~first, jnp.max(jnp.abs(step)), jnp.inf)
            return *kept, jnp.where(first, weight, eased), moved, count + 1

        # One look in the program: the first step is one of length zero, to the start itself.
        size = seen.size
        nothing = (
            jnp.zeros(size, logs.dtype),
            jnp.zeros((size, len(names)), logs.dtype),
            jnp.asarray(jnp.inf, logs.dtype),
        )
        weight = jnp.asarray(_WEIGHT, logs.dtype)
        carry = (logs, nothing, weight, jnp.asarray(jnp.inf, logs.dtype), jnp.asarray(0))
        logs, (_, jacobian, loss), *_ = jax.lax.while_loop(unfinished, advance, carry)
        return logs, loss, jacobian

    return jax.vmap(search)(begin)


@eqx.filter_jit
def _simulate(
    game: RateGame,
    names: tuple[str, ...],
    logs: Float[Array, "N"],
    laws: Float[Array, "P S"],
    num_steps: int,
    damping: Any,
) -> Float[Array, "P K1 S"]:
    there = _with_numbers(game, names, logs)

    def path(law: Array) -> Array:
        return crowd_fixed_point(there, num_steps, damping, _MAX_CROWDS, law)[0]

    return jax.vmap(path)(laws)


def _with_numbers(game: RateGame, names: tuple[str, ...], logs: Float[Array, "N"]) -> RateGame:
    values = tuple(jnp.exp(logs[i]) for i in range(len(names)))
    return eqx.tree_at(lambda g: tuple(getattr(g, name) for name in names), game, values)


def _check_names(game: RateGame, names: tuple[str, ...]) -> None:
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
    if not names or len(set(names)) < len(names):
        raise ParameterError(f"parameters must name numbers, each one once, not {names!r}")


def _paths(game: RateGame, trajectories: Any) -> np.ndarray:
    seen = np.asarray(trajectories, float)
    seen = seen[None] if seen.ndim == 2 else seen
    if seen.ndim != 3 or seen.shape[-1] != game.num_states or seen.shape[1] < 2:
        raise ParameterError(
            "trajectories must have shape (num_times, num_states) or (num_paths, num_times, "
            f"num_states) with num_states = {game.num_states} and at least 2 times, not "
            f"{np.shape(trajectories)}"
        )
    if np.isinf(seen).any() or not np.isfinite(seen).any():
        raise ParameterError("trajectories must be finite, or NaN where nothing was seen")
    return seen


def _laws(game: RateGame, initial_laws: Any, num_paths: int) -> Array:
    if initial_laws is None:
        return jnp.tile(jnp.asarray(game.initial(), jnp.result_type(float)), (num_paths, 1))
    laws = np.asarray(initial_laws, float)
    if laws.shape != (num_paths, game.num_states):
        raise ParameterError(
            "initial_laws must have shape (num_paths, num_states) = "
            f"({num_paths}, {game.num_states}), not {laws.shape}"
        )
    if laws.min() < 0 or np.abs(laws.sum(-1) - 1).max() > 1e-6:
        raise ParameterError("every row of initial_laws must be shares that sum to 1")
    return jnp.asarray(laws)


def _grid(num_gaps: int, num_steps: int | None) -> int:
    if num_steps is None:
        return num_gaps * -(-_LEAST_STEPS // num_gaps)
    check_size("num_steps", num_steps, 4)
    if num_steps % num_gaps:
        raise ParameterError(
            f"num_steps must be a multiple of the {num_gaps} steps between the times of the "
            f"trajectories, not {num_steps}"
        )
    return num_steps


def _check_apart(names: tuple[str, ...], jacobian: np.ndarray) -> None:
    _, sizes, directions = np.linalg.svd(jacobian, full_matrices=False)
    if sizes[-1] > _APART * sizes[0]:
        return
    mixed = [n for n, part in zip(names, directions[-1], strict=True) if abs(part) > 0.1]
    raise GameError(
        f"the trajectories do not tell {' and '.join(mixed)} apart: they can change together "
        "without any effect on the crowd; leave one of them out of parameters"
    )
