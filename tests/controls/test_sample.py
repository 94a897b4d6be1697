"""Drawing what a policy does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.mean_fields.cells import Cells
from nashfield.policies import Affine, GaussianNetwork, MixtureNetwork, Pool
from nashfield.policies.grid_control import GridActions, GridControl

KEY = jax.random.key(3)
CELLS = Cells(np.zeros(1), np.ones(1), shape=(2,), periodic=False)
GAME = nf.games.LinearQuadratic(horizon=2)
BLANK = np.zeros(1), np.ones(1)

POLICIES = {
    "affine": lambda: Affine(np.ones((2, 1, 1)), np.zeros((2, 1)), np.ones((2, 1, 1))),
    "network": lambda: GaussianNetwork.begin(GAME, *BLANK, hidden=(4,), log_sd=0.0, key=KEY),
    "mixture": lambda: MixtureNetwork.begin(
        GAME, *BLANK, hidden=(4,), num_components=2, sd=1.0, key=KEY
    ),
    "grid": lambda: GridControl(np.full((2, 2, 3), 1 / 3), np.zeros(1), np.ones(1), CELLS, (3,)),
    "actions": lambda: GridActions(np.zeros((2, 2, 1)), CELLS),
}


@pytest.mark.parametrize("name", POLICIES)
def test_samples_are_actions_at_normal_noise(name):
    policy = POLICIES[name]()
    assert policy.control_dim == 1
    states = jnp.linspace(0.1, 0.9, 6).reshape(2, 3, 1)
    found = policy.sample(KEY, 1, states)
    noise = jax.random.normal(KEY, (2, 3, 1), states.dtype)
    for i in np.ndindex(2, 3):
        wanted = policy.action(1, states[i], noise[i])
        np.testing.assert_allclose(found[i], wanted, atol=1e-5)
    assert policy.sample(KEY, 0, states[0, 0]).shape == (1,)


def test_samples_of_a_known_law(precision):
    """N(x, 1): mean and deviation within four standard errors of 10,000 draws."""
    x = jnp.full((10_000, 1), 0.5)
    found = np.asarray(POLICIES["affine"]().sample(KEY, 0, x))
    assert abs(found.mean() - 0.5) < 4e-2
    assert abs(found.std() - 1) < 4e-2 / np.sqrt(2)


def test_samples_of_a_pool_are_those_of_members():
    """Two certain members of three places, equally often."""
    offsets = np.array([1.0, 2.0, 9.0]).reshape(3, 1, 1) * np.ones((2, 1))
    members = Affine(np.zeros((3, 2, 1, 1)), offsets)
    pool = Pool(members, jnp.asarray(2))
    found = np.asarray(pool.sample(KEY, 0, jnp.zeros((10_000, 1))))[:, 0]
    assert set(found) == {1.0, 2.0}
    assert abs((found == 2).mean() - 0.5) < 4 * 0.5 / 100
