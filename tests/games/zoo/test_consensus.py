"""Consensus: the exact numbers of continuous time, and the steps that approach them."""

import jax
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

import nashfield as nf
from nashfield.games.zoo.consensus import Consensus
from nashfield.results import ParameterError

OTHER = Consensus(sigma=0.8, duration=2.0, initial_mean=0.3, initial_variance=0.1)


def test_reference_numbers(precision):
    within = 6e-9 if precision == "float64" else 2e-7
    np.testing.assert_allclose(Consensus().variance(1.0), 0.29539212, atol=within)
    np.testing.assert_allclose(Consensus().cost(), 0.14942187, atol=within)


def test_closed_forms_by_scipy():
    """Riccati's equation backward, then variance and cost forward."""
    options = {"rtol": 1e-11, "atol": 1e-12, "dense_output": True}
    riccati = solve_ivp(lambda left, p: 1 - p**2, (0, 2), [0.0], **options).sol

    def move(t, x):
        p = riccati(2 - t)[0]
        return [0.64 - 2 * p * x[0], (p**2 + 1) * x[0] / 2]

    found = solve_ivp(move, (0, 2), [0.1, 0.0], **options).sol
    times = np.array([0.0, 0.7, 2.0])
    np.testing.assert_allclose(OTHER.gain(times), riccati(2 - times)[0], atol=1e-9)
    np.testing.assert_allclose(OTHER.variance(times), found(times)[0], atol=1e-9)
    np.testing.assert_allclose(OTHER.cost(), found(2)[1], atol=1e-9)
    rate = quad(lambda t: (float(OTHER.gain(t)) ** 2 + 1) * float(OTHER.variance(t)) / 2, 0, 2)
    np.testing.assert_allclose(OTHER.cost(), rate[0], atol=1e-8)


def test_the_steps_by_hand(precision):
    """Riccati's recursion and the crowd's variance in a plain loop."""
    T, dt, sigma, P, gains = 10, 0.2, 0.8, 0.0, []
    for _ in range(T):
        gains.append(P / (1 + dt * P))
        P = dt + P / (1 + dt * P)  # costs x'P x / 2
    variance, cost = 0.1, 0.0
    for gain in reversed(gains):
        cost += dt / 2 * (gain**2 + 1) * variance
        variance = (1 - dt * gain) ** 2 * variance + sigma**2 * dt
    game = Consensus(sigma=0.8, duration=2.0, horizon=10, initial_mean=0.3, initial_variance=0.1)
    found = game.equilibrium()
    rtol = 1e-11 if precision == "float64" else 2e-6
    np.testing.assert_allclose(-found.policy.gain[::-1, 0, 0], gains, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(found.value, -cost, rtol=rtol)
    np.testing.assert_allclose(found.flow[10].covariance[0, 0], variance, rtol=rtol)
    np.testing.assert_allclose(found.flow[10].mean()[0], 0.3, rtol=rtol)
    assert abs(float(nf.exploitability(game, found.policy).value)) < (
        1e-20 if rtol < 1e-9 else 1e-6
    )


def test_order_of_convergence():
    """The first power of dt has a small coefficient in the value: many steps show it."""
    errors = []
    for horizon in (160, 320, 640):
        game = Consensus(horizon=horizon)
        found = game.equilibrium()
        errors.append(
            [
                float(found.value + game.cost()),
                float(found.flow[horizon].covariance[0, 0] - game.variance(1.0)),
                float(found.policy.gain[0, 0, 0] + game.gain(0.0)),
            ]
        )
    ratios = np.array(errors[:-1]) / np.array(errors[1:])
    np.testing.assert_allclose(ratios, 2, atol=0.1)


def test_derivative():
    slope = jax.grad(lambda s: Consensus(sigma=s).cost())(0.5)
    np.testing.assert_allclose(slope, 0.5 * np.log(np.cosh(1)), rtol=1e-12)


def test_solvers():
    solution = nf.solve(Consensus(horizon=5), nf.Auto(), num_iterations=1)
    np.testing.assert_allclose(solution.exploitability, 0, atol=1e-20)


def test_protocol():
    nf.testing.check_game(Consensus(horizon=4))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"horizon": 0}, "horizon must be at least 1, not 0"),
        ({"duration": 0.0}, "duration must be finite and greater than 0"),
        ({"sigma": -1.0}, "sigma must be finite and at least 0"),
        ({"initial_variance": -1.0}, "initial_variance must be finite and at least 0"),
        ({"initial_mean": float("inf")}, "initial_mean must be finite"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        Consensus(**parameters)
