"""The best common policy, beside brute force."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf

# What the equilibrium on the strict grid of 101 cells does: it mixes at cell 48.
MIXED = 0.07175


class Commons(nf.StationaryGame):
    """Take (0) or rest (1) on a poor (0) or rich (1) field; takers wear the fields down.

    Attributes:
        wear: how much the share of takers lowers the odds of a rich field.
        income: added to every reward.
    """

    wear: nf.Scalar = eqx.field(converter=nf.scalar, default=0.0)
    income: nf.Scalar = eqx.field(converter=nf.scalar, default=0.0)
    discount: nf.Scalar = eqx.field(converter=nf.scalar, default=0.8)
    num_states: int = eqx.field(init=False, default=2)
    num_actions: int = eqx.field(init=False, default=2)

    def initial(self):
        return np.array([0.5, 0.5])

    def transition(self, mean_field):
        takers = mean_field.joint[:, 0].sum()
        rich = jnp.array([[0.2, 0.7], [0.4, 0.9]]) * (1 - self.wear * takers)
        return nf.Dense(jnp.stack([1 - rich, rich], -1))

    def reward(self, mean_field):
        takers = mean_field.joint[:, 0].sum()
        take = jnp.array([0.3, 1.0]) * (1.2 - takers)
        return self.income + jnp.stack([take, jnp.zeros(2)], -1)


def welfare_by_hand(take, wear, income=0.0):
    """J of all policies with take[..., x] = pi(0 | x), by iteration and 2 x 2 systems."""

    def crowd(z):
        takers = np.sum(z * take, -1)
        base = np.array([[0.2, 0.7], [0.4, 0.9]]) * (1 - wear * takers)[..., None, None]
        return takers, take * base[..., 0] + (1 - take) * base[..., 1]

    z = np.full_like(take, 0.5)
    for _ in range(100):
        up = np.sum(z * crowd(z)[1], -1)
        z = np.stack([1 - up, up], -1)
    takers, rich = crowd(z)
    reward = take * np.array([0.3, 1.0]) * (1.2 - takers)[..., None] + income
    chain = np.stack([1 - rich, rich], -1)
    values = np.linalg.solve(np.eye(2) - 0.8 * chain, reward[..., None])[..., 0]
    return values.mean(-1)


@pytest.mark.slow
@pytest.mark.parametrize("wear", [0.0, 0.6])
def test_two_states_by_brute_force(wear, precision):
    levels = np.linspace(0, 1, 401)
    take = np.stack(np.meshgrid(levels, levels, indexing="ij"), -1)
    values = welfare_by_hand(take, wear)
    game = Commons(wear=wear)
    equilibrium = nf.solve(game, nf.FictitiousPlay(), num_iterations=400)
    found = nf.price_of_anarchy(game, equilibrium.policy)
    rounding = 1e-12 if precision == "float64" else 1e-5
    best = values.max()
    # The grid misses the top by the square of half a cell, at most.
    assert best - rounding <= found.optimum <= best + 1e-4
    at = np.asarray(found.policy, float)[:, 0]
    np.testing.assert_allclose(at, take.reshape(-1, 2)[values.argmax()], atol=0.01)
    assert float(found.optimum) == pytest.approx(welfare_by_hand(at, wear), abs=rounding)
    assert float(found.welfare) == pytest.approx(equilibrium.social_welfare, rel=1e-5)
    assert float(found.gap) == float(found.optimum - found.welfare) > 1e-3
    assert float(found.ratio) == pytest.approx(float(found.optimum / found.welfare), rel=1e-5)


@pytest.mark.slow
def test_malware_spread():
    game = nf.games.MalwareSpread()
    thresholds = [
        float(nf.social_welfare(game, nf.policies.Threshold(theta=theta).table(game)))
        for theta in np.linspace(0, 0.5, 51)
    ]
    best = int(np.argmax(thresholds))
    assert best == 21 and thresholds[21] == pytest.approx(-3.780905, abs=1e-6)
    table = np.array(nf.policies.Threshold(theta=0.485).table(game))
    table[48] = [1 - MIXED, MIXED]
    found = nf.price_of_anarchy(game, table)
    assert float(found.welfare) == pytest.approx(-3.909816, abs=1e-6)
    assert found.optimum >= thresholds[21] - 1e-10
    assert float(found.gap) == pytest.approx(3.909816 - 3.780905, abs=2e-6)
    assert float(found.ratio) == pytest.approx(3.909816 / 3.780905, abs=1e-6)
    gradient = nf.total_gradient(game, nf.policies.Gibbs.of(found.policy))
    assert np.abs(gradient.logits).max() < 1e-8


def test_policies_with_parameters():
    game = nf.games.MalwareSpread(num_states=11)
    policy = nf.policies.SoftThreshold(theta=0.4)
    a, b = nf.price_of_anarchy(game, policy), nf.price_of_anarchy(game, policy.table(game))
    np.testing.assert_array_equal(a.optimum, b.optimum)


@pytest.mark.parametrize("game", [Commons(), nf.games.MalwareSpread(num_states=21)])
def test_at_the_optimum_nothing_is_lost(game):
    first = nf.price_of_anarchy(game, nf.uniform_policy(game))
    again = nf.price_of_anarchy(game, first.policy)
    assert 0 <= again.gap < 1e-10
    assert float(again.ratio) == pytest.approx(1, abs=1e-10)


def test_without_iterations_the_best_start_is_taken():
    game = nf.games.MalwareSpread(num_states=11)
    never = np.tile([1.0, 0.0], (11, 1))
    found = nf.price_of_anarchy(game, never, num_iterations=0)
    uniform = nf.social_welfare(game, nf.uniform_policy(game))
    assert found.welfare < uniform <= found.optimum + 1e-12
    again = nf.social_welfare(game, found.policy)
    assert float(found.optimum) == pytest.approx(float(again), rel=1e-12)


@pytest.mark.parametrize(("income", "signs"), [(1.0, (1, 1)), (-0.3, (-1, 1)), (-9.0, (-1, -1))])
def test_the_ratio_is_that_of_gains_or_of_costs(income, signs):
    game = Commons(income=income)
    take = np.tile([1.0, 0.0], (2, 1))
    found = nf.price_of_anarchy(game, take)
    assert tuple(np.sign([found.welfare, found.optimum])) == signs
    low, high = sorted(np.abs([float(found.welfare), float(found.optimum)]))
    expected = high / low if signs[0] == signs[1] else np.nan
    np.testing.assert_allclose(found.ratio, expected, rtol=1e-12)


@pytest.mark.slow
def test_starts_in_one_program():
    game = nf.games.MalwareSpread(num_states=11)
    tables = jax.random.dirichlet(jax.random.key(0), jnp.ones(2), (3, 11))
    found = jax.vmap(lambda table: nf.price_of_anarchy(game, table))(tables)
    alone = [nf.price_of_anarchy(game, table) for table in tables]
    np.testing.assert_allclose(found.gap, [float(one.gap) for one in alone], rtol=1e-9)


def test_only_games_without_time():
    game = nf.games.LeftRight()
    with pytest.raises(TypeError, match=r"needs a game without time .* which LeftRight is not"):
        nf.price_of_anarchy(game, nf.uniform_policy(game))


def test_a_policy_of_another_game():
    game = nf.games.MalwareSpread(num_states=5)
    with pytest.raises(ValueError, match=r"policy has shape \(6, 2\)"):
        nf.price_of_anarchy(game, np.full((6, 2), 0.5))
