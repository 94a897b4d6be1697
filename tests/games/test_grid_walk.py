"""Walks on a grid and two-stage kernels against tables built by loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.games.grid_walk import GridWalk, open_moves
from nashfield.games.two_stage import TwoStage, routes
from nashfield.typing import scalar

MAP = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [1, 1, 1, 1]], bool)
STEPS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0))
NOISE = 0.3


def destination(cell, step):
    i, j = cell[0] + step[0], cell[1] + step[1]
    inside = 0 <= i < MAP.shape[0] and 0 <= j < MAP.shape[1]
    return (i, j) if inside and MAP[i, j] and MAP[cell] else cell


def walk_table():
    """P(y | x, a): the chosen move, or with probability NOISE one of the five."""
    S, columns = MAP.size, MAP.shape[1]
    moves = np.zeros((S, 5, S))
    for i, j in np.ndindex(*MAP.shape):
        for a, step in enumerate(STEPS):
            y = destination((i, j), step)
            moves[i * columns + j, a, y[0] * columns + y[1]] = 1
    return (1 - NOISE) * moves + NOISE * moves.mean(1, keepdims=True)


def walk():
    return GridWalk(MAP.shape[1], open_moves(MAP), scalar(NOISE))


RNG = np.random.default_rng(3)
MOVES = RNG.integers(0, 9, (6, 3))
OUTCOMES = RNG.integers(0, 6, (9, 4))
LAW = RNG.dirichlet(np.ones(4), 9)


def two_stage_table():
    table = np.zeros((6, 3, 6))
    for x, a, j in np.ndindex(6, 3, 4):
        place = MOVES[x, a]
        table[x, a, OUTCOMES[place, j]] += LAW[place, j]
    return table


CASES = {
    "walk": (walk, walk_table),
    "two-stage": (lambda: TwoStage(routes(MOVES, OUTCOMES), LAW), two_stage_table),
}
CASE = pytest.mark.parametrize(("make", "make_table"), CASES.values(), ids=CASES.keys())


@CASE
def test_expect_push_and_dense(make, make_table, precision):
    table = make_table()
    rng = np.random.default_rng(1)
    values = rng.normal(size=table.shape[0])
    mass = rng.dirichlet(np.ones(table[..., 0].size)).reshape(table.shape[:2])
    expected, pushed, dense = jax.jit(
        lambda v, m: (make().expect(v), make().push(m), make().dense())
    )(values, mass)
    assert expected.dtype == pushed.dtype == precision
    tolerance = 1e-14 if precision == "float64" else 1e-6
    np.testing.assert_allclose(dense, table, atol=tolerance)
    np.testing.assert_allclose(expected, table @ values, atol=tolerance)
    np.testing.assert_allclose(pushed, np.einsum("xa,xay->y", mass, table), atol=tolerance)


@CASE
def test_push_is_the_transpose_of_expect(make, make_table):
    shape = make_table().shape
    _, pull = jax.vjp(make().expect, jnp.zeros(shape[0]))
    mass = np.random.default_rng(2).random(shape[:2])
    np.testing.assert_allclose(make().push(mass), pull(jnp.asarray(mass))[0], rtol=1e-13)


@CASE
def test_samples_follow_the_law(make, make_table):
    states, actions = np.full(40_000, 4), np.full(40_000, 2)
    drawn = np.asarray(make().sample(jax.random.key(0), states, actions))
    table = make_table()
    # The widest of the shares has a standard deviation of .0025.
    shares = np.bincount(drawn, minlength=table.shape[0]) / 40_000
    np.testing.assert_allclose(shares, table[4, 2], atol=0.01)


def test_a_walk_without_noise_is_sampled_without_dividing_by_it():
    still = GridWalk(MAP.shape[1], open_moves(MAP), scalar(0.0))
    states = np.arange(MAP.size)
    drawn = still.quantile(jnp.full(MAP.size, 1 - 1e-16), states, np.full(MAP.size, 4))
    np.testing.assert_array_equal(drawn, states)


def test_nobody_leaves_or_enters_a_wall():
    table = np.asarray(walk().dense())
    walls = ~MAP.reshape(-1)
    assert table[~walls][:, :, walls].sum() == 0
    assert table[walls][:, :, ~walls].sum() == 0


def test_two_stage_refuses_a_place_that_draws_all():
    with pytest.raises(ValueError, match="use Sparse"):
        routes(np.zeros((6, 3), int), OUTCOMES)
