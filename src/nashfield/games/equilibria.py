"""Exact equilibria of quadratic games: the crowd's means, its covariances, the gains."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from nashfield.controls import Affine
from nashfield.games.riccati import Stage, StateCost, respond, solve_general, spread
from nashfield.mean_fields import Flow, Gaussian
from nashfield.typing import Array

# Damped steps that lead from a wide crowd to where Newton's steps converge, and the latter; both
# are halved, the first while a response is unbounded, the others while they lead away.
_NUM_DAMPED, _NUM_NEWTON, _NUM_HALVINGS = 200, 30, 14
_STEP = 0.05
# Doublings of a first crowd that is too dense.
_NUM_WIDER = 40

# Why there is no answer.
FOUND, NOT_LINEAR, NOT_FOUND, SINGULAR, UNBOUNDED = range(5)

# What may be linear in the crowd, and the products of the crowd's means to which it is added.
_LINEAR = (
    ("d", (("A", "x"), ("B", "a"))),
    ("q", (("Q", "x"), ("S'", "a"))),
    ("r", (("R", "a"), ("S", "x"))),
)


class Equilibrium(eqx.Module):
    """An exact equilibrium of a game.

    Attributes:
        policy: what everyone plays, an affine policy.
        flow: the crowd, with its mean actions.
        value: what everyone gets, in the sign of the reward.
    """

    policy: Any
    flow: Flow
    value: Float[Array, "*batch"]


@eqx.filter_jit
@jax.default_matmul_precision("highest")
def find_equilibrium(game: Any) -> tuple[Equilibrium, Int[Array, ""]]:
    """The exact equilibrium of a QuadraticGame, NaN where it fails, and how that went.

    That is FOUND; or SINGULAR (the crowd's mean has no equation with one solution); UNBOUNDED (the
    best response to the only crowd there could be); NOT_LINEAR (d, q or r are not linear in the
    crowd, or more depends on it); or NOT_FOUND (the iteration for covariances does not end).
    """
    mean, covariance = game.initial_moments()
    arrived = jnp.asarray(True)
    if game.reads_covariance:
        covariances = covariance_equilibrium(game)
    else:
        covariances = jnp.tile(covariance, (game.horizon + 1, 1, 1))
    means, action_mean = mean_equilibrium(game, covariances)
    flow = Flow(Gaussian(means, covariances), action_mean=action_mean)
    stages, terminal = game.stages(flow)
    response = respond(stages, terminal)
    made = spread(stages, response.gain, covariance)
    if game.reads_covariance:
        arrived = jnp.max(jnp.abs(made - covariances)) <= _rounding(made) * jnp.max(made)
    found = Equilibrium(
        Affine(response.gain, response.offset),
        Flow(Gaussian(means, made), action_mean=action_mean),
        -response.cost.expected(mean, covariance),
    )
    failures = {
        NOT_FOUND: ~arrived,
        SINGULAR: ~(jnp.all(jnp.isfinite(means)) & jnp.all(jnp.isfinite(action_mean))),
        UNBOUNDED: ~jnp.isfinite(found.value),
        NOT_LINEAR: ~is_linear(game, covariances, means, action_mean),
    }
    code = jnp.select(list(failures.values()), list(failures), FOUND)
    return jax.tree.map(lambda x: jnp.where(code == FOUND, x, jnp.nan), found), code


def is_linear(
    game: Any,
    covariances: Float[Array, "T1 D D"],
    means: Float[Array, "T1 D"],
    action_mean: Float[Array, "T C"],
) -> Bool[Array, ""]:
    """Whether the game among this crowd is what its linearisation at a crowd at zero says."""

    def compare(function: Callable, crowd: tuple[Array, ...], t: Any, covariance: Array):
        zeros = jax.tree.map(jnp.zeros_like, crowd)

        def parts(*crowd: Array) -> Any:
            law = Gaussian(crowd[0], covariance, action_mean=(*crowd, None)[1])
            return function(t, law)

        base, change = jax.jvp(parts, zeros, crowd)
        real = parts(*crowd)
        there = dict(zip(("x", "a"), crowd, strict=False))
        gaps, sizes = {}, {}
        for name, around in (("Q", ""), ("A", ""), ("B", ""), ("R", ""), ("S", ""), *_LINEAR):
            if not hasattr(base, name):
                continue
            linear, size = getattr(base, name), jnp.abs(getattr(base, name))
            if around:
                linear = linear + getattr(change, name)
                size = size + jnp.abs(getattr(change, name))
                # What it is added to.
                for factor, whom in around:
                    if whom in there:  # there is no action in the end
                        matrix = getattr(base, factor[0])
                        matrix = matrix.T if factor[1:] else matrix
                        size = size + jnp.abs(matrix) @ jnp.abs(there[whom])
            gaps[name] = jnp.max(jnp.abs(getattr(real, name) - linear))
            sizes[name] = jnp.max(size)
        return gaps, sizes

    running = jax.vmap(lambda t, m, a, v: compare(game.stage, (m, a), t, v))
    stages = running(jnp.arange(game.horizon), means[:-1], action_mean, covariances[:-1])
    end = compare(lambda t, law: game.terminal(law), (means[-1],), 0, covariances[-1])
    limit = _rounding(means)
    within = [
        jnp.max(gaps[name]) <= limit * jnp.max(sizes[name])
        for gaps, sizes in (stages, end)
        for name in gaps
    ]
    return jnp.all(jnp.stack(within))


def covariance_equilibrium(game: Any) -> Float[Array, "T1 D D"]:
    """Covariances that best responses to them make, where the gains read nothing but them.

    Damped steps from the crowd of the game's `starting_policy`, no longer than responses stay
    bounded; then Newton's method with a line search, whose last step carries the derivatives.
    """
    start = game.initial_moments()[1]
    arrays, rest = eqx.partition(game, eqx.is_array)
    held = eqx.combine(jax.lax.stop_gradient(arrays), rest)

    def stages(game: Any, covariances: Array) -> tuple[Stage, StateCost]:
        means = jnp.zeros(covariances.shape[:2], covariances.dtype)
        actions = jnp.zeros((game.horizon, game.control_dim), covariances.dtype)
        return game.stages(Flow(Gaussian(means, covariances), action_mean=actions))

    def answer(game: Any, later: Array) -> Array:
        covariances = jnp.concatenate([start[None], later])
        moves, terminal = stages(game, covariances)
        return spread(moves, respond(moves, terminal).gain, start)[1:]

    def damped(carry: tuple[Array, ...], _: None) -> tuple[tuple[Array, ...], None]:
        later, answered, step, best, least = carry
        moved = later + step * (answered - later)
        reply = answer(held, moved)
        bounded = jnp.all(jnp.isfinite(reply))
        step = jnp.where(bounded, jnp.minimum(1.5 * step, _STEP), step / 2)
        later, answered = jnp.where(bounded, moved, later), jnp.where(bounded, reply, answered)
        miss = jnp.sum((answered - later) ** 2)
        best = jnp.where(miss < least, later, best)
        return (later, answered, step, best, jnp.minimum(miss, least)), None

    def wider(later: Array, _: None) -> tuple[Array, None]:
        bounded = jnp.all(jnp.isfinite(answer(held, later)))
        return jnp.where(bounded, later, 2 * later), None

    def direction(game: Any, flat: Array) -> Array:
        slope = jax.lax.stop_gradient(jax.jacfwd(lambda flat: missed(game, flat))(flat))
        return -solve_general(slope, missed(game, flat)[:, None])[:, 0]

    def missed(game: Any, flat: Array) -> Array:
        return answer(game, flat.reshape(shape)).ravel() - flat

    def newton(flat: Array, _: None) -> tuple[Array, None]:
        steps = 0.5 ** jnp.arange(_NUM_HALVINGS, dtype=flat.dtype)
        tried = flat + steps[:, None] * direction(held, flat)
        misses = jax.vmap(lambda flat: jnp.sum(missed(held, flat) ** 2))(tried)
        nearer = misses < jnp.sum(missed(held, flat) ** 2)  # not where one is NaN
        return jnp.where(jnp.any(nearer), tried[jnp.argmax(nearer)], flat), None

    moves, _ = stages(held, jnp.tile(start, (game.horizon + 1, 1, 1)))
    later = spread(moves, game.starting_policy().gain, start)[1:]
    shape = later.shape
    later, _ = jax.lax.scan(wider, jax.lax.stop_gradient(later), length=_NUM_WIDER)
    numbers = jnp.asarray([_STEP, jnp.inf], later.dtype)
    carry = later, answer(held, later), numbers[0], later, numbers[1]
    (last, _, _, best, _), _ = jax.lax.scan(damped, carry, length=_NUM_DAMPED)
    # From the last crowd and from the one that missed least: each alone gets stuck somewhere.
    starts = jnp.stack([last.ravel(), best.ravel()])
    ends, _ = jax.lax.scan(jax.vmap(newton, (0, None)), starts, length=_NUM_NEWTON)
    flat = ends[jnp.argmin(jax.vmap(lambda flat: jnp.sum(missed(held, flat) ** 2))(ends))]
    flat = jax.lax.stop_gradient(flat)
    return jnp.concatenate([start[None], (flat + direction(game, flat)).reshape(shape)])


def mean_equilibrium(
    game: Any, covariances: Float[Array, "T1 D D"]
) -> tuple[Float[Array, "T1 D"], Float[Array, "T C"]]:
    """Means of states and actions at equilibrium, for a crowd of given covariances.

    With d, q and r linearised in the crowd's (m, a), the mean agent's costate Pi m + p and

        R a + S m + r(m, a) + B'(Pi' m' + p') = 0,  m' = A m + B a + d(m, a)

    give a = F m + f, from the last time to the first.

    Args:
        game: the game.
        covariances: what stages that read a covariance read.
    """
    D, C = game.state_dim, game.control_dim
    zeros = jnp.zeros(D + C, covariances.dtype)

    def backward(ahead: tuple[Array, Array], slices: tuple[Array, Array]):
        t, covariance = slices
        Pi, p = ahead

        def parts(crowd: Float[Array, "DC"]) -> Stage:
            law = Gaussian(crowd[:D], covariance, action_mean=crowd[D:])
            return game.stage(t, law)

        stage, slopes = parts(zeros), jax.jacfwd(parts)(zeros)
        A, B = stage.A + slopes.d[:, :D], stage.B + slopes.d[:, D:]
        onward = stage.B.T @ Pi
        matrix = stage.R + slopes.r[:, D:] + onward @ B
        of_mean = stage.S + slopes.r[:, :D] + onward @ A
        known = stage.r + stage.B.T @ (Pi @ stage.d + p)
        scale = jnp.max(jnp.abs(stage.R)) + jnp.max(jnp.abs(onward @ B))
        answer = -solve_general(matrix, jnp.column_stack([of_mean, known]), scale)
        F, f = answer[:, :-1], answer[:, -1]
        A, d = A + B @ F, stage.d + B @ f  # of the crowd that plays so
        cross = stage.S.T + slopes.q[:, D:]
        p = stage.q + cross @ f + stage.A.T @ (Pi @ d + p)
        Pi = stage.Q + slopes.q[:, :D] + cross @ F + stage.A.T @ Pi @ A
        return (Pi, p), (A, d, F, f)

    def end(mean: Float[Array, "D"]) -> StateCost:
        return game.terminal(Gaussian(mean, covariances[-1]))

    last, slopes = end(zeros[:D]), jax.jacfwd(end)(zeros[:D])
    start = (last.Q + slopes.q, last.q)
    slices = (jnp.arange(game.horizon), covariances[:-1])
    _, (A, d, F, f) = jax.lax.scan(backward, start, slices, reverse=True)

    def forward(mean: Array, slices: tuple[Array, ...]) -> tuple[Array, tuple[Array, Array]]:
        A, d, F, f = slices
        return A @ mean + d, (mean, F @ mean + f)

    final, (means, actions) = jax.lax.scan(forward, game.initial_moments()[0], (A, d, F, f))
    return jnp.concatenate([means, final[None]]), actions


def _rounding(x: Array) -> float:
    return float(jnp.finfo(x.dtype).eps) ** 0.5
