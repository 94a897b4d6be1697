import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics.rollout import Paths
from nashfield.games.zoo.malware import MalwareSpread
from nashfield.learners import (
    BatchMean,
    ExactCritic,
    ExactCrowd,
    LeastSquaresCritic,
    Reinforce,
    reinforce,
)
from nashfield.learners.critic import AbstractBaseline
from nashfield.policies import Gibbs, Neural, SoftThreshold, Threshold

LOGITS = np.array([[0.3, -0.2], [0.0, 0.5], [-0.4, 0.1]])


@eqx.filter_jit
def repeat(rule, game, policy, mean_field, keys):
    """Many estimates, flattened, one a row."""

    def one(key):
        estimate = rule.partial(game, policy, mean_field, key=key)
        return jnp.concatenate([jnp.ravel(x) for x in jax.tree.leaves(estimate)])

    batches = keys.reshape(-1, math.gcd(len(keys), 50))
    return jax.lax.map(jax.vmap(one), batches).reshape(len(keys), -1)


def estimates(rule, game, policy, mean_field, count, seed=0):
    keys = jax.random.split(jax.random.key(seed), count)
    return np.asarray(repeat(rule, game, policy, mean_field, keys))


def mean_and_error(sample):
    return sample.mean(0), sample.std(0, ddof=1) / np.sqrt(len(sample))


def flat(gradient):
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(gradient)])


class Affine(AbstractBaseline):
    """A baseline that no critic made, to be done by hand."""

    def baseline(self, game, policy, mean_field, *, key):
        return lambda states, returns: 0.7 * states - 0.2


@pytest.mark.parametrize("baseline", [None, Affine(), BatchMean()])
def test_the_sum_written_out(precision, monkeypatch, triangle, baseline):
    num_steps, count, discount = 7, 5, 0.5
    random = np.random.default_rng(0)
    states = random.integers(0, 3, (num_steps, count))
    actions = random.integers(0, 2, (num_steps, count))
    rewards = random.normal(size=(num_steps, count)).astype(np.float32)
    paths = Paths(jnp.asarray(states), jnp.asarray(actions), jnp.asarray(rewards))
    monkeypatch.setattr(reinforce, "play_paths", lambda *_, **__: paths)
    policy = Gibbs(jnp.asarray(LOGITS))
    table = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    mean_field = nf.stationary_mean_field(triangle, table)

    def to_go(t, i):
        return sum(discount ** (s - t) * rewards[s, i] for s in range(t, num_steps))

    expected = np.zeros((3, 2))
    for i in range(count):
        for t in range(num_steps):
            x, a = states[t, i], actions[t, i]
            others = [to_go(t, j) for j in range(count) if j != i]
            subtracted = {None: 0.0, Affine: 0.7 * x - 0.2, BatchMean: np.mean(others)}
            weight = discount**t * (to_go(t, i) - subtracted[baseline and type(baseline)])
            score = -table[x]
            score[a] += 1
            expected[x] += weight * score / count

    rule = Reinforce(count, num_steps, baseline)
    estimate = rule.partial(triangle, policy, mean_field, key=jax.random.key(0))
    np.testing.assert_allclose(estimate.logits, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("baseline", [None, LeastSquaresCritic(20, 30)], ids=["none", "learnt"])
def test_the_mean_is_the_exact_gradient(triangle, baseline):
    policy = Gibbs(jnp.asarray(LOGITS))
    mean_field = nf.stationary_mean_field(triangle, policy.table(triangle))
    rule = Reinforce(20, 30, baseline, generator="hash")
    sample = estimates(rule, triangle, policy, mean_field, 2000)
    mean, error = mean_and_error(sample)
    exact = flat(nf.partial_gradient(triangle, policy, mean_field))
    assert np.all(np.abs(mean - exact) < 3.5 * error)
    assert np.all(error < 0.1 * np.abs(exact).max())


def test_the_mean_is_the_exact_gradient_of_a_network(triangle):
    policy = Neural(hidden=(2,)).begin(triangle, key=jax.random.key(3))
    mean_field = nf.stationary_mean_field(triangle, policy.table(triangle))
    sample = estimates(Reinforce(20, 30, ExactCritic()), triangle, policy, mean_field, 2000)
    mean, error = mean_and_error(sample)
    exact = flat(nf.partial_gradient(triangle, policy, mean_field))
    assert np.all(np.abs(mean - exact) < 3.5 * error)
    assert np.all(error < 0.1 * np.abs(exact).max())


@pytest.mark.slow
@pytest.mark.parametrize("baseline", [None, LeastSquaresCritic(20, 30)], ids=["none", "learnt"])
def test_points(monkeypatch, segment, values_on_segment, baseline):
    monkeypatch.setattr(reinforce, "_BLOCK", 8)  # three blocks, one trajectory too many
    policy, mean_field = SoftThreshold(0.4, 0.2), nf.Particles(jnp.array([[0.25], [0.75]]))
    sample = estimates(Reinforce(20, 30, baseline), segment, policy, mean_field, 4000)[:, 0]
    mean, error = mean_and_error(sample)
    exact = jax.grad(lambda theta: values_on_segment(theta, 0.2, 0.5)[0])(0.4)
    assert abs(mean - exact) < 3 * error
    assert error < 0.1 * abs(exact)


def test_blocks_count_what_was_asked_for(monkeypatch, triangle):
    # Three blocks of four, of which two trajectories must not count.
    monkeypatch.setattr(reinforce, "_BLOCK", 4)
    policy = Gibbs(jnp.asarray(LOGITS))
    mean_field = nf.stationary_mean_field(triangle, policy.table(triangle))
    exact = flat(nf.partial_gradient(triangle, policy, mean_field))
    sample = estimates(Reinforce(10, 31, ExactCritic()), triangle, policy, mean_field, 4000)
    along = sample @ exact / (exact @ exact)
    mean, error = mean_and_error(along)
    assert abs(mean - 1) < 3 * error
    assert error < 0.05  # a fifth too much would be seen


def test_what_comes_after_the_last_step_is_left_out(triangle):
    policy = Gibbs(jnp.asarray(LOGITS))
    table = np.asarray(policy.table(triangle))
    mean_field = nf.stationary_mean_field(triangle, table)
    sample = estimates(Reinforce(20, 1), triangle, policy, mean_field, 4000)
    mean, error = mean_and_error(sample)
    reward = np.asarray(triangle.reward(mean_field))
    centred = reward - (table * reward).sum(1, keepdims=True)
    exact = triangle.initial()[:, None] * table * centred
    assert np.all(np.abs(mean - exact.ravel()) < 3.5 * error)
    assert np.all(error < 0.05)


def test_a_batch_mean_with_its_own_sample_would_shrink_the_gradient(triangle):
    policy = Gibbs(jnp.asarray(LOGITS))
    mean_field = nf.stationary_mean_field(triangle, policy.table(triangle))
    exact = flat(nf.partial_gradient(triangle, policy, mean_field))
    sample = estimates(Reinforce(2, 30, BatchMean()), triangle, policy, mean_field, 20_000)
    # G - (mean of all N) = (1 - 1/N) (G - mean of the others): here one half.
    biased = sample / 2
    for values, is_exact in ((sample, True), (biased, False)):
        along = values @ exact / (exact @ exact)
        mean, error = mean_and_error(along)
        assert (abs(mean - 1) < 3 * error) == is_exact
        assert error < 0.03


def test_seeds_and_policies_are_batched(triangle):
    mean_field = nf.stationary_mean_field(triangle, np.full((3, 2), 0.5))
    keys = jax.random.split(jax.random.key(0), 3)
    theta = jnp.array([0.2, 0.5, 0.8])
    rule = Reinforce(10, 20, LeastSquaresCritic(10, 20))

    def one(theta, key):
        return rule.partial(triangle, SoftThreshold(theta, 0.3), mean_field, key=key).theta

    batched = jax.jit(jax.vmap(one))(theta, keys)
    single = [one(t, k) for t, k in zip(theta, keys, strict=True)]
    np.testing.assert_allclose(batched, jnp.stack(single), rtol=1e-5)


def test_a_probability_of_zero_does_no_harm(precision, triangle):
    policy = Gibbs(jnp.array([[0.0, -1e4], [0.0, 0.0], [1e4, 0.0]]))
    mean_field = nf.stationary_mean_field(triangle, policy.table(triangle))
    estimate = Reinforce(50, 20).partial(triangle, policy, mean_field, key=jax.random.key(0))
    assert np.all(np.isfinite(estimate.logits))
    assert np.all(estimate.logits[0] == 0)
    assert np.all(estimate.logits[1] != 0)


def expected_sums(game, policy, num_steps):
    """What the estimate is the mean of, with its gamma^t and without."""
    table = np.asarray(policy.table(game))
    mean_field = nf.stationary_mean_field(game, table)
    kernel = np.asarray(game.transition(mean_field).dense())
    reward, discount = np.asarray(game.reward(mean_field)), float(game.discount)
    slope = -np.prod(table, 1) / float(policy.temperature)  # of pi(1 | x) in theta
    values, gains = np.zeros(game.num_states), []
    for _ in range(num_steps):  # the more steps are left, the later in the list
        action_values = reward + discount * kernel @ values
        values = (table * action_values).sum(1)
        gains.append(slope * (action_values[:, 1] - action_values[:, 0]))
    law, faded, plain = game.initial(), 0.0, 0.0
    for t, gain in enumerate(reversed(gains)):
        faded += discount**t * law @ gain
        plain += law @ gain
        law = law @ np.einsum("xa,xay->xy", table, kernel)
    return faded, plain


def test_the_gamma_t_matters():
    game, policy = MalwareSpread(inclusive=True), SoftThreshold(0.3, 0.05)
    mean_field = nf.stationary_mean_field(game, policy.table(game))
    faded, plain = expected_sums(game, policy, 200)
    assert abs(faded - 0.419436) < 1e-6
    assert plain > 7.9
    sample = estimates(Reinforce(25, 200, ExactCritic()), game, policy, mean_field, 400)[:, 0]
    mean, error = mean_and_error(sample)
    assert abs(mean - faded) < 3 * error
    assert error < 0.1


def exact_spread(game, policy, mean_field, subtract_value):
    """Mean and standard deviation of what one trajectory contributes, with no end to it.

    With G = r + gamma G' and H = score (G - b(x)) + gamma H', H of the start is the contribution;
    its second moment follows from those of G and of G H, each by one linear system.
    """
    table = np.asarray(policy.table(game))
    kernel = np.asarray(game.transition(mean_field).dense())
    reward, discount = np.asarray(game.reward(mean_field)), float(game.discount)
    chain = np.einsum("xa,xay->xy", table, kernel)
    score = np.stack([table[:, 1], -table[:, 0]], 1) / float(policy.temperature)

    def solve(factor, source):
        matrix = np.eye(game.num_states) - factor * chain
        return kernel @ np.linalg.solve(matrix, (table * source).sum(1)) * factor

    def at_start(factor, source):
        matrix = np.eye(game.num_states) - factor * chain
        return game.initial() @ np.linalg.solve(matrix, (table * source).sum(1))

    value = np.linalg.solve(np.eye(game.num_states) - discount * chain, (table * reward).sum(1))
    ahead = discount * kernel @ value  # gamma E[G'], and so on below
    squares = solve(discount**2, reward**2 + 2 * reward * ahead)
    left = reward - subtract_value * value[:, None]
    first = score * (left + ahead)
    mean = solve(discount, first)
    cross = reward * (first + mean) + score * (left * ahead + squares)
    products = solve(discount**2, cross)
    second = score**2 * (left**2 + 2 * left * ahead + squares) + 2 * score * (
        left * mean + products
    )
    centre = at_start(discount, first)
    return centre, np.sqrt(at_start(discount**2, second) - centre**2)


def spreads(theta, num_trajectories):
    """Exact standard deviations of one trajectory, with nothing and with V subtracted.

    Checks estimates of as many trajectories as `num_trajectories` says against them.
    """
    game, policy = MalwareSpread(inclusive=True), SoftThreshold(theta, 0.05)
    mean_field = nf.stationary_mean_field(game, policy.table(game))
    exact = float(nf.partial_gradient(game, policy, mean_field).theta)
    result = []
    for baseline, count in zip((None, ExactCritic()), num_trajectories, strict=True):
        centre, spread = exact_spread(game, policy, mean_field, baseline is not None)
        np.testing.assert_allclose(centre, exact, rtol=1e-9)
        rule, blocks = Reinforce(25, 200, baseline), count // 25
        sample = estimates(rule, game, policy, mean_field, blocks, seed=1)[:, 0]
        mean, error = mean_and_error(sample)
        assert abs(mean - exact) < 3 * error
        # The error of a standard deviation is 1 / sqrt(2 blocks) of it, or more if tails are heavy.
        assert abs(error * np.sqrt(count) / spread - 1) < 4 / np.sqrt(2 * blocks)
        result.append(spread)
    return result


@pytest.mark.slow
@pytest.mark.parametrize(
    "theta", [0.2, *(pytest.param(theta, marks=pytest.mark.slow) for theta in (0.3, 0.6))]
)
def test_malware(theta):
    none, value = spreads(theta, (100_000, 50_000))
    assert none / np.sqrt(1_000_000) < 0.04
    assert value / np.sqrt(250_000) < 0.005
    assert none / value > 12


@pytest.mark.slow
@pytest.mark.parametrize("theta", [0.2, 0.3, 0.6])
def test_malware_with_all_trajectories(theta):
    spreads(theta, (1_000_000, 250_000))


@pytest.mark.slow
def test_a_million_trajectories_in_one_estimate():
    game, policy = MalwareSpread(inclusive=True), SoftThreshold(0.3, 0.05)
    mean_field = nf.stationary_mean_field(game, policy.table(game))
    rule = Reinforce(1_000_000, 200)
    estimate = rule.partial(game, policy, mean_field, key=jax.random.key(0))
    assert abs(estimate.theta - 0.419436) < 3 * 0.04


@pytest.mark.slow
def test_a_learnt_critic_does_what_the_exact_value_does():
    game, policy = MalwareSpread(inclusive=True), SoftThreshold(0.3, 0.05)
    mean_field = nf.stationary_mean_field(game, policy.table(game))
    exact, learnt = (
        estimates(Reinforce(25, 200, baseline), game, policy, mean_field, 400)[:, 0]
        for baseline in (ExactCritic(), LeastSquaresCritic())
    )
    # On the same trajectories: the critic's own are drawn apart.
    assert abs(learnt.std() / exact.std() - 1) < 0.03
    assert np.std(learnt - exact) < 0.2 * exact.std()


def test_policies_that_jump_are_refused(triangle):
    mean_field = nf.stationary_mean_field(triangle, np.full((3, 2), 0.5))
    with pytest.raises(nf.ParameterError, match="Threshold has no gradient, its actions jump"):
        Reinforce().partial(triangle, Threshold(0.5), mean_field, key=jax.random.key(0))


def test_policies_without_parameters_are_refused(without_type_checks, triangle):
    mean_field = nf.stationary_mean_field(triangle, np.full((3, 2), 0.5))
    with pytest.raises(nf.ParameterError, match="needs a policy with parameters"):
        Reinforce().partial(triangle, np.full((3, 2), 0.5), mean_field, key=jax.random.key(0))


def test_the_crowd_is_out_of_its_sight(triangle):
    with pytest.raises(nf.ParameterError, match="Reinforce cannot tell how the crowd follows"):
        Reinforce().total(triangle, Gibbs(), ExactCrowd(), key=jax.random.key(0))


def test_leaving_one_out_takes_two():
    with pytest.raises(nf.ParameterError, match="num_trajectories must be at least 2, not 1"):
        Reinforce(1, 10, BatchMean())


def test_unknown_generators_are_refused():
    with pytest.raises(nf.ParameterError, match='generator must be "jax" or "hash"'):
        Reinforce(generator="dice")


@pytest.mark.parametrize("name", ["num_trajectories", "num_steps"])
def test_sizes_are_positive(name):
    with pytest.raises(nf.ParameterError, match=f"{name} must be at least 1, not 0"):
        Reinforce(**{name: 0})
