"""Investments in product quality: closed forms, plain loops, and the equilibrium."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.investments import Growth, ProductInvestment
from nashfield.games.zoo.investments_continuous import ContinuousProductInvestment

# Of three products: d, lambda; and what is known of the equilibrium of Subramanian and Mahajan
# (2019), section 5.2, recomputed from the definitions in a program of its own.
DEMAND, COST = (0.31, 0.32, 0.33), (0.2, 0.21, 0.22)
THRESHOLDS = np.array([0.713262, 0.708333, 0.703704])
MEANS = np.array([0.792973, 0.789879, 0.786987])
VALUE = 0.602044


def mean_of(crowd):
    states = np.asarray(crowd.states)
    return float(np.linspace(0, 1, len(states)) @ states)


def always(action, num_states=40):
    return np.eye(2)[np.full(num_states, action)]


def solved(product):
    """The equilibrium, which invests up to one cell off the exact threshold."""
    game = ProductInvestment(product=product)
    solution = nf.solve(game, nf.FixedPoint(), num_iterations=4)
    invests = np.asarray(solution.policy)[:, 1]
    last = int(np.sum(invests)) - 1
    np.testing.assert_array_equal(invests, np.arange(400) <= last)
    assert last / 399 < THRESHOLDS[product] < (last + 1) / 399
    return solution


class TestOneProduct:
    @pytest.mark.slow
    def test_equilibrium(self):
        total = 0
        for product in range(3):
            solution = solved(product)
            assert solution.exploitability < 1e-12
            np.testing.assert_allclose(mean_of(solution.flow), MEANS[product], atol=5e-4)
            total += solution.social_welfare
        np.testing.assert_allclose(total, VALUE, atol=0.01)

    @pytest.mark.slow
    def test_equilibrium_in_single_precision(self):
        with jax.enable_x64(False):
            solution = solved(0)
            assert solution.exploitability < 1e-6
            np.testing.assert_allclose(mean_of(solution.flow), MEANS[0], atol=5e-4)

    @pytest.mark.slow
    def test_never_and_always(self, precision):
        exact = {"float64": 1e-9, "float32": 3e-6}[precision]
        games = [ProductInvestment(product=j, num_states=40) for j in range(3)]
        never = [nf.social_welfare(game, always(0)) for game in games]
        np.testing.assert_allclose(sum(never), 1.5, atol=exact)
        for j, expected in enumerate((-0.476923, -0.592308, -0.707692)):
            one = nf.social_welfare(games[j], always(1))
            # The other two are left alone.
            np.testing.assert_allclose(one + sum(never) - never[j], expected, atol=exact + 1e-6)

    @pytest.mark.slow
    def test_gain_of_a_best_response_against_never(self):
        games = [ProductInvestment(product=j, num_states=200) for j in range(3)]
        gains = [nf.exploitability(game, always(0, 200)) for game in games]
        np.testing.assert_allclose(sum(gains), 1.015, atol=0.005)

    def test_crowd_that_passes_the_switch(self, precision):
        # Everyone starts between 0 and 0.3 and moves up: fast at first, then slowly.
        game = ProductInvestment(num_states=31, initial_low=0.0, initial_high=0.3)
        x = np.linspace(0, 1, 31)
        law = (x < 0.3 + 1 / 60) / 10
        np.testing.assert_allclose(game.initial(), law, atol=1e-15)
        fast, slow = (climb(31, stride) for stride in (1.0, 0.5))
        policy = np.stack([0.75 + x / 4, 0.25 - x / 4], 1)
        policy[25:] = [1, 0]
        paths = [law]
        for _ in range(1500):
            law = (policy[:, 1] * law) @ (fast if law @ x < 0.4 else slow) + policy[:, 0] * law
            paths.append(law)
        means = np.array(paths) @ x
        assert (means[:3] < 0.4).all() and (means[6:] > 0.4).all()
        crowd = nf.stationary_mean_field(game, policy)
        # It rests once a move changes less than 8 roundings; the last to leave take 20 times that.
        close = {"float64": 1e-13, "float32": 2e-5}[precision]
        np.testing.assert_allclose(crowd.states, law, atol=close)
        # Slow steps all along would end elsewhere.
        never_fast = eqx.tree_at(lambda g: g.crowding, game, np.asarray(0.0))
        assert abs(mean_of(nf.stationary_mean_field(never_fast, policy)) - means[-1]) > 0.005

    @pytest.mark.slow
    def test_best_response_among_few_good_products_is_fast(self):
        game = ProductInvestment(num_states=40, initial_high=0.2)
        solution = nf.solve(game, nf.FixedPoint(), num_iterations=1, initial_policy=always(0))
        level = 1 - 2 * COST[0] * 0.1 / (DEMAND[0] * 0.9)
        assert abs(np.sum(np.asarray(solution.policy)[:, 1]) - 39 * level) <= 1

    def test_reward(self):
        game = ProductInvestment(product=1, num_states=5)
        crowd = nf.FiniteMeanField(np.array([0.1, 0.2, 0.3, 0.4, 0.0]), always(1, 5))
        expected = 0.32 * np.linspace(0, 1, 5)[:, None] - 0.22 * 0.5 - 0.21 * np.arange(2)
        np.testing.assert_allclose(game.reward(crowd), expected, rtol=1e-12)

    @pytest.mark.slow
    def test_protocol(self):
        nf.testing.check_game(ProductInvestment(num_states=12))


def climb(num_states, stride):
    """Rows of an investment: hat functions, integrated cell by cell."""
    table = np.eye(num_states)
    for x in range(num_states - 1):
        end = x + stride * (num_states - 1 - x)
        table[x] = 0
        for i in range(x, num_states - 1):
            low, high = i, min(i + 1, end)
            if high > low:
                above = (high - i) ** 2 / 2
                table[x, i] += high - low - above
                table[x, i + 1] += above
        table[x] /= end - x
    return table


@pytest.mark.slow
@pytest.mark.parametrize("stride", [1.0, 0.5])
@pytest.mark.parametrize("num_states", [2, 9])
def test_kernel_in_plain_loops(num_states, stride, precision):
    table = np.stack([np.eye(num_states), climb(num_states, stride)], 1)
    kernel = Growth(jnp.asarray(stride), num_states)
    rng = np.random.default_rng(0)
    values, mass = rng.normal(size=num_states), rng.random((num_states, 2))
    dense = np.asarray(kernel.dense(), float)
    close = {"float64": 1e-13, "float32": 2e-6}[precision]
    np.testing.assert_allclose(dense, table, atol=close)
    np.testing.assert_allclose(dense.sum(-1), 1, atol=close)
    np.testing.assert_allclose(kernel.expect(jnp.asarray(values)), dense @ values, atol=close)
    pushed = kernel.push(jnp.asarray(mass))
    np.testing.assert_allclose(pushed, np.einsum("xa,xay->y", mass, dense), atol=10 * close)
    # The mean of the law it stands for.
    x = np.linspace(0, 1, num_states)
    np.testing.assert_allclose(dense[:, 1] @ x, x + stride * (1 - x) / 2, atol=close)


@pytest.mark.parametrize("stride", [1.0, 0.5])
def test_quantiles(stride, precision):
    kernel = Growth(jnp.asarray(stride), 9)
    levels = (np.arange(10_000) + 0.5) / 10_000
    states, actions, levels = (
        x.reshape(-1) for x in np.meshgrid(np.arange(9), np.arange(2), levels, indexing="ij")
    )
    drawn = kernel.quantile(jnp.asarray(levels), jnp.asarray(states), jnp.asarray(actions))
    assert np.min(np.diff(np.asarray(drawn).reshape(18, -1), axis=1)) >= 0
    shares = np.zeros((9, 2, 9))
    np.add.at(shares, (states, actions, np.asarray(drawn)), 1e-4)
    np.testing.assert_allclose(shares, kernel.dense(), atol=2.1e-4)


class TestAllProducts:
    @pytest.mark.slow
    def test_equilibrium(self, precision):
        game = ContinuousProductInvestment()
        thresholds = game.best_thresholds(jnp.ones(3))
        means = game.threshold_means(thresholds)
        np.testing.assert_allclose(game.best_thresholds(means), thresholds)
        values = game.threshold_values(thresholds, means)
        np.testing.assert_allclose(thresholds, THRESHOLDS, atol=1e-6)
        np.testing.assert_allclose(means, MEANS, atol=1e-6)
        np.testing.assert_allclose(np.sum(values), VALUE, atol=1e-6)
        best = game.optimal_value(nf.Particles(means[None]))
        np.testing.assert_allclose(best, np.sum(values), rtol=1e-6)

    @pytest.mark.slow
    def test_never_and_one(self, precision):
        game = ContinuousProductInvestment()
        close = {"float64": 1e-6, "float32": 3e-6}[precision]
        half = jnp.full(3, 0.5)
        never = game.threshold_values(jnp.zeros(3), half)
        np.testing.assert_allclose(np.sum(never), 1.5, atol=close)
        gain = game.optimal_value(nf.Particles(half[None])) - np.sum(never)
        np.testing.assert_allclose(gain, 1.01509, atol=1e-5)
        for j, expected in enumerate((-0.476923, -0.592308, -0.707692)):
            thresholds = jnp.zeros(3).at[j].set(1)
            means = game.threshold_means(thresholds)
            np.testing.assert_allclose(means, half.at[j].set(1), atol=1e-6)
            values = game.threshold_values(thresholds, means)
            np.testing.assert_allclose(np.sum(values), expected, atol=close)

    @pytest.mark.parametrize("mean", [0.2, 0.7])
    def test_best_response_by_dynamic_programming(self, mean):
        # Also where investing is cheap, so that steps over many octaves count.
        parameters = {"investment_cost": (0.2, 0.02, 0.0), "initial_low": 0.1, "initial_high": 0.6}
        game = ContinuousProductInvestment(**parameters)
        crowd = nf.Particles(jnp.full((1, 3), mean))
        expected = sum(
            by_iteration(ProductInvestment(product=j, num_states=2001, **parameters), mean)
            for j in range(3)
        )
        np.testing.assert_allclose(game.optimal_value(crowd), expected, atol=1e-4)

    @pytest.mark.parametrize("mean", [0.2, 0.7])
    def test_levels_of_a_best_response_by_dynamic_programming(self, mean):
        game = ContinuousProductInvestment()
        expected = [levels_by_iteration(ProductInvestment(product=j), mean) for j in range(3)]
        found = game.best_thresholds(jnp.full(3, mean))
        np.testing.assert_allclose(found, expected, atol=1 / 399)
        factor = 2 if mean < 0.4 else 4  # for steps of half the length
        by_hand = 1 - factor * np.array(COST) * 0.1 / (np.array(DEMAND) * 0.9)
        np.testing.assert_allclose(found, by_hand, rtol=1e-12)

    def test_values_of_any_threshold_by_simulation(self):
        rng = np.random.default_rng(0)
        game = ContinuousProductInvestment()
        thresholds, mean = np.array([0.2, 0.6, 0.9]), np.array([0.3, 0.6, 0.5])
        reach = np.where(mean < 0.4, 1.0, 0.5)
        x, total = rng.random((100_000, 3)), 0.0
        for t in range(150):
            invests = x < thresholds
            gain = np.array(DEMAND) * x - (0.21, 0.22, 0.23) * mean - np.array(COST) * invests
            total = total + 0.9**t * gain
            x = x + invests * reach * rng.random(x.shape) * (1 - x)
        found = game.threshold_values(thresholds, mean)
        np.testing.assert_allclose(found, total.mean(0), atol=0.01)
        slow = game.threshold_means(thresholds)
        np.testing.assert_allclose(slow[1:], x.mean(0)[1:], atol=0.003)

    def test_actions_are_sets_of_products(self):
        game = ContinuousProductInvestment()
        sets = [game.invested(jnp.asarray(a)).tolist() for a in range(8)]
        assert sets[0] == [0, 0, 0] and sets[1] == [1, 0, 0] and sets[6] == [0, 1, 1]
        crowd = nf.Particles(np.tile([0.3, 0.5, 0.3], (2, 1)))
        x, levels = jnp.array([0.2, 0.4, 0.6]), jnp.array([0.5, 0.5, 0.5])
        moved = game.move(x, jnp.asarray(7), crowd, levels)
        np.testing.assert_allclose(moved, [0.6, 0.55, 0.8], rtol=1e-12)
        np.testing.assert_allclose(game.move(x, jnp.asarray(4), crowd, levels), [0.2, 0.4, 0.8])
        paid = game.reward(x, jnp.asarray(5), crowd)
        expected = 0.31 * 0.2 + 0.32 * 0.4 + 0.33 * 0.6 - 0.063 - 0.11 - 0.069 - 0.2 - 0.22
        np.testing.assert_allclose(paid, expected, rtol=1e-12)

    def test_any_number_of_products(self):
        one = ContinuousProductInvestment((0.3,), (0.2,), (0.1,))
        assert (one.state_dim, one.num_actions, one.num_levels) == (1, 2, 1)
        nf.testing.check_game(one)

    @pytest.mark.slow
    def test_protocol(self):
        nf.testing.check_game(ContinuousProductInvestment())


GAMES = pytest.mark.parametrize("game", [ProductInvestment, ContinuousProductInvestment])


@GAMES
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"demand": (0.1, -0.1, 0.2)}, "demand must be finite and at least 0, not -0.1"),
        ({"rivalry": (0.1, 0.2)}, r"rivalry must have one number for each product.*\(3,\), not"),
        ({"discount": 1.0}, "discount must lie between 0 and 1, not 1.0"),
        ({"crowding": np.nan}, "crowding must be finite, not nan"),
        ({"initial_low": -0.1}, "initial_low must lie between 0 and 1, not -0.1"),
        ({"initial_high": 0.0}, "initial_low must be less than initial_high, 0.0, not 0.0"),
    ],
)
def test_bad_parameters(game, parameters, message):
    with pytest.raises(nf.ParameterError, match=message):
        game(**parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_states": 1}, "num_states must be at least 2, not 1"),
        ({"product": 3}, "product must be less than the number of products, 3, not 3"),
        ({"product": -1}, "product must be at least 0, not -1"),
    ],
)
def test_bad_parameters_of_one_product(parameters, message):
    with pytest.raises(nf.ParameterError, match=message):
        ProductInvestment(**parameters)


@eqx.filter_jit
def optimal(game, mean):
    """Optimal action values of one product against a crowd of mean `mean`, by value iteration."""
    last = game.num_states - 1
    states = jnp.zeros(game.num_states).at[0].set(1 - mean).at[last].set(mean)
    crowd = nf.FiniteMeanField(states)
    kernel, reward = game.transition(crowd), game.reward(crowd)

    def backup(_, values):
        return reward + game.discount * kernel.expect(jnp.max(values, -1))

    return jax.lax.fori_loop(0, 300, backup, reward)


def by_iteration(game, mean):
    return float(game.initial() @ np.max(optimal(game, mean), -1))


def levels_by_iteration(game, mean):
    values = np.asarray(optimal(game, mean))
    return np.sum(values[:, 1] > values[:, 0]) / 399
