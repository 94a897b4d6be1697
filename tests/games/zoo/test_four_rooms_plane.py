"""Four rooms in the plane: walls block the way, not only its end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.four_rooms_plane import walk
from nashfield.results import ParameterError

WALLS = [((x0, x1), (0.225, 0.275)) for x0, x1 in ((0.0, 0.125), (0.175, 0.325), (0.375, 0.5))] + [
    ((0.225, 0.275), (y0, y1)) for y0, y1 in ((0.0, 0.125), (0.175, 0.325), (0.375, 0.5))
]


def in_wall(points):
    """Whether points (..., 2) lie strictly inside a wall."""
    x, y = points[..., 0], points[..., 1]
    return np.any([(x > a) & (x < b) & (y > c) & (y < d) for (a, b), (c, d) in WALLS], 0)


def draw_free(rng, n):
    points = rng.uniform(0, 0.5, (2 * n, 2))
    return points[~in_wall(points)][:n]


def by_small_steps(start, moves, num=20_000):
    """The same walk in very many small steps, as a stranger to the formula would find it."""
    ends = []
    for x, move in zip(start, moves, strict=True):
        way = x + np.linspace(0, 1, num)[:, None] * move
        bad = in_wall(way) | np.any((way < 0) | (way > 0.5), -1)
        ends.append(way[np.argmax(bad) - 1] if bad.any() else way[-1])
    return np.array(ends)


def test_nobody_is_ever_inside_a_wall_or_outside(precision):
    rng = np.random.default_rng(0)
    x = jnp.asarray(draw_free(rng, 100_000))
    move = jax.jit(jax.vmap(walk))
    for scale in (0.01, 0.05, 0.2, 1.0):
        x = move(x, jnp.asarray(rng.normal(0, scale, x.shape), x.dtype))
        points = np.asarray(x, np.float64)
        assert np.isfinite(points).all()
        assert not in_wall(points).any()
        assert (points >= 0).all()
        assert (points <= 0.5).all()


def test_a_walk_ends_where_very_small_steps_end():
    rng = np.random.default_rng(1)
    start = draw_free(rng, 150)
    moves = rng.normal(0, 0.2, start.shape)
    ends = np.asarray(jax.vmap(walk)(jnp.asarray(start), jnp.asarray(moves)))
    slow = by_small_steps(start, moves)
    step = np.linalg.norm(moves, axis=-1) / 20_000
    stopped = np.linalg.norm(slow - start - moves, axis=-1) > 1e-3
    assert 20 < stopped.sum() < 130
    assert (np.linalg.norm(ends - slow, axis=-1) <= 2 * step + 2e-6).all()


@pytest.mark.parametrize("speed", [0.06, 0.1, 0.4, 5.0, 1e3])
def test_no_speed_jumps_a_wall(speed):
    # Across the middle of a wall .05 thick, from either side and upright.
    for start, way in (
        ((0.05, 0.22), (0, 1)),
        ((0.05, 0.28), (0, -1)),
        ((0.22, 0.05), (1, 0)),
        ((0.28, 0.45), (-1, 0)),
    ):
        end = np.asarray(walk(jnp.array(start), speed * jnp.array(way, float)))
        axis = int(way[1] != 0)
        face = 0.225 if way[axis] > 0 else 0.275
        assert end[axis] == pytest.approx(face, abs=2e-6)
        assert end[1 - axis] == start[1 - axis]


def test_doors_are_open_and_only_so_wide():
    for middle in (0.15, 0.35):
        through = np.asarray(walk(jnp.array([middle, 0.2]), jnp.array([0.0, 0.1])))
        assert through == pytest.approx([middle, 0.3])
        through = np.asarray(walk(jnp.array([0.3, middle]), jnp.array([-0.1, 0.0])))
        assert through == pytest.approx([0.2, middle])
        for side in (-0.0251, 0.0251):
            end = np.asarray(walk(jnp.array([middle + side, 0.2]), jnp.array([0.0, 0.1])))
            assert end[1] == pytest.approx(0.225, abs=2e-6)
    # Aslant through a door, where both ends of the way are free and the way is not.
    end = np.asarray(walk(jnp.array([0.11, 0.22]), jnp.array([0.08, 0.06])))
    assert not np.allclose(end, [0.19, 0.28])


def test_along_a_wall_and_away_from_it_the_way_is_free():
    start = walk(jnp.array([0.05, 0.2]), jnp.array([0.0, 1.0]))
    assert np.asarray(walk(start, jnp.array([0.05, 0.0])))[0] == pytest.approx(0.1)
    assert np.asarray(walk(start, jnp.array([0.0, -0.1])))[1] == pytest.approx(0.125, abs=2e-6)
    assert np.array_equal(walk(start, jnp.zeros(2)), start)


def test_derivatives_are_finite():
    slope = jax.jacobian(walk, argnums=(0, 1))
    for move in ([0.0, 0.0], [0.1, 0.0], [0.0, 0.3]):
        for part in slope(jnp.array([0.05, 0.2]), jnp.array(move)):
            assert np.isfinite(part).all()
    game = nf.games.FourRoomsPlane()
    law = nf.Uniform(np.zeros(2), np.full(2, 0.5))
    slope = jax.grad(lambda a: game.reward(0, jnp.full(2, 0.1), a, law))
    assert np.array_equal(slope(jnp.zeros(2)), np.zeros(2))


def test_a_velocity_is_cut_to_the_greatest_speed():
    game = nf.games.FourRoomsPlane(sigma=0.0, max_speed=0.5, c_a=2.0, c_m=0.0)
    law = nf.Uniform(np.zeros(2), np.full(2, 0.5))
    x = jnp.array([0.1, 0.1])
    moved = game.step(0, x, jnp.array([0.3, 0.0]), law, jnp.zeros(2))
    assert np.asarray(moved) == pytest.approx([0.13, 0.1])
    moved = game.step(0, x, jnp.array([3.0, 4.0]), law, jnp.zeros(2))
    assert np.asarray(moved) == pytest.approx([0.13, 0.14])
    assert float(game.reward(0, x, jnp.array([3.0, 4.0]), law)) == pytest.approx(-2.0 * 0.25)


def test_reward_and_start():
    game = nf.games.FourRoomsPlane(c_a=0.5, c_m=2.0, floor=0.01)
    law = nf.Uniform(np.zeros(2), np.full(2, 0.5))  # density 4
    value = game.reward(3, jnp.array([0.1, 0.4]), jnp.array([0.1, 0.2]), law)
    assert float(value) == pytest.approx(-0.5 * 0.05 - 2 * np.log(4.01))
    start = np.asarray(game.initial().sample(jax.random.key(0), 1000))
    assert (start >= [0, 0.475]).all()
    assert (start <= [0.025, 0.5]).all()


def test_there_are_1360_free_cells():
    game = nf.games.FourRoomsPlane()
    cells = game.free_cells()
    assert cells.shape == (1360, 2)
    assert not in_wall(cells).any()
    assert len(game.free_cells(20)) == 340
    assert np.asarray(jax.vmap(game.free)(jnp.asarray(cells))).all()
    assert not bool(game.free(jnp.array([0.05, 0.25])))
    assert not bool(game.free(jnp.array([0.6, 0.1])))


def test_a_crowd_at_random_stays_in_the_building():
    game = nf.games.FourRoomsPlane()
    policy = nf.policies.Affine(
        np.zeros((20, 2, 2)), np.zeros((20, 2)), jnp.tile(0.5 * jnp.eye(2), (20, 1, 1))
    )
    flow = nf.rollout_flow(game, policy, num_agents=5000, key=jax.random.key(1))
    states = np.asarray(flow.laws.states)
    assert not in_wall(states).any()
    assert (states[-1, :, 0] > 0.275).any()  # some have found a door


def test_network_sees_the_walls():
    game = nf.games.FourRoomsPlane()
    seen = np.asarray(game.observe(jnp.array([0.25, 0.5])))
    assert seen.shape == (6,)
    assert seen[:2] == pytest.approx([0, 1])


def test_wrong_parameters():
    for name in ("max_speed", "time_step", "floor"):
        with pytest.raises(ParameterError, match=name):
            nf.games.FourRoomsPlane(**{name: 0.0})
    with pytest.raises(ParameterError, match="sigma"):
        nf.games.FourRoomsPlane(sigma=-1.0)


def test_conformance():
    nf.testing.check_game(nf.games.FourRoomsPlane())
