"""Entropy-regularised equilibria: plain loops, closed forms, derivatives, memory, precision."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import logsumexp, softmax

import nashfield as nf
from nashfield.dynamics.forward import flow_and_kernels
from nashfield.dynamics.regularised import (
    regularised_equilibrium,
    regularised_fixed_point,
    regularised_response,
)

NAMES = ("infection", "recovery", "distancing_cost", "infected_cost")
AT = np.array([0.81, 0.3, 0.5, 1.0])
TEMPERATURE = np.array(0.3)


def epidemic(numbers=AT, horizon=6):
    pairs = dict(zip(NAMES, numbers, strict=True))
    return nf.games.SusceptibleInfected(horizon=horizon, **pairs)


def by_hand(horizon=6, temperature=0.3, num_iterations=400):
    """The epidemic in a plain loop: states S and I; go out, or keep a distance."""
    policy = np.full((horizon, 2, 2), 0.5)
    reward = -np.array([[0.0, 0.5], [1.0, 1.5]])
    for _ in range(num_iterations):
        infected = [0.6]
        for t in range(horizon):
            caught = (1 - infected[t]) * policy[t, 0, 0] * 0.81 * infected[t]
            infected.append(infected[t] * 0.7 + caught)
        values, answer = np.zeros(2), np.zeros_like(policy)
        for t in reversed(range(horizon)):
            to_infected = np.array([[0.81 * infected[t], 0.0], [0.7, 0.7]])
            Q = reward + (1 - to_infected) * values[0] + to_infected * values[1]
            answer[t] = softmax(Q / temperature, -1)
            values = temperature * logsumexp(Q / temperature, -1)
        policy = (policy + answer) / 2
    return policy, np.array(infected)


def test_by_hand(precision):
    policy, infected = by_hand()
    found = regularised_equilibrium(epidemic(), np.asarray(TEMPERATURE, precision))
    # What rounding leaves of values of about 6, over the temperature, is 16 eps 20.
    within = 1e-12 if precision == "float64" else 4e-5
    np.testing.assert_allclose(found.policy, policy, atol=within)
    np.testing.assert_allclose(found.flow.states[:, 1], infected, atol=within)
    assert float(found.residual) < within
    np.testing.assert_allclose(
        found.exploitability, nf.exploitability(epidemic(), found.policy), atol=within
    )


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_closed_form_where_actions_count(temperature):
    """In a game that reads what the crowd does: indifference, but for the entropy."""
    game = nf.games.LeftRight()
    found = regularised_equilibrium(game, np.array(temperature)).policy[0, 0, 0]

    def urge(p):
        return -p + 2 * (1 - p) - temperature * np.log(p / (1 - p))

    np.testing.assert_allclose(found, brentq(urge, 1e-9, 1 - 1e-9, xtol=1e-15), atol=1e-12)


def test_nears_nash():
    gaps = [
        float(regularised_equilibrium(nf.games.ElFarolBar(), np.array(t)).exploitability)
        for t in (1.0, 0.1, 0.01)
    ]
    assert gaps[0] > 5 * gaps[1] > 25 * gaps[2] > 0


def test_another_first_law():
    law = np.array([0.9, 0.1])
    policy, (missed, _) = regularised_fixed_point(epidemic(), TEMPERATURE, 0.5, 300, law)
    other = eqx.tree_at(lambda g: g.initial_infected, epidemic(), np.array(0.1))
    np.testing.assert_allclose(policy, regularised_equilibrium(other, TEMPERATURE).policy)
    assert missed < 1e-12


def test_residual_tells():
    found = regularised_equilibrium(epidemic(), TEMPERATURE, max_iterations=2)
    assert int(found.num_iterations) == 2
    flow = nf.population_flow(epidemic(), found.policy)
    moved = regularised_response(epidemic(), flow, TEMPERATURE) - found.policy
    np.testing.assert_allclose(found.residual, np.abs(moved).max(), rtol=1e-12)
    assert found.residual > 1e-3


class TestDerivatives:
    def look(self, policy, game):
        states = flow_and_kernels(game, policy)[0].states
        return jnp.concatenate([states[-1], policy[0, 0], jnp.sum(states**2)[None]])

    def implicit(self, numbers, max_iterations=300):
        game = epidemic(numbers)
        policy, _ = regularised_fixed_point(game, TEMPERATURE, 0.5, max_iterations)
        return self.look(policy, game)

    def unrolled(self, numbers):
        game = epidemic(numbers)

        def step(policy, _):
            flow = flow_and_kernels(game, policy)[0]
            return (policy + regularised_response(game, flow, TEMPERATURE)) / 2, None

        start = jnp.full((6, 2, 2), 0.5)
        return self.look(jax.lax.scan(step, start, length=100)[0], game)

    @pytest.mark.slow
    def test_all_ways_agree(self):
        forward = jax.jit(jax.jacfwd(self.implicit))(AT)
        backward = jax.jit(jax.jacrev(self.implicit))(AT)
        unrolled = jax.jit(jax.jacfwd(self.unrolled))(AT)
        np.testing.assert_allclose(backward, forward, atol=1e-10)
        np.testing.assert_allclose(forward, unrolled, atol=1e-9)
        value = jax.jit(self.implicit)
        for i, h in enumerate(1e-5 * np.eye(4)):
            difference = (value(AT + h) - value(AT - h)) / 2e-5
            np.testing.assert_allclose(forward[:, i], difference, rtol=1e-6, atol=1e-8)

    @pytest.mark.slow
    def test_memory_is_that_of_one_iteration(self):
        def memory(function):
            program = jax.jit(jax.grad(lambda x: function(x)[-1])).lower(AT).compile()
            return program.memory_analysis().temp_size_in_bytes

        few, many = (memory(lambda x, n=n: self.implicit(x, n)) for n in (10, 1000))
        assert few == many < memory(self.unrolled) / 2


def test_another_number_compiles_nothing():
    traces = 0

    class Counted(nf.games.SusceptibleInfected):
        def reward(self, t, mean_field):
            nonlocal traces
            traces += 1
            return super().reward(t, mean_field)

    regularised_equilibrium(Counted(horizon=3), np.array(1.0))
    first = traces
    regularised_equilibrium(Counted(horizon=3, infection=0.2), np.array(0.5), damping=np.array(0.2))
    regularised_equilibrium(Counted(horizon=3, infection=0.3), np.array(0.4), damping=np.array(0.3))
    assert traces <= 2 * first
    for number in (0.9, 0.7):
        regularised_equilibrium(Counted(horizon=3), number, damping=number / 2)
    assert traces <= 2 * first
