"""Epidemics in continuous time: reference numbers, thresholds, bad parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import minimize_scalar

import nashfield as nf
from nashfield.games.rate_equations import crowd_of
from nashfield.results import ParameterError


class TestContact:
    def test_reference_numbers(self, precision):
        """At 4000 steps the greatest share of infected lies at a time of the grid."""
        found = nf.games.SIRContact().equilibrium(num_steps=4000)
        double = precision == "float64"
        within = {"rtol": 0, "atol": 6e-9 if double else 2e-6}
        infected = np.asarray(found.flow.states[:, 1])
        np.testing.assert_allclose(found.flow.states[-1, 0], 0.05059376, **within)
        np.testing.assert_allclose(infected.max(), 0.35293128, **within)
        np.testing.assert_allclose(found.times[infected.argmax()], 10.51, atol=0.006)
        np.testing.assert_allclose(found.policy[:, 0].min(), 0.96531911, **within)
        np.testing.assert_allclose(-found.values[0, 0], 0.73077712, **within)
        np.testing.assert_allclose(-found.value, 0.73716037, **within)
        assert abs(float(found.exploitability)) <= (1e-12 if double else 2e-6)

    def test_without_behaviour(self, precision):
        states = crowd_of(nf.games.SIRContact(), jnp.ones((1001, 3)))
        within = {"rtol": 0, "atol": 6e-9 if precision == "float64" else 2e-6}
        np.testing.assert_allclose(states[-1, 0], 0.04675555, **within)
        # The top lies between two times of the grid: a parabola through three.
        top = int(np.argmax(states[:, 1]))
        a, b, c = np.asarray(states[top - 1 : top + 2, 1], float)
        np.testing.assert_allclose(b - (c - a) ** 2 / 8 / (a - 2 * b + c), 0.35694053, **within)

    def test_only_the_ratio_of_costs_counts(self):
        one, two = (nf.games.SIRContact(c_I=0.7 * x, c_a=x) for x in (1.0, 3.0))
        one, two = (game.equilibrium(num_steps=40) for game in (one, two))
        np.testing.assert_allclose(one.policy, two.policy, atol=1e-11)
        np.testing.assert_allclose(3 * one.value, two.value, atol=1e-10)


class TestVaccination:
    def test_reference_numbers(self, precision):
        game = nf.games.SIRVaccination()
        equilibrium = game.threshold_equilibrium(num_steps=500)
        optimum = game.threshold_optimum(num_steps=500)
        digits = 1e-7 if precision == "float64" else 1e-6
        np.testing.assert_allclose(equilibrium.threshold, 0.024651, atol=5e-7 + digits)
        np.testing.assert_allclose(-equilibrium.value, 0.682297, atol=5e-7 + digits)
        np.testing.assert_allclose(optimum.threshold, 0.032438, atol=5e-7 + digits)
        np.testing.assert_allclose(-optimum.value, 0.681671, atol=5e-7 + digits)

    @staticmethod
    def _cost(threshold, game):
        """The crowd's cost and the flow by another integrator."""
        beta, gamma, rate = (float(x) for x in (game.beta, game.gamma, game.max_rate))

        def run(x, start, end, rate):
            def move(t, x):
                S, I, _ = x
                cost = float(game.c_I) * I + float(game.c_V) * rate * S
                return [-(beta * I + rate) * S, beta * I * S - gamma * I, cost]

            options = {"rtol": 1e-11, "atol": 1e-13, "dense_output": True}
            return solve_ivp(move, (start, end), x, **options)

        first = run([*map(float, game.initial_law[:2]), 0.0], 0, threshold, rate)
        last = run(first.y[:, -1], threshold, float(game.duration), 0.0)
        return last.y[2, -1], last.sol

    @pytest.mark.slow
    def test_indifference_and_optimum_by_scipy(self):
        game = nf.games.SIRVaccination(beta=60.0, c_V=0.4, max_rate=15.0)
        found = game.threshold_equilibrium(num_steps=1000)
        cost, crowd = self._cost(float(found.threshold), game)
        np.testing.assert_allclose(-found.value, cost, atol=1e-8)

        def back(s, v):
            t = 1 - s
            ill = float(game.c_I / game.gamma) * -np.expm1(-float(game.gamma) * s)
            return 60.0 * crowd(t)[1] * (ill - v)

        length = 1 - float(found.threshold)
        worth = solve_ivp(back, (0, length), [0.0], rtol=1e-11, atol=1e-13).y[0]
        np.testing.assert_allclose(worth[-1], 0.4, atol=1e-7)
        assert worth[:-1].max() < 0.4  # later nobody wants it
        optimum = game.threshold_optimum(num_steps=1000)
        best = minimize_scalar(
            lambda t: self._cost(t, game)[0], bounds=(1e-4, 0.2), options={"xatol": 1e-9}
        )
        np.testing.assert_allclose(optimum.threshold, best.x, atol=1e-5)
        np.testing.assert_allclose(-optimum.value, best.fun, atol=1e-8)

    def test_the_iteration_comes_close(self):
        """Its switch lies on the grid."""
        game = nf.games.SIRVaccination()
        found = game.equilibrium(num_steps=1600)
        until = float(jnp.sum(found.policy[:, 0]) / 10 / 1600)
        assert abs(until - 0.024651) < 1.5 / 1600
        np.testing.assert_allclose(-found.value, 0.682297, atol=1e-5)
        assert 0 <= float(found.exploitability) < 1e-6

    @pytest.mark.parametrize(("c_V", "threshold"), [(0.0, 1.0), (2.0, 0.0)])
    def test_always_and_never(self, c_V, threshold):
        game = nf.games.SIRVaccination(c_V=c_V)
        found = game.threshold_equilibrium(num_steps=100)
        np.testing.assert_allclose(found.threshold, threshold, atol=1e-6)

    @pytest.mark.slow
    def test_derivative(self):
        def threshold(c_V):
            game = nf.games.SIRVaccination(c_V=c_V)
            return game.threshold_equilibrium(num_steps=100).threshold

        slope = jax.jit(jax.grad(threshold))(0.5)
        value = jax.jit(threshold)
        np.testing.assert_allclose(slope, (value(0.5001) - value(0.4999)) / 2e-4, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("SIRContact", {"gamma": 0.0}, "gamma must be finite and greater than 0, not 0.0"),
        ("SIRContact", {"beta": -1.0}, "beta must be finite and at least 0, not -1.0"),
        ("SIRContact", {"c_a": 0.0}, "c_a must be finite and greater than 0"),
        ("SIRContact", {"initial_law": [0.5, 0.1, 0.1]}, "initial_law must sum to 1, not to 0.7"),
        ("SIRVaccination", {"max_rate": 0.0}, "max_rate must be finite and greater than 0"),
        ("SIRVaccination", {"c_V": -1.0}, "c_V must be finite and at least 0, not -1.0"),
        ("SIRVaccination", {"duration": 0.0}, "duration must be finite and greater than 0"),
    ],
)
def test_bad_parameters(name, parameters, message):
    with pytest.raises(ParameterError, match=message):
        getattr(nf.games, name)(**parameters)
