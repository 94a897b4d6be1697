"""Where crowds come to rest: chains of every kind, against classes and absorption in NumPy."""

import warnings
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics import stationary
from nashfield.dynamics.stationary import moves_with_crowd, settle
from nashfield.games.kernels import Sparse
from nashfield.typing import scalar

S = 6


class Chain(nf.StationaryGame):
    """Moves of a table; the crowd bends those that are possible."""

    table: Any
    law: Any
    bend: Any = None
    discount: Any = eqx.field(converter=scalar, default=0.9)
    num_states: int = eqx.field(static=True, default=S)
    num_actions: int = eqx.field(static=True, default=2)

    def initial(self):
        return self.law

    def transition(self, mean_field):
        if self.bend is None:
            return nf.Dense(jnp.asarray(self.table))
        bend = jnp.einsum("xayw,w->xay", self.bend, mean_field.states)
        weights = self.table * jnp.exp(bend)
        return nf.Dense(weights / jnp.sum(weights, -1, keepdims=True))

    def reward(self, mean_field):
        return -jnp.arange(S)[:, None] * mean_field.states[:, None] + jnp.arange(2.0)


class Impatient(Chain):
    settling_steps: ClassVar[int] = 7


def blocks(*sizes):
    """Which moves stay inside their block."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return owner[:, None] == owner


def tables(kind, seed=0):
    """(S, A, S): random, zero where a chain of this kind never goes."""
    rng = np.random.default_rng(seed)
    possible = np.ones((S, S), bool)
    if kind == "two-periodic":
        possible = np.arange(S)[:, None] % 2 != np.arange(S) % 2
    elif kind == "three-periodic":
        possible = (np.arange(S)[:, None] + 1) % 3 == np.arange(S) % 3
    elif kind == "absorbing":  # the last state
        possible = np.arange(S)[:, None] <= np.arange(S)
    elif kind == "transient":  # to the block 3, 4, 5
        possible[3:, :3] = False
    elif kind == "reducible":  # 0, 1 lead to 2, 3 and to 4, 5
        possible[2:] = blocks(2, 2, 2)[2:]
    elif kind == "reducible-periodic":  # the same, with 2 <-> 3 and 4 <-> 5
        possible[2:] = np.kron(np.eye(3), [[0, 1], [1, 0]])[2:]
    elif kind == "unreachable":  # 0 to 3 and 4, 5 apart
        possible = blocks(4, 2)
    elif kind == "idle":  # nobody moves
        possible = np.eye(S, dtype=bool)
    weights = rng.random((S, 2, S)) * possible[:, None]
    return weights / weights.sum(-1, keepdims=True)


KINDS = ["ergodic", "two-periodic", "three-periodic", "absorbing", "transient", "reducible",
         "reducible-periodic", "unreachable", "idle"]  # fmt: skip
KIND = pytest.mark.parametrize("kind", KINDS)


def start_of(kind):
    law = np.random.default_rng(1).dirichlet(np.ones(S))
    if kind in ("reducible", "reducible-periodic"):
        law[2:] = [0.1, 0.0, 0.0, 0.0]
    if kind == "unreachable":
        law[4:] = 0
    return law / law.sum()


def policy_of(seed=2):
    return np.random.default_rng(seed).dirichlet(np.ones(2), S)


def chain_of(table, policy):
    return np.einsum("xa,xay->xy", policy, table)


def limit(matrix, law):
    """The time average from `law`: laws of the closed classes, and how often each is entered."""
    size = len(law)
    reach = np.linalg.matrix_power(np.eye(size) + (matrix > 0), size) > 0
    classes = {tuple(np.flatnonzero(reach[x] & reach[:, x])) for x in range(size)}
    closed = [list(c) for c in classes if not np.delete(reach[c[0]], list(c)).any()]
    inside = sorted(x for c in closed for x in c)
    outside = [x for x in range(size) if x not in inside]
    average = np.zeros(size)
    for states in closed:
        part = matrix[np.ix_(states, states)]
        system = np.vstack([part.T - np.eye(len(states)), np.ones(len(states))])
        right = np.append(np.zeros(len(states)), 1.0)
        rest = np.linalg.lstsq(system, right, rcond=None)[0]
        share = law[states].sum()
        if outside:
            stay = np.eye(len(outside)) - matrix[np.ix_(outside, outside)]
            entered = np.linalg.solve(stay, matrix[np.ix_(outside, states)].sum(1))
            share += law[outside] @ entered
        average[states] = share * rest
    return average


@pytest.fixture
def without_tables(monkeypatch):
    """Small games take the way of large ones."""
    monkeypatch.setattr(stationary, "MAX_TABLE_STATES", 3)
    jax.clear_caches()
    yield
    jax.clear_caches()


@eqx.filter_jit
def settled(game, policy):
    return settle(game, jnp.asarray(policy, float))


@KIND
@pytest.mark.parametrize("seed", range(3))
def test_every_kind_of_chain(kind, seed, precision):
    table, law, policy = tables(kind, seed), start_of(kind), policy_of(seed)
    crowd, residual = settled(Chain(table, law), policy)
    close = {"float64": 1e-10, "float32": 3e-6}[precision]
    expected = limit(chain_of(table, policy), law)
    np.testing.assert_allclose(crowd.states, expected, atol=close)
    assert residual < close
    assert crowd.states.dtype == precision


@KIND
def test_the_reference_is_the_time_average(kind):
    matrix, law = chain_of(tables(kind), policy_of()), start_of(kind)
    total, power = np.zeros(S), law
    for _ in range(60_000):
        total, power = total + power, power @ matrix
    np.testing.assert_allclose(limit(matrix, law), total / 60_000, atol=1e-3)


# Single precision tells 1 - coupling from 1 by too few digits below 1e-4.
@pytest.mark.parametrize(
    ("precision", "coupling"),
    [("float64", 10.0**-k) for k in (2, 4, 6, 8)] + [("float32", 10.0**-k) for k in (2, 4)],
    indirect=["precision"],
)
def test_nearly_decomposable(coupling, precision):
    # Two halves that hardly anyone leaves: what one has lies in the ratio of tiny flows.
    weights = np.random.default_rng(0).random((S, 2, S))
    table = np.where(blocks(3, 3)[:, None], weights, coupling * weights)
    table /= table.sum(-1, keepdims=True)
    policy = policy_of()
    crowd, _ = settled(Chain(table, start_of("ergodic")), policy)
    expected = limit(chain_of(table, policy), start_of("ergodic"))
    eps = {"float64": 2.2e-16, "float32": 1.2e-7}[precision]
    np.testing.assert_allclose(crowd.states, expected, atol=20 * eps / coupling)


def test_transitions_that_depend_on_the_crowd(precision):
    game = Chain(tables("ergodic"), start_of("ergodic"), bend_of(1.0))
    policy, law = policy_of(), game.law
    for _ in range(500):
        weights = game.table * np.exp(game.bend @ law)
        law = law @ chain_of(weights / weights.sum(-1, keepdims=True), policy)
    crowd, residual = settled(game, policy)
    close = {"float64": 1e-13, "float32": 2e-6}[precision]
    np.testing.assert_allclose(crowd.states, law, atol=close)
    assert residual < close


def bend_of(size):
    return size * np.random.default_rng(3).normal(size=(S, 2, S, S))


def test_a_crowd_that_comes_to_rest_very_slowly():
    # After 10 000 moves .7 % are still where they started, and one move shows 7e-6 of them.
    table = np.zeros((S, 2, S))
    table[0, :, 0], table[0, :, 1] = 1 - 5e-4, 5e-4
    table[1:] = tables("ergodic")[1:]
    table[1:, :, 0] = 0
    table /= table.sum(-1, keepdims=True)
    game = Chain(table, np.eye(S)[0], bend_of(0.0))
    crowd, residual = settled(game, policy_of())
    expected = limit(chain_of(table, policy_of()), game.law)
    np.testing.assert_allclose(crowd.states, expected, atol=1e-14)
    assert residual < 1e-14


def test_where_the_crowd_matters_is_found_by_tracing():
    chain = Chain(tables("ergodic"), start_of("ergodic"))
    assert not moves_with_crowd(chain)
    assert moves_with_crowd(Chain(chain.table, chain.law, bend_of(0.0)))
    assert moves_with_crowd(nf.games.ProductInvestment())
    assert not moves_with_crowd(nf.games.MalwareSpread())


class Ring(nf.StationaryGame):
    """Up or down on a ring, more often where it is steep; listed moves."""

    num_states: int = eqx.field(static=True, default=1500)
    num_actions: int = eqx.field(static=True, default=2)
    discount: Any = eqx.field(converter=scalar, default=0.9)
    settling_steps: ClassVar[int] = 20_000

    def initial(self):
        return np.eye(self.num_states)[0]

    def transition(self, mean_field):
        x = np.arange(self.num_states)
        successors = np.stack([x, (x + 1) % len(x), np.zeros_like(x)], -1)
        chance = 0.05 + 0.01 * np.sin(2 * np.pi * x / len(x))
        ahead = np.stack([np.full(len(x), 0.45), 0.9 - chance], -1)
        rows = np.stack([0.95 - ahead, ahead, np.full_like(ahead, 0.05)], -1)
        return Sparse(np.tile(successors[:, None], (1, 2, 1)), rows)

    def reward(self, mean_field):
        return jnp.zeros((self.num_states, 2))


def test_many_states(precision):
    game = Ring()
    policy = np.random.default_rng(0).dirichlet(np.ones(2), 1500)
    kernel = game.transition(None)
    rows = np.einsum("xa,xak->xk", policy, kernel.probabilities)
    # Renewal: from one state to the next, with a return to 0 at any time.
    stay, ahead, _ = rows.T
    law = np.zeros(1500)
    law[0] = 1
    for x in range(1, 1500):
        law[x] = law[x - 1] * ahead[x - 1] / (1 - stay[x])
    law /= law.sum()
    close = {"float64": 1e-12, "float32": 2e-5}[precision]
    crowd, residual = settled(game, policy)
    np.testing.assert_allclose(crowd.states, law, atol=close)
    assert residual < close


class TestUnsettled:
    def test_the_warning_says_what_to_raise(self):
        game = Impatient(tables("two-periodic"), np.eye(S)[0], bend_of(1e-3))
        with pytest.warns(RuntimeWarning, match=r"(?s)has not settled.*settling_steps.*after 7 s"):
            nf.stationary_mean_field(game, policy_of())

    def test_nothing_is_said_of_what_settles(self):
        game = Chain(tables("ergodic"), start_of("ergodic"), bend_of(0.1))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nf.stationary_mean_field(game, policy_of())

    def test_solve_says_so(self):
        game = Impatient(tables("two-periodic"), np.eye(S)[0], bend_of(1e-3))
        solution = nf.solve(game, nf.FixedPoint(), num_iterations=1)
        assert solution.result is nf.Result.UNSETTLED
        assert "raise the game's settling_steps" in solution.result.message

    def test_number_of_moves(self):
        # Without a rest the crowd is that of the last of the settling steps.
        game = Impatient(tables("two-periodic"), np.eye(S)[0], bend_of(0.0))
        crowd, residual = settled(game, policy_of())
        law = np.eye(S)[0] @ np.linalg.matrix_power(chain_of(game.table, policy_of()), 7)
        np.testing.assert_allclose(crowd.states, law, atol=1e-14)
        np.testing.assert_allclose(residual, 2, rtol=1e-12)


class TestDerivative:
    """Of weights . z with respect to policy, moves, and initial law, along one direction."""

    weights = np.random.default_rng(5).normal(size=S)

    def along(self, game, size):
        """Policy, table and initial law moved a little; what is 0 stays 0."""
        rng = np.random.default_rng(6)
        table = game.table * (1 + size * rng.normal(size=game.table.shape))
        law = game.law * (1 + size * rng.normal(size=S))
        policy = policy_of() * (1 + size * rng.normal(size=(S, 2)))
        policy = policy / policy.sum(-1, keepdims=True)
        return policy, table / table.sum(-1, keepdims=True), law / law.sum()

    def difference(self, game, value):
        step = 1e-5
        up, down = (value(*self.along(game, size)) for size in (step, -step))
        return (up - down) / (2 * step)

    def check(self, game, difference, rtol, atol=0.0):
        step = 1e-4
        up, down = (self.along(game, size) for size in (step, -step))
        change = [(a - b) / (2 * step) for a, b in zip(up, down, strict=True)]
        forward, backward = _derivatives(game, policy_of(), change, self.weights)
        np.testing.assert_allclose(forward, difference, rtol=rtol, atol=atol)
        np.testing.assert_allclose(backward, difference, rtol=rtol, atol=atol)

    @KIND
    def test_every_kind_of_chain(self, kind, precision):
        game = Chain(tables(kind), start_of(kind))

        def value(policy, table, law):
            return self.weights @ limit(chain_of(table, policy), law)

        rtol, atol = {"float64": (1e-6, 1e-8), "float32": (1e-3, 2e-5)}[precision]
        self.check(game, self.difference(game, value), rtol, atol)

    def test_slow_chains(self, precision):
        weights = np.random.default_rng(0).random((S, 2, S))
        table = np.where(blocks(3, 3)[:, None], weights, 1e-2 * weights)
        game = Chain(table / table.sum(-1, keepdims=True), start_of("ergodic"))

        def value(policy, table, law):
            return self.weights @ limit(chain_of(table, policy), law)

        rtol = {"float64": 1e-6, "float32": 1e-3}[precision]
        self.check(game, self.difference(game, value), rtol)

    @pytest.mark.parametrize("kind", ["ergodic", "transient"])
    def test_transitions_that_depend_on_the_crowd(self, kind, precision):
        game = Chain(tables(kind), start_of(kind), bend_of(0.5))

        def value(policy, table, law):
            for _ in range(1000):
                moves = table * np.exp(game.bend @ law)
                law = law @ chain_of(moves / moves.sum(-1, keepdims=True), policy)
            return self.weights @ law

        rtol = {"float64": 1e-6, "float32": 1e-3}[precision]
        self.check(game, self.difference(game, value), rtol)

    def test_many_states_by_iteration(self, without_tables, precision):
        game = Chain(tables("ergodic"), start_of("ergodic"))

        def value(policy, table, law):
            return self.weights @ limit(chain_of(table, policy), law)

        rtol = {"float64": 1e-6, "float32": 1e-3}[precision]
        self.check(game, self.difference(game, value), rtol)

    @pytest.mark.slow
    def test_a_game_without_parameters_in_its_moves(self):
        game = nf.games.MalwareSpread(num_states=5)

        def value(cost):
            game = nf.games.MalwareSpread(num_states=5, repair_cost=cost)
            return settle(game, nf.uniform_policy(game))[0].mean()

        assert jax.grad(value)(0.5) == 0
        assert not moves_with_crowd(game)


@eqx.filter_jit
def _derivatives(game, policy, change, weights):
    """By forward and by reverse mode, along `change` of policy, table and initial law."""

    def value(policy, table, law):
        moved = eqx.tree_at(lambda g: (g.table, g.law), game, (table, law))
        return settle(moved, policy)[0].expect(weights)

    point = [jnp.asarray(x) for x in (policy, game.table, game.law)]
    change = [jnp.asarray(x) for x in change]
    forward = jax.jvp(value, point, change)[1]
    gradient = jax.grad(value, argnums=(0, 1, 2))(*point)
    return forward, sum(jnp.vdot(g, c) for g, c in zip(gradient, change, strict=True))


def test_a_periodic_chain_without_a_table(precision, monkeypatch):
    monkeypatch.setattr(stationary, "MAX_TABLE_STATES", 1)
    swap = np.zeros((S, 2, S))
    swap[np.arange(S), :, (np.arange(S) + 1) % S] = 1  # a ring, once round in S moves
    law = np.eye(S)[0]
    crowd, residual = settled(Chain(swap, law), policy_of())
    close = {"float64": 1e-13, "float32": 2e-6}[precision]
    np.testing.assert_allclose(crowd.states, 1 / S, atol=close)
    assert residual < close
