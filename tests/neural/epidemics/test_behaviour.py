"""A learnt contact level against best responses, beside the game of contact in the zoo."""

import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.games import SIRContact
from nashfield.games.rate_equilibria import judge_actions
from nashfield.neural.epidemics import judge_contact

NUM_DAYS = 41


def judged(game, level):
    policy = np.ones((NUM_DAYS, 3))
    policy[:, 0] = level
    found = judge_actions(game, policy)
    ours = judge_contact(
        jnp.asarray(0.4 * level),
        jnp.full(NUM_DAYS, 0.125),
        found.flow.states,
        c_I=game.c_I,
        c_a=game.c_a,
        full=0.4,
    )
    return found, ours


def test_same_as_the_contact_game():
    game = SIRContact(c_I=0.5)
    level = 1 - 0.4 * np.exp(-(((np.arange(NUM_DAYS) - 12) / 6) ** 2))
    found, ours = judged(game, level)
    np.testing.assert_allclose(ours.exploitability, found.exploitability, rtol=1e-8)
    np.testing.assert_allclose(ours.contact_level, level, rtol=1e-12)


def test_nothing_is_gained_at_equilibrium():
    game = SIRContact(c_I=0.5)
    equilibrium = game.equilibrium(num_steps=NUM_DAYS - 1)
    _, ours = judged(game, np.asarray(equilibrium.policy[:, 0]))
    assert abs(ours.exploitability) < 1e-6
    np.testing.assert_allclose(ours.best_contact_level, equilibrium.policy[:, 0], atol=1e-6)


@pytest.mark.parametrize("num_stages", [1, 3])
def test_illness_that_costs_nothing_is_not_avoided(num_stages):
    level = np.linspace(1, 0.5, NUM_DAYS)
    flow = np.tile(
        np.concatenate([[0.9], np.full(num_stages + 1, 0.1 / (num_stages + 1))]), (41, 1)
    )
    ours = judge_contact(
        jnp.asarray(0.3 * level), jnp.full(NUM_DAYS, 0.1), jnp.asarray(flow), c_I=0.0
    )
    np.testing.assert_allclose(ours.best_contact_level, 1)
    # The avoidance that the susceptible could have saved themselves, infections aside.
    saved = np.trapezoid((1 - level) ** 2 / 2)
    assert 0.5 * 0.9 * saved < ours.exploitability < 0.9 * saved
