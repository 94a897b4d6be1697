"""Crowds with congestion: monotonicity, the rate of fictitious play, plain loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics import sweep
from nashfield.games.zoo.congestion import CrowdGrid, CrowdLine

MAP = ("...#", ".#..", "....")


def test_line_is_monotone():
    game = CrowdLine(num_states=9, congestion=0.7)
    rng = np.random.default_rng(0)
    for _ in range(20):
        mu, nu = rng.dirichlet(np.ones(9), 2)
        gap = [np.asarray(game.state_reward(0, nf.FiniteMeanField(law))) for law in (mu, nu)]
        product = (mu - nu) @ (gap[0] - gap[1])
        np.testing.assert_allclose(product, -0.7 * 9 * np.sum((mu - nu) ** 2), rtol=1e-9)


def test_fictitious_play_converges_like_one_over_k():
    game = CrowdLine()

    def step(joint, k):
        policy = joint / jnp.maximum(joint.sum(-1, keepdims=True), 1e-300)
        current = sweep(game, policy)
        best = jax.nn.one_hot(jnp.argmax(current.optimal_advantages, -1), game.num_actions)
        joint = joint + (nf.population_flow(game, best).joint - joint) / (k + 2)
        return joint, current.exploitability

    start = nf.population_flow(game, nf.uniform_policy(game)).joint
    _, gaps = jax.jit(lambda joint: jax.lax.scan(step, joint, jnp.arange(801)))(start)
    k = np.arange(50, 801)
    slope = np.polyfit(np.log(k), np.log(np.asarray(gaps)[50:]), 1)[0]
    assert -1.1 < slope < -0.9


def test_line_in_a_plain_loop():
    game = CrowdLine(num_states=5, goal=1, attraction=3.0, congestion=0.4, effort=0.2, noise=0.3)
    law = np.array([0.1, 0.2, 0.3, 0.15, 0.25])
    crowd = nf.FiniteMeanField(law, np.full((5, 3), 1 / 3))
    table, reward = np.asarray(game.transition(0, crowd).dense()), np.asarray(game.reward(0, crowd))
    for x in range(5):
        for i, a in enumerate((-1, 0, 1)):
            row = np.zeros(5)
            for e, p in ((-1, 0.15), (0, 0.7), (1, 0.15)):
                row[min(max(x + a + e, 0), 4)] += p
            np.testing.assert_allclose(table[x, i], row, atol=1e-15)
            expected = -3.0 * abs(x - 1) / 5 - 0.4 * 5 * law[x] - 0.2 * (a != 0)
            np.testing.assert_allclose(reward[x, i], expected, rtol=1e-13)


def test_grid_in_a_plain_loop():
    game = CrowdGrid(
        rows=MAP,
        goal=(0, 2),
        attraction=3.0,
        aversion=0.2,
        effort=0.3,
        congestion=0.7,
        slowdown=0.9,
    )
    cells = [(r, c) for r in range(3) for c in range(4) if MAP[r][c] == "."]
    # Steps of the shortest walk to (0, 2), counted by hand.
    walk = dict(zip(cells, [2, 1, 0, 3, 1, 2, 4, 3, 2, 3], strict=True))
    law = np.random.default_rng(0).dirichlet(np.ones(10))
    crowd = nf.FiniteMeanField(law, np.full((10, 5), 0.2))
    table, reward = np.asarray(game.transition(0, crowd).dense()), np.asarray(game.reward(0, crowd))
    for x, (r, c) in enumerate(cells):
        density = 10 * law[x]
        for a, (dr, dc) in enumerate([(1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)]):
            target = (r + dr, c + dc) if (r + dr, c + dc) in cells else (r, c)
            row = np.zeros(10)
            row[cells.index(target)] += 1 / (1 + 0.9 * density)
            row[x] += 1 - 1 / (1 + 0.9 * density)
            np.testing.assert_allclose(table[x, a], row, atol=1e-15)
            effort = 0.3 * (a != 4) * (1 + 0.7 * density)
            expected = -3.0 * walk[r, c] / 4 - 0.2 * density - effort
            np.testing.assert_allclose(reward[x, a], expected, rtol=1e-13)


@pytest.mark.parametrize("slowdown", [0.0, 0.5])
def test_transitions_of_the_grid_depend_on_the_crowd_unless_slowdown_is_zero(slowdown):
    game = CrowdGrid(rows=MAP, slowdown=slowdown)
    spread, gathered = (
        np.asarray(game.transition(0, nf.FiniteMeanField(law)).dense())
        for law in (np.full(10, 0.1), np.eye(10)[0])
    )
    assert np.array_equal(spread, gathered) == (slowdown == 0)


@pytest.mark.parametrize(
    "game", [CrowdLine(num_states=6), CrowdGrid(rows=MAP), CrowdGrid(rows=("..",))]
)
def test_kernels(check_kernels, game):
    check_kernels(game)


@pytest.mark.parametrize("game", [CrowdLine(), CrowdGrid()])
def test_both_precisions_agree(precision, game):
    found = nf.exploitability(game, nf.uniform_policy(game))
    expected = {"CrowdLine": 12.186435610191346, "CrowdGrid": 23.919590164607506}
    rtol = 1e-12 if precision == "float64" else 1e-5
    np.testing.assert_allclose(found, expected[type(game).__name__], rtol=rtol)


def test_map_is_shown():
    display = CrowdGrid(rows=MAP).display
    assert display.shape == (3, 4)
    cells = np.asarray(display.cells).tolist()
    assert len(cells) == 10
    assert [0, 3] not in cells


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_states": 1}, "num_states must be at least 2, not 1"),
        ({"horizon": 0}, "horizon must be at least 1, not 0"),
        ({"goal": 20}, "goal must be less than num_states = 20, not 20"),
        ({"goal": -1}, "goal must be at least 0, not -1"),
        ({"congestion": -1.0}, "congestion must be finite and at least 0, not -1.0"),
        ({"noise": 2.0}, "noise must lie between 0 and 1, not 2.0"),
    ],
)
def test_bad_parameters_of_the_line(parameters, message):
    with pytest.raises(ValueError, match=message):
        CrowdLine(**parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rows": ()}, "rows must be strings of one length, at least one"),
        ({"rows": ("..", ".")}, "rows must be strings of one length, at least one"),
        ({"rows": ("..", ".x")}, "rows may hold '#' .* and '.' .* only, not 'x'"),
        ({"rows": ("##",)}, "rows must hold at least one free cell"),
        ({"rows": (".#.",)}, r"no walk leads from cell \(0, 0\) to the goal \(0, 2\)"),
        ({"goal": (1, 4)}, r"goal \(1, 4\) is not a free cell of the map"),
        ({"goal": (99, 0)}, r"goal \(99, 0\) is not a free cell of the map"),
        ({"slowdown": -0.1}, "slowdown must be finite and at least 0, not -0.1"),
        ({"attraction": np.inf}, "attraction must be finite, not inf"),
    ],
)
def test_bad_parameters_of_the_grid(parameters, message):
    with pytest.raises(ValueError, match=message):
        CrowdGrid(**parameters)
