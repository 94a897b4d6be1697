"""Social welfare against plain loops."""

import numpy as np

import nashfield as nf


def test_left_right(precision):
    game = nf.games.LeftRight()
    policy = np.array(nf.uniform_policy(game))
    for share in (0.0, 0.3, 2 / 3, 1.0):
        policy[:, :, 0], policy[:, :, 1] = share, 1 - share
        expected = -(share**2) - 2 * (1 - share) ** 2
        np.testing.assert_allclose(
            nf.social_welfare(game, policy),
            expected,
            rtol=1e-6 if precision == "float32" else 1e-14,
        )


def test_is_the_value_of_a_policy_against_its_own_flow():
    game = nf.games.BeachBar(num_states=7, horizon=4)
    policy = np.random.default_rng(0).dirichlet(np.ones(3), (4, 7))
    flow = nf.population_flow(game, policy)
    np.testing.assert_allclose(
        nf.social_welfare(game, policy), nf.evaluate(game, policy, flow).value, rtol=1e-13
    )
