"""Kernels against loops over a table of our own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.games.kernels import Dense, Sparse, predecessor_lists

S, A, K = 7, 3, 4


def lists(seed=0):
    rng = np.random.default_rng(seed)
    successors = rng.integers(0, S, (S, A, K))  # a state may be named twice
    return successors, rng.dirichlet(np.ones(K), (S, A))


def table_of(successors, probabilities):
    table = np.zeros((S, A, S))
    for x in range(S):
        for a in range(A):
            for k in range(K):
                table[x, a, successors[x, a, k]] += probabilities[x, a, k]
    return table


def kernels():
    successors, probabilities = lists()
    return {
        "dense": Dense(table_of(successors, probabilities)),
        "gather": Sparse(successors, probabilities, predecessor_lists(successors)),
        "scatter": Sparse(successors, probabilities),
    }


@pytest.mark.parametrize("kind", kernels())
def test_expect_push_and_dense(kind, precision):
    kernel = kernels()[kind]
    rng = np.random.default_rng(1)
    values, mass = rng.normal(size=S), rng.dirichlet(np.ones(S * A)).reshape(S, A)
    table = table_of(*lists())
    expected, pushed, dense = jax.jit(
        lambda v, m: (kernel.expect(v), kernel.push(m), kernel.dense())
    )(values, mass)
    assert expected.dtype == pushed.dtype == precision
    tolerance = 1e-14 if precision == "float64" else 1e-6
    by_hand = np.array([[sum(table[x, a] * values) for a in range(A)] for x in range(S)])
    np.testing.assert_allclose(expected, by_hand, atol=tolerance)
    arrivals = sum(mass[x, a] * table[x, a] for x in range(S) for a in range(A))
    np.testing.assert_allclose(pushed, arrivals, atol=tolerance)
    np.testing.assert_allclose(dense, table, atol=tolerance)


@pytest.mark.parametrize("kind", kernels())
def test_push_is_the_transpose_of_expect(kind):
    kernel = kernels()[kind]
    _, pull = jax.vjp(kernel.expect, jnp.zeros(S))
    mass = np.random.default_rng(2).random((S, A))
    np.testing.assert_allclose(kernel.push(mass), pull(jnp.asarray(mass))[0], rtol=1e-13)


@pytest.mark.parametrize("predecessors", [True, False])
def test_probabilities_broadcast(predecessors):
    successors, _ = lists()
    wind = np.array([0.1, 0.2, 0.3, 0.4])
    kernel = Sparse(
        successors, wind[None, None], predecessor_lists(successors) if predecessors else None
    )
    table = table_of(successors, np.broadcast_to(wind, (S, A, K)))
    values, mass = np.arange(S) ** 2.0, np.full((S, A), 1 / (S * A))
    np.testing.assert_allclose(kernel.expect(values), table @ values, rtol=1e-13)
    np.testing.assert_allclose(kernel.push(mass), np.einsum("xa,xay->y", mass, table), rtol=1e-13)
    np.testing.assert_allclose(kernel.dense(), table, rtol=1e-13)


@pytest.mark.parametrize("kind", kernels())
def test_samples_follow_the_law(kind):
    kernel = kernels()[kind]
    states, actions = np.full(40_000, 3), np.full(40_000, 2)
    drawn = np.asarray(kernel.sample(jax.random.key(0), states, actions))
    shares = np.bincount(drawn, minlength=S) / 40_000
    np.testing.assert_allclose(shares, table_of(*lists())[3, 2], atol=0.01)


def test_an_arrival_without_probability_is_never_drawn():
    successors, probabilities = lists()
    probabilities = np.zeros_like(probabilities)
    probabilities[..., 1] = 1.0
    kernel = Sparse(successors, probabilities)
    states, actions = np.repeat(np.arange(S), A), np.tile(np.arange(A), S)
    drawn = kernel.sample(jax.random.key(1), states, actions)
    np.testing.assert_array_equal(drawn, successors[states, actions, 1])


def test_predecessor_lists_name_every_arrival_once():
    successors, _ = lists()
    predecessors = predecessor_lists(successors)
    flat = successors.reshape(-1)
    for state, row in enumerate(predecessors):
        listed = row[row < flat.size]
        np.testing.assert_array_equal(listed, np.flatnonzero(flat == state))
    named = predecessors[predecessors < flat.size]
    assert sorted(named) == list(range(flat.size))


def test_a_state_that_draws_all_has_no_predecessor_lists():
    assert predecessor_lists(np.zeros((S, A, K), int)) is None
