"""Stationary Garnet, against plain loops and a simulation of its quantised moves."""

import equinox as eqx
import jax
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics import sweep
from nashfield.games.zoo.stationary_garnet import StationaryGarnet
from nashfield.testing import check_game
from nashfield.testing.stationary import reference

CROWD = np.array([0.4, 0.1, 0.2, 0.05, 0.25])


def small(**options):
    return StationaryGarnet(num_states=5, num_actions=2, num_branches=2, **options)


def law_by_hand(game, x, a):
    weights = np.zeros(5)
    for y in range(5):
        bend = sum(game.bend[w, x, a, y] * CROWD[w] for w in range(5))
        weights[y] = max(0, game.base_weight * game.base[x, a, y] + game.bend_weight * bend)
    return weights / weights.sum()


def test_moves_and_rewards_by_hand():
    game = small(base_weight=0.7, bend_weight=0.3, reward_weight=0.4, crowd_weight=0.9)
    crowd = nf.FiniteMeanField(CROWD)
    table, reward = np.asarray(game.transition(crowd).dense()), np.asarray(game.reward(crowd))
    for x, a in np.ndindex(5, 2):
        np.testing.assert_allclose(table[x, a], law_by_hand(game, x, a), atol=1e-15)
        pays = 0.4 * game.base_reward[x, a] + 0.9 * game.crowd[x] @ CROWD
        np.testing.assert_allclose(reward[x, a], pays, rtol=1e-13)


def test_quantised_moves_by_simulation():
    game = small(num_noises=7)
    table = np.asarray(game.transition(nf.FiniteMeanField(CROWD)).dense())
    for x, a in np.ndindex(5, 2):
        cumulated, row = np.cumsum(law_by_hand(game, x, a)), np.zeros(5)
        for n in range(7):
            row[min(np.searchsorted(cumulated, (n + 0.5) / 7, side="right"), 4)] += 1 / 7
        np.testing.assert_allclose(table[x, a], row, atol=1e-15)


def test_a_crowd_that_forbids_every_move_is_ignored():
    game = small(bend_weight=1.0)
    game = eqx.tree_at(lambda g: g.bend, game, np.full((5, 5, 2, 5), -9.0))
    table = np.asarray(game.transition(nf.FiniteMeanField(CROWD)).dense())
    np.testing.assert_allclose(table, game.base / game.base.sum(-1, keepdims=True), rtol=1e-14)

    def total(weight):
        bent = eqx.tree_at(lambda g: g.bend_weight, game, weight)
        return bent.transition(nf.FiniteMeanField(CROWD)).dense()[0, 0, 0]

    with jax.enable_x64(False):
        assert np.isfinite(jax.grad(total)(1.0))


def test_draws():
    game = small(seed=3)
    np.testing.assert_array_equal(game.base > 0, game.base != 0)
    assert (np.count_nonzero(game.base, -1) <= 2).all()
    np.testing.assert_array_equal(game.crowd, game.crowd.T)
    assert not np.array_equal(game.bend, small(seed=4).bend)


def test_the_crowd_settles(precision):
    game = StationaryGarnet()
    found = eqx.filter_jit(sweep)(game, nf.uniform_policy(game))
    with jax.enable_x64(True):
        judged = reference(game, nf.uniform_policy(game))
    atol = 1e-13 if precision == "float64" else 1e-6
    np.testing.assert_allclose(found.flow.states, judged.mean_field, atol=atol)
    np.testing.assert_allclose(found.exploitability, judged.best - judged.value, atol=100 * atol)
    assert found.residual < 10 * atol


def test_steps_are_counted_and_compile_nothing():
    num_traces = 0

    @eqx.filter_jit
    def residual(game):
        nonlocal num_traces
        num_traces += 1
        return sweep(game, nf.uniform_policy(game)).residual

    few, many = (residual(StationaryGarnet(settling_steps=steps)) for steps in (1, 20))
    assert few > 1000 * many > 0
    assert num_traces == 1


@pytest.mark.slow
@pytest.mark.parametrize("num_noises", [0, 8])
def test_conforms(num_noises):
    check_game(small(num_noises=num_noises, settling_steps=70 if num_noises else 10_000))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_states": 0}, "num_states must be at least 1, not 0"),
        ({"num_noises": -1}, "num_noises must be at least 0, not -1"),
        ({"settling_steps": 0}, "settling_steps must be at least 1, not 0"),
        ({"base_weight": -0.5}, "base_weight must be finite and at least 0, not -0.5"),
        ({"crowd_weight": np.nan}, "crowd_weight must be finite, not nan"),
        ({"discount": -0.1}, "discount must lie between 0 and 1, not -0.1"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        StationaryGarnet(**parameters)
