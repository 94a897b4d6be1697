"""A learnt contact level against best responses, beside the game of contact in the zoo."""

import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.games import SIRContact
from nashfield.games.rate_equilibria import judge_actions
from nashfield.neural.epidemics import judge_contact

NUM_DAYS = 41


class Lasting(SIRContact):
    """An illness of the last day still has to be paid."""

    def terminal_reward(self, mean_field):
        return jnp.asarray([0.0, -1.0, 0.0]) * self.c_I / self.gamma


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


@pytest.mark.slow
def test_same_as_the_contact_game():
    game = Lasting(c_I=0.5)
    level = 1 - 0.4 * np.exp(-(((np.arange(NUM_DAYS) - 12) / 6) ** 2))
    found, ours = judged(game, level)
    np.testing.assert_allclose(ours.exploitability, found.exploitability, rtol=1e-8)
    np.testing.assert_allclose(ours.contact_level, level, rtol=1e-12)


@pytest.mark.slow
def test_nothing_is_gained_at_equilibrium():
    game = Lasting(c_I=0.5)
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
    np.testing.assert_allclose(ours.avoidance_cost, 0.9 * saved, rtol=1e-12)
    assert 0.5 * 0.9 * saved < ours.exploitability < 0.9 * saved


@pytest.mark.parametrize("num_stages", [1, 3])
def test_infection_on_the_last_day_is_not_free(num_stages):
    """Nothing changes but that less is left to come: contact cannot jump to 1 at the end."""
    ill = np.full(num_stages, 0.02 / num_stages)
    flow = np.tile(np.concatenate([[0.9], ill, [0.08]]), (61, 1))
    ours = judge_contact(
        jnp.full(61, 0.3), jnp.full(61, 0.1), jnp.asarray(flow), c_I=5.0, c_a=jnp.asarray(1.0)
    )
    level = np.asarray(ours.best_contact_level)
    # Ill for 10 days at 5 a day, at a risk of .006 a day.
    np.testing.assert_allclose(level[-1], 1 - 0.006 * 50, rtol=1e-10)
    assert (np.diff(level) < 0).all() and level[0] < 0.85
