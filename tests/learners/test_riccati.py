"""Exact best responses and exploitability of affine policies, against plain loops and play."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics.affine import affine_flow
from nashfield.dynamics.episodes import play_against
from nashfield.games.zoo.continuous_linear_quadratic import LinearQuadratic
from nashfield.games.zoo.local_entropy import LocalEntropy
from nashfield.games.zoo.price_impact import PriceImpact
from nashfield.games.zoo.systemic_risk import SystemicRisk
from nashfield.learners.riccati import affine_best_response, affine_sweep
from nashfield.policies import Affine, Pool
from nashfield.results import GameError

D, C, T, K = 2, 3, 4, 3


def game():
    rng = np.random.default_rng(0)
    return LinearQuadratic(
        A=0.9 * np.eye(D) + 0.1 * rng.normal(size=(D, D)),
        B=rng.normal(size=(D, C)),
        A_bar=0.3 * rng.normal(size=(D, D)),
        target=rng.normal(size=D),
        sigma=0.2 * rng.normal(size=(D, D)),
        initial_mean=rng.normal(size=D),
        initial_variance=np.diag([0.5, 0.2]),
        horizon=T,
        terminal_weight=0.5,
        c_a=2.0,
    )


def policies(seed=1, noise=0.3):
    """K random affine policies, arrays (K, T, ...)."""
    rng = np.random.default_rng(seed)
    spread = noise * rng.normal(size=(K, T, C, C)) if noise else None
    gain, offset = rng.normal(size=(K, T, C, D)), rng.normal(size=(K, T, C))
    return Affine(0.3 * gain, 0.3 * offset, spread)


def one(members, index):
    return jax.tree.map(lambda leaf: leaf[index], members)


def walk(game, members):
    """Moments of K policies in one crowd, and their costs, in plain NumPy."""
    count = len(members.gain)
    means = [np.asarray(game.initial_mean)] * count
    covs = [np.asarray(game.initial_variance)] * count
    noise = game.sigma @ game.sigma.T
    path, costs = [], np.zeros(count)

    def state_cost(mean, cov, m):
        whole = np.trace(cov)
        at_target = whole + np.sum((mean - game.target) ** 2)
        return game.c_x * at_target + game.c_m * (whole + np.sum((mean - m) ** 2))

    for t in range(T):
        m = np.mean(means, 0)
        actions = []
        for k in range(count):
            gain, offset = members.gain[k, t], members.offset[k, t]
            root = np.zeros((C, C)) if members.spread is None else members.spread[k, t]
            action = gain @ means[k] + offset
            second = np.trace(gain @ covs[k] @ gain.T + root @ root.T) + action @ action
            costs[k] += state_cost(means[k], covs[k], m) + game.c_a * second
            actions.append(action)
        path.append((m, means, covs, np.mean(actions, 0)))
        closed = [game.A + game.B @ members.gain[k, t] for k in range(count)]
        roots = np.zeros((count, T, C, C)) if members.spread is None else members.spread
        covs = [
            F @ S @ F.T + noise + game.B @ roots[k, t] @ roots[k, t].T @ game.B.T
            for k, (F, S) in enumerate(zip(closed, covs, strict=True))
        ]
        means = [
            game.A @ x + game.B @ a + game.A_bar @ m for x, a in zip(means, actions, strict=True)
        ]
    m = np.mean(means, 0)
    path.append((m, means, covs, None))
    costs += [0.5 * state_cost(x, S, m) for x, S in zip(means, covs, strict=True)]
    return path, np.mean(costs)


def best_value(game, path):
    """Value of the best response to the means of `path`: the smallest cost over all policies.

    As a quadratic problem in the stacked deterministic actions (the mean), and Riccati's recursion
    for the covariance, which does not see the crowd.
    """
    A, B = np.asarray(game.A), np.asarray(game.B)
    Q, R = (game.c_x + game.c_m) * np.eye(D), game.c_a * np.eye(C)
    # Mean part: states are affine in the actions, x = Phi a + b; least squares.
    Phi, b = np.zeros((D, T * C)), np.asarray(game.initial_mean)
    rows, rights = [], []
    for t in range(T + 1):
        weight = 1.0 if t < T else 0.5
        for c, centre in ((game.c_x, game.target), (game.c_m, path[t][0])):
            rows.append(np.sqrt(weight * c) * Phi)
            rights.append(np.sqrt(weight * c) * (centre - b))
        if t == T:
            break
        b = A @ b + game.A_bar @ path[t][0]
        Phi = A @ Phi
        Phi[:, t * C : (t + 1) * C] += B
    rows.append(np.sqrt(game.c_a) * np.eye(T * C))
    rights.append(np.zeros(T * C))
    rows, rights = np.concatenate(rows), np.concatenate(rights)
    actions = np.linalg.lstsq(rows, rights)[0]
    total = np.sum((rows @ actions - rights) ** 2)
    # Covariance part.
    P, noise = 0.5 * Q, game.sigma @ game.sigma.T
    for _ in range(T):
        total += np.trace(P @ noise)
        gain = np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
        P = Q + A.T @ P @ (A - B @ gain)
    return -(total + np.trace(P @ game.initial_variance))


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_pool(noise, precision):
    members = policies(noise=noise)
    swept = affine_sweep(game(), Pool.of(members))
    path, cost = walk(game(), members)
    tolerance = 1e-11 if precision == "float64" else 2e-5
    np.testing.assert_allclose(swept.value, -cost, rtol=tolerance)
    best = best_value(game(), path)
    np.testing.assert_allclose(swept.best_value, best, rtol=tolerance)
    np.testing.assert_allclose(swept.exploitability, best + cost, rtol=10 * tolerance)
    for t in (0, 2, T):
        m, means, covs, action = path[t]
        law = swept.flow[t]
        np.testing.assert_allclose(law.mean(), m, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(law.members.location, means, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(law.members.covariance, covs, rtol=tolerance, atol=tolerance)
        if t < T:
            np.testing.assert_allclose(law.mean_action(), action, atol=tolerance)


def test_one_policy():
    members = policies()
    policy = one(members, 0)
    swept = affine_sweep(game(), policy)
    path, cost = walk(game(), jax.tree.map(lambda leaf: leaf[:1], members))
    np.testing.assert_allclose(swept.value, -cost, rtol=1e-11)
    np.testing.assert_allclose(swept.best_value, best_value(game(), path), rtol=1e-11)
    assert isinstance(swept.flow[1], nf.Gaussian)
    np.testing.assert_allclose(swept.flow[T].covariance, path[T][2][0], rtol=1e-11)
    assert eqx.tree_equal(affine_flow(game(), policy), swept.flow, rtol=1e-12)


def test_empty_places_do_not_count():
    members = policies()
    full = affine_sweep(game(), Pool.of(jax.tree.map(lambda leaf: leaf[:2], members)))
    rest = jax.tree.map(
        lambda leaf: np.where(np.arange(K).reshape(-1, *[1] * (leaf.ndim - 1)) < 2, leaf, np.nan),
        members,
    )
    part = affine_sweep(game(), Pool(rest, jnp.asarray(2)))
    np.testing.assert_allclose(part.value, full.value, rtol=1e-13)
    np.testing.assert_allclose(part.exploitability, full.exploitability, rtol=1e-13)
    np.testing.assert_allclose(part.flow[2].mean(), full.flow[2].mean(), rtol=1e-13)
    x = jnp.asarray([[0.1, 0.2], [1.0, -1.0]])
    log_density = eqx.filter_jit(lambda flow: flow[2].log_density(x))
    densities = log_density(part.flow), log_density(full.flow)
    np.testing.assert_allclose(*densities, rtol=1e-12)


def test_the_best_response_gets_the_best_value():
    swept = affine_sweep(game(), Pool.of(policies()))
    response = affine_best_response(game(), swept.flow)
    np.testing.assert_allclose(response.value, swept.best_value, rtol=1e-12)
    assert eqx.tree_equal(response.policy, swept.best_response, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "make",
    [game, lambda: PriceImpact(horizon=T), lambda: SystemicRisk(horizon=T, c=1.0), LocalEntropy],
    ids=["linear-quadratic", "price-impact", "systemic-risk", "local-entropy"],
)
def test_values_are_those_of_play(make):
    """Rewards collected one by one, by agents who know nothing of moments."""
    it = make()
    rng = np.random.default_rng(3)
    shape = (it.horizon, it.control_dim)
    policy = Affine(
        0.2 * rng.normal(size=(*shape, it.state_dim)),
        0.2 * rng.normal(size=shape),
        0.2 * rng.normal(size=(*shape, it.control_dim)),
    )
    swept = affine_sweep(it, policy)
    num_agents = 4000
    play = eqx.filter_jit(play_against)
    episodes = play(it, policy, swept.flow, num_agents=num_agents, key=jax.random.key(0))
    error = np.std(episodes.returns) / np.sqrt(num_agents)
    assert abs(np.mean(episodes.returns) - swept.value) < 3 * error
    assert error < 0.05 * abs(swept.value)


def test_small_exploitabilities_keep_their_digits(precision):
    """Near the equilibrium it grows with the square of the distance, in float32 too."""
    it = LinearQuadratic()
    found = it.equilibrium().policy
    steps = [1e-2, 1e-4]
    sizes = [affine_sweep(it, Affine(found.gain + e, found.offset)).exploitability for e in steps]
    tolerance = 0.1 if precision == "float64" else 0.2
    np.testing.assert_allclose(sizes[0] / sizes[1], 1e4, rtol=tolerance)


@pytest.mark.slow
def test_derivatives_and_batches():
    it, members = game(), policies()

    def gap(offset):
        return affine_sweep(it, Affine(members.gain[0], offset)).exploitability

    offset = jnp.asarray(members.offset[0])
    slope = jax.grad(gap)(offset)
    away = jnp.asarray(np.random.default_rng(0).normal(size=offset.shape))
    numeric = (gap(offset + 1e-5 * away) - gap(offset - 1e-5 * away)) / 2e-5
    np.testing.assert_allclose(jnp.sum(slope * away), numeric, rtol=1e-6)
    together = jax.vmap(gap)(jnp.asarray(members.offset))
    np.testing.assert_allclose(together, [gap(x) for x in members.offset], rtol=1e-12)


def test_a_flow_without_actions():
    it = PriceImpact(horizon=2)
    flow = nf.Flow(nf.Gaussian(np.zeros((3, 1)), np.ones((3, 1, 1))))
    with pytest.raises(ValueError, match=r"reads mean_field\.mean_action"):
        affine_best_response(it, flow)


def test_a_particle_flow_will_do():
    """Of which only the means count here."""
    it = LinearQuadratic(horizon=2)
    states = np.random.default_rng(0).normal(size=(3, 50, 1))
    means = np.mean(states, 1)
    particles = affine_best_response(it, nf.Flow(nf.Particles(jnp.asarray(states))))
    gaussians = affine_best_response(it, nf.Flow(nf.Gaussian(means, np.ones((3, 1, 1)))))
    assert eqx.tree_equal(particles, gaussians, rtol=1e-12, atol=1e-12)


def test_a_mixture_in_a_game_of_gaussian_crowds():
    it = LocalEntropy(horizon=2)
    pool = Pool.of(Affine(np.zeros((2, 2, 1, 1)), np.zeros((2, 2, 1))))
    with pytest.raises(GameError, match=r"LocalEntropy is quadratic only .* FixedPoint\(damping"):
        affine_sweep(it, pool)


@pytest.mark.parametrize(
    ("policy", "error", "message"),
    [
        (3.0, TypeError, "need an Affine policy, or a Pool of them, not float"),
        (
            Pool.of(Pool.of(np.zeros((3, 3)))),
            TypeError,
            "an Affine policy, or a Pool of them, not a Pool of Pool$",
        ),
        (
            Affine(np.zeros((T, C, D + 1)), np.zeros((T, C))),
            ValueError,
            r"gain must have shape \(4, 3, 2\) in this game, not \(4, 3, 3\)",
        ),
        (
            Affine(np.zeros((T, C, D)), np.zeros((T + 1, C))),
            ValueError,
            r"offset must have shape \(4, 3\) in this game, not \(5, 3\)",
        ),
        (
            Pool.of(Affine(np.zeros((T, C, D)), np.zeros((T, C)))),
            ValueError,
            r"gain must have shape \(K, 4, 3, 2\) in this game, not \(4, 3, 2\)",
        ),
    ],
)
def test_no_affine_policy(policy, error, message, without_type_checks):
    with pytest.raises(error, match=message):
        affine_sweep(game(), policy)


def test_no_quadratic_game(without_type_checks):
    policy = Affine(np.zeros((T, C, D)), np.zeros((T, C)))
    with pytest.raises(TypeError, match="need a QuadraticGame, not CrowdAversion"):
        affine_sweep(nf.games.CrowdAversion(), policy)
