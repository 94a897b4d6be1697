"""PPO's loss and its gradient, by plain NumPy in double precision."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from tests.learners.probes import Probe

from nashfield.learners import PPO
from nashfield.learners.ppo_loss import loss
from nashfield.policies import GaussianNetwork
from nashfield.policies.gaussian_network import single
from nashfield.policies.network import Network

NUM_ROWS = 40
BONUS, CLIP = 0.3, 0.2


def network(n, x):
    (w1, w2), (b1, b2) = (
        [np.asarray(v, np.float64) for v in part] for part in (n.weights, n.biases)
    )
    return (np.tanh(x @ w1 + b1) @ w2 + b2)[:, 0]


@pytest.mark.parametrize(("bound", "step_size"), [(np.inf, None), (2.0, None), (2.0, 0.6)])
def test_loss_and_its_gradient_against_plain_numpy(bound, step_size):
    """Ratios beyond both edges of the clip, each with advantages of both signs."""
    learner = single(PPO(clip=CLIP, entropy_bonus=BONUS, step_size=step_size))
    keys = jax.random.split(jax.random.key(4), 2)
    policy = GaussianNetwork.begin(
        Probe(bound=bound), jnp.zeros(1), jnp.ones(1), hidden=(4,), log_sd=-0.4, key=keys[0]
    )
    policy = eqx.tree_at(lambda p: p.network, policy, Network.draw((2, 4, 1), key=keys[0]))
    policy = eqx.tree_at(lambda p: p.log_sd, policy, jnp.float32([[-0.4], [0.1]]))
    trained, rest = policy.split()
    weights, unravel = ravel_pytree((trained, Network.draw((2, 4, 1), key=keys[1])))

    rng = np.random.default_rng(0)
    times = rng.integers(0, 2, NUM_ROWS)
    features = np.stack([rng.normal(size=NUM_ROWS), times - 1.0], 1).astype(np.float32)
    noise, raw, advantages, targets = rng.normal(size=(4, NUM_ROWS)).astype(np.float32)
    wanted = np.array([0.5, 0.9, 1.1, 1.6])[np.arange(NUM_ROWS) % 4]

    def log_density(trained):
        mean = network(trained.network, features.astype(np.float64))
        log_sd = np.asarray(trained.log_sd, np.float64)[times, 0]
        density = -0.5 * ((raw - mean) / np.exp(log_sd)) ** 2 - log_sd - 0.5 * np.log(2 * np.pi)
        return density, mean, log_sd

    old = (log_density(trained)[0] - np.log(wanted)).astype(np.float32)
    columns = np.stack([old, advantages, targets, times, *features.T, noise, raw])

    def expected(weights):
        trained, critic = unravel(weights)
        density, mean, log_sd = log_density(trained)
        ratio = np.exp(density - old.astype(np.float64))
        scaled = (advantages - advantages.astype(float).mean()) / advantages.astype(float).std()
        for far in (ratio < 1 - CLIP, ratio > 1 + CLIP):
            assert {-1.0, 1.0} == set(np.sign(scaled[far]))
        # What the clipped objective rewards, case by case.
        gain = np.where(
            scaled > 0, np.minimum(ratio, 1 + CLIP) * scaled, np.maximum(ratio, 1 - CLIP) * scaled
        )
        if step_size is not None:
            # A step of mirror descent, advantages as they come.
            gain = step_size * ratio * advantages - (ratio * np.log(ratio) - ratio + 1)
        entropy = log_sd
        if bound < np.inf:
            u = mean + np.exp(log_sd) * noise
            entropy = entropy + np.log(bound * (1 - np.tanh(u) ** 2))
        error = network(critic, features.astype(np.float64)) - targets
        return np.mean(error**2 / 2 - gain - BONUS * entropy)

    graded = jax.jit(lambda w, c: jax.value_and_grad(loss)(w, learner, unravel, rest, c))
    value, slope = graded(weights, jnp.asarray(columns, jnp.float32))
    assert float(value) == pytest.approx(expected(np.asarray(weights)), rel=1e-5)
    for i in range(weights.size):
        # Single precision goes in: powers of two change it exactly.
        step = np.zeros(weights.size, np.float32)
        step[i] = 2.0**-10
        up, down = (expected(np.asarray(weights) + sign * step) for sign in (1, -1))
        assert float(slope[i]) == pytest.approx((up - down) / 2**-9, rel=1e-2, abs=1e-4)
