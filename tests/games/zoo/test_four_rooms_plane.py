"""Four rooms in the plane: walls block the way, not only its end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import nashfield as nf
from nashfield.games.zoo.four_rooms_plane import walk
from nashfield.results import ParameterError

# The outer ones go on behind the edge of the building, where no free strip is left.
ALONG = ((-1, 0.125), (0.175, 0.325), (0.375, 2))
WALLS = [(x, (0.225, 0.275)) for x in ALONG] + [((0.225, 0.275), y) for y in ALONG]


CORNERS = np.array([(x, y) for xs, ys in WALLS for x in xs for y in ys])


def in_wall(points, gap=0.0):
    """Whether points (..., 2) lie inside a wall, deeper than `gap`."""
    x, y = points[..., 0], points[..., 1]
    return np.any(
        [(x > a + gap) & (x < b - gap) & (y > c + gap) & (y < d - gap) for (a, b), (c, d) in WALLS],
        0,
    )


def draw_free(rng, n):
    points = rng.uniform(0, 0.5, (2 * n, 2))
    return points[~in_wall(points)][:n]


def by_small_steps(x, moves, num=4000):
    """The same walks in very many small steps, as a stranger to the formula would find them.

    Returns their ends, how often they were turned, and the least distance from a corner.
    """
    place, step = np.array(x), np.array(moves) / num
    turns, nearest = np.zeros(len(x), int), np.full(len(x), np.inf)
    for _ in range(num):
        for axis in range(2):
            ahead = place.copy()
            ahead[:, axis] += step[:, axis]
            blocked = in_wall(ahead) | (ahead[:, axis] < 0) | (ahead[:, axis] > 0.5)
            step[blocked, axis] *= -1
            turns += blocked
            place[~blocked] = ahead[~blocked]
        corner = np.abs(CORNERS[:, None] - place).max(-1).min(0)
        nearest = np.minimum(nearest, corner)
    return place, turns, nearest


move_each = jax.jit(jax.vmap(walk))


def whole_way(x, move, num):
    """Places (num + 1, 2) along the walk, in its precision, and where it was rejected."""
    moves = np.asarray(np.linspace(0, 1, num + 1)[:, None] * move, x.dtype)
    places = np.asarray(move_each(jnp.tile(x, (num + 1, 1)), jnp.asarray(moves)))
    return places.astype(np.float64), (places == x).all(-1)


places = st.floats(0, 0.5)
lengths = st.floats(0, 0.3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=150, deadline=None)
@given(x=st.tuples(places, places), length=lengths, angle=st.floats(0, 2 * np.pi))
@example(x=(0.05, 0.225), length=0.3, angle=np.pi / 2)  # on a face, into the wall
@example(x=(0.125, 0.25), length=0.2, angle=0.0)  # across a door, from its frame
@example(x=(0.2, 0.2), length=0.3, angle=np.pi / 4)  # into a corner
@example(x=(0.5, 0.5), length=0.1, angle=0.3)  # out of the building
def test_the_whole_way_is_free(dtype, x, length, angle):
    x = np.array(x, dtype)
    assume(not in_wall(x.astype(np.float64)))
    num = 256
    way, rejected = whole_way(
        jnp.asarray(x), length * np.array([np.cos(angle), np.sin(angle)]), num
    )
    # Faces are rounded to the precision too.
    assert not in_wall(way, 1e-7).any()
    assert (way >= 0).all()
    assert (way <= 0.5).all()
    # Between neighbours on the way there is no wall: they are nearer than a wall is thick.
    gaps = np.linalg.norm(np.diff(way, axis=0), axis=-1)
    both = ~rejected[1:] & ~rejected[:-1]
    assert (gaps[both] <= length / num * (1 + 1e-3) + 1e-6).all()


def test_nobody_is_ever_inside_a_wall_or_outside(precision):
    rng = np.random.default_rng(0)
    x = jnp.asarray(draw_free(rng, 100_000))
    for scale in (0.01, 0.05, 0.2, 1.0):
        x = move_each(x, jnp.asarray(rng.normal(0, scale, x.shape), x.dtype))
        points = np.asarray(x, np.float64)
        assert np.isfinite(points).all()
        assert not in_wall(points, 1e-7).any()
        assert (points >= 0).all()
        assert (points <= 0.5).all()


@pytest.mark.slow
def test_a_walk_ends_where_very_small_steps_end():
    rng = np.random.default_rng(1)
    start = draw_free(rng, 600)
    moves = rng.normal(0, 0.15, start.shape)
    ends = np.asarray(move_each(jnp.asarray(start), jnp.asarray(moves)))
    slow, turns, nearest = by_small_steps(start, moves)
    step = np.abs(moves).max(-1) / 4000
    # Near a corner small steps may pass on the wrong side.
    sure = nearest > 2 * step
    assert sure.sum() > 500
    counts = np.bincount(turns[sure], minlength=5)
    error = np.abs(ends - slow).max(-1)
    few = sure & (turns <= 2)
    assert (error[few] <= 2 * (turns[few] + 1) * step[few]).all()
    assert np.array_equal(ends[sure & (turns > 2)], start[sure & (turns > 2)])
    assert (counts[:3] > 10).all()
    assert counts[3:].sum() > 10


@pytest.mark.slow
def test_a_crowd_spread_evenly_stays_so():
    # Mirrors keep areas: no cell beside a wall fills up or empties.
    rng = np.random.default_rng(2)
    x = jnp.asarray(draw_free(rng, 200_000))
    moves = rng.normal(0, 0.04, (5, *x.shape))
    for move in moves:
        x = move_each(x, jnp.asarray(move))
    counts, _, _ = np.histogram2d(*np.asarray(x).T, bins=100, range=[[0, 0.5]] * 2)
    # 8500 of the 10,000 cells are free: chi squared with 8499 degrees of freedom.
    expected = len(x) / 8500
    free = counts[counts > 0]
    assert len(free) == 8500
    chi = np.sum((free - expected) ** 2) / expected
    assert abs(chi - 8499) < 4 * np.sqrt(2 * 8499)


@pytest.mark.parametrize("speed", [0.06, 0.1, 0.2])
def test_a_wall_mirrors_what_is_left_of_the_way(speed):
    # Towards the middle of a wall .05 thick, from either side and upright.
    for start, way, face in (
        ((0.05, 0.2), (0, 1), 0.225),
        ((0.05, 0.3), (0, -1), 0.275),
        ((0.2, 0.05), (1, 0), 0.225),
        ((0.3, 0.45), (-1, 0), 0.275),
    ):
        end = np.asarray(walk(jnp.array(start), speed * jnp.array(way, float)))
        axis = int(way[1] != 0)
        assert end[axis] == pytest.approx(2 * face - start[axis] - speed * way[axis])
        assert end[1 - axis] == start[1 - axis]


def test_the_edge_mirrors_and_so_does_a_corner():
    end = np.asarray(walk(jnp.array([0.02, 0.1]), jnp.array([-0.05, 0.03])))
    assert end == pytest.approx([0.03, 0.13])
    # Into the corner of the wall in the middle, and out of it again, the way back.
    end = np.asarray(walk(jnp.array([0.2, 0.19]), jnp.array([0.1, 0.1])))
    assert end == pytest.approx([0.15, 0.16])
    end = np.asarray(walk(jnp.array([0.2, 0.2]), jnp.array([0.1, 0.1])))
    assert end == pytest.approx([0.15, 0.15])


def test_a_third_face_rejects_the_step():
    # To and fro in a door .05 wide.
    start = jnp.array([0.15, 0.25])
    assert np.asarray(walk(start, jnp.array([0.12, 0.0]))) == pytest.approx([0.17, 0.25])
    assert np.array_equal(walk(start, jnp.array([0.13, 0.0])), start)


def test_doors_are_open_and_only_so_wide():
    for middle in (0.15, 0.35):
        through = np.asarray(walk(jnp.array([middle, 0.2]), jnp.array([0.0, 0.1])))
        assert through == pytest.approx([middle, 0.3])
        through = np.asarray(walk(jnp.array([0.3, middle]), jnp.array([-0.1, 0.0])))
        assert through == pytest.approx([0.2, middle])
        for side in (-0.0251, 0.0251):
            end = np.asarray(walk(jnp.array([middle + side, 0.2]), jnp.array([0.0, 0.1])))
            assert end == pytest.approx([middle + side, 0.15])
    # Aslant through a door, where both ends of the way are free and the way is not.
    end = np.asarray(walk(jnp.array([0.11, 0.22]), jnp.array([0.08, 0.06])))
    assert end == pytest.approx([0.19, 0.17])


def test_no_step_of_the_game_is_rejected():
    game = nf.games.FourRoomsPlane()
    rng = np.random.default_rng(3)
    x = draw_free(rng, 100_000)
    angle = rng.uniform(0, 2 * np.pi, len(x))
    longest = float(game.max_speed * game.time_step + 5 * game.sigma)
    ends = move_each(jnp.asarray(x), longest * jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1))
    assert (np.asarray(ends) != x).any(-1).all()


def test_along_a_wall_and_away_from_it_the_way_is_free():
    for dtype in (jnp.float32, jnp.float64):
        on_face = jnp.array([0.05, 0.225], dtype)
        end = np.asarray(walk(on_face, jnp.array([0.05, 0.0], dtype)))
        assert end == pytest.approx([0.1, 0.225])
        end = np.asarray(walk(on_face, jnp.array([0.0, -0.1], dtype)))
        assert end == pytest.approx([0.05, 0.125])
        end = np.asarray(walk(on_face, jnp.array([0.0, 0.1], dtype)))
        assert end == pytest.approx([0.05, 0.125])
        assert np.array_equal(walk(on_face, jnp.zeros(2, dtype)), on_face)


def test_derivatives_are_finite():
    slope = jax.jacobian(walk, argnums=(0, 1))
    for move, signs in (
        ([0.0, 0.0], (1, 1)),
        ([0.03, 0.0], (1, 1)),
        ([0.0, 0.1], (1, -1)),
        ([-0.1, 0.1], (-1, -1)),
    ):
        for part in slope(jnp.array([0.05, 0.2]), jnp.array(move)):
            assert np.array_equal(part, np.diag(signs))
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


@pytest.mark.slow
def test_conformance():
    nf.testing.check_game(nf.games.FourRoomsPlane())


def test_masses_of_the_rooms(precision):
    game = nf.games.FourRoomsPlane()
    states = jnp.array(
        [[0.1, 0.1], [0.2, 0.4], [0.225, 0.275], [0.3, 0.1], [0.4, 0.4], [0.25, 0.15], [0.6, 0.1]]
    )
    assert np.asarray(game.room_masses(states)) * 7 == pytest.approx([1, 2, 1, 1])
    weights = jnp.array([0.1, 0.2, 0.3, 0.0, 0.15, 0.05, 0.2])
    both = game.room_masses(jnp.stack([states, states]), jnp.stack([weights, weights[::-1]]))
    assert np.asarray(both) == pytest.approx(np.array([[0.1, 0.5, 0, 0.15], [0.2, 0.2, 0, 0.3]]))
    # 18 x 18 cells to a room, 16 to a door.
    cells = game.room_masses(jnp.asarray(game.free_cells()))
    assert np.asarray(cells) * 1360 == pytest.approx([324] * 4, rel=1e-5)
