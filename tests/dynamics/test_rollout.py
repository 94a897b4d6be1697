"""Played crowds and trajectories against exact laws and values."""

import jax
import jax.numpy as jnp
import numpy as np

import nashfield as nf
from nashfield.dynamics.agents import agents_of
from nashfield.dynamics.draws import Draws
from nashfield.dynamics.rollout import play_paths, play_returns


def test_paths_are_the_returns_told_step_by_step(precision):
    game = nf.games.MalwareSpread(num_states=11)
    agents = agents_of(game, nf.policies.SoftThreshold(theta=0.3))
    crowd = nf.stationary_mean_field(game, agents.table)
    draws = Draws(jax.random.key(0))
    sizes = {"num_trajectories": 50, "num_steps": 20}
    paths = play_paths(agents, crowd, draws, **sizes)
    assert paths.states.shape == paths.actions.shape == paths.rewards.shape == (20, 50)
    states, actions = np.asarray(paths.states), np.asarray(paths.actions)
    reward = np.asarray(game.reward(crowd))
    np.testing.assert_allclose(paths.rewards, reward[states, actions], rtol=1e-6)
    # Strict convention: repair leads to 0, neglect upwards except from the last cell.
    moved, last = states[1:], states[:-1] == 10
    np.testing.assert_array_equal(moved[actions[:-1] == 1], 0)
    assert (moved > states[:-1])[(actions[:-1] == 0) & ~last].all()
    returns = jnp.asarray(0.9) ** jnp.arange(20) @ paths.rewards
    np.testing.assert_allclose(returns, play_returns(agents, crowd, draws, **sizes), rtol=1e-5)
