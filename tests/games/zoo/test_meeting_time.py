"""When to set out for a meeting: closed forms against searches and draws; what solvers find."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm

import nashfield as nf
from nashfield.games.zoo.meeting_time import MeetingTime
from nashfield.results import ParameterError

# Weights a, b, c: twice the meeting begins late, twice on time (the last at the very border).
WEIGHTS = [(1.0, 1.0, 1.0), (1.0, 2.0, 1.0), (1.0, 1.0, 0.3), (1.5, 0.5, 0.5)]


def make(weights, **changes):
    a, b, c = weights
    return MeetingTime(lateness=a, inconvenience=b, waiting=c, **changes)


def cost_of(arrivals, start, weights, scheduled=12.0):
    a, b, c = weights
    late, missed = np.maximum(arrivals - scheduled, 0), np.maximum(arrivals - start, 0)
    return a * late + b * missed + c * np.maximum(start - arrivals, 0)


@pytest.mark.parametrize(
    ("inconvenience", "intention", "start"),
    [(1.0, 12.12667355, 12.54748417), (2.0, 11.87332645, 12.29413707)],
)
def test_reference_numbers(inconvenience, intention, start, precision):
    found = MeetingTime(inconvenience=inconvenience).equilibrium()
    within = 6e-9 if precision == "float64" else 2e-6
    np.testing.assert_allclose(found.intention, intention, atol=within)
    np.testing.assert_allclose(found.start, start, atol=within)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_nobody_gains_on_the_line(weights):
    """The best answer to the closed form, by a search with another integrator, is itself."""
    game = make(weights)
    found = game.equilibrium()
    tau, start = float(found.intention), float(found.start)
    there = brentq(lambda time: norm.cdf((time - tau) / 0.5) - 0.8, 5, 20, xtol=1e-14)
    np.testing.assert_allclose(start, max(12.0, there), atol=1e-12)
    levels = norm.ppf((np.arange(200_000) + 0.5) / 200_000)

    def mean_cost(intention):
        return np.mean(cost_of(intention + 0.5 * levels, start, weights))

    best = minimize_scalar(mean_cost, bounds=(9, 15), options={"xatol": 1e-9})
    np.testing.assert_allclose(tau, best.x, atol=1e-4)
    np.testing.assert_allclose(game.cost(found.intention, found.start), best.fun, atol=1e-6)


def test_nobody_gains_by_chance():
    """The same with drawn arrivals: within four standard errors of the best intention."""
    game = MeetingTime()
    tau = float(game.equilibrium().intention)
    noise = 0.5 * np.random.default_rng(0).normal(size=100_000)
    start = np.quantile(tau + noise, 0.8)
    slope = lambda x: np.mean(  # noqa: E731
        (x + noise > 12.0) + 1.0 * (x + noise > start) - 1.0 * (x + noise < start)
    )
    best = brentq(slope, 10, 14, xtol=1e-6)
    # The slope is a mean of numbers between -1 and 2, and rises by its density, about 2.
    assert abs(best - tau) < 4 * 1.5 / np.sqrt(100_000) / 2 + 0.002


@pytest.mark.parametrize("start", [12.0, 12.7])
def test_cost_by_quadrature(start, precision):
    weights = (1.0, 2.0, 0.7)
    for intention in (11.0, 12.2, 13.5):
        expected = quad(
            lambda x, m=intention: cost_of(x, start, weights) * norm.pdf(x, m, 0.5),
            intention - 5, intention + 5, points=(12.0, start), epsabs=1e-12,
        )[0]  # fmt: skip
        found = make(weights).cost(jnp.asarray(intention, float), start)
        rtol = 1e-9 if precision == "float64" else 2e-5
        np.testing.assert_allclose(found, expected, rtol=rtol)


class TestStart:
    @pytest.mark.parametrize("seed", [0, 1])
    def test_mixtures(self, seed, precision):
        game = MeetingTime(num_actions=21)
        shares = np.random.default_rng(seed).dirichlet(np.full(21, 0.2))
        means = np.asarray(game.intentions, float)

        def early(time):
            return shares @ norm.cdf((time - means) / 0.5) - 0.8

        expected = max(12.0, brentq(early, 5, 20, xtol=1e-14))
        within = 1e-12 if precision == "float64" else 2e-5
        np.testing.assert_allclose(game.start(jnp.asarray(shares, float)), expected, atol=within)

    def test_a_gap_in_the_crowd(self):
        """Hardly anybody comes between two groups, the first of which is just not enough."""
        game = MeetingTime(num_actions=2, sigma=0.05, quantile=0.8)
        for first in (0.79, 0.799999, 0.81):
            shares = np.array([first, 1 - first])
            found = float(game.start(jnp.asarray(shares)))
            there = shares @ norm.cdf((found - np.array([11.0, 13.0])) / 0.05)
            # Late enough; and not later than need be, but for the meeting's own time.
            assert there > 0.8 - 1e-9
            assert found == 12.0 or there < 0.8 + 1e-9
            assert found == 12.0 if first > 0.8 else found > 12.0

    def test_derivative(self):
        game = MeetingTime(num_actions=5)
        shares = np.array([0.1, 0.2, 0.3, 0.3, 0.1])
        slope = jax.jit(jax.grad(lambda x: game.start(x)))(shares)
        start = jax.jit(lambda x: game.start(x))
        for i, h in enumerate(1e-6 * np.eye(5)):
            difference = (start(shares + h) - start(shares - h)) / 2e-6
            np.testing.assert_allclose(slope[i], difference, atol=1e-7)


def test_exploitability_by_hand():
    game = MeetingTime(num_actions=11)
    law = np.random.default_rng(1).dirichlet(np.ones(11))
    start = float(game.start(jnp.asarray(law)))
    levels = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    arrivals = np.asarray(game.intentions)[:, None] + 0.5 * levels
    costs = cost_of(arrivals, start, WEIGHTS[0]).mean(1)
    gap = nf.exploitability(game, np.tile(law, (1, 12, 1)))
    np.testing.assert_allclose(gap, law @ costs - costs.min(), atol=1e-5)


@pytest.mark.parametrize("weights", WEIGHTS[:3])
def test_the_nearest_intention_is_an_equilibrium(weights):
    game = make(weights, num_actions=81)
    away = np.abs(np.asarray(game.intentions) - float(game.equilibrium().intention))
    law = np.eye(81)[away.argmin()]
    assert abs(float(nf.exploitability(game, np.tile(law, (1, 82, 1))))) < 1e-14
    other = np.eye(81)[away.argmin() + 4]
    assert float(nf.exploitability(game, np.tile(other, (1, 82, 1)))) > 1e-4


@pytest.mark.parametrize("weights", [WEIGHTS[0], WEIGHTS[2]])
def test_auto_comes_near(weights):
    """On a grid intentions within one and a half of its steps of the exact one are equilibria."""
    game = make(weights, num_actions=41)
    found = nf.run(game, nf.Auto(), num_iterations=400, rtol=1e-4, progress=False)
    assert found.exploitability < 1e-4 * found.history["exploitability"][0]
    law = np.asarray(found.policy)[0, 0]
    exact = game.equilibrium()
    assert abs(law @ np.asarray(game.intentions) - float(exact.intention)) < 1.5 * 0.05
    assert abs(float(game.start(jnp.asarray(law))) - float(exact.start)) < 1.5 * 0.05


def test_derivative_of_the_equilibrium():
    def both(waiting):
        found = MeetingTime(waiting=waiting).equilibrium()
        return jnp.stack([found.intention, found.start])

    for waiting in (1.0, 0.4):
        slope = jax.jacfwd(both)(waiting)
        difference = (both(waiting + 1e-6) - both(waiting - 1e-6)) / 2e-6
        np.testing.assert_allclose(slope, difference, atol=1e-7)


def test_protocol():
    nf.testing.check_game(MeetingTime(num_actions=5))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"waiting": 1.5}, r"no finite equilibrium: .* / lateness = 1 is not below 1; raise"),
        ({"lateness": 0.1}, r"no finite equilibrium: .* = 6 is not below 1"),
        ({"waiting": 1.4999, "reach": 0.5}, r"arrive 1.8.* hours .*: reach = 0.5 is too short"),
        ({"quantile": 1.0}, "quantile must"),
        ({"sigma": 0.0}, "sigma must be finite and greater than 0"),
        ({"waiting": 0.0}, "waiting must be finite and greater than 0"),
        ({"inconvenience": -1.0}, "inconvenience must be finite and at least 0"),
        ({"num_actions": 1}, "num_actions must be at least 2, not 1"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        MeetingTime(**parameters)
