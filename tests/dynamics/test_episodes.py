"""Agents on points, among one another and against a frozen flow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics.episodes import play_against, play_among
from nashfield.policies import Affine, Pool

T, SIGMA = 5, 0.2


class Drift(nf.ContinuousGame):
    """Linear moves that the crowd's place and actions bend."""

    horizon: int = T
    state_dim: int = 1
    control_dim: int = 1

    def initial(self):
        return nf.Gaussian(np.ones(1), 0.25 * np.eye(1))

    def step(self, t, x, a, mean_field, noise):
        pull = 0.3 * mean_field.mean() + 0.1 * mean_field.mean_action()
        return 0.8 * x + a + pull + SIGMA * noise

    def reward(self, t, x, a, mean_field):
        return -((x[0] - mean_field.mean()[0]) ** 2) - t * a[0]

    def terminal_reward(self, x, mean_field):
        return 2 * x[0]


def by_hand(gain, offset):
    """Mean and variance at t = 0..T, and the mean return, in plain NumPy."""
    mean, variance, value = 1.0, 0.25, 0.0
    means, variances = [mean], [variance]
    for t in range(T):
        action = gain * mean + offset
        value -= variance + t * action
        mean = 0.8 * mean + action + 0.3 * mean + 0.1 * action
        variance = (0.8 + gain) ** 2 * variance + SIGMA**2
        means.append(mean)
        variances.append(variance)
    return np.array(means), np.array(variances), value + 2 * mean


def affine(gain, offset):
    return Affine(np.full((T, 1, 1), gain), np.full((T, 1), offset))


def test_the_crowd_of_an_affine_policy(precision):
    flow = nf.rollout_flow(Drift(), affine(-0.4, 0.1), num_agents=40_000, key=jax.random.key(0))
    means, variances, _ = by_hand(-0.4, 0.1)
    assert len(flow) == T + 1
    # Deviations of a mean of N add up over time, so 5 standard errors of the largest.
    assert np.abs(flow.means()[:, 0] - means).max() < 5 * np.sqrt(variances.max() / 40_000) * 2
    spread = np.array([np.var(np.asarray(law.states)) for law in flow])
    np.testing.assert_allclose(spread, variances, rtol=0.04)
    np.testing.assert_allclose(flow.action_mean[:, 0], -0.4 * means[:-1] + 0.1, atol=0.02)
    assert flow[T].action_mean is None
    assert flow.law(0).states.dtype == precision


def test_returns_against_a_frozen_flow():
    means, variances, value = by_hand(-0.4, 0.1)
    laws = nf.Gaussian(means[:, None], variances[:, None, None])
    flow = nf.Flow(laws, action_mean=(-0.4 * means[:-1] + 0.1)[:, None])
    episodes = play_against(
        Drift(), affine(-0.4, 0.1), flow, num_agents=50_000, key=jax.random.key(1)
    )
    error = np.std(episodes.returns) / np.sqrt(50_000)
    assert abs(np.mean(episodes.returns) - value) < 4 * error
    assert episodes.states.shape == (T + 1, 50_000, 1)
    assert episodes.rewards.shape == (T + 1, 50_000)


def test_among_one_another_one_meets_the_crowd():
    """With two agents the empirical mean is that of both, oneself included."""
    found = play_among(Drift(), affine(-0.4, 0.1), num_agents=2, key=jax.random.key(2))
    x, a = np.asarray(found.states)[..., 0], np.asarray(found.actions)[..., 0]
    for t in range(T):
        pay = -((x[t] - x[t].mean()) ** 2) - t * a[t]
        np.testing.assert_allclose(found.rewards[t], pay, rtol=1e-12, atol=1e-12)
        noise = (x[t + 1] - 0.8 * x[t] - a[t] - 0.3 * x[t].mean() - 0.1 * a[t].mean()) / SIGMA
        assert np.abs(noise).max() < 6 and noise[0] != noise[1]
    np.testing.assert_allclose(found.rewards[T], 2 * x[T], rtol=1e-12)


def test_the_same_key_gives_the_same_agents():
    key = jax.random.key(3)
    one, other = (
        nf.rollout_flow(Drift(), affine(-0.4, 0.1), num_agents=10, key=k) for k in (key, key)
    )
    assert np.array_equal(one.laws.states, other.laws.states)


def test_a_deviator_alone_plays_otherwise():
    key = jax.random.key(4)
    own = play_among(Drift(), affine(-0.4, 0.1), num_agents=50, key=key)
    away = play_among(
        Drift(), affine(-0.4, 0.1), num_agents=50, deviation=affine(0.0, 1.0), key=key
    )
    assert np.array_equal(own.states[0], away.states[0])
    assert away.actions[:, 0] == pytest.approx(1.0)
    np.testing.assert_allclose(own.actions[0, 1:], away.actions[0, 1:], rtol=1e-12)


def test_agents_of_a_pool_keep_one_member():
    members = jax.tree.map(lambda *x: np.stack(x), affine(-0.4, 0.0), affine(0.1, 1.0))
    pool = Pool.of(members)
    found = play_among(Drift(), pool, num_agents=1000, key=jax.random.key(5))
    x, a = np.asarray(found.states)[:-1, :, 0], np.asarray(found.actions)[..., 0]
    first = np.isclose(a, -0.4 * x).all(0)
    second = np.isclose(a, 0.1 * x + 1.0).all(0)
    assert (first ^ second).all()
    assert 490 <= first.sum() <= 510


def test_every_agent_plays_every_member():
    """The first agent too, with equal probabilities."""
    pool = Pool.of(jax.tree.map(lambda *x: np.stack(x), *(affine(0.0, c) for c in (0.0, 1.0, 2.0))))

    def first(key):
        return play_among(Drift(), pool, num_agents=10, key=key).actions[0, 0, 0]

    found = np.asarray(jax.vmap(first)(jax.random.split(jax.random.key(7), 3000)))
    shares = np.array([np.mean(np.isclose(found, c)) for c in (0.0, 1.0, 2.0)])
    # Four standard errors.
    np.testing.assert_allclose(shares, 1 / 3, atol=4 * np.sqrt(2 / 9 / 3000))


def test_only_the_members_in_the_pool_are_played():
    blank = jax.tree.map(lambda x: np.stack([x, np.full_like(x, np.nan)]), affine(-0.4, 0.0))
    pool = Pool(blank, jnp.asarray(1))
    found = play_among(Drift(), pool, num_agents=7, key=jax.random.key(6))
    assert np.isfinite(found.actions).all()
    fuller = pool.put(affine(0.1, 1.0))
    assert int(fuller.count) == 2
    np.testing.assert_allclose(fuller.member(1).offset, 1.0)
    assert int(fuller.put(affine(0.0, 0.0)).count) == 2
    np.testing.assert_allclose(fuller.put(affine(0.0, 0.0)).member(1).offset, 1.0)


@pytest.mark.parametrize("periodic", [False, True])
def test_the_crowd_knows_the_domain(periodic):
    """Agents spread evenly over [0, 1]: the density is 1 at its ends as well."""

    class Ring(Drift):
        domain = (np.zeros(1), np.ones(1))

        def initial(self):
            return nf.Uniform(np.zeros(1), np.ones(1))

        def step(self, t, x, a, mean_field, noise):
            return x

        def reward(self, t, x, a, mean_field):
            return mean_field.log_density(x)

    Ring.periodic = periodic
    key = jax.random.key(8)
    flow = nf.rollout_flow(Ring(), affine(0.0, 0.0), num_agents=4000, key=key)
    places = np.array([[0.0], [0.5], [1.0]])
    np.testing.assert_allclose(np.exp(flow[1].log_density(places)), 1.0, atol=0.15)
    # And among one another the rewards are those: on average the log of 1.
    found = play_among(Ring(), affine(0.0, 0.0), num_agents=1000, key=key)
    assert abs(np.mean(found.rewards[0])) < 0.02


@pytest.mark.parametrize(
    ("policy", "error", "message"),
    [
        (np.zeros((T, 2, 2)), TypeError, "ndarray must be a policy of Drift, a game on points"),
        (Affine(np.zeros((2, 1, 1)), np.zeros((2, 1))), ValueError, "Affine decides at 2 times"),
        (Affine(np.zeros((T, 2, 1)), np.zeros((T, 2))), ValueError, r"actions have shape \(2,\)"),
        (
            Affine(np.zeros((T, 1, 2)), np.zeros((T, 1))),
            ValueError,
            "does not fit Drift, which has",
        ),
    ],
)
def test_policies_of_another_game(policy, error, message, without_type_checks):
    with pytest.raises(error, match=message):
        nf.rollout_flow(Drift(), policy, num_agents=3, key=jax.random.key(0))
    with pytest.raises(error, match=message):
        nf.simulate(Drift(), policy, num_agents=3, num_seeds=2)


def test_wrong_games(without_type_checks):
    class Reversed(Drift):
        control_bounds = (np.ones(1), np.zeros(1))

    class Forgotten(Drift):
        def control_bounds(self):
            return -np.ones(1), np.ones(1)

    class Explodes(Drift):
        def reward(self, t, x, a, mean_field):
            return jnp.log(x[0] - 10)

    def play(game):
        return nf.simulate(game, affine(0.0, 0.0), num_agents=3, num_seeds=2)

    with pytest.raises(nf.GameError, match=r"Reversed.control_bounds: entry 0 goes from 1 to 0"):
        play(Reversed())
    with pytest.raises(nf.GameError, match=r"control_bounds must be a property: write @property"):
        play(Forgotten())
    with pytest.raises(nf.GameError, match=r"Explodes: returns are not finite; .*check_game says"):
        play(Explodes())
    with pytest.raises(TypeError, match=r"game must be an instance: write Drift\(...\)"):
        play(Drift)
    with pytest.raises(TypeError, match=r"game must be a ContinuousGame, .* not BeachBar"):
        nf.rollout_flow(nf.games.BeachBar(), affine(0.0, 0.0), num_agents=3, key=jax.random.key(0))
    with pytest.raises(TypeError, match=r"states of Drift are points, of which there is no table"):
        nf.uniform_policy(Drift())


def test_no_agents():
    with pytest.raises(ValueError, match="num_agents must be at least 1, not 0"):
        nf.rollout_flow(Drift(), affine(0.0, 0.0), num_agents=0, key=jax.random.key(0))


def test_another_policy_compiles_nothing():
    traces = 0

    class Counted(Drift):
        def initial(self):
            nonlocal traces
            traces += 1
            return super().initial()

    for offset in (0.0, 0.5, 1.0):
        nf.rollout_flow(Counted(), affine(-0.4, offset), num_agents=10, key=jax.random.key(0))
    assert traces == 3 + 1  # each call looks at the game; one compiles
