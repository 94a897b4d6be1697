"""PPO: probe games, advantages by a plain loop, faults, warm starts, batches of seeds."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.learners.probes import PROBES, STATES, Probe, crowd

import nashfield as nf
from nashfield.learners import PPO
from nashfield.learners.environment import Environment
from nashfield.learners.ppo import _play, shuffled_places
from nashfield.learners.ppo_loss import Critic, advantages_of
from nashfield.mean_fields import Flow
from nashfield.policies import GaussianNetwork
from nashfield.policies.gaussian_network import single
from nashfield.policies.network import Network
from nashfield.results import GameError, ParameterError

LEARNER = PPO(
    num_updates=80, num_envs=128, num_minibatches=4, hidden=(16, 16), learning_rate=1e-2, log_sd=-1
)
KEY = jax.random.key(5)


def actions(policy, t):
    act = jax.vmap(lambda x: policy.certain().action(t, x, jnp.zeros(1)))
    return np.asarray(act(jnp.asarray(STATES[:, None])))[:, 0]


@pytest.mark.parametrize("name", PROBES)
def test_probe(name):
    game, optimum = PROBES[name]
    response = LEARNER.best_response(game, crowd(), key=KEY)
    for t, expected in enumerate(optimum):
        if expected is not None:
            np.testing.assert_allclose(actions(response.policy, t), expected, atol=0.12)
    assert response.history.shape == (80,)
    assert response.value >= response.stochastic_value - 1e-3
    assert float(jnp.mean(response.history[-5:])) > float(response.history[0])


@pytest.mark.parametrize(("size", "constant"), [(1e6, 1e7), (1e-6, 0.0)])
def test_rewards_of_any_size(size, constant):
    """A million times the reward, and a constant, or a millionth of it: the same policy."""
    game = Probe(follow=0.7, price=(size, size), rot=(constant, constant), edge=-np.inf)
    response = LEARNER.best_response(game, crowd(), key=KEY)
    np.testing.assert_allclose(actions(response.policy, 1), 0.7 * STATES, atol=0.12)


@pytest.mark.parametrize(
    ("poison", "message"),
    [
        ({"rot": (0.0, np.nan)}, r"at t = 1, x = \[.*\], a = \[.*\] Probe.reward .* pays nan"),
        ({"rot": (-np.inf, 0.0)}, r"at t = 0, x = \[.*\], a = \[.*\] Probe.reward pays -inf"),
        ({"rot": (1e13, 0.0)}, r"at t = 0, .* pays 1e\+13; .* put log\(density \+ eps\)"),
        ({"jump": (np.nan, 0.0)}, r"at t = 0, .* Probe.step sends the agent to \[nan\]"),
        ({"jump": (0.0, 1e13)}, r"at t = 1, .* Probe.step sends the agent to \[1e\+13\]"),
    ],
)
def test_a_fault_stops_the_training(poison, message):
    with pytest.raises(GameError, match=message):
        LEARNER.best_response(Probe(edge=0.3, **poison), crowd(), key=KEY)


@pytest.mark.slow
def test_seeds_together_and_a_fault_in_one_batch():
    """Seeds mapped together learn as one by one would; a fault is recorded, not raised, inside."""
    learner = eqx.tree_at(lambda l: l.learning_rate, LEARNER, np.asarray(2e-2))
    keys = jax.random.split(KEY, 2)
    game = eqx.filter_vmap(lambda wish, edge: Probe(wish=wish, edge=edge, rot=(0.0, np.nan)))(
        jnp.array([[0.8, -0.8], [0.4, -0.4]]), jnp.array([jnp.inf, 0.0])
    )

    @eqx.filter_vmap
    def train(game, key):
        return learner.best_response(game, crowd(), key=key)

    response = train(game, keys)
    assert list(np.asarray(response.fault.found)) == [False, True]
    first = jax.tree.map(lambda x: x[0], response.policy)
    np.testing.assert_allclose(actions(first, 0), 0.8, atol=0.15)
    # The training of the second ended in the first round; its policy is as it was.
    assert np.isnan(response.history[1, 1:]).all()
    assert np.isfinite(response.history[0]).all()
    kept = response.policy.split()[0], response.memory
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(kept))
    assert list(np.asarray(response.memory.count)) == [80, 0]
    with pytest.raises(GameError, match="at t = 1"):
        response.fault.check(Probe())


@pytest.mark.slow
def test_a_warm_start_goes_on():
    short = PPO(num_updates=4, num_envs=128, num_minibatches=4, hidden=(16, 16), learning_rate=1e-3)
    game, optimum = PROBES["time"]
    known = LEARNER.best_response(game, crowd(), key=KEY)
    narrow = eqx.tree_at(lambda r: r.policy.log_sd, known, jnp.full((2, 1), -9.0))
    warm = short.best_response(game, crowd(), key=KEY, start=narrow)
    cold = short.best_response(game, crowd(), key=KEY)
    np.testing.assert_allclose(actions(warm.policy, 0), optimum[0], atol=0.12)
    assert np.abs(actions(cold.policy, 0) - optimum[0]).min() > 0.4
    # The spread was lifted to restart_log_sd, and the critic went on counting.
    assert (np.abs(np.asarray(warm.policy.log_sd) + 3) < 0.2).all()
    assert float(warm.memory.count) == 84
    assert float(cold.memory.count) == 4


@pytest.mark.slow
def test_games_with_fields_that_are_no_numbers():
    """Seeds mapped together, and a warm start, in a game that is seen through `observe`."""
    game = nf.games.CrowdAversion(duration=0.01, horizon=4)
    flow = Flow(jax.tree.map(lambda x: jnp.stack([x] * 5), game.ergodic_law()))
    tiny = PPO(num_updates=2, num_envs=8, num_minibatches=2, num_epochs=1, hidden=(4,))
    keys = jax.random.split(KEY, 2)
    both = jax.vmap(lambda key: tiny.best_response(game, flow, key=key))(keys)
    assert np.isfinite(both.value).all()
    one = jax.tree.map(lambda x: x[1], both)
    warm = tiny.best_response(game, flow, key=KEY, start=one)
    assert float(warm.memory.count) == 4
    again = jax.vmap(lambda start, key: tiny.best_response(game, flow, key=key, start=start))
    np.testing.assert_allclose(again(both, keys).memory.count, 4)


@pytest.mark.slow
def test_a_fault_in_the_last_episodes_is_reported():
    """Only those 4096 agents, not the 16 of the training, get beyond 3 deviations."""
    learner = PPO(num_updates=1, num_envs=8, num_minibatches=2, num_epochs=1, hidden=(4,))
    game = Probe(edge=1.5, rot=(np.nan, 0.0))
    training = learner.best_response(Probe(), crowd(), key=KEY)
    with pytest.raises(GameError, match=r"training failed: at t = 0, .* Probe.reward pays nan"):
        learner.best_response(game, crowd(), key=KEY)
    found = jax.vmap(lambda key: learner.best_response(game, crowd(), key=key))(KEY[None])
    assert found.fault.found[0]
    assert np.isnan(found.value[0])
    # The training itself met none.
    np.testing.assert_allclose(found.history[0], training.history, rtol=1e-5)


class Counted(Probe):
    traces: ClassVar[list] = []

    def observe(self, x):
        self.traces.append(1)
        return x


@pytest.mark.slow
def test_other_numbers_compile_nothing(precision):
    def train(learning_rate, wish):
        learner = PPO(
            num_updates=2,
            num_envs=8,
            num_minibatches=2,
            num_epochs=1,
            hidden=(4,),
            learning_rate=learning_rate,
        )
        return learner.best_response(Counted(wish=wish), crowd(), key=KEY)

    response = train(1e-3, (0.0, 1.0))
    assert response.value.dtype == jnp.float32
    count = len(Counted.traces)
    assert count > 0
    train(2e-3, (1.0, 0.0))
    assert len(Counted.traces) == count


def test_advantages_against_a_loop():
    """Generalised advantage estimation as its double sum; targets in the critic's new units."""
    learner = single(PPO(trace=0.7, num_envs=6))
    env = Environment.of(PROBES["two steps"][0], crowd())
    policy = GaussianNetwork.begin(
        env.game, jnp.zeros(1), jnp.ones(1), hidden=(4,), log_sd=-1.0, key=KEY
    )
    network = Network.draw((2, 4, 1), key=KEY)
    critic = Critic(
        network, jnp.float32(-0.5), jnp.float32(2.0), jnp.float32(3.0), jnp.float32(5.0)
    )

    @jax.jit
    def learn(key):
        seen = _play(env, policy, 6, key)
        return seen, *advantages_of(learner, critic, seen)

    seen, rows, after = learn(KEY)
    values = np.asarray(critic(seen.features)).reshape(2, 6)
    rewards = np.asarray(seen.rewards)
    last = rewards[1] - values[1]
    first = rewards[0] + values[1] - values[0] + 0.7 * last
    returns = np.stack([first, last]) + values
    # In units of what agents differ by at the same time.
    unit = np.sqrt(0.75 * 5**2 + 0.25 * returns.var(1).mean())
    assert float(after.unit) == pytest.approx(unit, rel=1e-4)
    wanted = np.concatenate([first, last]) / unit
    np.testing.assert_allclose(rows[:, 1], wanted, rtol=1e-4, atol=1e-5)
    units = np.asarray(rows[:, 2]) * float(after.scale) + float(after.location)
    np.testing.assert_allclose(units, returns.reshape(-1), rtol=1e-4, atol=1e-5)
    # The critic is the same function in new units.
    np.testing.assert_allclose(after(seen.features), critic(seen.features), rtol=1e-4, atol=1e-5)
    assert float(after.location) == pytest.approx(0.75 * -0.5 + 0.25 * returns.mean(), rel=1e-4)


@pytest.mark.parametrize("n", [2, 7, 64, 2560])
def test_shuffled_places_are_a_permutation(n):
    orders = [np.asarray(shuffled_places(jax.random.key(i), n)) for i in range(3)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(n))
    if n > 7:
        assert (orders[0] != orders[1]).any()
        # No trend is left: the rank correlation of a random order has deviation 1 / sqrt(n).
        assert abs(np.corrcoef(orders[2], np.arange(n))[0, 1]) < 4 / np.sqrt(n)


def test_minibatches_must_come_out_even():
    learner = PPO(num_envs=3, num_minibatches=4)
    with pytest.raises(ParameterError, match=r"num_minibatches = 4 must divide .* = 6"):
        learner.best_response(Probe(), crowd(), key=KEY)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_updates": 0},
        {"num_envs": 0},
        {"num_epochs": 0},
        {"num_minibatches": 0},
        {"hidden": (0,)},
        {"learning_rate": 0.0},
        {"clip": -0.1},
        {"max_gradient": 0.0},
        {"trace": 1.5},
        {"entropy_bonus": -1.0},
        {"log_sd": np.nan},
        {"restart_log_sd": np.inf},
    ],
)
def test_wrong_parameters_are_named(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        PPO(**wrong)
