"""Mean fields and flows, and what is said where the actions of the crowd are not known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nashfield.mean_fields import FiniteFlow, FiniteMeanField

LAW = np.array([0.1, 0.0, 0.6, 0.3])
RNG = np.random.default_rng(0)
STATES, POLICY = RNG.dirichlet(np.ones(4), 3), RNG.dirichlet(np.ones(2), (2, 4))


@pytest.fixture(params=["numpy", "jax"])
def flow(request):
    hold = np.asarray if request.param == "numpy" else jnp.asarray
    return FiniteFlow(hold(STATES), hold(POLICY))


def test_moments_and_density(precision):
    mean_field = FiniteMeanField(LAW.astype(precision))
    np.testing.assert_allclose(mean_field.mean(), 0 * 0.1 + 2 * 0.6 + 3 * 0.3, rtol=1e-6)
    values = np.array([1, 5, -1, 2])
    np.testing.assert_allclose(mean_field.expect(values), 0.1 - 0.6 + 0.6, rtol=1e-6)
    np.testing.assert_allclose(
        mean_field.log_density(np.array([3, 1])), [np.log(0.3), -np.inf], rtol=1e-6
    )


def test_samples_follow_the_law():
    drawn = np.asarray(FiniteMeanField(LAW).sample(jax.random.key(0), 40_000))
    # The widest of the shares has a standard deviation of .0025.
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 40_000, LAW, atol=0.01)
    assert not (drawn == 1).any()


def test_joint_is_the_law_of_pairs(flow):
    for t in range(2):
        for x in range(4):
            for a in range(2):
                pair = STATES[t, x] * POLICY[t, x, a]
                assert flow.joint[t, x, a] == pytest.approx(pair)
                assert flow[t].joint[x, a] == pytest.approx(pair)


@pytest.mark.parametrize("t", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("kind", [int, np.int64])
def test_times_count_from_both_ends(flow, t, kind, without_type_checks):
    there = range(3)[t]
    t = kind(t)
    np.testing.assert_array_equal(flow[t].states, STATES[there])
    if there == 2:
        assert flow[t].policy is None
    else:
        np.testing.assert_array_equal(flow[t].policy, POLICY[there])


@pytest.mark.parametrize("t", [3, -4])
def test_times_that_are_not_there(flow, t):
    with pytest.raises(IndexError):
        flow[t]


def test_reads_as_the_array_of_its_states(flow):
    assert (flow.shape, flow.ndim, len(flow), flow.dtype) == ((3, 4), 2, 3, np.dtype("float64"))
    np.testing.assert_array_equal(np.asarray(flow), STATES)
    np.testing.assert_allclose(jnp.sum(flow, 1), 1)
    np.testing.assert_array_equal(np.stack([mean_field.states for mean_field in flow]), STATES)


def test_actions_that_are_not_known():
    bare = FiniteFlow(STATES)
    with pytest.raises(ValueError, match="holds states only: take it from population_flow"):
        _ = bare.joint
    for t in (0, -1):
        with pytest.raises(ValueError, match="the crowd's actions are not known here"):
            _ = bare[t].joint


def test_several_indices_read_the_array():
    np.testing.assert_array_equal(FiniteFlow(STATES, POLICY)[-1, 1:], STATES[-1, 1:])
