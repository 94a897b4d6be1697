"""PPO against the exact flows of games whose best responses are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.learners import PPO
from nashfield.learners.environment import Environment, play

pytestmark = pytest.mark.slow


def losses(game, learner, num_seeds=4):
    """What the learnt mean actions, and the policies with their noise, lose: (seeds, 2).

    Against the exact policy by the same chance, 50,000 episodes each; all seeds in one training.
    """
    reference = game.equilibrium()
    keys = jax.random.split(jax.random.key(7), num_seeds)
    train = jax.vmap(lambda key: learner.best_response(game, reference.flow, key=key))
    response = train(keys)
    response.fault.check(game)

    def worth(policy):
        env = Environment.of(game, reference.flow)
        record = play(env, policy, num_agents=50_000, key=jax.random.key(1))
        return jnp.mean(record.returns)

    @jax.jit
    def lost(policy):
        best = worth(reference.policy)
        return jnp.array([best - worth(policy.certain()), best - worth(policy)])

    return np.array([lost(jax.tree.map(lambda x: x[i], response.policy)) for i in range(num_seeds)])  # noqa: B023


@pytest.mark.parametrize("hidden", [(64, 64), (256, 256)])
def test_linear_quadratic(hidden):
    """1% of the game's cost by the mean action, on every seed."""
    with jax.enable_x64(False):
        game = nf.games.LinearQuadratic(initial_law="uniform")
        lost = losses(game, PPO(num_updates=300, hidden=hidden))
    print(hidden, lost)
    assert (lost[:, 0] < 0.03).all()
    assert (lost[:, 1] < 0.15).all()


def test_local_entropy():
    """5% of what control gains in this game, on every seed.

    The bonus keeps the noise up by which the mean action is learnt, at a price to the noisy policy.
    """
    with jax.enable_x64(False):
        learner = PPO(num_updates=500, num_envs=256, learning_rate=3e-3, entropy_bonus=0.03)
        lost = losses(nf.games.LocalEntropy(), learner)
    print(lost)
    assert (lost[:, 0] < 0.011).all()
