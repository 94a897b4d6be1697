"""Played crowds and trajectories against exact laws and values, and closed forms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics.agents import agents_of
from nashfield.dynamics.draws import draws_of
from nashfield.dynamics.rollout import play_paths, play_returns, play_snapshots

POLICIES = (nf.policies.Threshold(theta=0.3), nf.policies.SoftThreshold(theta=0.3, temperature=0.1))


@pytest.fixture(params=["jax", "hash"])
def generator(request):
    return request.param


@pytest.fixture
def paired(precision):
    """Each generator in one precision: half the programs to compile."""
    return "jax" if precision == "float64" else "hash"


@eqx.filter_jit
def returns(game, policy, mean_field, key, generator, size=20_000):
    draws = draws_of(key, generator)
    sizes = {"num_trajectories": size, "num_steps": 200}
    return play_returns(agents_of(game, policy), mean_field, draws, **sizes)


@eqx.filter_jit
def crowd(game, policy, key, generator, size=20_000, num_steps=100):
    sizes = {"num_agents": size, "num_steps": num_steps}
    agents = agents_of(game, policy)
    return agents.mean_field(play_snapshots(agents, draws_of(key, generator), **sizes)[1])


@pytest.mark.parametrize("policy", POLICIES, ids=["threshold", "soft"])
def test_mean_returns_are_the_exact_value(policy, paired):
    game = nf.games.MalwareSpread()
    mean_field = nf.stationary_mean_field(game, policy)
    exact = nf.policy_values(game, policy.table(game), mean_field).value
    found = np.asarray(returns(game, policy, mean_field, jax.random.key(1), paired), float)
    assert abs(found.mean() - exact) < 4 * found.std() / np.sqrt(len(found))


@pytest.mark.parametrize("policy", POLICIES, ids=["threshold", "soft"])
def test_a_played_crowd_has_the_stationary_law(policy, paired):
    game = nf.games.MalwareSpread(num_states=21)
    exact = np.asarray(nf.stationary_mean_field(game, policy).states, float)
    found = np.asarray(crowd(game, policy, jax.random.key(2), paired).states, float)
    assert found.sum() == pytest.approx(1, abs=1e-6)
    # Pearson's statistic over the states where somebody can be; its mean is their number less one.
    there = exact > 1e-6
    assert found[~there].sum() == 0
    statistic = 20_000 * np.sum((found - exact)[there] ** 2 / exact[there])
    freedom = there.sum() - 1
    assert abs(statistic - freedom) < 4 * np.sqrt(2 * freedom)


class Moved(nf.StationaryGame):
    """The more agents are in state 1, the more leave state 0: z' = (1 - z) (1 + z) / 2 + z / 2."""

    num_states: int = 2
    num_actions: int = 1
    discount: float = 0.5

    def initial(self):
        return np.array([1.0, 0.0])

    def transition(self, mean_field):
        up = (1 + mean_field.states[1]) / 2
        rows = jnp.stack([jnp.stack([1 - up, up]), jnp.asarray([0.5, 0.5], up.dtype)])
        return nf.Dense(rows[:, None])

    def reward(self, mean_field):
        return jnp.zeros((2, 1))


def test_agents_move_among_the_crowd_that_they_are(generator):
    # z = (1 - z)(1 + z) / 2 + z / 2 has the root z^2 + z - 1 = 0.
    found = crowd(Moved(), jnp.ones((2, 1)), jax.random.key(0), generator, size=100_000).states[1]
    # The noise of one move is at most sqrt(1/4n); it is passed on with |dPhi/dz| = z - 1/2 < .2.
    assert abs(found - (np.sqrt(5) - 1) / 2) < 4 * 0.5 / np.sqrt(100_000) / 0.8


def test_agents_on_points_match_closed_forms(paired):
    game, policy = nf.games.ContinuousMalwareSpread(), nf.policies.Threshold(theta=0.4)
    found = np.asarray(crowd(game, policy, jax.random.key(3), paired).states, float)[:, 0]
    level = np.log(1 - 0.4)
    mean = ((1 - 0.4) / 2 - level) / (2 - level)
    assert abs(found.mean() - mean) < 4 * found.std() / np.sqrt(len(found))
    healthy = 1 / (2 - level)
    assert abs((found == 0).mean() - healthy) < 4 * np.sqrt(healthy * (1 - healthy) / len(found))
    among = nf.Particles(jnp.full((1, 1), mean))
    values = np.asarray(returns(game, policy, among, jax.random.key(4), paired), float)
    assert abs(values.mean() - value_on_points(0.4, mean)) < 4 * values.std() / np.sqrt(len(values))


def value_on_points(theta, mean, cells=4000):
    """J of a threshold policy, by plain iteration of V on midpoints of cells."""
    x = (np.arange(cells) + 0.5) / cells
    reward = -(0.2 + mean) * x - 0.5 * (x >= theta)
    values, healthy = np.zeros(cells), 0.0  # V at the midpoints, and at 0
    for _ in range(400):
        above = np.append(np.cumsum(values[::-1])[::-1], 0) / cells
        # Of its own cell half lies above a midpoint.
        ahead = (above[1:] + values / (2 * cells)) / (1 - x)
        now = reward + 0.9 * np.where(x >= theta, healthy, ahead)
        values, healthy = now, 0.9 * above[0]
    return values.mean()


def test_paths_are_the_returns_told_step_by_step(paired):
    game = nf.games.MalwareSpread(num_states=11)
    agents = agents_of(game, nf.policies.SoftThreshold(theta=0.3))
    mean_field = nf.stationary_mean_field(game, agents.table)
    draws = draws_of(jax.random.key(0), paired)
    sizes = {"num_trajectories": 50, "num_steps": 20}
    paths = eqx.filter_jit(play_paths)(agents, mean_field, draws, **sizes)
    assert paths.states.shape == paths.actions.shape == paths.rewards.shape == (20, 50)
    states, actions = np.asarray(paths.states), np.asarray(paths.actions)
    reward = np.asarray(game.reward(mean_field))
    np.testing.assert_allclose(paths.rewards, reward[states, actions], rtol=1e-6)
    # Strict convention: repair leads to 0, neglect upwards except from the last cell.
    moved, last = states[1:], states[:-1] == 10
    np.testing.assert_array_equal(moved[actions[:-1] == 1], 0)
    assert (moved > states[:-1])[(actions[:-1] == 0) & ~last].all()
    total = jnp.asarray(0.9) ** jnp.arange(20) @ paths.rewards
    found = eqx.filter_jit(play_returns)(agents, mean_field, draws, **sizes)
    np.testing.assert_allclose(total, found, rtol=1e-5)


def test_paths_on_points():
    game, policy = nf.games.ContinuousMalwareSpread(), nf.policies.Threshold(theta=0.5)
    draws = draws_of(jax.random.key(0))
    among = nf.Particles(jnp.full((1, 1), 0.3))
    sizes = {"num_trajectories": 7, "num_steps": 9}
    paths = play_paths(agents_of(game, policy), among, draws, **sizes)
    assert paths.states.shape == (9, 7, 1)
    x, a = np.asarray(paths.states)[..., 0], np.asarray(paths.actions)
    np.testing.assert_array_equal(a, x >= 0.5)
    np.testing.assert_allclose(paths.rewards, -(0.2 + 0.3) * x - 0.5 * a, rtol=1e-5)
    assert (np.where(a[:-1] == 1, x[1:] == 0, x[1:] >= x[:-1])).all()


def test_snapshots_are_those_of_shorter_crowds():
    game = nf.games.MalwareSpread(num_states=11)
    agents, draws = agents_of(game, POLICIES[1]), draws_of(jax.random.key(0))
    middle, last = play_snapshots(agents, draws, num_agents=40, num_steps=7)
    states = agents.start(draws.levels(jnp.asarray(7), (1, 40)))
    for k in range(7):
        if k == 3:
            np.testing.assert_array_equal(middle, states)
        levels = draws.levels(jnp.asarray(k), (2, 40))
        crowd = agents.mean_field(states)
        states = agents.move(states, agents.act(states, levels[0]), crowd, levels[1:])
    np.testing.assert_array_equal(last, states)


def test_everything_follows_from_the_key(generator):
    game, policy = nf.games.MalwareSpread(num_states=11), POLICIES[1]
    mean_field = nf.stationary_mean_field(game, policy)
    first, again, other = (
        returns(game, policy, mean_field, jax.random.key(seed), generator, 50) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert (np.asarray(first) != np.asarray(other)).mean() > 0.9


def test_other_numbers_compile_nothing(generator):
    traces = []

    @eqx.filter_jit
    def both(game, policy, mean_field, key):
        traces.append(None)
        agents, draws = agents_of(game, policy), draws_of(key, generator)
        sizes = {"num_steps": 5}
        return (
            play_snapshots(agents, draws, num_agents=10, **sizes),
            play_returns(agents, mean_field, draws, num_trajectories=10, **sizes),
        )

    for theta, cost, discount, seed in ((0.3, 0.5, 0.9, 0), (0.6, 0.4, 0.8, 1)):
        game = nf.games.MalwareSpread(num_states=11, repair_cost=cost, discount=discount)
        policy = nf.policies.SoftThreshold(theta=theta)
        both(game, policy, nf.stationary_mean_field(game, policy), jax.random.key(seed))
    assert len(traces) == 1


def test_a_hundred_seeds_are_one_program(generator):
    game, policy = nf.games.MalwareSpread(num_states=11), POLICIES[1]
    mean_field = nf.stationary_mean_field(game, policy)
    keys = jax.random.split(jax.random.key(0), 100)
    found = jax.vmap(lambda key: returns(game, policy, mean_field, key, generator, 20))(keys)
    assert found.shape == (100, 20)
    alone = returns(game, policy, mean_field, keys[42], generator, 20)
    np.testing.assert_allclose(found[42], alone, rtol=1e-6)
    crowds = jax.vmap(lambda key: crowd(game, policy, key, generator, 20, 30))(keys)
    assert crowds.states.shape == (100, 11)
    np.testing.assert_allclose(
        crowds.states[42], crowd(game, policy, keys[42], generator, 20, 30).states
    )
