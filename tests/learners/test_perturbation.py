import math
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.malware import MalwareSpread
from nashfield.learners import (
    ExactCritic,
    ExactCrowd,
    LeastSquaresCritic,
    PlayedCrowd,
    SimultaneousPerturbation,
)
from nashfield.policies import Gibbs, Neural, SoftThreshold, Threshold

LOGITS = np.array([[0.3, -0.2], [0.0, 0.5], [-0.4, 0.1]])
NOISE_FREE = SimultaneousPerturbation(critic=ExactCritic())


@eqx.filter_jit
def value(game, policy, mean_field=None):
    """J, against the policy's own crowd if none is given."""
    table = policy.table(game)
    mean_field = nf.stationary_mean_field(game, table) if mean_field is None else mean_field
    return nf.policy_values(game, table, mean_field).value


@eqx.filter_jit
def repeat(rule, game, policy, mean_field, crowd, keys):
    def one(key):
        if crowd is None:
            return rule.partial(game, policy, mean_field, key=key).theta
        return rule.total(game, policy, crowd, key=key).theta

    batches = keys.reshape(-1, math.gcd(len(keys), 50))
    return jax.lax.map(jax.vmap(one), batches).reshape(-1)


def mean_and_error(rule, game, policy, *, mean_field=None, crowd=None, count=400, seed=0):
    keys = jax.random.split(jax.random.key(seed), count)
    sample = np.asarray(repeat(rule, game, policy, mean_field, crowd, keys))
    return sample.mean(), sample.std(ddof=1) / np.sqrt(count)


def central_differences(policy):
    """Exact ones with the crowd frozen and moving, and the estimates from several keys."""
    game = MalwareSpread(inclusive=True)
    mean_field = nf.stationary_mean_field(game, policy.table(game))
    sides = [eqx.tree_at(lambda p: p.theta, policy, jnp.asarray(theta)) for theta in (0.405, 0.205)]
    frozen = [value(game, side, mean_field) for side in sides]
    own = [value(game, side) for side in sides]
    estimates = []
    for seed in range(3):  # both signs occur
        key = jax.random.key(seed)
        partial = NOISE_FREE.partial(game, policy, mean_field, key=key).theta
        total = NOISE_FREE.total(game, policy, ExactCrowd(), key=key).theta
        estimates.append((partial, total))
    return [(frozen[0] - frozen[1]) / 0.2, (own[0] - own[1]) / 0.2], estimates


@pytest.mark.slow
def test_one_parameter_gives_the_central_difference(precision):
    exact, estimates = central_differences(SoftThreshold(0.305, 0.05))
    assert abs(exact[0] - exact[1]) > 0.1
    for estimate in estimates:
        np.testing.assert_allclose(estimate, exact, atol=1e-10 if precision == "float64" else 3e-5)


@pytest.mark.slow
def test_policies_may_jump():
    exact, estimates = central_differences(Threshold(0.305))
    for estimate in estimates:
        np.testing.assert_allclose(estimate, exact, atol=1e-10)


def test_both_sides_are_projected():
    game, policy = MalwareSpread(inclusive=True), SoftThreshold(0.95, 0.05)
    mean_field = nf.stationary_mean_field(game, policy.table(game))
    edge, inside = (
        value(game, SoftThreshold(jnp.asarray(t), 0.05), mean_field) for t in (1.0, 0.85)
    )
    estimate = NOISE_FREE.partial(game, policy, mean_field, key=jax.random.key(0))
    np.testing.assert_allclose(estimate.theta, (edge - inside) / 0.2, atol=1e-10)


def test_several_parameters_move_at_once(triangle):
    policy, size = Gibbs(jnp.asarray(LOGITS)), 0.3
    mean_field = nf.stationary_mean_field(triangle, policy.table(triangle))
    rule = SimultaneousPerturbation(size, critic=ExactCritic())
    seen = set()
    for seed in range(4):
        estimate = rule.partial(triangle, policy, mean_field, key=jax.random.key(seed)).logits
        eta = np.sign(estimate)  # up to a sign, which leaves the estimate as it is
        sides = [Gibbs(jnp.asarray(LOGITS + s * size * eta)) for s in (1, -1)]
        plus, minus = (value(triangle, side, mean_field) for side in sides)
        np.testing.assert_allclose(estimate, eta * (plus - minus) / (2 * size), atol=1e-12)
        seen.add(tuple((eta * eta[0, 0]).ravel()))
    assert len(seen) > 1


@pytest.mark.slow
def test_gaussian_against_quadrature():
    game, policy, size = MalwareSpread(inclusive=True), SoftThreshold(0.5, 0.05), 0.05
    mean_field = nf.stationary_mean_field(game, policy.table(game))

    def worth(theta):
        side = SoftThreshold(jnp.asarray(theta), 0.05)
        return value(game, side, mean_field)

    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    inside = np.abs(nodes) < 8  # those beyond weigh nothing, and would leave [0, 1]
    nodes, weights = nodes[inside], weights[inside] / weights.sum()
    slopes = [(worth(0.5 + size * x) - worth(0.5 - size * x)) / (2 * size) for x in nodes]
    expected = np.sum(weights * nodes * np.array(slopes))

    rule = SimultaneousPerturbation(size, "gaussian", critic=ExactCritic())
    mean, error = mean_and_error(rule, game, policy, mean_field=mean_field, count=2000)
    assert abs(mean - expected) < 3 * error
    assert error < 0.05 * abs(expected)


def test_sampled_partial(triangle):
    policy = SoftThreshold(0.4, 0.2)
    mean_field = nf.stationary_mean_field(triangle, policy.table(triangle))
    sides = [value(triangle, SoftThreshold(jnp.asarray(t), 0.2), mean_field) for t in (0.5, 0.3)]
    rule = SimultaneousPerturbation(0.1, "rademacher", 200, 30, generator="hash")
    mean, error = mean_and_error(rule, triangle, policy, mean_field=mean_field)
    assert abs(mean - (sides[0] - sides[1]) / 0.2) < 3 * error
    assert error < 0.05 * abs(sides[0] - sides[1]) / 0.2


@pytest.mark.slow
def test_sampled_total(triangle):
    policy = SoftThreshold(0.4, 0.2)
    sides = [value(triangle, SoftThreshold(jnp.asarray(t), 0.2)) for t in (0.5, 0.3)]
    rule = SimultaneousPerturbation(0.1, "rademacher", 200, 30)
    mean, error = mean_and_error(rule, triangle, policy, crowd=PlayedCrowd(200, 30))
    assert abs(mean - (sides[0] - sides[1]) / 0.2) < 3 * error
    assert error < 0.05 * abs(sides[0] - sides[1]) / 0.2


@pytest.mark.slow
@pytest.mark.parametrize("critic", [None, LeastSquaresCritic(400, 30)], ids=["played", "learnt"])
def test_points(segment, values_on_segment, critic):
    # V is as smooth as the policy: at this temperature a cubic is it to four digits.
    policy, mean_field = SoftThreshold(0.4, 0.5), nf.Particles(jnp.array([[0.25], [0.75]]))
    sides = [values_on_segment(t, 0.5, 0.5)[0] for t in (0.5, 0.3)]
    rule = SimultaneousPerturbation(0.1, "rademacher", 400, 30, critic)
    mean, error = mean_and_error(rule, segment, policy, mean_field=mean_field)
    assert abs(mean - (sides[0] - sides[1]) / 0.2) < 3 * error
    assert error < 0.1 * abs(sides[0] - sides[1]) / 0.2


@pytest.mark.slow
def test_points_and_their_crowd(segment, values_on_segment):
    def own(theta):
        # <z> is the mean of U or of U / 2, whichever the last action led to; J is affine in <z>.
        nodes, weights = np.polynomial.legendre.leggauss(60)
        x, w = (nodes + 1) / 2, weights / 2
        early, late = (np.sum(w / (1 + np.exp(-(s * x - theta) / 0.2))) for s in (1, 0.5))
        share = early / (1 + early - late)  # of agents who played action 1
        return float(values_on_segment(theta, 0.2, (2 - share) / 4)[0])

    policy = SoftThreshold(0.4, 0.2)
    rule = SimultaneousPerturbation(0.1, "rademacher", 200, 30)
    mean, error = mean_and_error(rule, segment, policy, crowd=PlayedCrowd(200, 30))
    expected = (own(0.5) - own(0.3)) / 0.2
    frozen = sum(s * values_on_segment(0.4 + s * 0.1, 0.2, 0.4)[0] for s in (1, -1)) / 0.2
    assert abs(mean - expected) < 3 * error
    assert error < 0.02 * abs(expected - frozen)


def test_both_sides_see_the_same_chance(triangle):
    policy = SoftThreshold(0.4, 0.2)
    mean_field = nf.stationary_mean_field(triangle, policy.table(triangle))
    spreads = []
    for size in (0.1, 0.01):
        rule = SimultaneousPerturbation(size, num_trajectories=100, num_steps=20)
        spreads.append(mean_and_error(rule, triangle, policy, mean_field=mean_field)[1])
    # Drawn apart the difference over 2 c would spread ten times as much.
    assert spreads[1] < 5 * spreads[0]


def test_seeds_and_sizes_are_batched(triangle):
    policy = Gibbs(jnp.asarray(LOGITS))
    mean_field = nf.stationary_mean_field(triangle, policy.table(triangle))
    keys = jax.random.split(jax.random.key(1), 3)
    sizes = jnp.array([0.1, 0.2, 0.3])

    def one(size, key):
        rule = SimultaneousPerturbation(size, "gaussian", 10, 10)
        return rule.partial(triangle, policy, mean_field, key=key).logits

    batched = jax.jit(jax.vmap(one))(sizes, keys)
    for i, (size, key) in enumerate(zip(sizes, keys, strict=True)):
        np.testing.assert_allclose(batched[i], one(size, key), rtol=1e-5, atol=1e-9)
    assert all(not np.allclose(a, b) for a, b in pairwise(batched))


def test_networks(triangle):
    policy = Neural(hidden=(2,)).begin(triangle, key=jax.random.key(0))
    estimate = NOISE_FREE.total(triangle, policy, ExactCrowd(), key=jax.random.key(0))
    leaves = jax.tree.leaves(estimate)
    sizes = {float(size) for leaf in leaves for size in np.abs(leaf).ravel()}
    assert len(leaves) == 4
    assert max(sizes) - min(sizes) < 1e-12
    assert min(sizes) > 0


@pytest.mark.parametrize("size", [0.0, -0.1, math.nan])
def test_size_is_positive(size):
    with pytest.raises(nf.ParameterError, match="size must be finite and greater than 0, not"):
        SimultaneousPerturbation(size)


def test_unknown_distributions_are_refused(without_type_checks):
    with pytest.raises(nf.ParameterError, match="'rademacher' or 'gaussian', not 'uniform'"):
        SimultaneousPerturbation(distribution="uniform")


def test_unknown_generators_are_refused():
    with pytest.raises(nf.ParameterError, match='generator must be "jax" or "hash"'):
        SimultaneousPerturbation(generator="dice")


@pytest.mark.parametrize("name", ["num_trajectories", "num_steps"])
def test_counts_are_positive(name):
    with pytest.raises(nf.ParameterError, match=f"{name} must be at least 1, not 0"):
        SimultaneousPerturbation(**{name: 0})


def test_policies_without_parameters_are_refused(triangle):
    mean_field = nf.stationary_mean_field(triangle, np.full((3, 2), 0.5))
    with pytest.raises(nf.ParameterError, match="Gibbs has no parameters"):
        NOISE_FREE.partial(triangle, Gibbs(), mean_field, key=jax.random.key(0))
    with pytest.raises(nf.ParameterError, match="Gibbs has no parameters"):
        NOISE_FREE.total(triangle, Gibbs(), ExactCrowd(), key=jax.random.key(0))
