"""Gaussian networks: densities against numerical integration, edges, precision, splitting."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

from nashfield.games.continuous import ContinuousGame
from nashfield.mean_fields import Gaussian
from nashfield.policies import GaussianNetwork
from nashfield.policies.gaussian_network import LOG_SD_RANGE


class Walk(ContinuousGame):
    """Go where you please; what a network sees of a place is up to `rate`."""

    low: tuple = (-1.0,)
    high: tuple = (3.0,)
    horizon: int = 4
    state_dim: int = 2

    @property
    def control_dim(self):
        return len(self.low)

    @property
    def control_bounds(self):
        return np.array(self.low), np.array(self.high)

    def initial(self):
        return Gaussian(np.zeros(2), np.eye(2))

    def step(self, t, x, a, mean_field, noise):
        return x + noise

    def reward(self, t, x, a, mean_field):
        return -jnp.sum(a**2)


class Seen(Walk):
    """Sees one wave of the first coordinate."""

    rate: jax.Array = eqx.field(default_factory=lambda: np.array(3.0))
    label: str = "any"
    nothing: float | None = None

    def observe(self, x):
        return jnp.sin(self.rate * x[:1])


X = np.array([0.3, -1.2])


def begin(game, log_sd=-0.5, seed=0):
    size = 1 if isinstance(game, Seen) else 2
    policy = GaussianNetwork.begin(
        game, jnp.full(size, 0.5), jnp.full(size, 2.0), log_sd=log_sd, key=jax.random.key(seed)
    )
    # A fresh network begins near zero: larger weights, so that the state and the time matter.
    trained, rest = policy.split()
    policy = eqx.combine(jax.tree.map(lambda w: w * 3 + 0.05, trained), rest)
    # And where it gives the spread, one that a grid resolves.
    if log_sd is not None:
        return policy
    return eqx.tree_at(lambda p: p.network.biases[-1], policy, replace_fn=lambda b: b + 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("log_sd", [-0.5, None])
def test_density_integrates_to_one_and_is_that_of_the_actions(log_sd):
    """One bounded and one unbounded dimension; moments by quadrature against sampled actions."""
    policy = begin(Walk((-1.0, -np.inf), (3.0, np.inf)), log_sd)
    first = np.linspace(-1, 3, 403)[1:-1]
    second = np.linspace(-12, 12, 401)
    points = jnp.array(list(itertools.product(first, second)))
    log_density = jax.jit(jax.vmap(lambda a: policy.log_density(2, X, a)))
    density = np.exp(np.asarray(log_density(points), float)).reshape(len(first), len(second))
    cell = (first[1] - first[0]) * (second[1] - second[0])
    assert density.sum() * cell == pytest.approx(1, abs=2e-3)
    noise = jax.random.normal(jax.random.key(1), (100_000, 2))
    actions = np.asarray(jax.jit(jax.vmap(lambda z: policy.action(2, X, z)))(noise), float)
    for values, law in ((first, density.sum(1)), (second, density.sum(0))):
        law = law / law.sum()
        drawn = actions[:, 0] if values is first else actions[:, 1]
        mean, square = law @ values, law @ values**2
        assert abs(drawn.mean() - mean) < 4 * drawn.std() / 300 + 1e-3
        assert abs((drawn**2).mean() - square) < 4 * (drawn**2).std() / 300 + 5e-3


def test_unbounded_density_is_the_normal_one():
    policy = begin(Walk((-np.inf,), (np.inf,)))
    mean, log_sd = policy.heads(1, policy.features(1, X))
    a = jnp.array([0.7])
    expected = norm.logpdf(0.7, float(mean[0]), float(np.exp(log_sd[0])))
    assert float(policy.log_density(1, X, a)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("log_sd", [-0.5, None])
def test_draw_agrees_with_action_and_log_density(log_sd):
    policy = begin(Walk((-1.0, -np.inf), (3.0, np.inf)), log_sd)
    noise = jnp.array([0.4, -1.3])
    action, density = policy.draw(3, X, noise)
    np.testing.assert_array_equal(action, policy.action(3, X, noise))
    assert float(density) == pytest.approx(float(policy.log_density(3, X, action)), abs=1e-4)


@pytest.mark.parametrize("side", [-1, 1])
def test_edges_stay_finite_with_gradients(side):
    """Far out tanh rounds to one: actions reach the bound and no more; densities are numbers."""
    policy = begin(Walk())
    noise = jnp.array([side * 60.0])

    def loss(trained):
        moved = eqx.combine(trained, policy.split()[1])
        action, density = moved.draw(0, X, noise)
        return jnp.sum(action) + density

    action, density = policy.draw(0, X, noise)
    assert float(action[0]) == (3.0 if side > 0 else -1.0)
    assert np.isfinite(density)
    assert np.isfinite(policy.log_density(0, X, action))
    slopes = jax.tree.leaves(jax.jit(jax.grad(loss))(policy.split()[0]))
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_log_jacobian_against_differences_in_double_precision():
    policy = begin(Walk())
    for u in (-8.0, -1.0, 0.0, 0.3, 5.0, 20.0):
        # 1 - tanh^2 = 4 / (e^u + e^-u)^2, which loses nothing.
        expected = np.log(2.0) + np.log(4.0) - 2 * np.logaddexp(u, -u)
        assert float(policy.log_jacobian(jnp.float32([u]))[0]) == pytest.approx(expected, rel=1e-6)


def test_no_rounding_leads_beyond_the_bounds():
    """-0.7 + (0.1 + 0.7) is more than 0.1 in single precision."""
    policy = begin(Walk((-0.7,), (0.1,)))
    low, high = np.float32(-0.7), np.float32(0.1)
    assert low + (high - low) > high
    actions = np.asarray(policy.squash(jnp.linspace(-30, 30, 2001, dtype=jnp.float32)[:, None]))
    assert (actions.min(), actions.max()) == (low, high)
    assert policy.log_density(0, X, jnp.asarray(actions[-1])) > -jnp.inf


def test_beyond_the_bounds_there_is_no_density():
    assert begin(Walk()).log_density(0, X, jnp.array([3.5])) == -jnp.inf


def test_certain_plays_the_mean_and_has_no_density():
    policy = begin(Walk(), None)
    sure = policy.certain()
    mean = policy.action(1, X, jnp.zeros(1))
    np.testing.assert_array_equal(sure.action(1, X, jnp.array([2.0])), mean)
    assert sure.log_density(1, X, mean) == jnp.inf
    assert sure.log_density(1, X, mean + 0.1) == -jnp.inf
    assert not np.allclose(policy.action(1, X, jnp.array([2.0])), mean)


def test_log_sd_of_the_state_keeps_its_range():
    policy = begin(Walk(), None)
    trained, rest = policy.split()
    for factor in (-1e4, 1e4):
        wild = eqx.combine(jax.tree.map(lambda w, f=factor: w * f, trained), rest)
        _, log_sd = wild.heads(0, wild.features(0, X))
        assert LOG_SD_RANGE[0] <= float(log_sd[0]) <= LOG_SD_RANGE[1]


def test_time_and_state_matter():
    policy = begin(Walk())
    noise = jnp.zeros(1)
    assert policy.action(0, X, noise) != policy.action(3, X, noise)
    assert policy.action(0, X, noise) != policy.action(0, X + 1, noise)


def test_sees_the_state_through_the_game():
    policy = begin(Seen())
    noise = jnp.zeros(1)
    around = X + np.array([2 * np.pi / 3, 5.0])
    action = policy.action(0, X, noise)
    np.testing.assert_allclose(action, policy.action(0, around, noise), atol=1e-6)
    assert action != policy.action(0, X + 0.5, noise)
    expected = (np.sin(3 * 0.3) - 0.5) / 2
    assert float(policy.features(0, X)[0]) == pytest.approx(expected, rel=1e-5)


def test_only_arrays_are_leaves():
    """Whatever the game holds that it looks through: policies stack and map."""
    policy = begin(Seen())
    leaves = jax.tree.leaves(policy)
    assert all(isinstance(leaf, jax.Array) and leaf.dtype == jnp.float32 for leaf in leaves)
    assert jax.tree.structure(policy) == jax.tree.structure(begin(Seen(), seed=1))
    both = jax.tree.map(lambda *parts: jnp.stack(parts), policy, begin(Seen(), seed=1))
    acted = jax.vmap(lambda policy: policy.action(0, X, jnp.zeros(1)))(both)
    np.testing.assert_allclose(acted[0], policy.action(0, X, jnp.zeros(1)), rtol=1e-6)
    assert acted[0] != acted[1]


@pytest.mark.parametrize("log_sd", [-0.5, None])
def test_horizon_is_that_of_the_game(log_sd):
    assert begin(Walk(), log_sd).horizon == 4


def test_only_network_and_log_sd_are_trained():
    for log_sd, num_leaves in ((-0.5, 7), (None, 6)):
        policy = begin(Seen(), log_sd)
        trained, rest = policy.split()
        assert len(jax.tree.leaves(trained)) == num_leaves
        assert eqx.tree_equal(eqx.combine(trained, rest), policy)


def test_single_precision_inside(precision):
    action = begin(Walk()).action(0, X, jnp.zeros(1))
    assert action.dtype == jnp.float32
