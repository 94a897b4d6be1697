"""The game with a local density in the reward: published numbers, meaning, bad parameters."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.local_entropy import LocalEntropy
from nashfield.learners.riccati import affine_best_response, affine_sweep
from nashfield.results import GameError, ParameterError


@pytest.mark.slow
def test_base_case(precision):
    game = nf.games.LocalEntropy()
    found = game.equilibrium()
    tolerance = 1e-8 if precision == "float64" else 3e-5
    np.testing.assert_allclose(found.value, 0.11321409, atol=tolerance)  # V0 is a cost
    variances = found.flow.laws.covariance[np.array([1, 5, 10]), 0, 0]
    np.testing.assert_allclose(variances, [0.11940509, 0.23852533, 0.26115895], atol=tolerance)
    np.testing.assert_allclose(found.flow[10].mean(), [0.49027603], atol=tolerance)
    swept = affine_sweep(game, found.policy)
    assert swept.exploitability < (1e-10 if precision == "float64" else 1e-6)
    np.testing.assert_allclose(swept.value, found.value, atol=1e-2 * tolerance + 1e-12)


@pytest.mark.slow
def test_one_step(precision):
    """s_1 = (s_0 + sqrt(s_0^2 + 2 c_m / c_a)) / 2."""
    game = LocalEntropy(
        horizon=1, sigma=0.0, c_x=0.0, c_a=2.0, c_m=0.3, initial_variance=0.25, target=0.0
    )
    sd = np.sqrt(game.equilibrium().flow[1].covariance[0, 0])
    tolerance = 1e-10 if precision == "float64" else 1e-6
    assert abs(sd - 0.6208099244) < tolerance
    assert abs(sd - (0.5 + np.sqrt(0.25 + 0.3)) / 2) < tolerance


@pytest.mark.slow
@pytest.mark.parametrize(("D", "C"), [(2, 1), pytest.param(3, 2, marks=pytest.mark.slow), (1, 2)])
def test_in_more_dimensions(D, C):
    rng = np.random.default_rng(0)
    game = LocalEntropy(
        A=0.4 * rng.normal(size=(D, D)),
        B=rng.normal(size=(D, C)),
        target=[0.1, 0.2, 0.3][:D],
        sigma=0.3,
        horizon=4,
        initial_variance=np.diag([0.1, 0.2, 0.3][:D]),
    )
    found = game.equilibrium()
    assert affine_sweep(game, found.policy).exploitability < 1e-12
    covariances = found.flow.laws.covariance
    np.testing.assert_allclose(covariances, np.swapaxes(covariances, 1, 2), atol=1e-13)


@pytest.mark.slow
def test_derivatives_of_the_equilibrium():
    def value(c_m):
        return LocalEntropy(c_m=c_m, horizon=3).equilibrium().value

    slope = (value(0.5 + 1e-5) - value(0.5 - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(value)(jnp.asarray(0.5)), slope, rtol=1e-6)


def test_rewards_read_the_density_of_any_crowd():
    game = LocalEntropy(floor=0.0)
    law = nf.Gaussian(np.array([0.2]), np.array([[0.3]]))
    x, a = jnp.asarray([0.7]), jnp.asarray([0.4])
    density = -0.5 * np.log(2 * np.pi * 0.3) - 0.5 * 0.5**2 / 0.3
    state = -(0.2**2) - 0.5 * density
    np.testing.assert_allclose(game.reward(0, x, a, law), state - 5 * 0.16, rtol=1e-13)
    np.testing.assert_allclose(game.terminal_reward(x, law), state, rtol=1e-13)
    # The quadratic form that exact numbers stand on says the same.
    np.testing.assert_allclose(-game.stage(0, law).cost(x, a), state - 5 * 0.16, rtol=1e-13)
    box = nf.Uniform(np.zeros(1), np.full(1, 2.0))
    np.testing.assert_allclose(game.terminal_reward(x, box), -(0.2**2) - 0.5 * np.log(0.5))
    np.testing.assert_allclose(game.step(0, x, a, box, jnp.asarray([2.0])), [0.7 + 0.4 + 0.2])


def test_the_floor():
    box = nf.Uniform(np.zeros(1), np.ones(1))
    x = jnp.asarray([3.0])  # nobody is there
    expected = -(2.5**2) - 0.5 * np.log(1e-4)
    found = LocalEntropy(floor=1e-4).terminal_reward(x, box)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert LocalEntropy(floor=0.0).terminal_reward(x, box) == np.inf


@pytest.mark.slow
def test_the_terminal_weight():
    law = nf.Gaussian(np.array([0.2]), np.array([[0.3]]))
    x = jnp.asarray([0.7])
    whole, half = (LocalEntropy(terminal_weight=w).terminal_reward(x, law) for w in (1.0, 0.5))
    np.testing.assert_allclose(half, whole / 2)
    assert LocalEntropy(terminal_weight=0.0).equilibrium().value != 0


def test_the_best_response_to_a_narrow_crowd_is_unbounded():
    game = LocalEntropy()
    laws = nf.Gaussian(np.zeros((11, 1)), np.full((11, 1, 1), 0.01))
    assert np.isnan(affine_best_response(game, nf.Flow(laws)).value)


def test_exact_numbers_need_a_gaussian_crowd():
    game = LocalEntropy(horizon=1)
    flow = nf.Flow(nf.Particles(jnp.zeros((2, 5, 1))))
    with pytest.raises(GameError, match="only among Gaussian crowds, not among Particles"):
        affine_best_response(game, flow)


def test_no_retracing():
    counts = []

    class Counting(LocalEntropy):
        def stage(self, t, mean_field):
            counts.append(t)
            return super().stage(t, mean_field)

    Counting(horizon=2).equilibrium()
    first = len(counts)
    Counting(horizon=2, c_m=0.4, sigma=0.2).equilibrium()
    assert len(counts) == first


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"c_a": 0.0}, "c_a must be finite and greater than 0"),
        ({"c_m": -1.0}, "c_m must be finite and at least 0"),
        ({"floor": -1.0}, "floor must be finite and at least 0"),
        ({"initial_variance": 0.0}, "initial_variance must be positive definite: the crowd must"),
        ({"initial_variance": [[1.0, 1.0], [1.0, 1.0]]}, "initial_variance must be positive def"),
        ({"target": [0.0, 0.0], "A": np.eye(3)}, "A says that states have 3 entries, but target"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        LocalEntropy(**parameters)


def test_the_floor_costs_nothing_at_equilibrium():
    """What the default floor adds, E[c_m (log max(mu, floor) - log mu)], by quadrature."""
    game = LocalEntropy()
    flow = game.equilibrium().flow
    total = 0.0
    for t in range(11):
        sd = float(jnp.sqrt(flow[t].covariance[0, 0]))
        x = np.linspace(-12 * sd, 12 * sd, 20_001)
        log_density = -0.5 * np.log(2 * np.pi * sd**2) - x**2 / sd**2 / 2
        excess = np.maximum(np.log(float(game.floor)) - log_density, 0)
        total += 0.5 * np.trapezoid(np.exp(log_density) * excess, x)
    assert 0 < total < 1e-8
    assert eqx.tree_equal(game.equilibrium(), LocalEntropy(floor=0.0).equilibrium())


@pytest.mark.parametrize(
    "parameters",
    [{"c_a": 1.0}, {"c_a": 0.5}, {"c_m": 5.0}, {"initial_variance": 4e-4}],
)
def test_strong_crowding_has_its_equilibrium(parameters):
    """Where damped steps of one size lead to crowds against which responses are unbounded."""
    game = LocalEntropy(**parameters)
    swept = affine_sweep(game, game.equilibrium().policy)
    assert abs(float(swept.exploitability)) < 1e-12


def test_what_is_not_found_is_not_called_missing():
    with pytest.raises(GameError, match="LocalEntropy: no equilibrium was found: the iteration"):
        LocalEntropy(c_a=1e-4, c_m=50.0, initial_variance=1e-6).equilibrium()


def variances(grid, solver, num_iterations, policy=None):
    """Those of the crowd at t = 1..T, and the policy."""
    solution = nf.solve(grid, solver, num_iterations=num_iterations, initial_policy=policy)
    x, masses = np.asarray(grid.cells.centres)[:, 0], np.asarray(solution.flow.states)
    return (masses @ x**2 - (masses @ x) ** 2)[1:], solution.policy


@pytest.mark.slow
def test_a_grid_finds_the_closed_form_and_fictitious_play_what_mirror_descent_does():
    box = {"low": -2.5, "high": 3.5, "action_low": -1.0, "action_high": 1.0}
    descent = nf.OnlineMirrorDescent(learning_rate=1.0)
    exact = np.asarray(LocalEntropy(floor=0.0).equilibrium().flow.laws.covariance)[1:, 0, 0]
    fine = nf.discretise(LocalEntropy(floor=1e-9), num_cells=200, num_actions=121, **box)
    np.testing.assert_allclose(variances(fine, descent, 1500)[0], exact, rtol=0.005)

    grid = nf.discretise(LocalEntropy(floor=1e-2), num_cells=100, num_actions=61, **box)
    found, _ = variances(grid, descent, 1500)
    # The average leaves out random agents: it begins with the best response to them.
    _, first = variances(grid, nf.FixedPoint(), 1)
    played, _ = variances(grid, nf.FictitiousPlay(), 49, first)
    np.testing.assert_allclose(played, found, rtol=0.02)
    # The floor moves the equilibrium: agents far out are paid less.
    assert 0.05 < np.max(np.abs(found / exact - 1)) < 0.15
