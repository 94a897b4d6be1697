"""Partial and total gradients of every kind of policy, against finite differences."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.typing import scalar

KEY = jax.random.key(0)


class Fork(nf.StationaryGame):
    """From 0 action a leads into the pair 1, 2 or into the pair 3, 4, for ever."""

    num_states: int = eqx.field(static=True, default=5)
    num_actions: int = eqx.field(static=True, default=2)
    discount: Any = eqx.field(converter=scalar, default=0.9)

    def initial(self):
        return np.array([0.7, 0.1, 0.0, 0.0, 0.2])

    def transition(self, mean_field):
        table = np.zeros((5, 2, 5))
        table[0] = [[0.3, 0.6, 0.0, 0.1, 0.0], [0.1, 0.2, 0.0, 0.3, 0.4]]
        table[1, :, 2] = table[3, :, 4] = 1
        table[2] = [[0, 0.5, 0.5, 0, 0], [0, 0.9, 0.1, 0, 0]]
        table[4] = [[0, 0, 0, 0.2, 0.8], [0, 0, 0, 1, 0]]
        return nf.Dense(table)

    def reward(self, mean_field):
        return -jnp.arange(5)[:, None] * mean_field.states[:, None] + jnp.arange(2)


FORK = Fork()
MALWARE = nf.games.MalwareSpread(num_states=9, inclusive=True)
GARNET = nf.games.StationaryGarnet(num_states=6, num_actions=3, num_branches=2)  # bent by the crowd


def neural(game):
    return nf.policies.Neural((3,)).begin(game, key=KEY)


def gibbs(game):
    logits = np.random.default_rng(0).normal(size=(game.num_states, game.num_actions))
    return nf.policies.Gibbs(jnp.asarray(logits))


def soft(game):
    return nf.policies.SoftThreshold(jnp.asarray(0.4), 0.2)


QUICK = [(MALWARE, soft), (FORK, gibbs), (GARNET, neural)]
SLOW = [(MALWARE, gibbs), (MALWARE, neural), (FORK, soft), (FORK, neural), (GARNET, gibbs)]


@eqx.filter_jit
def value(game, policy, mean_field=None):
    """J, against a frozen crowd or against that of the policy."""
    table = policy.table(game)
    crowd = nf.stationary_mean_field(game, table) if mean_field is None else mean_field
    return nf.policy_values(game, table, crowd).value


def moved(policy, direction, size):
    change = jax.tree.map(lambda x: size * x, direction)
    return eqx.apply_updates(policy, change)


def directions(policy):
    """One direction of all parameters at once."""
    parameters = policy.split()[0]
    leaves, structure = jax.tree.flatten(parameters)
    rng = np.random.default_rng(1)
    drawn = [jnp.asarray(rng.normal(size=jnp.shape(leaf))) for leaf in leaves]
    return jax.tree.unflatten(structure, drawn)


def along(gradient, direction):
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
    return sum(float(jnp.vdot(a, b)) for a, b in pairs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("game", "make"), [*QUICK, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in SLOW)]
)
def test_finite_differences(game, make):
    policy = make(game)
    direction, step = directions(policy), 1e-5
    up, down = (moved(policy, direction, size) for size in (step, -step))
    frozen = nf.stationary_mean_field(game, policy.table(game))
    expected = (value(game, up, frozen) - value(game, down, frozen)) / (2 * step)
    partial = along(nf.partial_gradient(game, policy), direction)
    np.testing.assert_allclose(partial, expected, rtol=1e-6, atol=1e-9)
    expected = (value(game, up) - value(game, down)) / (2 * step)
    total = along(nf.total_gradient(game, policy), direction)
    np.testing.assert_allclose(total, expected, rtol=1e-6, atol=1e-9)
    assert abs(total - partial) > 1e-4  # the crowd matters


@pytest.mark.parametrize("game", [FORK, pytest.param(GARNET, marks=pytest.mark.slow)])
def test_single_precision(game):
    found = []
    for double in (True, False):
        with jax.enable_x64(double):
            policy = gibbs(game)
            gradients = (f(game, policy).logits for f in (nf.partial_gradient, nf.total_gradient))
            found.append(np.stack([np.asarray(g, float) for g in gradients]))
    scale = np.max(np.abs(found[0]))
    np.testing.assert_allclose(found[1], found[0], atol=2e-5 * scale)


def test_the_mean_field_may_be_given():
    policy = soft(MALWARE)
    states = np.linspace(1, 3, 9)
    crowd = nf.FiniteMeanField(states / states.sum())
    step = 1e-6
    up, down = (nf.policies.SoftThreshold(0.4 + c, 0.2) for c in (step, -step))
    expected = (value(MALWARE, up, crowd) - value(MALWARE, down, crowd)) / (2 * step)
    found = nf.partial_gradient(MALWARE, policy, crowd).theta
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_gradients_look_like_the_policy():
    policy = neural(MALWARE)
    gradient = nf.total_gradient(MALWARE, policy)
    assert jax.tree.structure(gradient) == jax.tree.structure(policy.split()[0])
    assert nf.partial_gradient(MALWARE, soft(MALWARE)).temperature is None


@pytest.mark.parametrize("gradient", [nf.partial_gradient, nf.total_gradient])
@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (lambda: jnp.full((9, 2), 0.5), "a gradient needs a policy with parameters, such as"),
        (lambda: nf.policies.Threshold(0.5), "Threshold has no gradient, its actions jump"),
        (lambda: nf.policies.Gibbs(), "Gibbs has no parameters to take a gradient of"),
    ],
)
def test_policies_without_a_gradient(gradient, policy, message, without_type_checks):
    with pytest.raises(nf.ParameterError, match=message):
        gradient(MALWARE, policy())
