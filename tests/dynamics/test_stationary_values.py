"""Values and best responses against a frozen crowd: brute force, value iteration, exact ties."""

import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics import linear, stationary_values, sweep
from nashfield.dynamics.stationary_values import optimal_regrets
from nashfield.typing import scalar

S, A = 4, 3


class Table(nf.StationaryGame):
    """Moves and rewards of tables, whatever the crowd does."""

    moves: Any
    paid: Any
    law: Any
    discount: Any = eqx.field(converter=scalar, default=0.9)
    num_states: int = eqx.field(static=True, default=S)
    num_actions: int = eqx.field(static=True, default=A)

    def initial(self):
        return self.law

    def transition(self, mean_field):
        return nf.Dense(jnp.asarray(self.moves))

    def reward(self, mean_field):
        return jnp.asarray(self.paid)


def table_game(seed, discount=0.9):
    rng = np.random.default_rng(seed)
    moves = rng.dirichlet(np.full(S, 0.4), (S, A))
    return Table(moves, rng.normal(size=(S, A)), rng.dirichlet(np.ones(S)), discount)


def policy_of(seed):
    return np.random.default_rng(seed + 100).dirichlet(np.ones(A), S)


def values_of(game, policy):
    """V of one policy, solved in NumPy."""
    chain = np.einsum("xa,xay->xy", policy, game.moves)
    reward = np.sum(policy * game.paid, -1)
    return np.linalg.solve(np.eye(S) - float(game.discount) * chain, reward)


def brute_force(game):
    """V of the best of all deterministic policies."""
    tables = (np.eye(A)[list(choice)] for choice in itertools.product(range(A), repeat=S))
    return np.max([values_of(game, table) for table in tables], axis=0)


@eqx.filter_jit
def swept(game, policy):
    return sweep(game, jnp.asarray(policy, float))


@pytest.fixture(params=["table", "iteration"])
def way(request, monkeypatch):
    """Both ways to solve for values: elimination, and iteration as on many states."""
    if request.param == "iteration":
        monkeypatch.setattr(linear, "MAX_TABLE_STATES", 1)
        monkeypatch.setattr(stationary_values, "MAX_TABLE_STATES", 1)
    jax.clear_caches()
    yield request.param
    jax.clear_caches()


@pytest.fixture
def close(precision):
    # Value iteration stops at 4 eps, which is 40 eps of 16 from the end with a discount of 0.9.
    return {"float64": 1e-12, "float32": 8e-5}[precision]


def test_values_of_a_policy(way, close):
    for seed, discount in ((0, 0.9), (1, 0.0), (2, 0.5)):
        game, policy = table_game(seed, discount), policy_of(seed)
        found = swept(game, policy)
        expected = values_of(game, policy)
        np.testing.assert_allclose(found.state_values, expected, atol=close)
        np.testing.assert_allclose(found.value, game.law @ expected, atol=close)
        action_values = game.paid + discount * game.moves @ expected
        advantages = action_values - expected[:, None]
        np.testing.assert_allclose(found.advantages, advantages, atol=close)


def test_best_response_by_brute_force(way, close):
    for seed in range(5):
        game, policy = table_game(seed), policy_of(seed)
        found = swept(game, policy)
        best, own = brute_force(game), values_of(game, policy)
        np.testing.assert_allclose(found.regrets, best - own, atol=close)
        np.testing.assert_allclose(found.exploitability, game.law @ (best - own), atol=close)
        optimal = game.paid + 0.9 * game.moves @ best - own[:, None]
        np.testing.assert_allclose(found.optimal_advantages, optimal, atol=close)


def test_no_regret_of_the_best_response(close):
    for seed in range(5):
        game = table_game(seed)
        best = np.eye(A)[np.argmax(swept(game, policy_of(seed)).optimal_advantages, -1)]
        np.testing.assert_allclose(swept(game, best).regrets, 0, atol=close)


def nearly_best(game):
    """A policy with regrets of about 1e-5."""
    best = np.eye(A)[np.argmax(swept(game, policy_of(3)).optimal_advantages, -1)]
    return (1 - 1e-6) * best + 1e-6 / A


def test_a_small_regret_keeps_its_digits(precision):
    game = table_game(3)
    policy = nearly_best(game)
    expected = brute_force(game) - values_of(game, policy)
    assert 1e-6 < expected.min() < expected.max() < 1e-4
    # The values are 3 and more, a last place of float32 2.4e-7.
    rtol = {"float64": 1e-6, "float32": 0.3}[precision]
    np.testing.assert_allclose(swept(game, policy).regrets, expected, rtol=rtol)


def test_no_regret_is_negative_among_large_values(precision):
    # In float32 the last place of V = 1000 is larger than these regrets.
    game = table_game(3)
    raised = eqx.tree_at(lambda g: g.paid, game, game.paid + 100)
    regrets = swept(raised, nearly_best(game)).regrets
    assert np.min(regrets) > -1e-9 and np.max(regrets) < 1e-3


class TestTies:
    """Improvements among actions that are equally good must come to an end."""

    @pytest.mark.parametrize("discount", [0.9, 0.99, 0.999])
    def test_actions_alike(self, discount, precision):
        rng = np.random.default_rng(0)
        size = 40
        law = rng.dirichlet(np.ones(size))
        # Every action does the same, written down three times.
        moves = np.repeat(rng.dirichlet(np.full(size, 0.1), size)[:, None], A, 1)
        paid = np.repeat(rng.normal(size=size)[:, None], A, 1)
        game = Table(moves, paid, law, discount, num_states=size)
        found = swept(game, rng.dirichlet(np.ones(A), size))
        scale = {"float64": 1e-14, "float32": 1e-5}[precision] / (1 - discount)
        np.testing.assert_allclose(found.regrets, 0, atol=scale)

    def test_paths_alike(self, precision):
        # On a torus of 5 x 5 most states have several shortest ways to the goal.
        cells = np.arange(25).reshape(5, 5)
        shifts = [(0, 1), (0, -1), (1, 1), (1, -1)]
        next_cells = np.stack([np.roll(cells, -s, axis).reshape(-1) for axis, s in shifts], -1)
        moves = np.eye(25)[next_cells]
        moves[0] = np.eye(25)[0]
        paid = np.full((25, 4), -1 / 3)
        paid[0] = 0
        game = Table(moves, paid, np.full(25, 0.04), 0.97, num_states=25, num_actions=4)
        found = swept(game, np.full((25, 4), 0.25))
        row, column = np.divmod(np.arange(25), 5)
        steps = np.minimum(row, 5 - row) + np.minimum(column, 5 - column)
        best = -(1 - 0.97**steps) / 0.03 / 3
        close = {"float64": 1e-12, "float32": 5e-5}[precision]
        np.testing.assert_allclose(found.regrets + found.state_values, best, atol=close)


@pytest.mark.parametrize("discount", [0.5, 0.99])
def test_value_iteration_agrees_with_policy_iteration(discount, precision):
    rng = np.random.default_rng(1)
    kernel = nf.Dense(jnp.asarray(rng.dirichlet(np.full(30, 0.2), (30, A))))
    advantages = jnp.asarray(rng.normal(size=(30, A)))
    exact = optimal_regrets(kernel, advantages, discount)[0]
    iterated = stationary_values._iterate_values(kernel, advantages, discount)
    eps = {"float64": 2.2e-16, "float32": 1.2e-7}[precision]
    # It stops once a backup changes less than 4 roundings of the largest regret.
    scale = float(np.max(np.abs(exact)))
    np.testing.assert_allclose(iterated, exact, atol=20 * eps * scale / (1 - discount))


def test_derivatives(way):
    game, policy = table_game(0), policy_of(0)
    weights = np.random.default_rng(9).normal(size=S)
    direction = np.random.default_rng(8).normal(size=(S, A))

    @jax.jit
    def regret(size):
        moved = eqx.tree_at(lambda g: g.paid, game, game.paid + size * direction)
        found = sweep(moved, jnp.asarray(policy))
        return jnp.stack([jnp.dot(weights, found.regrets), found.value])

    step = 1e-5
    expected = (regret(step) - regret(-step)) / (2 * step)
    found = jax.jit(jax.jacrev(regret))(0.0)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-7)
    if way == "table":
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-7)
