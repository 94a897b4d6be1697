"""The El Farol bar: its mixed equilibrium, by other means; what solvers find; bad parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom

import nashfield as nf
from nashfield.games.zoo.el_farol_bar import ElFarolBar
from nashfield.results import ParameterError

SMALL = {"num_agents": 30, "capacity": 11, "good": 3.0, "bad": -1.0, "home": 0.5}


def everywhere(going, precision="float64"):
    return np.tile(np.array([1 - going, going], precision), (1, 3, 1))


def worth(going, num_agents, capacity, good, bad, home):
    """Of staying and going, by SciPy."""
    room = binom.cdf(capacity - 1, num_agents - 1, going)
    return np.array([home, bad + (good - bad) * room])


@pytest.mark.parametrize(("home", "going"), [(1.0, 0.60066926), (0.5, 0.63344028)])
def test_reference_numbers(home, going, precision):
    found = ElFarolBar(home=home).equilibrium()
    np.testing.assert_allclose(found, going, atol=6e-9 if precision == "float64" else 2e-6)


@pytest.mark.parametrize("capacity", [1, 11, 29])
def test_against_a_search_by_scipy(capacity):
    numbers = {**SMALL, "capacity": capacity}
    found = ElFarolBar(**numbers).equilibrium()
    expected = brentq(lambda p: np.subtract(*worth(p, **numbers)), 0, 1, xtol=1e-15)
    np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize("going", [0.0, 0.2, 0.36, 0.5, 1.0])
def test_exploitability(going, precision):
    pays = worth(going, **SMALL)
    expected = pays.max() - np.array([1 - going, going]) @ pays
    found = nf.exploitability(ElFarolBar(**SMALL), everywhere(going, precision))
    np.testing.assert_allclose(found, expected, atol=1e-12 if precision == "float64" else 1e-5)


def test_nobody_gains_at_equilibrium(precision):
    game = ElFarolBar()
    gap = nf.exploitability(game, everywhere(float(game.equilibrium()), precision))
    assert abs(float(gap)) < (1e-12 if precision == "float64" else 1e-5)


@pytest.mark.parametrize(
    ("solver", "num_iterations", "within"),
    [
        (nf.Auto(), 60, 1e-6),
        (nf.OnlineMirrorDescent(learning_rate=0.2), 200, 1e-8),
        (nf.FictitiousPlay(), 400, 3e-3),
    ],
)
def test_solvers_find_it(solver, num_iterations, within):
    game = ElFarolBar()
    found = nf.solve(game, solver, num_iterations=num_iterations)
    np.testing.assert_allclose(found.policy[0, 0, 1], game.equilibrium(), atol=within)
    np.testing.assert_allclose(found.flow.states[1, 2], found.policy[0, 0, 1], atol=1e-12)


def test_derivatives():
    def going(home):
        return ElFarolBar(home=home).equilibrium()

    slope = jax.jit(jax.grad(going))(1.0)
    look = jax.jit(going)
    np.testing.assert_allclose(slope, (look(1 + 1e-5) - look(1 - 1e-5)) / 2e-5, rtol=1e-7)
    several = jax.vmap(going)(jnp.array([0.5, 1.0]))
    np.testing.assert_allclose(several, [0.63344028, 0.60066926], atol=6e-9)


def test_protocol(check_kernels):
    check_kernels(ElFarolBar())
    nf.testing.check_game(ElFarolBar(**SMALL))


def test_among_agents():
    """The frozen deviator is indifferent, and the shares scatter as those of coins do."""
    game = ElFarolBar()
    going = float(game.equilibrium())
    found = nf.simulate(game, everywhere(going), num_agents=100, num_seeds=200)
    spread = np.sqrt(2 / np.pi * going * (1 - going) / 100) / 2  # the first time nobody is away
    np.testing.assert_allclose(found.distance.mean, spread, rtol=0.2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_agents": 1}, "num_agents must be at least 2, not 1"),
        ({"capacity": 0}, "capacity must be at least 1, not 0"),
        ({"capacity": 100}, "capacity must be less than num_agents = 100, not 100"),
        ({"home": 2.0}, "payoffs must be bad < home < good, not 0, 2, 2"),
        ({"bad": float("nan")}, "bad must be finite"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        ElFarolBar(**parameters)
