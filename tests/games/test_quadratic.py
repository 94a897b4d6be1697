"""Riccati's recursion and exact equilibria, against plain loops."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.quadratic import QuadraticGame
from nashfield.games.riccati import (
    Stage,
    StateCost,
    log_determinant,
    respond,
    solve_general,
    solve_positive,
    spread,
)
from nashfield.games.zoo.continuous_linear_quadratic import LinearQuadratic
from nashfield.learners.riccati import affine_sweep
from nashfield.results import GameError
from nashfield.typing import array

T, D, C, W = 4, 3, 2, 2


def positive(rng, size):
    factor = rng.normal(size=(size, size))
    return factor @ factor.T + 0.1 * np.eye(size)


def random_stages(rng):
    """T stages with every term, in plain arrays, and a terminal cost."""
    stages = []
    for _ in range(T):
        whole = positive(rng, D + C)  # jointly convex
        parts = {
            "A": rng.normal(size=(D, D)) * 0.5,
            "B": rng.normal(size=(D, C)),
            "noise_factor": rng.normal(size=(D, W)) * 0.3,
            "Q": whole[:D, :D],
            "R": whole[D:, D:],
            "S": whole[D:, :D],
            "d": rng.normal(size=D),
            "q": rng.normal(size=D),
            "r": rng.normal(size=C),
            "c": rng.normal(),
        }
        stages.append(parts)
    terminal = positive(rng, D), rng.normal(size=D), rng.normal()
    return stages, terminal


def stacked(stages):
    return Stage(**{name: jnp.asarray([s[name] for s in stages]) for name in stages[0]})


def cost_of(stages, terminal, gain, offset, mean, covariance):
    """Expected cost of an affine policy, moment by moment."""
    total = 0.0
    for t, s in enumerate(stages):
        K, k = gain[t], offset[t]
        second = covariance + np.outer(mean, mean)
        action = K @ mean + k
        actions = K @ covariance @ K.T + np.outer(action, action)
        cross = K @ covariance + np.outer(action, mean)
        total += np.sum(s["Q"] * second) + 2 * s["q"] @ mean + s["c"]
        total += np.sum(s["R"] * actions) + 2 * np.sum(s["S"] * cross) + 2 * s["r"] @ action
        closed = s["A"] + s["B"] @ K
        mean = s["A"] @ mean + s["B"] @ action + s["d"]
        covariance = closed @ covariance @ closed.T + s["noise_factor"] @ s["noise_factor"].T
    Q, q, c = terminal
    return total + np.sum(Q * (covariance + np.outer(mean, mean))) + 2 * q @ mean + c


def test_no_affine_policy_costs_less(precision):
    rng = np.random.default_rng(0)
    stages, terminal = random_stages(rng)
    mean, covariance = rng.normal(size=D), positive(rng, D)
    found = jax.jit(respond)(stacked(stages), StateCost(*map(jnp.asarray, terminal)))
    gain, offset = np.asarray(found.gain, float), np.asarray(found.offset, float)
    least = cost_of(stages, terminal, gain, offset, mean, covariance)
    tolerance = 1e-12 if precision == "float64" else 2e-5
    expected = found.cost.expected(jnp.asarray(mean), jnp.asarray(covariance))
    np.testing.assert_allclose(expected, least, rtol=tolerance)
    for _ in range(20):
        away = rng.normal(size=gain.shape), rng.normal(size=offset.shape)
        steps = [
            cost_of(stages, terminal, gain + e * away[0], offset + e * away[1], mean, covariance)
            for e in (1e-4, -1e-4)
        ]
        # The slope vanishes: what is left is the curvature.
        assert min(steps) > least
        share = 0.01 if precision == "float64" else 0.2
        assert abs(steps[0] - steps[1]) < share * (min(steps) - least)


def test_curvature_is_what_a_missed_action_costs():
    rng = np.random.default_rng(1)
    stages, terminal = random_stages(rng)
    mean, covariance = rng.normal(size=D), positive(rng, D)
    found = respond(stacked(stages), StateCost(*map(jnp.asarray, terminal)))
    gain, offset = np.asarray(found.gain), np.array(found.offset)
    least = cost_of(stages, terminal, gain, offset, mean, covariance)
    for t in range(T):
        missed = rng.normal(size=C)
        changed = offset.copy()
        changed[t] += missed
        more = cost_of(stages, terminal, gain, changed, mean, covariance) - least
        np.testing.assert_allclose(more, missed @ found.curvature[t] @ missed, rtol=1e-9)


def test_an_unbounded_response_is_nan():
    rng = np.random.default_rng(2)
    stages, (Q, q, c) = random_stages(rng)
    terminal = StateCost(jnp.asarray(Q - 100 * np.eye(D)), jnp.asarray(q), jnp.asarray(c))
    assert np.isnan(respond(stacked(stages), terminal).gain[0]).all()


def test_spread():
    rng = np.random.default_rng(3)
    stages, _ = random_stages(rng)
    gain, covariance = rng.normal(size=(T, C, D)), positive(rng, D)
    found = spread(stacked(stages), jnp.asarray(gain), jnp.asarray(covariance))
    for t, s in enumerate(stages):
        np.testing.assert_allclose(found[t], covariance, rtol=1e-12)
        closed = s["A"] + s["B"] @ gain[t]
        covariance = closed @ covariance @ closed.T + s["noise_factor"] @ s["noise_factor"].T
    np.testing.assert_allclose(found[T], covariance, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 3, 7])  # written out, and in a loop
def test_linear_systems(size, precision):
    rng = np.random.default_rng(size)
    matrix, right = positive(rng, size), rng.normal(size=(size, 2))
    tolerance = 1e-9 if precision == "float64" else 2e-3
    exact = np.linalg.solve(matrix, right)
    found = solve_positive(jnp.asarray(matrix), jnp.asarray(right))
    np.testing.assert_allclose(found, exact, rtol=tolerance, atol=tolerance)
    log_det = log_determinant(jnp.asarray(matrix))
    np.testing.assert_allclose(log_det, np.linalg.slogdet(matrix)[1], rtol=tolerance)
    matrix = rng.normal(size=(size, size))
    matrix[0, 0] = 0.0 if size > 1 else matrix[0, 0]  # rows must be exchanged
    exact = np.linalg.solve(matrix, right)
    found = solve_general(jnp.asarray(matrix), jnp.asarray(right))
    np.testing.assert_allclose(found, exact, rtol=tolerance, atol=tolerance)


def test_linear_systems_without_a_solution():
    matrix = jnp.asarray([[1.0, 2.0], [2.0, 4.0]])
    assert np.isnan(solve_general(matrix, jnp.ones((2, 1)))).any()
    assert np.isnan(solve_general(jnp.full((1, 1), 1e-17), jnp.ones((1, 1)), jnp.ones(()))).all()
    assert np.isnan(solve_positive(jnp.asarray([[1.0, 2.0], [2.0, 1.0]]), jnp.ones((2, 1)))).any()
    assert np.isnan(log_determinant(jnp.asarray([[1.0, 2.0], [2.0, 1.0]])))


class Coupled(QuadraticGame):
    """Every coefficient that may depend on the crowd's mean and mean action does."""

    parts: dict
    horizon: int = T
    state_dim: int = D
    control_dim: int = C

    @property
    def noise_dim(self):
        return W

    def initial(self):
        return nf.Gaussian(array(np.ones(D)), array(0.5 * np.eye(D)))

    def stage(self, t, mean_field):
        fixed = {name: jnp.asarray(value)[t] for name, value in self.parts["stages"].items()}
        m, a = mean_field.mean(), mean_field.mean_action()
        for name in ("d", "q", "r"):
            of_mean, of_action = self.parts[name]
            fixed[name] = fixed[name] + of_mean @ m + of_action @ a
        return Stage(**{**fixed, "c": fixed["c"] + m @ m * jnp.sum(a)})

    def terminal(self, mean_field):
        Q, q, c = (jnp.asarray(x) for x in self.parts["terminal"])
        return StateCost(Q, q + self.parts["end"] @ mean_field.mean(), c)


def coupled(seed):
    rng = np.random.default_rng(seed)
    stages, terminal = random_stages(rng)
    shapes = {"d": D, "q": D, "r": C}
    parts = {
        name: (0.2 * rng.normal(size=(n, D)), 0.2 * rng.normal(size=(n, C)))
        for name, n in shapes.items()
    }
    names = stages[0]
    parts["stages"] = {name: np.stack([s[name] for s in stages]) for name in names}
    parts["terminal"], parts["end"] = terminal, 0.2 * rng.normal(size=(D, D))
    return Coupled(parts)


@pytest.mark.parametrize("seed", range(2))
def test_equilibrium_of_any_coupling(seed):
    """Its crowd is the crowd of its policy, and its policy is the best response to that crowd."""
    game = coupled(seed)
    found = game.equilibrium()
    stages = [jax.tree.map(np.asarray, game.stage(t, found.flow[t])) for t in range(T)]
    mean, covariance = np.ones(D), 0.5 * np.eye(D)
    for t, s in enumerate(stages):
        np.testing.assert_allclose(found.flow[t].mean(), mean, atol=1e-11)
        np.testing.assert_allclose(found.flow[t].covariance, covariance, atol=1e-11)
        K, k = found.policy.gain[t], found.policy.offset[t]
        np.testing.assert_allclose(found.flow[t].mean_action(), K @ mean + k, atol=1e-11)
        closed = s.A + s.B @ K
        mean = s.A @ mean + s.B @ (K @ mean + k) + s.d
        covariance = closed @ covariance @ closed.T + s.noise_factor @ s.noise_factor.T
    response = respond(*game.stages(found.flow))
    np.testing.assert_allclose(response.gain, found.policy.gain, atol=1e-11)
    np.testing.assert_allclose(response.offset, found.policy.offset, atol=1e-11)
    value = -response.cost.expected(jnp.ones(D), 0.5 * jnp.eye(D))
    np.testing.assert_allclose(found.value, value, rtol=1e-12)


def test_moves_and_rewards_follow_from_the_stage():
    game, rng = coupled(0), np.random.default_rng(5)
    x, a, z = rng.normal(size=D), rng.normal(size=C), rng.normal(size=W)
    law = nf.Gaussian(np.ones(D), np.eye(D), action_mean=np.ones(C))
    s = jax.tree.map(np.asarray, game.stage(1, law))
    moved = game.step(1, *map(jnp.asarray, (x, a)), law, jnp.asarray(z))
    np.testing.assert_allclose(moved, s.A @ x + s.B @ a + s.d + s.noise_factor @ z)
    cost = x @ s.Q @ x + 2 * s.q @ x + s.c + a @ s.R @ a + 2 * a @ s.S @ x + 2 * s.r @ a
    np.testing.assert_allclose(game.reward(1, jnp.asarray(x), jnp.asarray(a), law), -cost)
    end = jax.tree.map(np.asarray, game.terminal(law))
    cost = x @ end.Q @ x + 2 * end.q @ x + end.c
    np.testing.assert_allclose(game.terminal_reward(jnp.asarray(x), law), -cost)


def test_no_terminal_cost_unless_said():
    class Plain(Coupled):
        def terminal(self, mean_field):
            return QuadraticGame.terminal(self, mean_field)

    game = Plain(coupled(0).parts)
    assert game.terminal_reward(jnp.ones(D), nf.Gaussian(np.ones(D), np.eye(D))) == 0


def test_an_initial_law_without_a_covariance():
    class Sampled(LinearQuadratic):
        def initial(self):
            return nf.Particles(jnp.zeros((5, 1)))

    with pytest.raises(GameError, match="Particles, whose covariance is not known: give initial_m"):
        Sampled().equilibrium()


def test_equilibria_under_vmap_grad_and_jit():
    def value(x):
        return LinearQuadratic(c_a=x).equilibrium().value

    weights = jnp.asarray([5.0, 10.0])
    together = jax.vmap(value)(weights)
    np.testing.assert_allclose(together, [float(value(x)) for x in weights], rtol=1e-12)
    slope = (value(10 + 1e-5) - value(10 - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(value)(10.0), slope, rtol=1e-7)


def test_another_number_compiles_nothing():
    counts = []

    class Counting(LinearQuadratic):
        def stage(self, t, mean_field):
            counts.append(t)
            return super().stage(t, mean_field)

    Counting().equilibrium()
    first = len(counts)
    Counting(A=0.9, c_a=3.0, target=0.1).equilibrium()
    assert len(counts) == first


def test_an_equilibrium_that_is_not_unique():
    # I + D Pi_1 = 0, worked out by hand.
    game = LinearQuadratic(A=1, A_bar=-5, c_x=1, c_a=1, terminal_weight=1, horizon=2)
    with pytest.raises(GameError, match="LinearQuadratic: no equilibrium, or more than one"):
        game.equilibrium()
    assert np.isfinite(eqx.tree_at(lambda g: g.A_bar, game, np.asarray(-4.9)).equilibrium().value)


class CrowdPower(LinearQuadratic):
    """A drift, and a slope of the cost, that grow with a power of the crowd's mean."""

    where: str = "d"
    power: float = 2.0

    def stage(self, t, mean_field):
        stage, mean = super().stage(t, mean_field), mean_field.mean()
        moved = getattr(stage, self.where) + 0.3 * jnp.sum(mean**self.power)
        return eqx.tree_at(lambda s: getattr(s, self.where), stage, moved)


@pytest.mark.parametrize("where", ["d", "q", "r", "A", "R"])
def test_games_that_are_not_linear_in_the_crowd_are_refused(where, precision):
    game = CrowdPower(horizon=5, initial_mean=0.5, where=where)
    with pytest.raises(GameError, match="CrowdPower: its coefficients are not linear in the crowd"):
        game.equilibrium()
    # NaN where nothing can be raised.
    assert np.isnan(eqx.filter_jit(lambda game: game.equilibrium().value)(game))


@pytest.mark.parametrize("where", ["d", "q", "r"])
def test_games_that_are_linear_in_the_crowd_are_not(where, precision):
    game = CrowdPower(horizon=5, initial_mean=0.5, where=where, power=1.0)
    swept = affine_sweep(game, game.equilibrium().policy)
    assert abs(float(swept.exploitability)) < (1e-12 if precision == "float64" else 1e-5)
