"""The linear-quadratic game on points: published numbers, plain recursions, bad parameters."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics.episodes import play_among
from nashfield.games.loading import load_game
from nashfield.games.riccati import respond
from nashfield.games.zoo.continuous_linear_quadratic import LinearQuadratic
from nashfield.learners.riccati import affine_sweep
from nashfield.results import ParameterError


def random_game(seed, D=3, C=2, **changes):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(D, D))
    parameters = {
        "A": 0.9 * np.eye(D) + 0.2 * rng.normal(size=(D, D)),
        "B": rng.normal(size=(D, C)),
        "A_bar": 0.1 * rng.normal(size=(D, D)),
        "target": rng.normal(size=D),
        "sigma": 0.2 * rng.normal(size=(D, D)),
        "initial_mean": rng.normal(size=D),
        "initial_variance": factor @ factor.T,
        "horizon": 6,
        "terminal_weight": 1.0,
        "discount": 0.9,
        "c_x": 0.7,
        "c_m": 0.4,
        "c_a": 1.3,
    }
    return LinearQuadratic(**{**parameters, **changes})


def test_reference_numbers(precision):
    found = nf.games.LinearQuadratic().equilibrium()
    tolerance = {"atol": 5e-9 if precision == "float64" else 3e-6, "rtol": 0}
    np.testing.assert_allclose(found.value, -2.8224471601, atol=tolerance["atol"] * 10)
    means = [0.1274802, 0.38521278, 0.47360058, 0.49698552]
    np.testing.assert_allclose(found.flow.means()[np.array([1, 5, 10, 20]), 0], means, **tolerance)
    gains = [0.31725325, 0.15833333, 0.0]
    np.testing.assert_allclose(
        -np.asarray(found.policy.gain)[[0, 18, 19], 0, 0], gains, **tolerance
    )
    sd = np.sqrt(found.flow[20].covariance[0, 0])
    np.testing.assert_allclose(sd, 0.08597514, **tolerance)


@pytest.mark.parametrize("seed", range(3))
def test_against_the_recursion_for_the_mean(seed):
    """Pi and p of the mean flow, and Riccati's P and s in present values, in plain NumPy."""
    game = random_game(seed)
    found = game.equilibrium()
    A, B, A_bar, g = game.A, game.B, game.A_bar, float(game.discount)
    D, C, T = 3, 2, game.horizon
    c_x, c_m, c_a = float(game.c_x), float(game.c_m), float(game.c_a)
    push = g / c_a * B @ B.T
    Pi, p = c_x * np.eye(D), -c_x * game.target
    steps = []
    for _ in range(T):
        W = np.linalg.inv(np.eye(D) + push @ Pi)
        steps.append((W, p))
        Pi, p = (
            c_x * np.eye(D) + g * A.T @ Pi @ W @ (A + A_bar),
            -c_x * game.target + g * A.T @ (p - Pi @ W @ push @ p),
        )
    means = [game.initial_mean]
    for W, p in steps[::-1]:
        means.append(W @ ((A + A_bar) @ means[-1] - push @ p))
    np.testing.assert_allclose(found.flow.means(), means, atol=1e-11)

    P, s = (c_x + c_m) * np.eye(D), -(c_x * game.target + c_m * means[T])
    c = c_x * game.target @ game.target + c_m * means[T] @ means[T]
    noise = game.sigma @ game.sigma.T
    gains, offsets = [], []
    for t in range(T - 1, -1, -1):
        d = A_bar @ means[t]
        G = c_a * np.eye(C) + g * B.T @ P @ B
        K = np.linalg.solve(G, g * B.T @ P @ A)
        k = np.linalg.solve(G, g * B.T @ (P @ d + s))
        gains.append(-K)
        offsets.append(-k)
        c = (
            c_x * game.target @ game.target
            + c_m * means[t] @ means[t]
            + g * (d @ P @ d + 2 * s @ d + np.trace(P @ noise) + c)
            - k @ G @ k
        )
        s = -(c_x * game.target + c_m * means[t]) + g * (A - B @ K).T @ (P @ d + s)
        P = (c_x + c_m) * np.eye(D) + g * A.T @ P @ (A - B @ K)
    np.testing.assert_allclose(found.policy.gain, gains[::-1], atol=1e-11)
    np.testing.assert_allclose(found.policy.offset, offsets[::-1], atol=1e-11)
    m, V = game.initial_mean, game.initial_variance
    value = np.sum(P * (V + np.outer(m, m))) + 2 * s @ m + c
    np.testing.assert_allclose(found.value, -value, rtol=1e-11)


def test_nobody_gains_at_equilibrium():
    for game in (LinearQuadratic(), random_game(0), random_game(1, D=2, C=3)):
        found = game.equilibrium()
        swept = affine_sweep(game, found.policy)
        assert 0 <= swept.exploitability < 1e-10
        np.testing.assert_allclose(swept.value, found.value, rtol=1e-12)


def test_the_mean_does_not_depend_on_the_pull_of_the_crowd():
    one, other = (LinearQuadratic(c_m=c).equilibrium().flow.means() for c in (0.0, 7.0))
    np.testing.assert_allclose(one, other, atol=1e-13)


def test_uniform_initial_law():
    game = LinearQuadratic(initial_law="uniform")
    law = game.initial()
    np.testing.assert_allclose((law.low, law.high), ([-1], [1]), rtol=1e-15)
    found, gaussian = game.equilibrium(), LinearQuadratic().equilibrium()
    assert eqx.tree_equal(found, gaussian, rtol=1e-14, atol=1e-15)
    game = LinearQuadratic(
        initial_law="uniform", initial_mean=[1.0, 2.0], initial_variance=np.diag([3.0, 12.0])
    )
    np.testing.assert_allclose(game.initial().low, [-2, -4])
    mean, covariance = game.initial_moments()
    np.testing.assert_allclose(mean, [1, 2])
    np.testing.assert_allclose(covariance, np.diag([3, 12]))


def test_rewards_and_moves():
    """One step in plain arithmetic, with the crowd as particles."""
    game = random_game(4)
    rng = np.random.default_rng(0)
    x, a, z = rng.normal(size=3), rng.normal(size=2), rng.normal(size=3)
    crowd = nf.Particles(jnp.asarray(rng.normal(size=(7, 3))))
    m, t = np.mean(crowd.states, 0), 2
    moved = game.A @ x + game.B @ a + game.A_bar @ m + game.sigma @ z
    np.testing.assert_allclose(game.step(t, jnp.asarray(x), jnp.asarray(a), crowd, z), moved)
    state = game.c_x * np.sum((x - game.target) ** 2) + game.c_m * np.sum((x - m) ** 2)
    cost = 0.9**t * (state + game.c_a * np.sum(a**2))
    np.testing.assert_allclose(game.reward(t, jnp.asarray(x), jnp.asarray(a), crowd), -cost)
    np.testing.assert_allclose(game.terminal_reward(jnp.asarray(x), crowd), -(0.9**6) * state)


def test_numbers_stand_for_matrices():
    whole = LinearQuadratic(
        A=0.95 * np.eye(2),
        B=np.eye(2),
        A_bar=0.05 * np.eye(2),
        target=[0.5, 0.5],
        sigma=0.05 * np.eye(2),
        initial_mean=[0, 0],
        initial_variance=np.eye(2) / 3,
    )
    short = LinearQuadratic(target=[0.5, 0.5])
    assert (short.state_dim, short.control_dim, short.noise_dim) == (2, 2, 2)
    assert eqx.tree_equal(whole.equilibrium(), short.equilibrium(), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(short.equilibrium().value, 2 * LinearQuadratic().equilibrium().value)


def test_from_text():
    game = load_game("linear-quadratic", {"A": "0.9", "target": "1,2", "horizon": "3"})
    assert (game.state_dim, float(game.A), game.horizon) == (2, 0.9, 3)
    game = load_game("linear-quadratic", {"A": "[[0.9, 0.1], [0, 1]]", "B": "[[1], [0]]"})
    assert (game.state_dim, game.control_dim) == (2, 1)
    np.testing.assert_array_equal(game.A, [[0.9, 0.1], [0, 1]])


def n_agent_cost(game, policy, num_agents):
    """Expected cost of an agent among N, oneself included, by moments of (x_i, mean)."""
    gain, offset = np.asarray(policy.gain)[:, 0, 0], np.asarray(policy.offset)[:, 0]
    mean = np.zeros(2)
    share = 1 / num_agents
    S = float(game.initial_variance) * np.array([[1, share], [share, share]])
    total = 0.0
    for t in range(game.horizon):
        K, k = gain[t], offset[t]
        second = S + np.outer(mean, mean)
        action = K**2 * second[0, 0] + 2 * K * k * mean[0] + k**2
        target = second[0, 0] - 2 * 0.5 * mean[0] + 0.25
        total += target + 10 * action + second[0, 0] - 2 * second[0, 1] + second[1, 1]
        F = np.array([[0.95 + K, 0.05], [0, 0.95 + K + 0.05]])
        mean = F @ mean + k
        S = F @ S @ F.T + 0.05**2 * np.array([[1, share], [share, share]])
    return total


N_AGENTS = {10: 2.774381, 100: 2.817641, 1000: 2.821967}


@pytest.mark.parametrize("num_agents", N_AGENTS)
def test_costs_among_n_agents_by_moments(num_agents):
    game = LinearQuadratic()
    cost = n_agent_cost(game, game.equilibrium().policy, num_agents)
    assert abs(cost - N_AGENTS[num_agents]) < 5e-7


def sampled_cost(game, num_agents, num_runs, seed):
    """Mean cost of played agents, and its standard error; runs are independent.

    What the start alone explains is taken out: its expectation is known.
    """
    policy = game.equilibrium().policy
    cost = respond(*game.stages(game.equilibrium().flow)).cost
    mean, covariance = game.initial_moments()

    def play(key):
        episodes = play_among(game, policy, num_agents=num_agents, key=key)
        start = episodes.states[0]
        guess = jax.vmap(lambda x: x @ (cost.Q @ x + 2 * cost.q) + cost.c)(start)
        return jnp.mean(-episodes.returns - guess), jnp.mean(start) ** 2

    keys = jax.random.split(jax.random.key(seed), num_runs)
    run = jax.jit(lambda keys: jax.lax.map(play, keys, batch_size=max(1, 1000 // num_agents)))
    found, squares = (np.asarray(x) for x in run(keys))
    squares = squares - float(covariance[0, 0]) / num_agents
    slope = np.cov(found, squares)[0, 1] / np.var(squares)
    found = found - slope * squares + float(cost.expected(mean, covariance))
    return np.mean(found), np.std(found) / np.sqrt(num_runs)


def test_costs_among_ten_agents_by_play():
    found, error = sampled_cost(LinearQuadratic(), 10, 2000, seed=0)
    assert 3 * error < 0.01
    assert abs(found - N_AGENTS[10]) < 3 * error


@pytest.mark.slow
@pytest.mark.parametrize(("num_agents", "num_runs"), [(10, 60_000), (100, 6_000), (1000, 600)])
def test_costs_among_n_agents_by_play(num_agents, num_runs):
    found, error = sampled_cost(LinearQuadratic(), num_agents, num_runs, seed=1)
    assert 3 * error < 0.002
    assert abs(found - N_AGENTS[num_agents]) < 3 * error


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"c_a": -1.0}, "c_a must be finite and greater than 0, not -1.0"),
        ({"c_a": 0.0}, "c_a must be finite and greater than 0, not 0.0"),
        ({"c_x": -1.0}, "c_x must be finite and at least 0, not -1.0"),
        ({"c_m": np.nan}, "c_m must be finite and at least 0, not nan"),
        ({"terminal_weight": -1.0}, "terminal_weight must be finite and at least 0"),
        ({"discount": 1.5}, "discount must be finite and greater than 0, not 1.5"),
        ({"discount": 0.0}, "discount must be finite and greater than 0, not 0.0"),
        ({"horizon": 0}, "horizon must be at least 1, not 0"),
        ({"A": np.inf}, "A must be finite, not inf"),
        ({"A": np.ones((2, 3))}, r"A must be a number or a matrix with as many rows .* \(2, 3\)"),
        ({"A": np.ones(2)}, r"A must be a number or a matrix .* not of shape \(2,\)"),
        ({"B": np.ones(2)}, r"B must be a number or a matrix, not of shape \(2,\)"),
        ({"target": np.eye(2)}, r"target must be a number or a vector, not of shape \(2, 2\)"),
        (
            {"A": np.eye(3), "target": [1.0, 2.0]},
            "A says that states have 3 entries, but target says 2",
        ),
        ({"A": np.eye(3), "B": np.ones((2, 3))}, "have 3 entries, but B says 2"),
        ({"initial_variance": -1.0}, "initial_variance is no covariance: .* eigenvalue -1"),
        (
            {"initial_variance": [[1.0, 2.0], [2.0, 1.0]]},
            "initial_variance is no covariance: it has the negative eigenvalue -1",
        ),
        ({"initial_variance": [[1.0, 0.5], [0.0, 1.0]]}, "initial_variance must be symmetric"),
        (
            {"initial_law": "uniform", "initial_variance": [[1.0, 0.5], [0.5, 1.0]]},
            "initial_variance must be diagonal",
        ),
        (
            {"initial_law": "uniform", "initial_variance": 0.0},
            "a box with sides: initial_variance must be greater than 0",
        ),
        (
            {"initial_law": "uniform", "initial_variance": [[1.0, 0.0], [0.0, 0.0]]},
            "a box with sides: initial_variance must be greater than 0",
        ),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ParameterError, match=message):
        LinearQuadratic(**parameters)


def test_an_unknown_initial_law(without_type_checks):
    with pytest.raises(ParameterError, match="must be 'gaussian' or 'uniform', not 'normal'"):
        LinearQuadratic(initial_law="normal")
