"""SAC: probe games, its loss by plain loops, faults, warm starts, batches of seeds, references."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from tests.learners.probes import PROBES, STATES, Probe, crowd

import nashfield as nf
from nashfield.learners import SAC
from nashfield.learners.environment import Environment, play
from nashfield.learners.soft_loss import Memory, SoftLoss
from nashfield.policies import GaussianNetwork
from nashfield.policies.network import Network
from nashfield.results import GameError, ParameterError

LEARNER = SAC(
    num_updates=60,
    num_envs=32,
    num_steps=20,
    batch_size=64,
    hidden=(16, 16),
    learning_rate=1e-2,
    target_rate=0.05,
    target_sd=0.2,
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
    assert response.history.shape == (60,)
    assert float(jnp.mean(response.history[-5:])) > float(response.history[0])


@pytest.mark.slow
def test_rewards_of_any_size():
    """A million times the reward, and a constant: the same policy, up to rounding."""
    game = Probe(follow=0.7, price=(1e6, 1e6), rot=(1e7, 1e7), edge=-np.inf)
    response = LEARNER.best_response(game, crowd(), key=KEY)
    np.testing.assert_allclose(actions(response.policy, 1), 0.7 * STATES, atol=0.12)


@pytest.mark.parametrize("bound", [np.inf, 3.0])
def test_the_temperature_keeps_the_deviation(bound):
    """Of unbounded actions in their own units, else in half widths; whatever the reward's scale."""
    game = Probe(follow=0.7, bound=bound)
    policy = LEARNER.best_response(game, crowd(), key=KEY).policy
    half = 1 if bound == np.inf else bound
    noise = jax.random.normal(KEY, (2000, 1))
    for t in (0, 1):
        drawn = jax.vmap(lambda n, t=t: policy.action(t, jnp.zeros(1), n))(noise)
        assert float(jnp.std(drawn)) == pytest.approx(0.2 * half, rel=0.25)


@pytest.mark.parametrize(
    ("poison", "message"),
    [
        ({"rot": (0.0, np.nan)}, r"at t = 1, x = \[.*\], a = \[.*\] Probe.reward .* pays nan"),
        ({"jump": (0.0, 1e13)}, r"at t = 1, .* Probe.step sends the agent to \[1e\+13\]"),
    ],
)
def test_a_fault_stops_the_training(poison, message):
    with pytest.raises(GameError, match=message):
        LEARNER.best_response(Probe(edge=0.3, **poison), crowd(), key=KEY)


@pytest.mark.slow
def test_seeds_together_and_a_fault_in_one_batch():
    """Seeds mapped together learn as one by one would; a fault is recorded, not raised, inside."""
    keys = jax.random.split(KEY, 2)
    game = eqx.filter_vmap(lambda wish, edge: Probe(wish=wish, edge=edge, rot=(0.0, np.nan)))(
        jnp.array([[0.8, -0.8], [0.4, -0.4]]), jnp.array([jnp.inf, 0.0])
    )
    train = eqx.filter_vmap(lambda game, key: LEARNER.best_response(game, crowd(), key=key))
    response = train(game, keys)
    assert list(np.asarray(response.fault.found)) == [False, True]
    first = jax.tree.map(lambda x: x[0], response.policy)
    np.testing.assert_allclose(actions(first, 0), 0.8, atol=0.12)
    # The second never began; its policy is as it was.
    assert np.isnan(response.history[1]).all()
    assert np.isfinite(response.history[0]).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(response.policy.split()[0]))
    with pytest.raises(GameError, match="at t = 1"):
        response.fault.check(Probe())


@pytest.mark.slow
def test_a_warm_start_goes_on():
    short = SAC(**{**vars(LEARNER), "num_updates": 3, "learning_rate": 1e-3})
    game, optimum = PROBES["time"]
    known = LEARNER.best_response(game, crowd(), key=KEY)
    warm = short.best_response(game, crowd(), key=KEY, start=known)
    np.testing.assert_allclose(actions(warm.policy, 0), optimum[0], atol=0.12)
    assert float(warm.history[0]) > float(known.history[0]) + 0.5
    # The critics went on too, in their old units.
    np.testing.assert_array_equal(warm.memory.potential, known.memory.potential)
    before, after = (ravel_pytree(r.memory.critics)[0] for r in (known, warm))
    assert 0 < float(jnp.max(jnp.abs(after - before))) < 0.1


@pytest.mark.slow
def test_a_start_from_another_learner():
    """A policy whose deviations are numbers for each time, no critics; a replay of one round."""
    game, optimum = PROBES["time"]
    zero = jnp.zeros(1)
    start = GaussianNetwork.begin(game, zero, zero + 1, hidden=(16, 16), log_sd=-1.0, key=KEY)
    learner = SAC(**{**vars(LEARNER), "capacity": 1})
    response = learner.best_response(game, crowd(), key=KEY, start=start)
    np.testing.assert_allclose(actions(response.policy, 0), optimum[0], atol=0.12)
    np.testing.assert_allclose(actions(response.policy, 1), optimum[1], atol=0.12)
    np.testing.assert_allclose(np.exp(response.policy.log_sd), 0.2, rtol=0.25)


class Counted(Probe):
    """Seen through `observe`, with a field that is no number."""

    traces: ClassVar[list] = []
    label: str = "any"

    def observe(self, x):
        self.traces.append(1)
        return x


@pytest.mark.slow
def test_other_numbers_compile_nothing(precision):
    def train(learning_rate, wish):
        sizes = {"num_updates": 2, "num_envs": 8, "num_steps": 2, "batch_size": 4, "hidden": (4,)}
        learner = SAC(**sizes, learning_rate=learning_rate)
        return learner.best_response(Counted(wish=wish), crowd(), key=KEY)

    response = train(1e-3, (0.0, 1.0))
    assert response.value.dtype == jnp.float32
    count = len(Counted.traces)
    assert count > 0
    train(2e-3, (1.0, 0.0))
    assert len(Counted.traces) == count


def parts(bound=2.0):
    """A game, a policy, critics and copies with weights of their own, and the loss."""
    game = Probe(follow=0.7, wish=(0.3, -0.2), pull=1.0, goal=0.5, push=(1.0, 1.0), bound=bound)
    keys = jax.random.split(KEY, 5)
    policy = GaussianNetwork.begin(game, jnp.zeros(1), jnp.ones(1), hidden=(4,), key=keys[0])
    networks = [Network.draw((3, 4, 1), activation="relu", key=key) for key in keys[1:]]
    memory = Memory(
        (networks[0], networks[1]),
        (networks[2], networks[3]),
        jnp.log(jnp.float32(0.3)),
        jnp.array([-3.0, -1.0, 0.0], jnp.float32),
        jnp.float32(4.0),
        jnp.asarray(False),
    )
    trained = policy.split()[0]
    weights, unravel = ravel_pytree((memory.critics, trained, memory.log_temperature))
    return game, policy, memory, weights, SoftLoss.of(unravel, policy, 0.1)


@eqx.filter_jit
def played_by(policy, game):
    return play(Environment.of(game, crowd()), policy, num_agents=3, key=KEY)


@pytest.mark.slow
def test_rows_against_a_loop():
    game, policy, memory, _, loss = parts()
    record = played_by(policy, game)
    rows = np.asarray(loss.rows(policy, memory, record))
    states, played, rewards = (np.asarray(x) for x in vars(record).values())
    potential = np.array([-3, -1, 0])
    for t in (0, 1):
        for i in range(3):
            x, moved, a = states[t, i, 0], states[t + 1, i, 0], played[t, i, 0]
            reward = (rewards[t, i] + potential[t + 1] - potential[t]) / 4
            # The action fills [-2, 2]; the critics see its place in [-1, 1], divided by 2 * .1.
            expected = [x, t - 1, moved, t, a / 2 / 0.2, reward, t == 0]
            np.testing.assert_allclose(rows[3 * t + i], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bound", [2.0, np.inf])
def test_loss_and_its_gradients_against_plain_numpy(bound):
    """In double precision by NumPy; gradients by differences, each loss for its own weights."""
    game, policy, memory, weights, loss = parts(bound)
    record = played_by(policy, game)
    rows = loss.rows(policy, memory, record)
    noise = jax.random.normal(KEY, (2, 6, 1), jnp.float32)
    graded = jax.jit(lambda *arguments: jax.value_and_grad(loss)(*arguments))
    value, slope = graded(weights, memory.copies, rows, noise, 1.0)

    def network(n, x, bend):
        (w1, w2), (b1, b2) = (
            [np.asarray(v, np.float64) for v in part] for part in (n.weights, n.biases)
        )
        return bend(x @ w1 + b1) @ w2 + b2

    def critic(n, features, a):
        return network(n, np.concatenate([features, a / 0.2], 1), lambda x: np.maximum(x, 0))[:, 0]

    def draw(policy, features, z):
        mean, bent = network(policy.network, features, np.tanh).T[..., None]
        sd = np.exp(-2 + 4 * np.tanh(bent))
        u = mean + sd * z
        log_density = -0.5 * z**2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
        if bound == np.inf:
            return u, log_density[:, 0]
        return np.tanh(u), (log_density - np.log(bound * (1 - np.tanh(u) ** 2)))[:, 0]

    data, z = np.asarray(rows, np.float64), np.asarray(noise, np.float64)
    now, later, action = data[:, :2], data[:, 2:4], data[:, 4:5] * 0.2

    def losses(weights):
        critics, trained, log_temperature = loss.unravel(weights)
        policy = eqx.combine(trained, loss.rest)
        a, log_density = draw(policy, later, z[0])
        value = np.min([critic(n, later, a) for n in memory.copies], 0)
        target = data[:, 5] + data[:, 6] * (value - 0.3 * log_density)
        missed = [np.abs(critic(n, now, action) - target) for n in critics]
        error = sum(np.mean(np.where(e < 1, e**2 / 2, e - 0.5)) for e in missed)
        assert min(e.min() for e in missed) < 1 < max(e.max() for e in missed)
        a, log_density = draw(policy, now, z[1])
        regret = np.mean(0.3 * log_density - np.min([critic(n, now, a) for n in critics], 0))
        goal = np.log(0.1 * (1 if bound == np.inf else bound)) + 0.5 * np.log(2 * np.pi * np.e)
        missing = np.mean(log_density) + goal
        return error, regret, -float(log_temperature) * missing, missing

    error, regret, last, missing = losses(weights)
    assert float(value) == pytest.approx(error + regret + last, rel=1e-4)
    num_critics = ravel_pytree(memory.critics)[0].size
    for i in range(weights.size - 1):
        # Single precision goes in: powers of two change it exactly.
        step = np.zeros(weights.size, np.float32)
        step[i] = 2.0**-10
        which = 0 if i < num_critics else 1
        up, down = losses(weights + step)[which], losses(weights - step)[which]
        assert float(slope[i]) == pytest.approx((up - down) / 2**-9, rel=2e-2, abs=2e-4)
    assert float(slope[-1]) == pytest.approx(-missing, rel=1e-4)
    _, waiting = graded(weights, memory.copies, rows, noise, 0.0)
    np.testing.assert_allclose(waiting[:num_critics], slope[:num_critics], rtol=1e-5)
    assert not np.any(waiting[num_critics:])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "bound"), [("LinearQuadratic", 0.03), ("LocalEntropy", 0.011)])
def test_references(name, bound):
    """Against the exact equilibrium flow the mean action costs at most so much, on 4 of 4 seeds."""
    game = getattr(nf.games, name)()
    equilibrium = game.equilibrium()
    env = Environment.of(game, equilibrium.flow)

    @eqx.filter_jit
    def excess(policy):
        worth = [
            play(env, p, num_agents=20000, key=KEY).returns for p in (equilibrium.policy, policy)
        ]
        return jnp.mean(worth[0] - worth[1])

    for seed in range(4):
        response = SAC().best_response(game, equilibrium.flow, key=jax.random.key(seed))
        assert float(excess(response.policy.certain())) < bound


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_updates": 0},
        {"num_envs": 0},
        {"num_steps": 0},
        {"batch_size": 0},
        {"capacity": 0},
        {"hidden": (0,)},
        {"learning_rate": 0.0},
        {"target_rate": 1.5},
        {"target_sd": 0.0},
    ],
)
def test_wrong_parameters_are_named(wrong):
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        SAC(**wrong)


@pytest.mark.slow
def test_error_more_entropy_than_bounded_actions_have():
    """A normal law with the entropy of the uniform one on [-1, 1], log 2, has deviation .48394."""
    for target_sd, bound in ((0.4840, 1.0), (1.0, 3.0)):
        learner = SAC(**{**vars(LEARNER), "target_sd": target_sd})
        with pytest.raises(ParameterError, match=r"target_sd must be below 0\.484 in Probe"):
            learner.best_response(Probe(bound=bound), crowd(), key=KEY)
    tiny = {"num_updates": 1, "num_envs": 2, "num_steps": 1, "batch_size": 2, "hidden": (2,)}
    for target_sd, bound in ((0.4839, 1.0), (1.0, np.inf)):
        SAC(**tiny, target_sd=target_sd).best_response(Probe(bound=bound), crowd(), key=KEY)


@pytest.mark.parametrize("target_sd", [1e-3, 8.0])
def test_error_deviations_that_no_policy_has(target_sd):
    with pytest.raises(
        ParameterError, match=r"must lie between 0\.0025 and 7\.3891, .*other units"
    ):
        SAC(target_sd=target_sd)
