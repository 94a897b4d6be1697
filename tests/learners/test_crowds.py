"""How learners come to know the crowd: exactly, or by playing."""

import equinox as eqx
import jax
import numpy as np
import pytest

import nashfield as nf
from nashfield.learners.crowds import ExactCrowd, PlayedCrowd
from nashfield.results import ParameterError

GAME = nf.games.MalwareSpread(num_states=21)
POLICY = nf.policies.SoftThreshold(theta=0.4, temperature=0.1)
KEY = jax.random.key(4)


@pytest.mark.slow
def test_the_exact_crowd_is_the_stationary_mean_field(precision):
    found = ExactCrowd()(GAME, POLICY, key=KEY)
    exact = nf.stationary_mean_field(GAME, POLICY)
    np.testing.assert_allclose(found.states, exact.states, rtol=1e-5)
    np.testing.assert_allclose(found.policy, exact.policy)


@pytest.mark.parametrize("generator", ["jax", "hash"])
def test_the_played_crowd_is_the_estimate(generator):
    sizes = {"num_agents": 300, "num_steps": 40, "num_batches": 4, "generator": generator}
    crowd = PlayedCrowd(**sizes)
    found = eqx.filter_jit(crowd)(GAME, POLICY, key=KEY)
    same = nf.stationary_mean_field(GAME, POLICY, key=KEY, **sizes)
    np.testing.assert_allclose(found.states, same.states, rtol=1e-6)
    # Shares of 300 agents, averaged over 4 batches.
    counts = np.asarray(found.states) * 1200
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-3)


def test_the_mean_of_many_batches_has_the_exact_law():
    crowd = PlayedCrowd(num_agents=100, num_steps=50, num_batches=100, generator="hash")
    found = np.asarray(eqx.filter_jit(crowd)(GAME, POLICY, key=KEY).states)
    exact = np.asarray(nf.stationary_mean_field(GAME, POLICY).states)
    there = exact > 1e-6
    statistic = 10_000 * np.sum((found - exact)[there] ** 2 / exact[there])
    freedom = there.sum() - 1
    assert abs(statistic - freedom) < 4 * np.sqrt(2 * freedom)


def test_particles_of_all_batches_are_one_crowd():
    crowd = PlayedCrowd(num_agents=50, num_steps=10, num_batches=3)
    found = crowd(nf.games.ContinuousMalwareSpread(), POLICY, key=KEY)
    assert found.states.shape == (150, 1)
    assert len(np.unique(np.asarray(found.states)[np.asarray(found.states) > 0])) > 60


def test_a_crowd_that_has_not_settled_shows_it():
    # Nobody is ever repaired: all climb to the top, within some tens of moves.
    never = nf.policies.Threshold(theta=1.0)
    game = nf.games.ContinuousMalwareSpread()
    drift = {
        steps: float(PlayedCrowd(num_steps=steps).estimate(game, never, key=KEY).drift)
        for steps in (4, 400)
    }
    assert drift[4] > 20
    assert drift[400] < 5


def test_another_policy_or_key_compiles_nothing():
    traces = []

    @eqx.filter_jit
    def play(crowd, policy, key):
        traces.append(None)
        return crowd(GAME, policy, key=key)

    for theta, seed in ((0.3, 0), (0.7, 1)):
        policy = nf.policies.SoftThreshold(theta=theta)
        play(PlayedCrowd(num_agents=20, num_steps=5), policy, jax.random.key(seed))
    assert len(traces) == 1


def test_sizes_are_checked_at_construction():
    with pytest.raises(ParameterError, match="num_steps must be an integer of at least 1, not 0"):
        PlayedCrowd(num_steps=0)
    with pytest.raises(ParameterError, match="generator must be"):
        PlayedCrowd(generator="pcg")
