"""Flows, values and sweeps against plain loops, on a game whose crowd bends everything."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics import forward, individual_flow, sweep

T, S, A = 3, 3, 2
RNG = np.random.default_rng(0)
CALM, WILD = RNG.dirichlet(np.ones(S), (2, S, A))
BONUS = RNG.normal(size=(T, S, A))
POLICY, OTHER = RNG.dirichlet(np.ones(A), (2, T, S))
INITIAL = np.array([0.5, 0.2, 0.3])


class Bent(nf.FiniteGame):
    """The more of the crowd plays action 1, the wilder the moves."""

    horizon: int = eqx.field(init=False, default=T)
    num_states: int = eqx.field(init=False, default=S)
    num_actions: int = eqx.field(init=False, default=A)

    def initial(self):
        return INITIAL

    def transition(self, t, mean_field):
        wild = jnp.sum(mean_field.joint[:, 1])
        calm, other = jnp.asarray(CALM, float), jnp.asarray(WILD, float)
        return nf.Dense((1 - wild) * calm + wild * other)

    def reward(self, t, mean_field):
        return jnp.asarray(BONUS, float)[t] - 2 * mean_field.joint

    def terminal_reward(self, mean_field):
        return -3 * mean_field.states


def kernel_of(law, rule):
    wild = sum(law[x] * rule[x, 1] for x in range(S))
    return (1 - wild) * CALM + wild * WILD


def flow_of(policy, crowd=None):
    """Of everyone; or, where the crowd's (states, policy) are given, of one agent among them."""
    laws = [INITIAL]
    for t in range(T):
        law = laws[-1]
        kernel = kernel_of(law, policy[t]) if crowd is None else kernel_of(crowd[0][t], crowd[1][t])
        ahead = np.zeros(S)
        for x in range(S):
            for a in range(A):
                ahead += law[x] * policy[t, x, a] * kernel[x, a]
        laws.append(ahead)
    return np.array(laws)


def values_of(states, policy, played=None):
    """V (T + 1, S) and Q (T, S, A) in the crowd; of `played`, or of optimal play if None."""
    values, tables = [-3 * states[T]], []
    for t in reversed(range(T)):
        kernel = kernel_of(states[t], policy[t])
        table = BONUS[t] - 2 * states[t][:, None] * policy[t] + kernel @ values[0]
        best = table.max(-1) if played is None else (played[t] * table).sum(-1)
        values.insert(0, best)
        tables.insert(0, table)
    return np.array(values), np.array(tables)


@pytest.fixture(params=["kernels kept", "kernels computed again"])
def kernels(request, monkeypatch):
    if request.param != "kernels kept":
        monkeypatch.setattr(forward, "_KEPT_ENTRIES", 0)


def test_population_flow(precision):
    flow = nf.population_flow(Bent(), POLICY)
    tolerance = 1e-14 if precision == "float64" else 1e-6
    np.testing.assert_allclose(flow.states, flow_of(POLICY), atol=tolerance)
    pairs = flow_of(POLICY)[:T, :, None] * POLICY
    np.testing.assert_allclose(flow.joint, pairs, atol=tolerance)
    assert flow.dtype == precision


def test_one_agent_in_a_frozen_crowd(precision):
    crowd = nf.population_flow(Bent(), POLICY)
    found = individual_flow(Bent(), OTHER, crowd)
    expected = flow_of(OTHER, (flow_of(POLICY), POLICY))
    tolerance = 1e-14 if precision == "float64" else 1e-6
    np.testing.assert_allclose(found.states, expected, atol=tolerance)
    assert np.abs(expected - flow_of(OTHER)).max() > 1e-3  # the crowd matters
    among_its_like = individual_flow(Bent(), POLICY, crowd)
    np.testing.assert_allclose(among_its_like.states, crowd.states, atol=tolerance)


def test_values_of_another_policy(precision):
    found = nf.evaluate(Bent(), OTHER, nf.population_flow(Bent(), POLICY))
    values, tables = values_of(flow_of(POLICY), POLICY, OTHER)
    tolerance = 1e-13 if precision == "float64" else 1e-5
    np.testing.assert_allclose(found.state_values, values, atol=tolerance)
    np.testing.assert_allclose(found.action_values, tables, atol=tolerance)
    assert float(found) == pytest.approx(INITIAL @ values[0], abs=tolerance)


def test_sweep(precision, kernels):
    found = eqx.filter_jit(lambda policy: sweep(Bent(), policy))(POLICY)
    states = flow_of(POLICY)
    values, tables = values_of(states, POLICY, POLICY)
    best, best_tables = values_of(states, POLICY)
    expected = {
        "advantages": tables - values[:T, :, None],
        "optimal_advantages": best_tables - values[:T, :, None],
        "state_values": values[:T],
        "regrets": (best - values)[:T],
        "value": INITIAL @ values[0],
        "exploitability": INITIAL @ (best - values)[0],
    }
    tolerance = 1e-13 if precision == "float64" else 1e-5
    for name, array in expected.items():
        np.testing.assert_allclose(getattr(found, name), array, atol=tolerance, err_msg=name)
    np.testing.assert_allclose(found.flow.states, states, atol=tolerance)


@pytest.mark.parametrize("dtype", ["int64", "bool", "float32"])
def test_policies_of_another_type(dtype, without_type_checks):
    policy = np.eye(A)[np.arange(T * S).reshape(T, S) % A]
    crowd = nf.population_flow(Bent(), policy)
    given = policy.astype(dtype)
    np.testing.assert_array_equal(nf.population_flow(Bent(), given).states, crowd.states)
    np.testing.assert_array_equal(
        individual_flow(Bent(), given, crowd).states, individual_flow(Bent(), policy, crowd).states
    )
    assert nf.exploitability(Bent(), given) == nf.exploitability(Bent(), policy)
    assert nf.evaluate(Bent(), given, crowd).value == nf.evaluate(Bent(), policy, crowd).value
    expected = nf.run(Bent(), nf.FictitiousPlay(), num_iterations=2, initial_policy=policy)
    found = nf.run(Bent(), nf.FictitiousPlay(), num_iterations=2, initial_policy=given)
    np.testing.assert_array_equal(found.policy, expected.policy)


def test_flows_in_single_precision_are_evaluated_in_double():
    flow = nf.population_flow(Bent(), POLICY)
    single = type(flow)(np.asarray(flow.states, "float32"), np.asarray(flow.policy, "float32"))
    found, expected = (nf.evaluate(Bent(), POLICY, f).value for f in (single, flow))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
