"""Shares that stay shares, beside closed forms and a general solver of differential equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import gamma as gamma_law

from nashfield.neural.epidemics.compartments import growth, infect, recover


def chain(t, x, transmission, gamma):
    """The differential equation of S and K stages."""
    susceptible, infected = x[0], x[1:]
    num_stages = len(infected)
    new = transmission * susceptible * infected.sum()
    flows = np.concatenate([[new], num_stages * gamma * infected])
    return np.concatenate([[-new], flows[:-1] - flows[1:]])


def advance(susceptible, infected, transmission, gamma, duration, num_steps):
    h = duration / num_steps
    for _ in range(num_steps):
        infected = recover(infected, gamma, h / 2)
        susceptible, infected, _ = infect(susceptible, infected, transmission, h)
        infected = recover(infected, gamma, h / 2)
    return np.concatenate([[susceptible], infected])


@pytest.mark.parametrize("num_stages", [1, 3])
def test_second_order(num_stages):
    start = np.concatenate([[0.97], np.full(num_stages, 0.03 / num_stages)])
    exact = solve_ivp(chain, (0, 8), start, args=(0.9, 0.3), rtol=1e-11, atol=1e-13).y[:, -1]
    numbers = jnp.asarray(0.9), jnp.asarray(0.3), 8.0
    begin = jnp.asarray(start[0]), jnp.asarray(start[1:])
    wrong = [np.abs(advance(*begin, *numbers, n) - exact).max() for n in (16, 32)]
    assert wrong[1] < 1e-3 and 3.5 < wrong[0] / wrong[1] < 4.5


def test_infection_alone_is_logistic(precision):
    left, ill, new = infect(jnp.asarray(0.9), jnp.asarray([0.06, 0.04]), jnp.asarray(1.3), 2.0)
    exact = 0.9 / (0.9 + 0.1 * np.exp(1.3 * 2.0))
    tolerance = 1e-12 if precision == "float64" else 1e-5
    np.testing.assert_allclose(left, exact, rtol=tolerance)
    np.testing.assert_allclose(new, 0.9 - exact, rtol=tolerance)
    np.testing.assert_allclose(ill, [0.06 + 0.9 - exact, 0.04], rtol=tolerance)


def test_few_infections_are_not_lost_in_rounding():
    with jax.enable_x64(False):
        _, _, new = infect(jnp.asarray(0.99), jnp.asarray([1e-8]), jnp.asarray(0.1), 0.25)
    np.testing.assert_allclose(new, 0.99 * 1e-8 * (np.exp(0.025) - 1) / 1.0, rtol=1e-2)


@pytest.mark.parametrize("num_stages", [1, 2, 4])
def test_an_illness_lasts_an_erlang_time(num_stages):
    start = jnp.zeros(num_stages).at[0].set(1.0)
    for days in (0.5, 3.0, 20.0):
        left = recover(start, jnp.asarray(0.2), days).sum()
        law = gamma_law(num_stages, scale=1 / (0.2 * num_stages))
        np.testing.assert_allclose(left, law.sf(days), rtol=1e-10)


def test_no_rate_leaves_the_simplex():
    shares = np.random.default_rng(0).dirichlet(np.ones(4), 10)
    for rate in (0.0, 1.0, 1e3, 1e6):
        for susceptible, *infected in shares[:, :3]:
            begin = jnp.asarray(susceptible), jnp.asarray(infected)
            for other in (0.1, rate):
                found = advance(*begin, jnp.asarray(rate), jnp.asarray(other), 1.0, 1)
                assert (found >= 0).all() and found.sum() <= 1 + 1e-12


def test_growth_is_that_of_the_infected():
    start = np.array([0.7, 0.1, 0.05])
    slope = chain(0, start, 0.8, 0.25)
    exact = slope[1:].sum() / start[1:].sum()
    numbers = (jnp.asarray(x) for x in (0.7, start[1:], 0.8, 0.25))
    np.testing.assert_allclose(growth(*numbers), exact, rtol=1e-12)
