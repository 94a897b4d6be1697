"""Exploitability in games on points: on a grid, exact, learned; against sums over moments."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.learners.faults import Fault
from nashfield.metrics.certificates import _without_empty_places
from nashfield.policies import Affine, Pool
from nashfield.results import GameError, ParameterError

# The linear-quadratic reference case: cost c_x (x - target)^2 + c_a a^2 + c_m (x - m)^2.
A, B, ABAR, TARGET, CX, CA, CM, SIGMA, T = 0.95, 1.0, 0.05, 0.5, 1.0, 10.0, 1.0, 0.05, 20
VALUE = 2.8224471601


class Line(nf.ContinuousGame):
    """The same game written by hand; no QuadraticGame, so nothing exact is known of it."""

    horizon: int = T
    state_dim: int = 1
    control_dim: int = 1

    def initial(self):
        return nf.Uniform(np.full(1, -1.0), np.full(1, 1.0))

    def step(self, t, x, a, mean_field, noise):
        return A * x + B * a + ABAR * mean_field.mean() + SIGMA * noise

    def reward(self, t, x, a, mean_field):
        cost = CX * (x - TARGET) ** 2 + CA * a**2 + CM * (x - mean_field.mean()) ** 2
        return -jnp.sum(cost)


def crowd(members):
    """Means and variances (T + 1, K) of those who play each (gain, offset, sd)."""
    gains, offsets, sds = (np.array(part) for part in zip(*members, strict=True))
    m, v = np.zeros(len(members)), np.full(len(members), 1 / 3)
    means, variances = [m], [v]
    for t in range(T):
        together = m.mean()
        m = (A + B * gains[:, t]) * m + B * offsets[:, t] + ABAR * together
        v = (A + B * gains[:, t]) ** 2 * v + B**2 * sds[:, t] ** 2 + SIGMA**2
        means, variances = [*means, m], [*variances, v]
    return np.array(means), np.array(variances)


def respond(flow):
    """Riccati's recursion of the best response to the means `flow`: gains, offsets, least cost."""
    P, s, c = 0.0, 0.0, 0.0
    gains, offsets = [], []
    for t in reversed(range(T)):
        d, G = ABAR * flow[t], CA + B * P * B
        K, k = B * P * A / G, B * (P * d + s) / G
        c = CX * TARGET**2 + CM * flow[t] ** 2 + d * P * d + 2 * s * d + P * SIGMA**2 + c
        c -= (P * d + s) * B / G * B * (P * d + s)
        s, P = (
            -(CX * TARGET + CM * flow[t]) + (A - B * K) * (P * d + s),
            CX + CM + A * P * (A - B * K),
        )
        gains, offsets = [-K, *gains], [-k, *offsets]
    return np.array(gains), np.array(offsets), P / 3 + c  # the initial law has mean 0


def gap(members):
    """Exact exploitability of a mixture of affine policies."""
    means, variances = crowd(members)
    flow, cost = means.mean(1), 0.0
    for k, (gain, offset, sd) in enumerate(members):
        for t in range(T):
            m, v = means[t, k], variances[t, k]
            action = (gain[t] * m + offset[t]) ** 2 + gain[t] ** 2 * v + sd[t] ** 2
            cost += CX * ((m - TARGET) ** 2 + v) + CA * action + CM * ((m - flow[t]) ** 2 + v)
    return cost / len(members) - respond(flow)[2]


def equilibrium():
    flow = np.zeros(T + 1)
    for _ in range(200):
        gain, offset, cost = respond(flow)
        flow = crowd([(gain, offset, np.zeros(T))])[0][:, 0]
    assert cost == pytest.approx(VALUE, abs=1e-8)
    return gain, offset


GAIN, OFFSET = equilibrium()
CASES = {
    "equilibrium": (GAIN, OFFSET, 0),
    "half the gain": (0.5 * GAIN, 0.5 * OFFSET, 0),
    "shifted": (GAIN, OFFSET + 0.05, 0),
    "noise": (0.8 * GAIN, OFFSET, 0.1),
}


def affine(gain, offset, sd):
    spread = None if not sd else np.full((T, 1, 1), float(sd))
    return Affine(gain[:, None, None], offset[:, None], spread)


def stack(policies):
    return Pool.of(jax.tree.map(lambda *leaves: jnp.stack(leaves), *policies))


@pytest.mark.parametrize("case", CASES)
def test_the_grid_agrees_with_exact_sums(case):
    gain, offset, sd = CASES[case]
    exact = gap([(gain, offset, np.full(T, float(sd)))])
    found = nf.exploitability(Line(), affine(gain, offset, sd), "grid", num_cells=100)
    assert found.method == "grid"
    assert not found.is_lower_bound
    assert abs(float(found) - exact) <= 1e-3  # asked: within 1% of V0, .028
    assert float(found) >= -1e-9
    assert 0 <= float(found.error) < 5e-3


def test_the_grid_converges():
    """Four times nearer with twice the cells, and the error is no smaller than the true one.

    The edges of the initial law fall on edges of cells, or its variance would jump about.
    """
    gain, offset = 0.5 * GAIN, 0.5 * OFFSET
    exact, policy = gap([(gain, offset, np.zeros(T))]), affine(gain, offset, 0)
    found = [
        nf.exploitability(Line(), policy, "grid", num_cells=n, low=-2.5, high=2.5)
        for n in (50, 100, 200)
    ]
    off = [abs(float(f) - exact) for f in found]
    assert off[0] / off[1] == pytest.approx(4, rel=0.25)
    assert off[1] / off[2] == pytest.approx(4, rel=0.25)
    assert all(float(f.error) >= o for f, o in zip(found, off, strict=True))


@pytest.mark.slow
def test_a_pool_is_a_mixture_and_empty_places_do_not_count():
    members = [CASES[name] for name in ("half the gain", "shifted")]
    exact = gap([(gain, offset, np.zeros(T)) for gain, offset, _ in members])
    full = stack([affine(*member) for member in members])
    found = nf.exploitability(Line(), full, "grid", num_cells=50)
    assert float(found) == pytest.approx(exact, abs=2e-3)
    nobody = affine(0 * GAIN, 0 * OFFSET + 7, 0)
    partly = stack([affine(*member) for member in members] + [nobody])
    partly = Pool(partly.members, jnp.asarray(2))
    again = nf.exploitability(Line(), partly, "grid", num_cells=50)
    assert float(again) == pytest.approx(float(found), abs=5e-4)


@pytest.mark.slow
def test_single_precision():
    with jax.enable_x64(False):
        found = nf.exploitability(
            Line(), affine(0.5 * GAIN, 0.5 * OFFSET, 0), "grid", num_cells=100
        )
        assert found.value.dtype == jnp.float32
        exact = gap([(0.5 * GAIN, 0.5 * OFFSET, np.zeros(T))])
        assert float(found) == pytest.approx(exact, abs=2e-3)


@pytest.mark.slow
def test_a_given_flow_is_the_crowd_that_counts():
    """The gain of the zero policy against the crowd of the equilibrium: a difference of costs."""
    means, _ = crowd([(GAIN, OFFSET, np.zeros(T))])
    flow = nf.Flow(nf.Gaussian(means, np.full((T + 1, 1, 1), 0.1)))
    zero = affine(0 * GAIN, 0 * OFFSET, 0)
    m, v, cost = 0.0, 1 / 3, 0.0
    for t in range(T):
        cost += CX * ((m - TARGET) ** 2 + v) + CM * ((m - means[t, 0]) ** 2 + v)
        m, v = A * m + ABAR * means[t, 0], A**2 * v + SIGMA**2
    exact = cost - respond(means[:, 0])[2]
    found = nf.exploitability(Line(), zero, "grid", num_cells=200, flow=flow, low=-2.5, high=2.5)
    assert float(found) == pytest.approx(exact, abs=2e-3)


def test_affine_policies_in_quadratic_games_are_exact():
    game = nf.games.LinearQuadratic()
    found = nf.exploitability(game, affine(0.5 * GAIN, 0.5 * OFFSET, 0))
    assert found.method == "exact"
    assert float(found.error) == 0
    assert float(found) == pytest.approx(gap([(0.5 * GAIN, 0.5 * OFFSET, np.zeros(T))]), abs=1e-9)
    assert str(found) == f"{float(found):.6g} (exact)"


class Found(eqx.Module):
    policy: Affine
    fault: Fault


class Guesses(eqx.Module):
    """Learns nothing: finds the best response to the equilibrium's crowd, more or less."""

    def best_response(self, game, flow, *, key):
        bias = 0.02 * jax.random.normal(key)
        policy = Affine(jnp.asarray(GAIN)[:, None, None], jnp.asarray(OFFSET)[:, None] + bias)
        return Found(policy, Fault.none(1, 1))


def test_learned_is_a_lower_bound():
    zero = affine(0 * GAIN, 0 * OFFSET, 0)
    exact = gap([(0 * GAIN, 0 * OFFSET, np.zeros(T))])
    means, _ = crowd([(0 * GAIN, 0 * OFFSET, np.zeros(T))])

    def cost(bias):
        """Of the equilibrium's policy, shifted, against the crowd of the zero policy."""
        m, v, total = 0.0, 1 / 3, 0.0
        for t in range(T):
            a = GAIN[t] * m + OFFSET[t] + bias
            total += CX * ((m - TARGET) ** 2 + v) + CM * ((m - means[t, 0]) ** 2 + v)
            total += CA * (a**2 + GAIN[t] ** 2 * v)
            m, v = A * m + B * a + ABAR * means[t, 0], (A + B * GAIN[t]) ** 2 * v + SIGMA**2
        return total

    key = jax.random.key(3)
    keys = jax.random.split(jax.random.split(key, 4)[1], 3)
    best = min(cost(0.02 * float(jax.random.normal(k))) for k in keys)
    missed = best - respond(means[:, 0])[2]
    assert missed > 0
    found = nf.exploitability(
        Line(), zero, "learned", key=key, learner=Guesses(), num_seeds=3, num_agents=4000
    )
    assert found.is_lower_bound
    assert str(found).startswith(">= ")
    assert 0 < float(found.error) < 0.2
    assert float(found) == pytest.approx(exact - missed, abs=4 * float(found.error))


@pytest.mark.slow
def test_what_ppo_learns_comes_near_the_exact_number():
    found = nf.exploitability(
        Line(), affine(0.5 * GAIN, 0.5 * OFFSET, 0), "learned", key=jax.random.key(1)
    )
    exact = gap([(0.5 * GAIN, 0.5 * OFFSET, np.zeros(T))])
    assert exact - 0.05 < float(found) < exact + 4 * float(found.error) + 0.01


def test_names_and_kinds_of_methods(without_type_checks):
    policy = affine(GAIN, OFFSET, 0)
    with pytest.raises(ValueError, match="method must be 'exact', 'grid', 'learned' or None"):
        nf.exploitability(Line(), policy, "guess")
    with pytest.raises(ValueError, match=r"no exact exploitability.*try method='grid'"):
        nf.exploitability(Line(), policy, "exact")
    with pytest.raises(ValueError, match="computes the flow itself"):
        flow = nf.games.LinearQuadratic().equilibrium().flow
        nf.exploitability(nf.games.LinearQuadratic(), policy, "exact", flow=flow)
    with pytest.raises(ValueError, match="num_seeds must be at least 1"):
        nf.exploitability(Line(), policy, "learned", num_seeds=0)
    space = nf.games.LinearQuadratic(target=np.zeros(3))
    policy = Affine(np.zeros((T, 3, 3)), np.zeros((T, 3)))
    with pytest.raises(ValueError, match=r"needs states on the line or in the plane.*state_dim 3"):
        nf.exploitability(space, policy, "grid")
    with pytest.raises(ValueError, match="method is for games on points"):
        game = nf.games.BeachBar(num_states=5, horizon=2)
        nf.exploitability(game, nf.uniform_policy(game), "grid")


def test_policies_of_another_game(without_type_checks):
    with pytest.raises(ValueError, match="Affine does not fit Line, which has state_dim 1"):
        nf.exploitability(Line(), Affine(np.zeros((T, 1, 2)), np.zeros((T, 1))))
    with pytest.raises(ValueError, match=r"its actions have shape \(2,\)"):
        nf.exploitability(Line(), Affine(np.zeros((T, 2, 1)), np.zeros((T, 2))))
    with pytest.raises(ValueError, match="decides at 5 times, but Line has horizon 20"):
        nf.exploitability(Line(), affine(GAIN[:5], OFFSET[:5], 0))
    with pytest.raises(TypeError, match="must be a policy of Line, a game on points"):
        nf.exploitability(Line(), np.zeros((T, 1)))


def test_grids_that_make_no_sense():
    policy = affine(GAIN, OFFSET, 0)
    with pytest.raises(ParameterError, match="num_cells must be a whole number of at least 2"):
        nf.exploitability(Line(), policy, "grid", num_cells=1)
    with pytest.raises(ParameterError, match="num_cells must be a whole number of at least 2"):
        nf.exploitability(Line(), policy, "grid", num_cells=0)
    with pytest.raises(ParameterError, match="num_actions must be at least 1, not -3"):
        nf.exploitability(Line(), policy, "grid", num_actions=-3)
    with pytest.raises(ParameterError, match="low must be less than high"):
        nf.exploitability(Line(), policy, "grid", low=1.0, high=0.0)


class Crowded(Line):
    """Reads the density of a crowd that starts in a point."""

    def initial(self):
        return nf.Gaussian(np.zeros(1), np.zeros((1, 1)))

    def reward(self, t, x, a, mean_field):
        return -jnp.log(jnp.exp(mean_field.log_density(x)) + 0.1)


def test_a_point_has_no_density():
    with pytest.raises(
        ValueError, match="Crowded asks for the density of the crowd, but at time 0"
    ):
        nf.exploitability(Crowded(), affine(GAIN, OFFSET, 0))


def test_a_given_box_that_agents_leave():
    """No number is better than one that is wrong: the box from 0 to 1 would say .13, not .5."""
    half = affine(0.5 * GAIN, 0.5 * OFFSET, 0)
    with pytest.raises(GameError, match=r"low = \[0\.\] is too narrow for Line: 0\.\d+ of the"):
        nf.exploitability(Line(), half, "grid", num_cells=20, low=0, high=1)
    with pytest.raises(GameError, match=r"high = \[0\.9\] is too narrow"):
        nf.exploitability(Line(), affine(0 * GAIN, 0 * OFFSET, 0), "grid", num_cells=20, high=0.9)


def test_the_empty_places_of_a_pool_cost_nothing():
    members = [affine(*CASES[name]) for name in ("half the gain", "shifted")]
    full = stack(members)
    padded = jax.tree.map(lambda x: jnp.pad(x, [(0, 998)] + [(0, 0)] * (x.ndim - 1)), full.members)
    cut = _without_empty_places(Pool(padded, jnp.asarray(2)))
    assert cut.capacity == 2
    assert all(
        (a == b).all() for a, b in zip(jax.tree.leaves(cut), jax.tree.leaves(full), strict=True)
    )


def test_a_learner_is_asked():
    zero = affine(0 * GAIN, 0 * OFFSET, 0)
    found = nf.exploitability(Line(), zero, learner=Guesses(), num_seeds=1, num_agents=50)
    assert found.method == "learned"
