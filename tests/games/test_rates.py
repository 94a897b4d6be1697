"""Games in continuous time: equilibrium, best responses, order, derivatives, messages."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_bvp, solve_ivp

import nashfield as nf
from nashfield.games.rate_equations import between, crowd_of, optimal_values, policy_values
from nashfield.games.rate_equilibria import answer_policy
from nashfield.games.rates import RateGame
from nashfield.games.zoo.sir_contact import SIRContact
from nashfield.mean_fields import FiniteMeanField
from nashfield.results import GameError, ParameterError
from nashfield.typing import Scalar, scalar


class Plain(SIRContact):
    """The contact game without its closed form."""

    def best_action(self, t, mean_field, gains):
        return RateGame.best_action(self, t, mean_field, gains)


class Seasons(RateGame):
    """Two places, times that matter, an end that pays, an action in each state."""

    pull: Scalar = eqx.field(converter=scalar, default=1.0)
    duration: Scalar = eqx.field(converter=scalar, default=2.0)
    num_states: int = 2

    def initial(self):
        return np.array([0.8, 0.2])

    def rates(self, t, mean_field, action):
        return action[:, None] * jnp.ones((2, 2))

    def reward(self, t, mean_field, action):
        season = jnp.stack([jnp.sin(3 * t), jnp.cos(3 * t)])
        return self.pull * season - mean_field.states - action**2

    def terminal_reward(self, mean_field):
        return jnp.array([0.5, 0.0]) - mean_field.states

    @property
    def action_bounds(self):
        return jnp.zeros(2), jnp.full(2, 3.0)


def boundary_value_problem(beta=0.4, gamma=0.125, c_a=1.0, c_I=1.0, T=40.0):
    """S, I and u_S of the contact game at equilibrium, by collocation."""

    def level(t, I, u):
        return np.clip(1 - beta * I / c_a * (c_I / gamma * -np.expm1(-gamma * (T - t)) - u), 0, 1)

    def speed(t, x):
        S, I, u = x
        a = level(t, I, u)
        u_I = c_I / gamma * -np.expm1(-gamma * (T - t))
        infected = beta * a * I
        du = -(c_a * (1 - a) ** 2 / 2 + infected * (u_I - u))
        return np.stack([-infected * S, infected * S - gamma * I, du])

    times = np.linspace(0, T, 400)
    first = np.stack([np.linspace(0.9, 0.1, 400), np.full(400, 0.2), np.linspace(5, 0, 400)])
    ends = lambda a, b: np.array([a[0] - 0.9, a[1] - 0.1, b[2]])  # noqa: E731
    found = solve_bvp(speed, ends, times, first, tol=1e-9, max_nodes=100_000)
    assert found.success
    return found.sol


@pytest.mark.parametrize("c_I", [1.0, 3.0])
def test_against_collocation(c_I, precision):
    tolerance = 1e-6 if precision == "float64" else 2e-4
    found = SIRContact(c_I=c_I).equilibrium(num_steps=400)
    exact = boundary_value_problem(c_I=c_I)(np.asarray(found.times, float))
    np.testing.assert_allclose(found.flow.states[:, :2], exact[:2].T, atol=tolerance)
    np.testing.assert_allclose(-found.values[:, 0], exact[2], atol=20 * tolerance)
    assert abs(float(found.exploitability)) < (1e-8 if precision == "float64" else 2e-5)
    np.testing.assert_allclose(found.flow.states.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("game", "factor"),
    [(SIRContact(c_I=1.0), 12), pytest.param(Seasons(), 3, marks=pytest.mark.slow)],
)
def test_order_of_convergence(game, factor):
    """Four where actions stay within their bounds, two where they come to one on their way."""
    found = {K: game.equilibrium(num_steps=K) for K in (40, 80, 320)}

    def error(K):
        crowds = np.abs(found[K].flow.states - found[320].flow.states[:: 320 // K]).max()
        return max(crowds, abs(float(found[K].value - found[320].value)))

    assert error(40) / error(80) > factor
    assert error(80) < 1e-4


@pytest.mark.slow
def test_gain_of_a_best_response_by_scipy():
    """A policy that is no equilibrium, its crowd and both values by another integrator."""
    game, K = Seasons(), 200
    times = np.linspace(0, 2, K + 1)
    policy = np.stack([0.5 + 0.3 * np.sin(times), np.full(K + 1, 1.2)], 1)
    options = {"rtol": 1e-11, "atol": 1e-12, "dense_output": True}

    def actions(t):
        return 0.5 + 0.3 * np.sin(t), 1.2

    def move(t, mu):
        flow = mu[0] * actions(t)[0] - mu[1] * actions(t)[1]
        return [-flow, flow]

    crowd = solve_ivp(move, (0, 2), [0.8, 0.2], **options).sol

    def values(act):
        def back(s, v):
            t = 2 - s
            mu = crowd(t)
            base = np.array([np.sin(3 * t), np.cos(3 * t)]) - mu
            gains = np.array([v[1] - v[0], v[0] - v[1]])
            a = np.asarray(act(t, gains))
            return base - a**2 + a * gains

        end = np.array([0.5, 0]) - crowd(2)
        return solve_ivp(back, (0, 2), end, **options).sol(2)

    own = values(lambda t, gains: actions(t))
    best = values(lambda t, gains: np.clip(gains / 2, 0, 3))
    states = crowd_of(game, jnp.asarray(policy))
    np.testing.assert_allclose(states, crowd(times).T, atol=1e-8)
    np.testing.assert_allclose(policy_values(game, jnp.asarray(policy), states)[0], own, atol=1e-7)
    # An action that comes to its bound costs an order.
    np.testing.assert_allclose(optimal_values(game, states)[0], best, atol=1e-6)
    gap = np.array([0.8, 0.2]) @ (best - own)
    assert gap > 0.1
    np.testing.assert_allclose(nf.exploitability(game, policy), gap, atol=1e-6)


def test_between_is_exact_on_cubics():
    times = np.arange(7.0)
    cubic = np.stack([times**3 - 2 * times, 4 - times**2], 1)
    half = times[:-1] + 0.5
    expected = np.stack([half**3 - 2 * half, 4 - half**2], 1)
    np.testing.assert_allclose(between(jnp.asarray(cubic)), expected, atol=1e-12)
    bounded = between(jnp.asarray(cubic), (0.0, 3.0))
    np.testing.assert_allclose(bounded, np.clip(expected, 0, 3), atol=1e-12)


class TestBestAction:
    @pytest.mark.parametrize("gain", [-6.0, -0.5, 0.0, 0.4, 8.0])
    def test_closed_form(self, gain, precision):
        crowd = FiniteMeanField(jnp.array([0.5, 0.4, 0.1]))
        gains = jnp.zeros((3, 3)).at[0, 1].set(gain)
        closed = SIRContact().best_action(0.0, crowd, gains)
        searched = Plain().best_action(0.0, crowd, gains)
        np.testing.assert_allclose(searched[0], closed[0], atol=1e-6)

    def test_derivative(self):
        crowd = FiniteMeanField(jnp.array([0.5, 0.4, 0.1]))

        def act(kind, gain):
            return kind().best_action(0.0, crowd, jnp.zeros((3, 3)).at[0, 1].set(gain))[0]

        for gain in (-0.5, -9.0):
            slopes = [jax.grad(lambda g, k=k: act(k, g))(gain) for k in (Plain, SIRContact)]
            np.testing.assert_allclose(*slopes, atol=1e-12)

    def test_linear_and_flat(self):
        """All or nothing where the sum is linear; the least where nothing depends on it."""

        class Linear(Seasons):
            def reward(self, t, mean_field, action):
                return -0.3 * action

        crowd = FiniteMeanField(jnp.array([0.5, 0.5]))
        for gain, best in ((0.5, 3.0), (0.2, 0.0), (0.3, 0.0)):
            gains = jnp.array([[0, gain], [gain, 0]])
            np.testing.assert_array_equal(Linear().best_action(0.0, crowd, gains), [best, best])

    @pytest.mark.slow
    def test_equilibrium(self):
        plain, closed = (kind(c_I=1.0).equilibrium(num_steps=40) for kind in (Plain, SIRContact))
        np.testing.assert_allclose(plain.policy[:, 0], closed.policy[:, 0], atol=1e-10)
        np.testing.assert_allclose(plain.value, closed.value, atol=1e-10)


class TestDerivatives:
    K = 30
    at = np.array([0.4, 0.125, 1.0, 1.0])

    def game(self, numbers):
        beta, gamma, c_I, c_a = numbers
        return SIRContact(beta=beta, gamma=gamma, c_I=c_I, c_a=c_a)

    def look(self, states):
        return jnp.concatenate([states[-1], states[self.K // 3], jnp.sum(states**2)[None]])

    def implicit(self, numbers):
        return self.look(self.game(numbers).equilibrium(num_steps=self.K).flow.states)

    def unrolled(self, numbers):
        game = self.game(numbers)

        def step(states, _):
            return (states + crowd_of(game, answer_policy(game, states))) / 2, None

        first = crowd_of(game, jnp.ones((self.K + 1, 3)))
        return self.look(jax.lax.scan(step, first, length=100)[0])

    @pytest.mark.slow
    def test_all_ways_agree(self):
        """Along one direction, and against one weight: forward, back, unrolled, differences."""
        rng = np.random.default_rng(0)
        direction, weight = rng.normal(size=4), rng.normal(size=7)

        def ahead(function):
            return jax.jit(lambda x: jax.jvp(function, (x,), (direction,)))(self.at)

        value, forward = ahead(self.implicit)
        same, unrolled = ahead(self.unrolled)
        np.testing.assert_allclose(value, same, atol=1e-12)
        np.testing.assert_allclose(forward, unrolled, atol=1e-8)
        backward = jax.jit(jax.grad(lambda x: weight @ self.implicit(x)))(self.at)
        np.testing.assert_allclose(backward @ direction, forward @ weight, rtol=1e-9)
        look, h = jax.jit(self.implicit), 1e-5 * direction
        difference = (look(self.at + h) - look(self.at - h)) / 2e-5
        np.testing.assert_allclose(forward, difference, rtol=1e-5, atol=1e-5)
        # Costs are known up to their scale.
        np.testing.assert_allclose(backward[2], -backward[3], rtol=1e-8)

    @pytest.mark.slow
    def test_memory_is_that_of_one_iteration(self):
        def memory(function):
            program = jax.jit(jax.grad(lambda x: function(x)[-1])).lower(self.at).compile()
            return program.memory_analysis().temp_size_in_bytes

        def implicit(iterations, numbers):
            game = self.game(numbers)
            found = game.equilibrium(num_steps=self.K, max_iterations=iterations)
            return self.look(found.flow.states)

        few, many = (memory(lambda x, n=n: implicit(n, x)) for n in (10, 1000))
        assert few == many < memory(self.unrolled) / 5


class TestMessages:
    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ({"num_steps": 3}, "num_steps must be at least 4, not 3"),
            ({"damping": 1.0}, "damping must lie between 0 and"),
            ({"max_iterations": 0}, "max_iterations must be at least 1, not 0"),
        ],
    )
    def test_bad_numbers(self, keys, message):
        with pytest.raises(ParameterError, match=message):
            SIRContact().equilibrium(**keys)

    def test_no_end(self):
        with pytest.raises(GameError, match="SIRContact: after 3 iterations the crowd still moves"):
            SIRContact(c_I=3.0).equilibrium(num_steps=40, max_iterations=3)

    def test_too_few_steps(self):
        with pytest.raises(GameError, match=r"not finite: raise num_steps \(now 8\)"):
            SIRContact(gamma=1e50).equilibrium(num_steps=8)


@pytest.mark.slow
def test_another_number_compiles_nothing():
    traces = 0

    class Counted(SIRContact):
        def reward(self, t, mean_field, action):
            nonlocal traces
            traces += 1
            return super().reward(t, mean_field, action)

    Counted().equilibrium(num_steps=8)
    first = traces
    Counted(beta=0.3, c_I=0.2, initial_law=np.array([0.8, 0.2, 0.0])).equilibrium(
        num_steps=8, damping=0.2
    )
    assert traces == first
