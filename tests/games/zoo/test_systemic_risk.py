"""Systemic risk: the exact numbers of continuous time, and the steps that approach them."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import nashfield as nf
from nashfield.games.zoo.systemic_risk import SystemicRisk
from nashfield.learners.riccati import affine_sweep
from nashfield.results import ParameterError

CASES = [((1.0, 1.0, 10.0, 0.0, 1.0), 1.6040266132), ((0.1, 0.5, 1.0, 1.0, 2.0), 0.4599995596)]


def make(case, **changes):
    a, q, eps, c, duration = case
    return SystemicRisk(a=a, q=q, eps=eps, c=c, duration=duration, **changes)


@pytest.mark.parametrize(("case", "eta"), CASES)
def test_published_numbers(case, eta, precision):
    tolerance = 1e-9 if precision == "float64" else 2e-6
    np.testing.assert_allclose(make(case).eta(0.0), eta, atol=tolerance)


@pytest.mark.parametrize("case", [CASES[1][0], (0.5, 1.0, 1.0, 0.3, 2.0), (0.0, 0.0, 0.0, 2.0, 1)])
def test_the_closed_form_solves_its_equation(case):
    a, q, eps, c, duration = case

    def backward(left, y):
        return -2 * (a + q) * y - y**2 + eps - q**2

    solved = solve_ivp(backward, (0, duration), [c], rtol=1e-11, atol=1e-12, dense_output=True).sol
    times = np.array([0.0, 0.3, 0.9])
    game = make(tuple(map(float, case)))
    np.testing.assert_allclose(game.eta(times), solved(duration - times)[0], rtol=1e-8)
    rate = game.borrowing(times, np.array(0.2), np.array(0.5))
    np.testing.assert_allclose(rate, (q + solved(duration - times)[0]) * 0.3, rtol=1e-8)


@pytest.mark.parametrize(("case", "eta"), CASES)
def test_steps_approach_continuous_time_at_first_order(case, eta):
    errors = []
    for horizon in (50, 100, 200):
        game = make(case, horizon=horizon, initial_mean=0.7)
        found = game.equilibrium()
        assert affine_sweep(game, found.policy).exploitability < 1e-12
        np.testing.assert_allclose(found.flow.means(), 0.7, rtol=1e-12)  # nobody moves the mean
        errors.append(abs(-found.policy.gain[0, 0, 0] - case[1] - eta))
    np.testing.assert_allclose(errors[0] / errors[1], 2, rtol=0.02)
    np.testing.assert_allclose(errors[1] / errors[2], 2, rtol=0.01)
    assert errors[2] < 0.02


def test_one_step():
    game = SystemicRisk(a=0.3, q=0.6, eps=2.0, c=0.4, sigma=0.5, horizon=4)
    law = nf.Gaussian(np.array([1.0]), np.ones((1, 1)))
    x, a, z = np.array([0.2]), np.array([0.3]), np.array([-0.5])
    moved = game.step(0, x, a, law, z)
    np.testing.assert_allclose(moved, 0.2 + (0.3 * 0.8 + 0.3) / 4 - 0.5 * 0.5 * 0.5)
    cost = (0.3**2 / 2 - 0.6 * 0.3 * 0.8 + 0.8**2) / 4
    np.testing.assert_allclose(game.reward(0, x, a, law), -cost)
    np.testing.assert_allclose(game.terminal_reward(x, law), -0.2 * 0.8**2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"q": 2.0, "eps": 1.0},
            r"eps must be at least q\^2 = 4, not 1, or the cost is not convex",
        ),
        ({"sigma": -1.0}, "sigma must be finite and at least 0"),
        ({"duration": 0.0}, "duration must be finite and greater than 0"),
        ({"initial_mean": np.inf}, "initial_mean must be finite"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        SystemicRisk(**parameters)


@pytest.mark.parametrize(("q", "eps"), [(0.1, 0.01), (np.float32(0.1), 0.01)])
def test_rounding_refuses_no_parameters(q, eps):
    """eps = q^2, as far as numbers can tell: the cost is alpha^2 / 2 - q alpha y + q^2 y^2 / 2."""
    assert float(q) ** 2 > eps
    game = SystemicRisk(q=q, eps=eps)
    law = nf.Gaussian(np.zeros(1), np.ones((1, 1)))
    # Nothing is paid where alpha = q y.
    cost = game.reward(0, np.array([-2.0]), np.array([2.0 * q]), law)
    np.testing.assert_allclose(cost, 0, atol=1e-9)
