"""The stationary mean field from samples: beside the exact one, and when it has not settled."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics.estimation import UNSETTLED_DRIFT, estimate_mean_field
from nashfield.results import ParameterError

POLICY = nf.policies.SoftThreshold(theta=0.4, temperature=0.1)
KEY = jax.random.key(11)


def mean_health(game, mean_field):
    return float(mean_field.expect(game.features()[:, 0]))


@pytest.mark.parametrize(("generator", "kind"), [("jax", "policy"), ("hash", "table")])
def test_estimated_and_exact_mean_fields_agree(generator, kind, precision):
    game = nf.games.MalwareSpread(num_states=21)
    policy = POLICY if kind == "policy" else POLICY.table(game)
    exact = nf.stationary_mean_field(game, policy)
    sizes = {"num_agents": 2000, "num_steps": 60, "num_batches": 5}
    found = nf.stationary_mean_field(game, policy, **sizes, generator=generator, key=KEY)
    health = game.features()[:, 0]
    spread = np.sqrt(exact.expect(health**2) - mean_health(game, exact) ** 2)
    error = abs(mean_health(game, found) - mean_health(game, exact))
    assert error < 4 * spread / np.sqrt(10_000)
    np.testing.assert_allclose(found.policy, exact.policy)
    assert float(jnp.sum(found.states)) == pytest.approx(1, abs=1e-6)


def test_points_agree_with_the_closed_form(precision):
    game = nf.games.ContinuousMalwareSpread()
    policy = nf.policies.Threshold(theta=0.212071)
    sizes = {"num_agents": 5000, "num_steps": 80, "num_batches": 4}
    found = nf.stationary_mean_field(game, policy, **sizes, key=KEY)
    assert found.states.shape == (20_000, 1)
    level = np.log(1 - 0.212071)
    exact = ((1 - 0.212071) / 2 - level) / (2 - level)
    assert exact == pytest.approx(0.282490, abs=1e-6)
    spread = np.std(np.asarray(found.states, float))
    assert abs(float(found.mean()[0]) - exact) < 4 * spread / np.sqrt(20_000)


class Leak(nf.StationaryGame):
    """From state 0 to state 1 with probability `rate`, and back just as often."""

    rate: jax.Array
    num_states: int = 2
    num_actions: int = 1
    discount: float = 0.5

    def initial(self):
        return np.array([1.0, 0.0])

    def transition(self, mean_field):
        stay, go = 1 - self.rate, self.rate
        rows = jnp.stack([jnp.stack([stay, go]), jnp.stack([go, stay])])
        return nf.Dense(rows[:, None])

    def reward(self, mean_field):
        return jnp.zeros((2, 1))


ALWAYS = jnp.ones((2, 1))


def test_a_slow_chain_is_noticed():
    game = Leak(jnp.asarray(0.002))  # settles within 1 / .004 = 250 moves
    sizes = {"num_agents": 1000, "key": KEY}
    with pytest.warns(RuntimeWarning, match=r"second half of its 200 moves .* raise num_steps"):
        nf.stationary_mean_field(game, ALWAYS, **sizes)
    # What the warning asks for silences it (warnings are errors here).
    found = nf.stationary_mean_field(game, ALWAYS, num_steps=3000, **sizes)
    assert abs(float(found.states[1]) - 0.5) < 4 * 0.5 / np.sqrt(1000)


def drifts(game, policy, num_agents, num_batches, num_steps, count=200):
    sizes = {"num_agents": num_agents, "num_batches": num_batches, "num_steps": num_steps}

    @eqx.filter_jit
    def drift(keys):
        def one(key):
            return estimate_mean_field(game, policy, **sizes, generator="hash", key=key).drift

        return jax.vmap(one)(keys)

    return np.asarray(drift(jax.random.split(KEY, count)))


def test_at_rest_the_drift_is_the_size_of_a_normal_number():
    found = drifts(Leak(jnp.asarray(0.2)), ALWAYS, 100, 3, 60)
    assert found.max() < UNSETTLED_DRIFT
    assert 0.8 < np.mean(found**2) < 1.2 + 4 * np.sqrt(2 / 200)


def test_agents_that_all_move_alike_drift_without_bounds():
    # Period 2: after 3 and after 6 moves everyone is on another side.
    found = drifts(Leak(jnp.asarray(1.0)), ALWAYS, 10, 1, 6, count=3)
    assert np.isinf(found).all()
    # After 4 and after 8 moves everyone is back.
    np.testing.assert_array_equal(drifts(Leak(jnp.asarray(1.0)), ALWAYS, 10, 1, 8, count=3), 0)


def test_one_agent_shows_no_drift():
    np.testing.assert_array_equal(drifts(Leak(jnp.asarray(1.0)), ALWAYS, 1, 1, 6, count=3), 0)


def test_seeds_are_vmapped_without_a_warning():
    def estimate(key):
        return nf.stationary_mean_field(Leak(jnp.asarray(0.002)), ALWAYS, num_agents=50, key=key)

    assert jax.vmap(estimate)(jax.random.split(KEY, 100)).states.shape == (100, 2)


def test_other_parameters_and_keys_compile_nothing():
    traces = []

    class Counted(Leak):
        def transition(self, mean_field):
            traces.append(None)
            return super().transition(mean_field)

    counts = []
    for rate, seed in ((0.5, 0), (0.4, 1)):
        game = Counted(jnp.asarray(rate))
        key = jax.random.key(seed)
        nf.stationary_mean_field(game, ALWAYS, num_agents=50, num_steps=40, key=key)
        counts.append(len(traces))
    assert counts[0] == counts[1] > 0


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_agents": 0}, "num_agents must be an integer of at least 1, not 0"),
        ({"num_agents": 2.5}, "num_agents must be an integer of at least 1, not 2.5"),
        ({"num_agents": 5, "num_steps": 0}, "num_steps must be an integer of at least 1, not 0"),
        (
            {"num_agents": 5, "num_batches": -1},
            "num_batches must be an integer of at least 1, not -1",
        ),
        ({"num_agents": 5, "generator": "pcg"}, 'generator must be "jax" or "hash", not \'pcg\''),
    ],
)
def test_sizes_that_make_no_crowd_are_named(options, message):
    with pytest.raises(ParameterError, match=message):
        nf.stationary_mean_field(Leak(jnp.asarray(0.2)), ALWAYS, key=KEY, **options)


def test_a_played_crowd_needs_a_key():
    with pytest.raises(ParameterError, match=r"needs a key, such as key=jax\.random\.key\(0\)"):
        nf.stationary_mean_field(Leak(jnp.asarray(0.2)), ALWAYS, num_agents=5)


def test_a_key_alone_plays_nothing():
    with pytest.raises(ParameterError, match="give num_agents too, or no key"):
        nf.stationary_mean_field(Leak(jnp.asarray(0.2)), ALWAYS, key=KEY)


def test_points_need_agents():
    with pytest.raises(ParameterError, match="has to be played, give num_agents"):
        nf.stationary_mean_field(nf.games.ContinuousMalwareSpread(), POLICY)


def test_points_need_a_function_of_the_state():
    with pytest.raises(ParameterError, match="of which there is no table"):
        nf.stationary_mean_field(nf.games.ContinuousMalwareSpread(), ALWAYS, num_agents=5, key=KEY)


@pytest.mark.usefixtures("without_type_checks")
def test_a_horizon_has_no_stationary_mean_field():
    game = nf.games.BeachBar(num_states=5, horizon=3)
    with pytest.raises(ParameterError, match="BeachBar has a horizon"):
        nf.stationary_mean_field(game, nf.uniform_policy(game))


def test_tables_of_the_wrong_shape_are_named():
    for sizes in ({}, {"num_agents": 5, "key": KEY}):
        with pytest.raises(ValueError, match=r"policy has shape \(3, 1\)"):
            nf.stationary_mean_field(Leak(jnp.asarray(0.2)), jnp.ones((3, 1)), **sizes)
