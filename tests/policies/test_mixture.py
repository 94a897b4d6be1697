"""Mixtures of policies, weighted by where those who play them are."""

import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.beach_bar import BeachBar
from nashfield.policies import occupation_mixture


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_flow_of_the_mixture_is_the_mixture_of_flows(share, precision):
    # True as the beach's transitions do not depend on the crowd.
    game = BeachBar(num_states=5, horizon=4)
    rng = np.random.default_rng(0)
    first, second = jnp.asarray(rng.dirichlet(np.ones(3), (2, 4, 5)))
    flows = [nf.population_flow(game, policy) for policy in (first, second)]
    mixed = occupation_mixture(first, flows[0].states[:-1], second, flows[1].states[:-1], share)
    found = nf.population_flow(game, mixed).joint
    expected = (1 - share) * flows[0].joint + share * flows[1].joint
    np.testing.assert_allclose(found, expected, atol=1e-14 if precision == "float64" else 1e-6)


def test_where_nobody_is_the_rows_are_mixed():
    first, second = jnp.array([[[1.0, 0.0]]]), jnp.array([[[0.0, 1.0]]])
    nobody = jnp.zeros((1, 1))
    mixed = occupation_mixture(first, nobody, second, nobody, 0.25)
    np.testing.assert_allclose(mixed, [[[0.75, 0.25]]])


def test_where_only_one_of_them_is_its_row_is_taken():
    first, second = jnp.array([[[1.0, 0.0]]]), jnp.array([[[0.0, 1.0]]])
    mixed = occupation_mixture(first, jnp.zeros((1, 1)), second, jnp.ones((1, 1)), 0.25)
    np.testing.assert_allclose(mixed, second)
