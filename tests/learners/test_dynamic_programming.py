"""Best responses against all deterministic policies, one by one."""

import itertools

import jax
import numpy as np

import nashfield as nf
from nashfield.learners import greedy, optimal_values


def test_no_deterministic_policy_does_better(precision):
    game = nf.games.SusceptibleInfected(horizon=3)
    crowd = np.random.default_rng(0).dirichlet(np.ones(2), (3, 2))
    flow = nf.population_flow(game, crowd)
    every = [np.eye(2)[np.reshape(c, (3, 2))] for c in itertools.product(range(2), repeat=6)]
    values = [float(nf.evaluate(game, policy, flow)) for policy in every]
    best = every[int(np.argmax(values))]
    tolerance = 1e-13 if precision == "float64" else 1e-6
    found = nf.best_response(game, flow)
    np.testing.assert_allclose(optimal_values(game, flow).value, max(values), atol=tolerance)
    np.testing.assert_allclose(nf.evaluate(game, found, flow).value, max(values), atol=tolerance)
    np.testing.assert_allclose(
        nf.exploitability(game, crowd),
        max(values) - float(nf.evaluate(game, crowd, flow)),
        atol=tolerance,
    )
    assert sorted(values)[-2] < max(values) - 1e-3  # the best one is alone
    np.testing.assert_array_equal(found, best)


def test_ties_are_shared():
    found = greedy(np.array([[1.0, 3.0, 3.0], [2.0, 0.0, -1.0]]))
    np.testing.assert_allclose(found, [[0, 0.5, 0.5], [1, 0, 0]])


def test_start_regrets_average_to_the_exploitability():
    game = nf.games.RockPaperScissors()
    policy = nf.random_policy(game, key=jax.random.key(1))
    regrets = nf.metrics.start_regrets(game, policy)
    assert regrets.shape == (game.num_states,) and np.all(regrets >= 0)
    np.testing.assert_allclose(game.initial() @ regrets, nf.exploitability(game, policy))
