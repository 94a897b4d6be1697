"""N agents: exact computations for few of them, the mean field for many."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom

import nashfield as nf
from nashfield.dynamics import sweep
from nashfield.games.kernels import Kernel
from nashfield.metrics import Estimate

STANDARD_ERRORS = 3


def standard_error(samples):
    samples = np.asarray(samples)
    return samples.std(ddof=1) / np.sqrt(samples.size)


def check(samples, expected):
    error = abs(float(np.mean(samples)) - expected)
    assert error <= STANDARD_ERRORS * standard_error(samples) + 1e-12, (np.mean(samples), expected)


class Crowded(nf.FiniteGame):
    """Moves and rewards depend on where the crowd is and on what it does; Dense or Sparse."""

    dense: bool = True
    horizon: int = 2
    num_states: int = eqx.field(init=False, default=2)
    num_actions: int = eqx.field(init=False, default=2)

    def initial(self):
        return np.array([0.7, 0.3])

    def transition(self, t, mean_field):
        joint = mean_field.joint
        stay = jnp.array([[0.2, 0.9], [0.5, 0.1]]) * (1 - 0.5 * joint[0, 1])
        table = jnp.stack([stay, 1 - stay], -1)
        if self.dense:
            return nf.Dense(table)
        return nf.Sparse(np.tile([1, 0], (2, 2, 1)), table[..., ::-1])

    def reward(self, t, mean_field):
        return jnp.array([[1.0, 0.0], [0.5, 2.0]]) * (1 + t) - 3 * mean_field.joint

    def terminal_reward(self, mean_field):
        return -mean_field.states


def exact_returns(game, policies):
    """Mean return of every agent by enumeration of all joint paths; agent i plays policies[i]."""
    num_agents = len(policies)
    law = {
        x: np.prod(np.asarray(game.initial())[list(x)])
        for x in itertools.product(range(2), repeat=num_agents)
    }
    totals = np.zeros(num_agents)
    for t in range(game.horizon):
        following = dict.fromkeys(law, 0.0)
        for x, a in itertools.product(law, law):
            weight = law[x] * np.prod([policies[i][t, x[i], a[i]] for i in range(num_agents)])
            joint = np.zeros((2, 2))
            for i in range(num_agents):
                joint[x[i], a[i]] += 1 / num_agents
            stay = np.array([[0.2, 0.9], [0.5, 0.1]]) * (1 - 0.5 * joint[0, 1])
            rewards = np.array([[1.0, 0.0], [0.5, 2.0]]) * (1 + t) - 3 * joint
            table = np.stack([stay, 1 - stay], -1)
            totals += weight * np.array([rewards[x[i], a[i]] for i in range(num_agents)])
            for y in law:
                moves = [table[x[i], a[i], y[i]] for i in range(num_agents)]
                following[y] += weight * np.prod(moves)
        law = following
    for x, weight in law.items():
        share = np.bincount(x, minlength=2) / num_agents
        totals -= weight * share[list(x)]
    return totals


@pytest.mark.parametrize(("num_agents", "dense"), [(1, True), (2, False), (3, True)])
def test_exact_by_enumeration(num_agents, dense):
    game = Crowded(dense)
    policy = np.random.default_rng(1).dirichlet(np.ones(2), (2, 2))
    flow = nf.population_flow(game, policy)
    response = np.asarray(nf.best_response(game, flow))
    played = nf.simulate(game, policy, num_agents=num_agents, num_seeds=20_000)
    base = exact_returns(game, [policy] * num_agents)
    deviated = exact_returns(game, [response] + [policy] * (num_agents - 1))
    check(played.returns, base.mean())
    check(played.gains, deviated[0] - base[0])


def test_left_right_is_binomial(precision):
    game, share, num_agents = nf.games.LeftRight(), 0.4, 4
    policy = np.broadcast_to([share, 1 - share], (2, 3, 2))
    left = np.arange(num_agents + 1) / num_agents
    cost = binom.pmf(np.arange(num_agents + 1), num_agents, share) @ (left**2 + 2 * (1 - left) ** 2)
    # The deviator goes left, where the mean-field crowd is thinner (0.4 < 2 * 0.6).
    beside = (1 + np.arange(num_agents)) / num_agents
    on_left = -binom.pmf(np.arange(num_agents), num_agents - 1, share) @ beside
    on_right = -2 * binom.pmf(np.arange(num_agents), num_agents - 1, 1 - share) @ beside
    found = nf.simulate(game, policy, num_agents=num_agents, num_seeds=20_000)
    check(found.returns, -cost)
    check(found.gains, (1 - share) * (on_left - on_right))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("game", "sizes"),
    [
        (nf.games.LeftRight(), (10, 100, 1000)),
        pytest.param(nf.games.RockPaperScissors(), (10, 1000), marks=pytest.mark.slow),
        (nf.games.BeachBar(num_states=10, horizon=5), (10, 1000)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_rates(game, sizes):
    policy = nf.uniform_policy(game)
    runs = {n: nf.simulate(game, policy, num_agents=n, num_seeds=1000) for n in sizes}
    limit = float(nf.exploitability(game, policy))
    welfare = float(nf.social_welfare(game, policy))
    for num_agents, run in runs.items():
        assert run.num_agents == num_agents
        np.testing.assert_allclose(run.exploitability, limit)
        np.testing.assert_allclose(run.social_welfare, welfare)
        # The bias falls at least like N^-1/2; the constant is that of ten agents.
        scale = abs(runs[10].gain.mean - limit) + 3 * standard_error(runs[10].gains)
        bias = abs(run.gain.mean - limit) - 3 * standard_error(run.gains)
        assert bias <= scale * np.sqrt(10 / num_agents)
    # Fluctuations of an empirical measure: exactly N^-1/2, a factor of 10 from 10 to 1000.
    ratio = runs[10].distance.mean / runs[1000].distance.mean
    assert 8.5 < ratio < 11.5
    assert standard_error(runs[1000].gains) < 0.3 * standard_error(runs[10].gains)
    bias = abs(runs[1000].mean_return.mean - welfare) - 3 * standard_error(runs[1000].returns)
    assert bias <= 0.1 * abs(runs[10].mean_return.mean - welfare)


def test_equilibrium_leaves_little_to_gain():
    game = nf.games.LeftRight()
    policy = np.broadcast_to([2 / 3, 1 / 3], (2, 3, 2))
    found = nf.simulate(game, policy, num_agents=1000, num_seeds=1000)
    # Exactly 1/3 (E[-mu(L) | I am left] - E[-2 mu(R) | I am right]): both own shares are 1/1000.
    own = 1 / 1000
    exact = (-(2 / 3 * (1 - own) + own) + 2 * (1 / 3 * (1 - own) + own)) / 3
    assert abs(found.gain.mean - exact) < 3 * standard_error(found.gains) < 0.005


def test_empirical_flow_and_repetition():
    game = nf.games.BeachBar(num_states=8, horizon=4)
    policy = nf.random_policy(game, key=jax.random.key(3))
    first = nf.simulate(game, policy, num_agents=50, num_seeds=400, key=jax.random.key(1))
    again = nf.simulate(game, policy, num_agents=50, num_seeds=400, key=jax.random.key(1))
    other = nf.simulate(game, policy, num_agents=50, num_seeds=400, key=jax.random.key(2))
    np.testing.assert_array_equal(first.returns, again.returns)
    assert not np.array_equal(first.returns, other.returns)
    states = np.asarray(first.flow.states)
    np.testing.assert_allclose(states.sum(1), 1, rtol=1e-12)
    np.testing.assert_array_equal(first.mean_field_flow, nf.population_flow(game, policy))
    # Transitions do not see the crowd: the mean empirical flow is the mean-field flow.
    error = np.sqrt(states * (1 - states) / (50 * 400))
    assert np.all(np.abs(states - np.asarray(first.mean_field_flow)) < 4.5 * error + 1e-12)


def test_blocks_of_seeds_change_nothing(monkeypatch):
    game = nf.games.BeachBar(num_states=8, horizon=4)
    policy = nf.uniform_policy(game)
    whole = nf.simulate(game, policy, num_agents=7, num_seeds=10)
    monkeypatch.setattr("nashfield.metrics.simulation._BLOCK_ENTRIES", 2000)
    parts = nf.simulate(game, policy, num_agents=7, num_seeds=11)  # one more, to compile anew
    for name in ("returns", "gains", "distances"):
        np.testing.assert_allclose(getattr(parts, name)[:10], getattr(whole, name), rtol=1e-12)
    last = 7 * (11 * np.asarray(parts.flow) - 10 * np.asarray(whole.flow))
    np.testing.assert_allclose(last, np.round(last), atol=1e-12)
    np.testing.assert_allclose(last.sum(1), 7)


def test_estimate_is_students_interval():
    found = Estimate.of(np.array([1.0, 2.0, 4.0]))
    width = 4.302652729911275 * np.sqrt(7 / 9)  # t quantile of 2 degrees; variance 7/3, over 3
    np.testing.assert_allclose(
        [found.mean, found.lower, found.upper], 7 / 3 + width * np.array([0, -1, 1])
    )
    assert str(Estimate(1.0, 0.5, 1.5)) == "1 [0.5, 1.5]"


class Shifts(Kernel):
    """A user's own kernel, without a sampler."""

    table: jax.Array

    def expect(self, values):
        return nf.Dense(self.table).expect(values)

    def push(self, mass):
        return nf.Dense(self.table).push(mass)

    def dense(self):
        return self.table


@pytest.mark.parametrize("kind", ["dense", "sparse", "shared", "own"])
def test_kernels_sample_their_rows(kind, precision):
    rng = np.random.default_rng(2)
    rows = rng.dirichlet(np.ones(4), (5, 3))
    rows[..., 1], rows[..., 3] = 0, rows[..., 3] + rows[..., 1]
    if kind in ("sparse", "shared"):
        rows = rows[:1, :1] if kind == "shared" else rows
        kernel = nf.Sparse(rng.integers(0, 5, (5, 3, 4)), rows)
    else:
        table = np.insert(rows, 2, 0.0, axis=-1)
        kernel = nf.Dense(table) if kind == "dense" else Shifts(jnp.asarray(table))
    num_draws = 20_000
    for x, a in itertools.product(range(5), range(3)):
        states, actions = jnp.full(num_draws, x), jnp.full(num_draws, a)
        drawn = kernel.sample(jax.random.key(5 * a + x), states, actions)
        assert drawn.dtype == states.dtype
        found = np.bincount(drawn, minlength=5) / num_draws
        expected = np.asarray(kernel.dense())[x, a]
        assert np.all(
            np.abs(found - expected) <= 4 * np.sqrt(expected * (1 - expected) / num_draws)
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_agents": 0}, "num_agents must be at least 1, not 0"),
        ({"num_agents": 3, "num_seeds": 1}, "num_seeds must be at least 2 for an interval, not 1"),
    ],
)
def test_errors(options, message):
    game = nf.games.LeftRight()
    with pytest.raises(ValueError, match=message):
        nf.simulate(game, nf.uniform_policy(game), **options)


def test_wrong_policy():
    game = nf.games.LeftRight()
    with pytest.raises(ValueError, match=r"shape \(2, 3, 3\), but the game has .* = \(2, 3, 2\)"):
        nf.simulate(game, np.full((2, 3, 3), 1 / 3), num_agents=2)


class Fields(nf.StationaryGame):
    """Moves and rewards depend on where the crowd is and on what it does."""

    discount: float = 0.7
    num_states: int = eqx.field(init=False, default=2)
    num_actions: int = eqx.field(init=False, default=2)

    def initial(self):
        return np.array([0.9, 0.1])

    def transition(self, mean_field):
        stay = jnp.array([[0.2, 0.9], [0.5, 0.1]]) * (1 - 0.5 * mean_field.joint[0, 1])
        return nf.Dense(jnp.stack([stay, 1 - stay], -1))

    def reward(self, mean_field):
        return jnp.array([[1.0, 0.0], [0.5, 2.0]]) - 3 * mean_field.joint


def newcomers_return(game, policies, mean_field):
    """Return of agent 0 by a linear system over all joint states; agent i plays policies[i]."""
    num_agents = len(policies)
    places = list(itertools.product(range(2), repeat=num_agents))
    chain, reward = np.zeros((len(places), len(places))), np.zeros(len(places))
    for (i, x), a in itertools.product(enumerate(places), places):
        weight = np.prod([policies[k][x[k], a[k]] for k in range(num_agents)])
        joint = np.zeros((2, 2))
        for pair in zip(x, a, strict=True):
            joint[pair] += 1 / num_agents
        stay = np.array([[0.2, 0.9], [0.5, 0.1]]) * (1 - 0.5 * joint[0, 1])
        table = np.stack([stay, 1 - stay], -1)
        rewards = np.array([[1.0, 0.0], [0.5, 2.0]]) - 3 * joint
        reward[i] += weight * rewards[x[0], a[0]]
        for j, y in enumerate(places):
            chain[i, j] += weight * np.prod([table[x[k], a[k], y[k]] for k in range(num_agents)])
    values = np.linalg.solve(np.eye(len(places)) - game.discount * chain, reward)
    others = [np.asarray(mean_field)] * (num_agents - 1)
    laws = [np.asarray(game.initial()), *others]
    start = [np.prod([laws[k][x[k]] for k in range(num_agents)]) for x in places]
    return values @ start


@pytest.mark.parametrize("num_agents", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_a_newcomer_by_exact_values(num_agents):
    game = Fields()
    policy = np.array([[0.3, 0.7], [0.6, 0.4]])
    mean_field = nf.stationary_mean_field(game, policy)
    found = nf.simulate(game, policy, num_agents=num_agents, num_seeds=20_000)
    advantages = sweep(game, policy).optimal_advantages
    response = np.eye(2)[np.asarray(advantages).argmax(-1)]
    base = newcomers_return(game, [policy] * num_agents, mean_field.states)
    rest = [policy] * (num_agents - 1)
    deviated = newcomers_return(game, [response, *rest], mean_field.states)
    check(found.returns, base)
    check(found.gains, deviated - base)


@pytest.mark.slow
def test_a_crowd_at_rest_stays_there(precision):
    game = nf.games.MalwareSpread(num_states=11)
    policy = nf.policies.Threshold(theta=0.25)
    table = np.asarray(policy.table(game))
    runs = {n: nf.simulate(game, policy, num_agents=n, num_seeds=100) for n in (10, 250)}
    found = runs[250]
    np.testing.assert_allclose(found.social_welfare, nf.social_welfare(game, table), rtol=1e-5)
    np.testing.assert_allclose(found.exploitability, nf.exploitability(game, table), rtol=1e-4)
    states, z = np.asarray(found.flow.states), np.asarray(found.mean_field_flow.states)
    # Rewards after the last move weigh less than 1e-6 of the first.
    assert len(states) - 1 == np.ceil(np.log(1e-6) / np.log(0.9))
    # By then agent 0 is one of the crowd.
    error = np.sqrt(z * (1 - z) / (250 * 100))
    assert np.all(np.abs(states - z)[30:] < 4.5 * error + 1e-5)
    # A factor of 5 from 10 to 250 agents.
    assert 4.2 < runs[10].distance.mean / found.distance.mean < 5.8
    assert standard_error(found.gains) < 0.5 * standard_error(runs[10].gains)
    bias = abs(found.gain.mean - float(found.exploitability)) - 3 * standard_error(found.gains)
    assert bias < 0.02 * float(found.exploitability)


def test_without_a_future_one_step_is_played():
    game = nf.games.MalwareSpread(num_states=5, discount=0.0)
    found = nf.simulate(game, nf.uniform_policy(game), num_agents=3, num_seeds=10)
    assert len(found.flow.states) == 2


def test_stationary_points_are_not_simulated(without_type_checks):
    game = nf.games.ContinuousMalwareSpread()
    policy = nf.policies.Threshold(theta=0.5)
    with pytest.raises(TypeError, match=r"which ContinuousMalwareSpread is not"):
        nf.simulate(game, policy, num_agents=3)
