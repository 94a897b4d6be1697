"""Price impact: the exact numbers of continuous time, and the steps that approach them."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import nashfield as nf
from nashfield.games.zoo.price_impact import PriceImpact
from nashfield.learners.riccati import affine_sweep
from nashfield.results import ParameterError


def test_published_numbers(precision):
    game = nf.games.PriceImpact(c_a=1.0, c_x=2.0, c_g=0.3, gamma=1.0, duration=1.0)
    tolerance = 1e-10 if precision == "float64" else 1e-6
    np.testing.assert_allclose(game.eta(0.0), 1.309571554706, atol=tolerance)
    np.testing.assert_allclose(game.eta_bar(0.0), 1.816620628857, atol=tolerance)
    np.testing.assert_allclose(game.mean_share(1.0), 0.29322165429, atol=tolerance)


@pytest.mark.parametrize("c_x", [2.0, 0.0])
@pytest.mark.parametrize("gamma", [0.7, 0.0, -0.5])
def test_closed_forms_solve_their_equations(gamma, c_x):
    game = PriceImpact(c_a=1.7, c_x=c_x, c_g=0.4, gamma=gamma, duration=1.5)

    def backward(left, y):
        eta, eta_bar, _ = y
        bar = c_x + gamma / 1.7 * eta_bar - eta_bar**2 / 1.7
        return [c_x - eta**2 / 1.7, bar, eta_bar]

    options = {"rtol": 1e-11, "atol": 1e-12, "dense_output": True}
    solved = solve_ivp(backward, (0, 1.5), [0.4, 0.4, 0.0], **options).sol
    times = np.array([0.0, 0.4, 1.5])
    eta, eta_bar, total = solved(1.5 - times)
    np.testing.assert_allclose(game.eta(times), eta, rtol=1e-8)
    np.testing.assert_allclose(game.eta_bar(times), eta_bar, rtol=1e-8)
    shares = np.exp((total - solved(1.5)[2]) / 1.7)
    np.testing.assert_allclose(game.mean_share(times), shares, rtol=1e-8)
    speed = game.speed(times, np.array(2.0), np.array(0.5))
    np.testing.assert_allclose(speed, -(eta * 1.5 + eta_bar * 0.5) / 1.7, rtol=1e-8)


def test_steps_approach_continuous_time_at_first_order():
    errors = []
    for horizon in (50, 100, 200):
        game = PriceImpact(horizon=horizon)
        found = game.equilibrium()
        assert affine_sweep(game, found.policy).exploitability < 1e-12
        speed = game.speed(0.0, np.array(0.0), np.array(1.0))
        errors.append(
            [
                -found.policy.gain[0, 0, 0] - game.eta(0.0),
                found.policy.offset[0, 0] - speed,
                found.flow.means()[-1, 0] - game.mean_share(1.0),
            ]
        )
    coarse, middle, fine = np.abs(errors)
    np.testing.assert_allclose(coarse / middle, 2, rtol=0.04)
    np.testing.assert_allclose(middle / fine, 2, rtol=0.02)
    assert np.all(fine < 0.02)


def test_one_step():
    game = PriceImpact(horizon=2, sigma=0.4, gamma=3.0)
    law = nf.Gaussian(np.zeros(1), np.ones((1, 1)), action_mean=np.array([0.7]))
    x, a, z = np.array([1.1]), np.array([0.3]), np.array([-0.5])
    moved = game.step(0, x, a, law, z)
    np.testing.assert_allclose(moved, 1.1 + 0.15 - 0.5 * 0.4 * np.sqrt(0.5))
    cost = 0.5 * (0.5 * 0.09 + 1.21 - 3 * 1.1 * 0.7)
    np.testing.assert_allclose(game.reward(0, x, a, law), -cost)
    np.testing.assert_allclose(game.terminal_reward(x, law), -0.15 * 1.21)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"c_a": 0.0}, "c_a must be finite and greater than 0"),
        ({"duration": -1.0}, "duration must be finite and greater than 0"),
        ({"c_x": -1.0}, "c_x must be finite and at least 0"),
        ({"gamma": np.nan}, "gamma must be finite"),
        ({"horizon": 0}, "horizon must be at least 1"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        PriceImpact(**parameters)
