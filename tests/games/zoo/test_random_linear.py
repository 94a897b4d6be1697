"""Random linear games, against loops and against an independent implementation."""

import equinox as eqx
import numpy as np

import nashfield as nf
from nashfield.games.zoo.random_linear import RandomLinear


def drawn(num_states, num_actions, horizon, seed, scale):
    """A game with arrays of our own, uniform on [-scale, scale]."""
    rng = np.random.default_rng(seed)
    shapes = [(num_states,) * 3, (num_states, num_states, num_actions), (num_states,) * 2]
    arrays = [rng.uniform(-scale, scale, s) for s in (*shapes, (num_states, num_actions))]
    game = RandomLinear(num_states, num_actions, horizon, coupling=1.0)
    return eqx.tree_at(lambda g: (g.p1, g.p2, g.r1, g.r2), game, tuple(arrays)), rng


def test_against_loops():
    game, rng = drawn(3, 2, 1, 0, 2.0)
    law, policy = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(2), 3)
    mean_field = nf.FiniteMeanField(law, policy)
    reward, table = np.empty((3, 2)), np.empty((3, 2, 3))
    for x in range(3):
        for a in range(2):
            crowd = [law[k] * policy[k, a] for k in range(3)]
            reward[x, a] = np.dot(game.r1[x], crowd) + game.r2[x, a]
            weights = np.exp([np.dot(game.p1[y, x], crowd) + game.p2[y, x, a] for y in range(3)])
            table[x, a] = weights / weights.sum()
    np.testing.assert_allclose(game.reward(0, mean_field), reward, rtol=1e-12)
    np.testing.assert_allclose(game.transition(0, mean_field).dense(), table, rtol=1e-12)


def test_against_mfglib():
    # Exploitability by mfglib 0.3.0 in double precision with these arrays, of the uniform policy
    # and of one drawn at random.
    game, rng = drawn(4, 4, 3, 7, 3.0)
    weights = rng.random((3, 4, 4))
    policy = weights / weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(
        nf.exploitability(game, nf.uniform_policy(game)), 6.081238626472605, rtol=1e-12
    )
    np.testing.assert_allclose(nf.exploitability(game, policy), 6.029634641661555, rtol=1e-12)


def test_the_coupling_scales_all_four_arrays():
    game = RandomLinear(4, 3, 2, coupling=6.0, seed=2)
    scaled = eqx.tree_at(
        lambda g: (g.p1, g.p2, g.r1, g.r2, g.coupling),
        game,
        (6 * game.p1, 6 * game.p2, 6 * game.r1, 6 * game.r2, np.asarray(1.0)),
    )
    policy = nf.uniform_policy(game)
    np.testing.assert_allclose(
        nf.exploitability(game, policy), nf.exploitability(scaled, policy), rtol=1e-12
    )
    for array in (game.p1, game.p2, game.r1, game.r2):
        assert np.abs(array).max() <= 1
