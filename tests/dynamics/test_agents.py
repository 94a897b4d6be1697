"""Agents draw what the policy, the initial law and the kernel say: every level in its place."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics.agents import FiniteAgents, PointAgents, agents_of
from nashfield.results import ParameterError


class Three(nf.StationaryGame):
    """Three states, three actions, random tables."""

    rows: jax.Array
    rewards: jax.Array
    num_states: int = 3
    num_actions: int = 3
    discount: float = 0.5

    def initial(self):
        return np.array([0.2, 0.0, 0.8])

    def transition(self, mean_field):
        return nf.Dense(self.rows)

    def reward(self, mean_field):
        return self.rewards + mean_field.states[0]

    def features(self):
        return np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0]])


@pytest.fixture
def agents(precision):
    rows = jax.random.dirichlet(jax.random.key(0), jnp.ones(3), (3, 3))
    game = Three(rows, jnp.arange(9.0).reshape(3, 3))
    return agents_of(game, jnp.array([[0.1, 0.3, 0.6], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]))


LEVELS = jnp.asarray((np.arange(1000) + 0.5) / 1000, jnp.float32)  # each once, in order


def shares(numbers, size=3):
    return np.bincount(np.asarray(numbers), minlength=size) / len(numbers)


def test_starts_have_the_initial_law(agents):
    np.testing.assert_allclose(shares(agents.start(LEVELS[None])), [0.2, 0, 0.8], atol=1e-3)


def test_actions_have_the_probabilities_of_the_policy(agents):
    for x in range(3):
        found = shares(agents.act(jnp.full(1000, x), LEVELS))
        np.testing.assert_allclose(found, agents.table[x], atol=1.5e-3)
        assert (found[np.asarray(agents.table[x]) == 0] == 0).all()


def test_moves_have_the_probabilities_of_the_kernel(agents):
    crowd = nf.FiniteMeanField(jnp.full(3, 1 / 3), agents.table)
    for x in range(3):
        for a in range(3):
            pair = jnp.full(1000, x), jnp.full(1000, a)
            found = shares(agents.move(*pair, crowd, LEVELS[None]))
            np.testing.assert_allclose(found, agents.game.rows[x, a], atol=1.5e-3)


def test_rewards_are_looked_up(agents):
    crowd = nf.FiniteMeanField(jnp.array([0.25, 0.5, 0.25]), agents.table)
    states, actions = jnp.array([0, 1, 2, 2]), jnp.array([2, 0, 1, 2])
    found = agents.reward(states, actions, crowd)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, [2.25, 3.25, 7.25, 8.25])
    np.testing.assert_array_equal(found, agents.rewards(crowd)(states, actions))


def test_the_crowd_is_counted(agents):
    crowd = agents.mean_field(jnp.array([2, 0, 2, 2]))
    np.testing.assert_allclose(crowd.states, [0.25, 0, 0.75])
    np.testing.assert_array_equal(crowd.policy, agents.table)
    np.testing.assert_array_equal(agents.features(jnp.array([2, 0])), [[2, 5], [0, 1]])


def test_policies_with_parameters_become_tables():
    game, policy = nf.games.MalwareSpread(num_states=5), nf.policies.SoftThreshold(theta=0.3)
    agents = agents_of(game, policy)
    assert isinstance(agents, FiniteAgents)
    np.testing.assert_array_equal(agents.table, policy.table(game))


def test_a_certain_policy_takes_no_level():
    game, policy = nf.games.MalwareSpread(num_states=5), nf.policies.Threshold(theta=0.5)
    agents = agents_of(game, policy)
    assert agents.certain
    states = jnp.arange(5)
    for level in (0.0, 0.999):
        actions = agents.act(states, jnp.full(5, level, jnp.float32))
        np.testing.assert_array_equal(actions, [0, 0, 1, 1, 1])
    crowd = nf.stationary_mean_field(game, policy)
    np.testing.assert_array_equal(
        agents.rewards(crowd)(states, actions), agents.reward(states, actions, crowd)
    )
    # What the policy does not do still has its reward.
    repaired = agents.reward(states, jnp.ones(5, jnp.int32), crowd)
    np.testing.assert_allclose(repaired, game.reward(crowd)[:, 1], rtol=1e-6)


class Points(nf.ContinuousStationaryGame):
    """x' = x + a + <z> + a level each, in the plane; parameters in double precision."""

    step: jax.Array
    discount: float = 0.5
    state_dim: int = eqx.field(static=True, default=2)
    num_actions: int = eqx.field(static=True, default=3)
    num_levels = 2

    def initial(self, levels):
        return self.step * levels

    def move(self, state, action, mean_field, levels):
        return state + self.step * action + mean_field.mean() + levels

    def reward(self, state, action, mean_field):
        return self.step * (state[0] - action)

    def optimal_value(self, mean_field):
        return jnp.zeros(())


class Mixed(nf.policies.AbstractPolicy):
    """Three actions with probabilities 1/4, 1/4, 1/2, wherever."""

    def probabilities(self, features):
        return jnp.broadcast_to(jnp.array([0.25, 0.25, 0.5]), (*features.shape[:-1], 3))


def test_agents_on_points():
    agents = agents_of(Points(jnp.asarray(2.0)), Mixed())
    assert isinstance(agents, PointAgents)
    assert agents.num_levels == 2
    levels = jnp.asarray([[0.0, 0.5], [0.25, 0.75]], jnp.float32)  # (U, N)
    states = agents.start(levels)
    np.testing.assert_allclose(states, [[0, 0.5], [1, 1.5]])
    assert states.dtype == jnp.float32  # loops keep the precision of the levels
    np.testing.assert_allclose(shares(agents.act(jnp.zeros((1000, 2)), LEVELS)), [0.25, 0.25, 0.5])
    crowd, actions = agents.mean_field(states), jnp.array([0, 2])
    np.testing.assert_allclose(crowd.mean(), [0.5, 1])
    moved = agents.move(states, actions, crowd, levels)
    np.testing.assert_allclose(moved, [[0.5, 1.75], [6, 7.25]])
    assert moved.dtype == jnp.float32
    np.testing.assert_allclose(agents.reward(states, actions, crowd), [0, -2])
    np.testing.assert_array_equal(agents.features(states), states)


def test_a_table_on_points_is_refused():
    with pytest.raises(ParameterError, match="states of Points are points, of which there is no"):
        agents_of(Points(jnp.asarray(2.0)), jnp.ones((2, 3)) / 3)


def test_no_level_draws_an_action_of_no_probability():
    """Rounding leaves sums of single precision below 1: the last level must not fall beyond."""
    rng = np.random.default_rng(0)
    rows = np.append(rng.dirichlet(np.ones(6), 2000), np.zeros((2000, 1)), 1)
    assert (np.cumsum(rows.astype(np.float32), -1)[:, -1] < 1 - 2.0**-24).any()
    game = nf.games.StationaryFourRooms()  # only a carrier: `act` looks at the table alone
    agents = FiniteAgents(game, jnp.asarray(rows))
    level = jnp.full(2000, 1 - 2.0**-24, jnp.float32)
    assert agents.act(jnp.arange(2000), level).max() == 5
