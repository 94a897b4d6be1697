"""MF-OMO: what is minimised, its gradient, and the equilibria it reaches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.beach_bar import BeachBar
from nashfield.games.zoo.matrix import LeftRight, RockPaperScissors
from nashfield.games.zoo.susceptible_infected import SusceptibleInfected
from nashfield.mean_fields import FiniteMeanField
from nashfield.solvers.mf_omo import (
    Point,
    best_slacks,
    mf_omo_objective,
    mf_omo_residuals,
)


def left_right_equilibrium():
    """Two thirds go left: both sides then pay -2/3, and nothing is worth deviating for."""
    policy = np.array([[[2 / 3, 1 / 3]] + [[0.5, 0.5]] * 2, [[0.5, 0.5]] * 3])
    states = np.array([[1.0, 0, 0], [0, 2 / 3, 1 / 3]])
    values = np.array([[-2 / 3] * 3, [0, -2 / 3, -2 / 3]])
    # In the first decision L and R are empty and pay nothing, so that V_0 is -2/3 everywhere.
    return FiniteMeanField(states, policy), values


def test_objective_vanishes_at_an_equilibrium(precision):
    crowd, values = left_right_equilibrium()
    crowd = jax.tree.map(jnp.asarray, crowd)
    residuals = mf_omo_residuals(LeftRight(), crowd, jnp.asarray(values))
    np.testing.assert_allclose(residuals.flow, 0, atol=1e-7)
    np.testing.assert_allclose(residuals.gaps, 0, atol=1e-6)
    slacks = best_slacks(residuals.gaps, crowd.joint)
    objective = mf_omo_objective(residuals, crowd.joint, slacks)
    np.testing.assert_allclose(objective, 0, atol=1e-12)


@pytest.mark.parametrize(
    "game", [BeachBar(num_states=5, horizon=4), SusceptibleInfected(horizon=5)]
)
def test_objective_is_the_exploitability_on_a_flow_with_its_best_values(game, skewed_policy):
    policy = jnp.asarray(skewed_policy(game))
    flow = nf.population_flow(game, policy)
    values = nf.learners.optimal_values(game, flow).state_values[:-1]
    crowd = FiniteMeanField(flow.states[:-1], policy)
    residuals = mf_omo_residuals(game, crowd, values)
    assert np.min(residuals.gaps) > -1e-12
    objective = mf_omo_objective(residuals, crowd.joint, residuals.gaps)
    np.testing.assert_allclose(objective, nf.exploitability(game, policy), rtol=1e-12)


def test_residuals_against_the_dense_system(skewed_policy):
    """A_L L - b and c_L - A_L^T y with the whole matrix, on a game coupled in its dynamics."""
    game = SusceptibleInfected(horizon=3)
    rng = np.random.default_rng(0)
    occupation = rng.dirichlet(np.ones(4), 3).reshape(3, 2, 2)
    states = occupation.sum(-1)
    crowd = FiniteMeanField(jnp.asarray(states), jnp.asarray(occupation / states[..., None]))
    values = rng.normal(size=(3, 2))
    matrix, target, cost = np.zeros((6, 12)), np.zeros(6), np.zeros(12)
    for t in range(3):
        mean_field = FiniteMeanField(crowd.states[t], crowd.policy[t])
        kernel = np.asarray(game.transition(t, mean_field).dense())
        reward = np.asarray(game.reward(t, mean_field))
        for x in range(2):
            for a in range(2):
                column = 4 * t + 2 * x + a
                cost[column] = -reward[x, a]
                matrix[2 * t + x, column] = 1
                if t < 2:
                    matrix[2 * (t + 1) : 2 * (t + 2), column] = -kernel[x, a]
    target[:2] = game.initial()
    residuals = mf_omo_residuals(game, crowd, jnp.asarray(values))
    np.testing.assert_allclose(
        residuals.flow.reshape(-1), matrix @ occupation.reshape(-1) - target, atol=1e-14
    )
    np.testing.assert_allclose(
        residuals.gaps.reshape(-1), cost + matrix.T @ values.reshape(-1), atol=1e-14
    )


@pytest.mark.parametrize("value_weight", [1.0, 7.0])
def test_best_slacks_beat_all_others(value_weight):
    rng = np.random.default_rng(1)
    gaps, occupation = jnp.asarray(rng.normal(size=(2, 50, 3, 2)))
    occupation = jnp.abs(occupation)
    cost = lambda z: value_weight * (gaps - z) ** 2 + z * occupation  # noqa: E731
    best = cost(best_slacks(gaps, occupation, value_weight))
    for trial in np.linspace(0, 4, 201):
        assert np.all(best <= cost(trial) + 1e-12)


@pytest.mark.parametrize(
    "game", [BeachBar(num_states=4, horizon=3), SusceptibleInfected(horizon=4)]
)
def test_gradient_against_finite_differences(game, skewed_policy):
    solver = nf.MFOMO()
    state = solver.init(game, jnp.asarray(skewed_policy(game)), key=jax.random.key(0))
    rng = np.random.default_rng(2)
    random = lambda x: x + 0.3 * rng.normal(size=x.shape)  # noqa: E731
    point = Point(random(state.point.logits), random(state.point.values))
    along = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), point)
    value = jax.jit(
        lambda h: solver.objective(
            game, jax.tree.map(lambda x, d: x + h * d, point, along), state.scale
        )
    )
    exact = jax.grad(value)(0.0)
    step = 1e-5
    np.testing.assert_allclose((value(step) - value(-step)) / (2 * step), exact, rtol=1e-7)


# Relative exploitability of the best iterate; rock-paper-scissors makes mirror descent diverge.
@pytest.mark.parametrize(
    ("game", "num_iterations", "bound"),
    [
        (LeftRight(), 1000, 1e-5),
        (RockPaperScissors(), 1000, 1e-2),
        (BeachBar(num_states=4, horizon=3), 2000, 1e-2),
        (BeachBar(num_states=10, horizon=5), 2000, 1e-2),
    ],
)
def test_reaches_small_exploitability(game, num_iterations, bound):
    solution = nf.solve(game, nf.BestSoFar(nf.MFOMO()), num_iterations=num_iterations)
    assert solution.exploitability <= bound * solution.history["exploitability"][0]


def test_a_start_that_never_plays_some_actions_can_leave(precision):
    game = LeftRight()
    start = jnp.zeros((2, 3, 2)).at[..., 1].set(1.0)  # everyone right: exploitability 2
    solution = nf.solve(game, nf.BestSoFar(nf.MFOMO()), num_iterations=1000, initial_policy=start)
    assert solution.exploitability < 1e-2


def test_a_start_at_an_equilibrium_is_finite():
    class Free(LeftRight):
        def state_reward(self, t, mean_field):
            return jnp.zeros(3)

    solution = nf.solve(Free(), nf.MFOMO(), num_iterations=5)
    np.testing.assert_allclose(solution.history["exploitability"], 0, atol=1e-12)


@pytest.mark.parametrize("name", ["learning_rate", "flow_weight", "value_weight"])
def test_numbers_out_of_range(name):
    with pytest.raises(ValueError, match=f"MFOMO: {name} must be finite, above 0"):
        nf.MFOMO(**{name: 0.0})


@pytest.mark.slow
def test_gradient_where_nobody_comes_at_first():
    @jax.jit
    def gap(noise):
        game = nf.games.FourRooms(horizon=3, noise=noise)  # everyone starts in one cell
        return nf.solve(game, nf.MFOMO(), num_iterations=2).exploitability

    step = 1e-4
    finite = (gap(0.2 + step) - gap(0.2 - step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(gap)(0.2), finite, rtol=1e-5)
