import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics.rollout import Paths
from nashfield.games.zoo.malware import MalwareSpread
from nashfield.learners import AbstractBaseline, BatchMean, ExactCritic, LeastSquaresCritic, critic
from nashfield.parameters import build, parts_of
from nashfield.policies import SoftThreshold

KEY = jax.random.key(0)


@eqx.filter_jit
def learn(rule, game, policy, mean_field, key=KEY):
    return rule.values(game, policy, mean_field, key=key)


def test_exact_values_solve_bellman(precision, triangle):
    policy = SoftThreshold(0.4, 0.2)
    table = np.asarray(policy.table(triangle))
    mean_field = nf.stationary_mean_field(triangle, table)
    kernel = np.asarray(triangle.transition(mean_field).dense())
    reward = (table * np.asarray(triangle.reward(mean_field))).sum(1)
    chain = np.einsum("xa,xay->xy", table, kernel)
    expected = np.linalg.solve(np.eye(3) - 0.5 * chain, reward)
    values = learn(ExactCritic(), triangle, policy, mean_field)
    tolerance = {"rtol": 1e-12 if precision == "float64" else 1e-5}
    np.testing.assert_allclose(values.at(jnp.arange(3)), expected, **tolerance)
    np.testing.assert_allclose(values.value, triangle.initial() @ expected, **tolerance)


def test_others_are_averaged():
    returns = jnp.array([[1.0, 2.0, 6.0], [0.0, 3.0, 9.0]])
    baseline = BatchMean().baseline(None, SoftThreshold(), None, key=KEY)
    np.testing.assert_allclose(baseline(returns, returns), [[4, 3.5, 1.5], [6, 4.5, 1.5]])


def test_a_table_is_the_value_of_the_sampled_chain(precision, monkeypatch):
    game, policy = MalwareSpread(num_states=6), SoftThreshold(0.4, 0.2)
    random = np.random.default_rng(0)
    states = random.integers(0, 4, (9, 5))  # states 4 and 5 are never seen
    rewards = random.normal(size=(9, 5)).astype(np.float32)
    paths = Paths(jnp.asarray(states), jnp.zeros((9, 5), int), jnp.asarray(rewards))
    monkeypatch.setattr(critic, "play_paths", lambda *_, **__: paths)
    values = learn(LeastSquaresCritic(5, 9), game, policy, None)

    chain, reward = np.zeros((4, 4)), np.zeros(4)
    for before, after, r in zip(states[:-1].flat, states[1:].flat, rewards[:-1].flat, strict=True):
        chain[before, after] += 1
        reward[before] += r
    visits = chain.sum(1, keepdims=True)
    expected = np.linalg.solve(np.eye(4) - 0.9 * chain / visits, reward / visits[:, 0])
    tolerance = {"rtol": 1e-10 if precision == "float64" else 1e-4}
    np.testing.assert_allclose(values.at(jnp.arange(4)), expected, **tolerance)
    np.testing.assert_allclose(
        values.at(jnp.array(5)), rewards[:-1].mean(dtype=float) / 0.1, **tolerance
    )
    np.testing.assert_allclose(values.value, expected[states[0]].mean(), **tolerance)


def test_a_polynomial_comes_near_the_exact_values(precision):
    game, policy = MalwareSpread(num_states=21), SoftThreshold(0.4, 0.2)
    mean_field = nf.stationary_mean_field(game, policy.table(game))
    exact = learn(ExactCritic(), game, policy, mean_field)
    learnt = learn(LeastSquaresCritic(2000, 100, 6), game, policy, mean_field)
    likely = np.asarray(mean_field.states) > 0.01
    error = np.asarray(learnt.table - exact.table)[likely]
    assert np.abs(error).max() < 0.1  # of a spread of about 1
    assert abs(learnt.value - exact.value) < 0.03


def test_points(precision, segment, values_on_segment):
    policy, mean_field = SoftThreshold(0.4, 0.5), nf.Particles(jnp.array([[0.25], [0.75]]))
    value, exact = values_on_segment(0.4, 0.5, 0.5)
    learnt = learn(LeastSquaresCritic(2000, 50), segment, policy, mean_field)
    points = jnp.linspace(0, 1, 11)[:, None]
    np.testing.assert_allclose(learnt.at(points), exact(points[:, 0]), atol=0.02)
    assert abs(learnt.value - value) < 0.03


def test_monomials():
    points = jnp.array([[2.0, 3.0], [5.0, 7.0]])
    assert sorted(critic._monomials(points, 2)[0].tolist()) == [1, 2, 3, 4, 6, 9]
    assert critic._monomials(points[0], 3).shape == (10,)


def test_states_that_never_differ(precision, segment):
    # Every monomial but one is 0: what cannot be told apart stays 0.
    still = jnp.full((5, 4, 1), 0.3)
    errors = jnp.zeros((4, 4))
    level, discount = jnp.asarray(-2.0), jnp.asarray(0.5)
    values = critic._polynomial(still, errors, level, discount, 3)
    np.testing.assert_allclose(values.at(jnp.array([0.9])), -2)


def test_exact_values_need_a_table(segment):
    with pytest.raises(nf.ParameterError, match="those of Segment are points: take LeastSquares"):
        ExactCritic().values(segment, SoftThreshold(), None, key=KEY)


def test_unknown_generators_are_refused():
    with pytest.raises(nf.ParameterError, match='generator must be "jax" or "hash"'):
        LeastSquaresCritic(generator="dice")


@pytest.mark.parametrize(
    ("name", "value", "least"), [("num_trajectories", 0, 1), ("num_steps", 1, 2), ("degree", 0, 1)]
)
def test_sizes(name, value, least):
    with pytest.raises(nf.ParameterError, match=f"{name} must be at least {least}, not {value}"):
        LeastSquaresCritic(**{name: value})


def test_they_are_built_by_name():
    known = parts_of(AbstractBaseline)
    assert set(known) == {"batch-mean", "exact-critic", "least-squares-critic"}
    made = build(known["least-squares-critic"], {"num_steps": "50", "degree": "4"}, "critic")
    assert made == LeastSquaresCritic(num_steps=50, degree=4)


def test_a_table_of_too_many_states(monkeypatch, triangle):
    monkeypatch.setattr(critic, "MAX_TABLE_STATES", 2)
    policy = SoftThreshold(0.4, 0.2)
    mean_field = nf.stationary_mean_field(triangle, policy)
    with pytest.raises(nf.ParameterError, match="the system is too large: give degree"):
        learn(LeastSquaresCritic(), triangle, policy, mean_field)
    learn(LeastSquaresCritic(degree=1), triangle, policy, mean_field)
