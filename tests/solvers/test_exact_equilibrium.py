"""Exact equilibria: malware spread, games whose equilibria mix, and the definition itself."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.solvers.exact_equilibrium import _project
from nashfield.typing import scalar


class Coupled(nf.StationaryGame):
    """Random moves and rewards; the crowd bends both."""

    base: Any
    bend: Any
    paid: Any
    crowd: Any
    law: Any
    discount: Any = eqx.field(converter=scalar, default=0.9)
    num_states: int = eqx.field(static=True, default=5)
    num_actions: int = eqx.field(static=True, default=3)

    def initial(self):
        return self.law

    def transition(self, mean_field):
        weights = self.base + jnp.einsum("xayw,w->xay", self.bend, mean_field.states)
        return nf.Dense(weights / jnp.sum(weights, -1, keepdims=True))

    def reward(self, mean_field):
        return self.paid + jnp.einsum("xw,w->x", self.crowd, mean_field.states)[:, None]


def coupled(seed, *, cyclic, weight=10.0):
    """Agents who shun the crowd, or chase some of it and flee from the rest."""
    rng = np.random.default_rng(seed)
    ring = np.roll(np.eye(5), 1, 1)
    crowd = ring - ring.T if cyclic else -np.eye(5)
    return Coupled(
        base=rng.dirichlet(np.full(5, 0.2), (5, 3)) + 0.02,
        bend=0.5 * rng.random((5, 3, 5, 5)),
        paid=0.3 * rng.normal(size=(5, 3)),
        crowd=weight * crowd,
        law=rng.dirichlet(np.ones(5)),
    )


def solved(game, policy=None, atol=1e-13):
    return _solved(game, np.full((5, 3), 1 / 3) if policy is None else policy, jnp.asarray(atol))


@eqx.filter_jit
def _solved(game, policy, atol):
    return nf.solve(
        game, nf.ExactEquilibrium(), num_iterations=100, initial_policy=policy, atol=atol
    )


@pytest.mark.slow
def test_malware_mixes_at_one_state(precision):
    game = nf.games.MalwareSpread()
    solution = nf.solve(game, nf.ExactEquilibrium(), num_iterations=6)
    # Of what mixes, float32 sees four digits; they move the mean state by .0029 times as much.
    close, mixing, mean = {"float64": (1e-6, 1e-5, 1e-6), "float32": (5e-6, 1e-3, 3e-6)}[precision]
    repairs = np.asarray(solution.policy)[:, 1]
    pure = np.arange(101) != 48
    np.testing.assert_array_equal(repairs[pure], (np.arange(101) > 48)[pure])
    # The advantage of repair at x = .48 changes by 8e-5 from one pure action to the other.
    np.testing.assert_allclose(repairs[48], 0.07175, atol=mixing)
    health = game.features()[:, 0]
    np.testing.assert_allclose(solution.flow.expect(health), 0.347366, atol=mean)
    np.testing.assert_allclose(solution.social_welfare, -3.909816, atol=close)
    assert abs(solution.exploitability) < {"float64": 1e-12, "float32": 1e-6}[precision]


@pytest.mark.parametrize("cyclic", [False, True])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.slow
def test_random_games(cyclic, seed):
    game = coupled(seed, cyclic=cyclic)
    solution = solved(game)
    assert abs(solution.exploitability) < 1e-12
    check_equilibrium(game, np.asarray(solution.policy))


def check_equilibrium(game, policy):
    """The definition, in plain NumPy: the crowd rests, and all actions in use are optimal."""
    law = np.asarray(game.initial())
    for _ in range(20_000):
        crowd = nf.FiniteMeanField(law, policy)
        weights = game.base + game.bend @ law
        table = weights / weights.sum(-1, keepdims=True)
        law = np.einsum("x,xa,xay->y", law, policy, table)
    reward = game.paid + (game.crowd @ law)[:, None]
    np.testing.assert_allclose(law, crowd.states, atol=1e-14)
    values = np.zeros(5)
    for _ in range(1000):
        values = np.max(reward + 0.9 * table @ values, -1)
    regrets = values[:, None] - (reward + 0.9 * table @ values)
    assert np.max(regrets[policy > 0]) < 1e-9


@pytest.mark.slow
def test_some_of_the_random_games_mix_and_some_need_damping():
    solutions = [solved(coupled(seed, cyclic=cyclic)) for cyclic in (0, 1) for seed in range(6)]
    tables = [np.asarray(s.policy) for s in solutions]
    assert sum(((p > 0) & (p < 1)).any() for p in tables) >= 4
    assert max(int(s.state.num_damped) for s in solutions) > 0


@pytest.mark.slow
def test_stays_at_an_equilibrium():
    game = coupled(1, cyclic=False)
    once = solved(game)
    more = solved(game, once.policy, atol=0)
    np.testing.assert_allclose(more.policy, once.policy, atol=1e-9)
    assert int(more.state.num_damped) == 0


@pytest.mark.slow
def test_info_describes_the_policy_that_entered():
    game, solver, key = coupled(3, cyclic=True), nf.ExactEquilibrium(), jax.random.key(0)
    state = solver.init(
        game, jnp.asarray(np.random.default_rng(0).dirichlet(np.ones(3), 5)), key=key
    )
    step = eqx.filter_jit(solver.step)
    for _ in range(3):
        policy = solver.policy(game, state)
        before = jax.tree.map(lambda x: (x.shape, x.dtype), state)
        state, info = step(game, state, key=key)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == before
        np.testing.assert_allclose(info.exploitability, nf.exploitability(game, policy), atol=1e-12)


def test_games_with_a_horizon_are_refused():
    with pytest.raises(TypeError, match="ExactEquilibrium solves only of class StationaryGame"):
        nf.solve(nf.games.LeftRight(), nf.ExactEquilibrium(), num_iterations=1)


def test_projection_on_the_simplex(precision):
    points = np.random.default_rng(0).normal(size=(50, 4)) * 2
    points[0] = 0.25
    found = np.asarray(_project(jnp.asarray(points)))
    for point, nearest in zip(points, found, strict=True):
        low, high = point.min() - 1, point.max()
        for _ in range(100):  # the level at which what sticks out sums to 1
            level = (low + high) / 2
            low, high = (level, high) if np.maximum(point - level, 0).sum() > 1 else (low, level)
        close = {"float64": 1e-14, "float32": 1e-6}[precision]
        np.testing.assert_allclose(nearest, np.maximum(point - level, 0), atol=close)
