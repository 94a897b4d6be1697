"""Environments for Gymnasium and PettingZoo, checked by those and against plain NumPy."""

import sys
from typing import ClassVar

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from jaxtyping import Float
from pettingzoo.test import parallel_api_test, parallel_seed_test

import nashfield as nf
from nashfield import adapters
from nashfield.adapters import moves
from nashfield.mean_fields import Flow, Gaussian, Particles, Uniform
from nashfield.results import ParameterError
from nashfield.typing import Array, scalar

HORIZON = 4


class Drift(nf.ContinuousGame):
    """x' = .9 x + a + .2 mean + .1 mean action + .3 noise, to be kept near 1."""

    horizon: int = eqx.field(static=True, default=HORIZON)
    price: Float[Array, ""] = eqx.field(converter=scalar, default=2.0)
    low: float = eqx.field(static=True, default=-np.inf)
    high: float = eqx.field(static=True, default=np.inf)
    state_dim: ClassVar[int] = 1
    control_dim: ClassVar[int] = 1

    @property
    def control_bounds(self):
        return np.full(1, self.low), np.full(1, self.high)

    def initial(self):
        return Uniform(np.full(1, -1.0), np.full(1, 1.0))

    def step(self, t, x, a, mean_field, noise):
        crowd = 0.2 * mean_field.mean() + 0.1 * mean_field.mean_action()
        return 0.9 * x + a + crowd + 0.3 * noise

    def reward(self, t, x, a, mean_field):
        return -self.price * a[0] ** 2 - (x[0] - mean_field.mean()[0]) ** 2 - 0.1 * t

    def terminal_reward(self, x, mean_field):
        return 10 * x[0] + mean_field.mean()[0]

    def observe(self, x):
        return jnp.stack([x[0], jnp.sin(x[0])])


MEANS = np.linspace(0, 1, HORIZON + 1)
ACTIONS = np.array([0.4, 0.3, 0.2, 0.1])


def crowd() -> Flow:
    laws = Gaussian(MEANS[:, None], np.full((HORIZON + 1, 1, 1), 0.3))
    return Flow(laws, action_mean=ACTIONS[:, None])


def test_gymnasium_finds_nothing_to_say():
    check_env(adapters.gymnasium_env(Drift(), crowd()), skip_render_check=True)


def test_gymnasium_finds_nothing_to_say_of_particles():
    states = np.random.default_rng(0).uniform(-1, 1, (HORIZON + 1, 50, 1))
    flow = Flow(Particles(states), action_mean=ACTIONS[:, None])
    check_env(adapters.gymnasium_env(Drift(), flow), skip_render_check=True)


def test_pettingzoo_finds_nothing_to_say():
    parallel_api_test(adapters.pettingzoo_env(Drift(), num_agents=3), num_cycles=20)
    parallel_seed_test(lambda: adapters.pettingzoo_env(Drift(), num_agents=3), num_cycles=20)


@pytest.mark.parametrize("name", ["FourRoomsPlane", "LocalEntropy"])
def test_densities_of_particles(name):
    """Games of the zoo that read the crowd's density, on the line and in the plane."""
    game = getattr(nf.games, name)()
    start = game.initial().sample(jax.random.key(0), 40)
    states = np.stack([start] * (game.horizon + 1))
    check_env(adapters.gymnasium_env(game, Flow(Particles(states))), skip_render_check=True)
    parallel_api_test(adapters.pettingzoo_env(game, num_agents=4), num_cycles=50)


def test_an_episode_against_the_crowd(precision):
    env = adapters.gymnasium_env(Drift(price=3.0), crowd())
    seen, info = env.reset(seed=5)
    assert info == {}
    x = seen[1]
    # The generator: one number for the start, then the noise of every move.
    generator = gymnasium.utils.seeding.np_random(5)[0]
    generator.integers(2**32)
    for t in range(HORIZON):
        assert seen.dtype == np.float32
        np.testing.assert_allclose(seen, [t / HORIZON, x, np.sin(x)], atol=1e-6)
        a = 0.5 - 0.2 * t
        seen, reward, terminated, truncated, info = env.step(np.array([a], np.float32))
        expected = -3 * a**2 - (x - MEANS[t]) ** 2 - 0.1 * t
        noise = generator.standard_normal()
        x = 0.9 * x + a + 0.2 * MEANS[t] + 0.1 * ACTIONS[t] + 0.3 * noise
        if t == HORIZON - 1:
            expected += 10 * x + MEANS[HORIZON]
        assert isinstance(reward, float)
        np.testing.assert_allclose(reward, expected, rtol=1e-5)
        assert terminated is (t == HORIZON - 1)
        assert truncated is False
    np.testing.assert_allclose(seen, [1, x, np.sin(x)], rtol=1e-5)


def test_starts_follow_the_initial_law():
    env = adapters.gymnasium_env(Drift(), crowd())
    env.reset(seed=0)
    starts = np.array([env.reset()[0][1] for _ in range(400)])
    assert len(np.unique(starts)) == 400
    assert np.abs(starts).max() <= 1
    assert abs(starts.mean()) < 4 / np.sqrt(3 * 400)
    assert abs((starts**2).mean() - 1 / 3) < 4 * np.sqrt((1 / 5 - 1 / 9) / 400)


def test_many_agents_play_what_one_plays():
    one = adapters.gymnasium_env(Drift(), crowd())
    many = adapters.gymnasium_vector_env(Drift(), crowd(), num_envs=1)
    seen, _ = one.reset(seed=3)
    seen_many, _ = many.reset(seed=3)
    for t in range(2 * HORIZON):
        np.testing.assert_array_equal(seen_many, seen[None])
        seen, reward, over, _, _ = one.step(np.array([0.1 * t]))
        seen_many, rewards, overs, truncated, infos = many.step(np.array([[0.1 * t]]))
        np.testing.assert_allclose(rewards, [reward])
        assert overs.tolist() == [over]
        assert truncated.tolist() == [False]
        assert ("final_obs" in infos) == over
        if over:
            assert infos["_final_obs"].tolist() == [True]
            np.testing.assert_array_equal(infos["final_obs"][0], seen)
            seen, _ = one.reset()


def test_many_agents_have_noise_and_starts_of_their_own():
    env = adapters.gymnasium_vector_env(Drift(), crowd(), num_envs=100)
    seen, _ = env.reset(seed=0)
    assert env.observation_space.contains(seen)
    assert len(np.unique(seen[:, 1])) == 100
    after, *_ = env.step(np.zeros((100, 1)))
    noise = (after[:, 1] - 0.9 * seen[:, 1] - 0.1 * ACTIONS[0]) / 0.3
    assert abs(noise.mean()) < 4 / np.sqrt(100)
    assert 0.6 < noise.std() < 1.4
    wrapped = gymnasium.wrappers.vector.RecordEpisodeStatistics(env)
    wrapped.reset(seed=1)
    total = 0
    for _ in range(HORIZON):
        _, rewards, _, _, infos = wrapped.step(np.zeros((100, 1)))
        total += rewards
    np.testing.assert_allclose(infos["episode"]["r"], total)


def test_the_game_of_many_agents(precision):
    env = adapters.pettingzoo_env(Drift(), num_agents=3)
    observations, infos = env.reset(seed=5)
    agents = ["agent_0", "agent_1", "agent_2"]
    assert env.agents == agents
    assert infos == {agent: {} for agent in agents}
    x = np.array([observations[agent][1] for agent in agents])
    generator = np.random.default_rng(5)
    generator.integers(2**32)
    for t in range(HORIZON):
        a = np.array([0.1, -0.2, 0.3]) * (t + 1) / 2
        given = {agent: np.array([a[i]]) for i, agent in enumerate(agents)}
        observations, rewards, over, truncated, infos = env.step(given)
        expected = -2 * a**2 - (x - x.mean()) ** 2 - 0.1 * t
        noise = generator.standard_normal((3, 1))[:, 0]
        x = 0.9 * x + a + 0.2 * x.mean() + 0.1 * a.mean() + 0.3 * noise
        if t == HORIZON - 1:
            expected += 10 * x + x.mean()
        np.testing.assert_allclose([rewards[agent] for agent in agents], expected, rtol=1e-5)
        found = [observations[agent] for agent in agents]
        time = np.full(3, (t + 1) / HORIZON)
        np.testing.assert_allclose(found, np.stack([time, x, np.sin(x)], 1), rtol=1e-5)
        assert over == dict.fromkeys(agents, t == HORIZON - 1)
        assert truncated == dict.fromkeys(agents, False)
    assert env.agents == []


def test_actions_are_clipped_into_their_space():
    env = adapters.gymnasium_env(Drift(low=-0.5, high=0.25), crowd())
    results = []
    for action in (7.0, 0.25):
        env.reset(seed=1)
        results.append(env.step(np.array([action]))[:2])
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


@pytest.mark.parametrize(
    ("low", "high", "box"),
    [(-np.inf, np.inf, (-1, 1)), (-3, 4, (-3, 4)), (2, np.inf, (2, 4)), (-np.inf, 2, (0, 2))],
)
def test_the_space_of_actions_is_finite(low, high, box):
    env = adapters.gymnasium_env(Drift(low=low, high=high), crowd())
    assert (env.action_space.low[0], env.action_space.high[0]) == box


def test_the_space_of_actions_can_be_given():
    env = adapters.gymnasium_env(Drift(), crowd(), action_bounds=(-2, [3.0]))
    assert env.action_space == gymnasium.spaces.Box(np.float32([-2]), np.float32([3]))
    env = adapters.pettingzoo_env(Drift(), num_agents=2, action_bounds=(-2, 3))
    assert env.action_space("agent_1").high[0] == 3


def test_other_numbers_compile_nothing():
    def programs() -> int:
        return moves._start._cache_size() + moves._move._cache_size()

    def play(env) -> None:
        env.reset(seed=0)
        for _ in range(HORIZON):
            env.step(np.zeros(1))

    play(adapters.gymnasium_env(Drift(), crowd()))
    before = programs()
    flow = jax.tree.map(lambda leaf: leaf + 1.0, crowd())
    play(adapters.gymnasium_env(Drift(price=7.0), flow))
    assert programs() == before


def test_error_no_game_on_points(without_type_checks):
    with pytest.raises(ParameterError, match=r"games on points .*, not of BeachBar"):
        adapters.gymnasium_env(nf.games.BeachBar(), crowd())
    with pytest.raises(ParameterError, match=r"games on points .*, not of BeachBar"):
        adapters.gymnasium_vector_env(nf.games.BeachBar(), crowd(), num_envs=2)
    with pytest.raises(ParameterError, match=r"games on points .*, not of BeachBar"):
        adapters.pettingzoo_env(nf.games.BeachBar())


def test_error_no_flow(without_type_checks):
    with pytest.raises(ParameterError, match=r"must be one on points, .* not Gaussian"):
        adapters.gymnasium_env(Drift(), Gaussian(np.zeros(1), np.eye(1)))


def test_error_another_horizon():
    with pytest.raises(ParameterError, match="laws at 5 times, but Drift with horizon 7 needs 8"):
        adapters.gymnasium_env(Drift(horizon=7), crowd())


def test_error_another_dimension():
    laws = Gaussian(np.zeros((HORIZON + 1, 2)), np.stack([np.eye(2)] * (HORIZON + 1)))
    with pytest.raises(ParameterError, match=r"means of shape \(2,\), .* have shape \(1,\)"):
        adapters.gymnasium_env(Drift(), Flow(laws))


def test_error_a_crowd_whose_actions_are_not_known():
    with pytest.raises(ValueError, match="what the crowd does is not known"):
        adapters.gymnasium_env(Drift(), Flow(crowd().laws))


def test_error_no_agents():
    with pytest.raises(ParameterError, match="num_agents must be at least 1, not 0"):
        adapters.pettingzoo_env(Drift(), num_agents=0)
    with pytest.raises(ParameterError, match="num_envs must be at least 1, not 0"):
        adapters.gymnasium_vector_env(Drift(), crowd(), num_envs=0)


def test_error_bounds_of_another_shape():
    with pytest.raises(ParameterError, match=r"must be \(low, high\), numbers or arrays \(1,\)"):
        adapters.gymnasium_env(Drift(), crowd(), action_bounds=(np.zeros(3), np.ones(3)))


def test_error_bounds_the_wrong_way_round():
    with pytest.raises(ParameterError, match="must be finite, the first below the second"):
        adapters.gymnasium_env(Drift(), crowd(), action_bounds=(1, -1))
    with pytest.raises(ParameterError, match="must be finite, the first below the second"):
        adapters.gymnasium_env(Drift(), crowd(), action_bounds=(0, np.inf))


def test_error_bounds_beyond_those_of_the_game():
    with pytest.raises(ParameterError, match="leave the bounds of Drift"):
        adapters.gymnasium_env(Drift(low=-1, high=1), crowd(), action_bounds=(-2, 1))


def test_error_no_episode():
    env = adapters.gymnasium_env(Drift(), crowd())
    with pytest.raises(RuntimeError, match="no episode is going on"):
        env.step(np.zeros(1))
    env.reset(seed=0)
    for _ in range(HORIZON):
        env.step(np.zeros(1))
    with pytest.raises(RuntimeError, match="no episode is going on"):
        env.step(np.zeros(1))
    with pytest.raises(RuntimeError, match="no episode is going on"):
        adapters.gymnasium_vector_env(Drift(), crowd(), num_envs=2).step(np.zeros((2, 1)))
    with pytest.raises(RuntimeError, match="no episode is going on"):
        adapters.pettingzoo_env(Drift()).step({})


def test_error_action_of_another_shape():
    env = adapters.gymnasium_env(Drift(), crowd())
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"must have shape \(1,\), not \(2,\)"):
        env.step(np.zeros(2))


def test_error_action_is_no_number():
    env = adapters.gymnasium_env(Drift(), crowd())
    env.reset(seed=0)
    with pytest.raises(ValueError, match="the action is not a number"):
        env.step(np.full(1, np.nan))


def test_error_an_agent_without_action():
    env = adapters.pettingzoo_env(Drift(), num_agents=3)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="2 agents have no action, among them agent_1"):
        env.step({"agent_0": np.zeros(1)})


@pytest.mark.parametrize("package", ["gymnasium", "pettingzoo"])
def test_error_a_package_is_missing(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'{package} is not .* "nashfield\[adapters\]"'):
        if package == "gymnasium":
            adapters.gymnasium_env(Drift(), crowd())
        else:
            adapters.pettingzoo_env(Drift())
