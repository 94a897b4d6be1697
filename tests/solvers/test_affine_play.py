"""Fictitious play and fixed point on quadratic games, against published numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.continuous_linear_quadratic import LinearQuadratic
from nashfield.games.zoo.local_entropy import LocalEntropy
from nashfield.games.zoo.price_impact import PriceImpact
from nashfield.learners.riccati import affine_best_response, affine_sweep
from nashfield.policies import Affine, Pool
from nashfield.results import GameError, ParameterError

KEY = jax.random.key(0)


@eqx.filter_jit
def begin(solver, game):
    return solver.init_uniform(game, key=KEY)


@eqx.filter_jit
def advance(solver, game, state):
    return solver.step(game, state, key=KEY)


def test_published_exploitabilities(precision):
    """Entry k - 1 of the history belongs to k stored policies."""
    solution = nf.solve(LinearQuadratic(), nf.FictitiousPlay(capacity=300), num_iterations=299)
    found = np.asarray(solution.history["exploitability"])
    expected = {1: 0.34846, 10: 0.09318, 20: 0.05448, 50: 0.02552, 300: 0.00524}
    for count, value in expected.items():
        assert abs(found[count - 1] - value) < 1e-5
    assert int(solution.policy.count) == 300


def test_the_start_answers_a_crowd_that_stays_where_it_is():
    game = LinearQuadratic(initial_mean=0.3, horizon=5)
    state = begin(nf.FictitiousPlay(capacity=3), game)
    laws = nf.Gaussian(np.full((6, 1), 0.3), np.ones((6, 1, 1)))
    expected = affine_best_response(game, nf.Flow(laws)).policy
    assert eqx.tree_equal(state.member(0).certain(), expected, rtol=1e-13, atol=1e-14)


def test_a_step_stores_the_best_response_to_the_mixture():
    game = LinearQuadratic(horizon=5)
    solver = nf.FictitiousPlay(capacity=4)
    state = begin(solver, game)
    for count in range(1, 4):
        members = jax.tree.map(lambda leaf, n=count: leaf[:n], state.members)
        swept = affine_sweep(game, Pool.of(members))
        state, info = advance(solver, game, state)
        np.testing.assert_allclose(info.exploitability, swept.exploitability, rtol=1e-12)
        np.testing.assert_allclose(info.social_welfare, swept.value, rtol=1e-12)
        assert int(state.count) == count + 1
        assert eqx.tree_equal(
            state.member(count).certain(), swept.best_response, rtol=1e-12, atol=1e-12
        )
    outcome = solver.outcome(game, state, key=KEY)
    assert solver.policy(game, state) is state
    np.testing.assert_allclose(outcome.flow[2].mean(), affine_sweep(game, state).flow[2].mean())


def test_a_start_of_ones_own():
    game = LinearQuadratic(horizon=3)
    start = Affine(np.zeros((3, 1, 1)), np.ones((3, 1)), 0.1 * np.ones((3, 1, 1)))
    for solver in (nf.FictitiousPlay(capacity=2), nf.FixedPoint(damping=0.5)):
        solution = nf.solve(game, solver, num_iterations=2, initial_policy=start)
        first = affine_sweep(game, start)
        np.testing.assert_allclose(solution.history["exploitability"][0], first.exploitability)
    # What is damped away of the noise, and what remains.
    np.testing.assert_allclose(solution.policy.spread, 0.025)
    offset = 0.5 * 1 + 0.5 * first.best_response.offset
    once = nf.solve(game, solver, num_iterations=1, initial_policy=start).policy
    np.testing.assert_allclose(once.offset, offset, rtol=1e-12)


@pytest.mark.parametrize("damping", [0.0, 0.5])
def test_fixed_point_finds_the_equilibrium(damping):
    for game in (LinearQuadratic(), PriceImpact(horizon=10)):
        solution = nf.solve(game, nf.FixedPoint(damping=damping), num_iterations=80)
        assert solution.exploitability < 1e-20
        expected = game.equilibrium()
        np.testing.assert_allclose(solution.policy.offset, expected.policy.offset, atol=1e-9)
        np.testing.assert_allclose(solution.social_welfare, expected.value, rtol=1e-12)


def test_fixed_point_with_a_local_density(precision):
    """From a very wide crowd, with the damping that the message of fictitious play names."""
    solution = nf.solve(LocalEntropy(), nf.FixedPoint(damping=0.95), num_iterations=200)
    tolerance = 1e-10 if precision == "float64" else 1e-3
    assert solution.exploitability < tolerance
    np.testing.assert_allclose(solution.social_welfare, 0.11321409, atol=max(1e-6, tolerance))


def test_fictitious_play_with_a_local_density():
    message = r"LocalEntropy is quadratic only among Gaussian crowds.* FixedPoint\(damping=0.95\)"
    with pytest.raises(GameError, match=message):
        nf.FictitiousPlay().init_uniform(LocalEntropy(), key=KEY)


def test_more_iterations_than_there_is_room_for():
    message = "5 iterations need capacity=5, not 3"
    with pytest.raises(ParameterError, match=message):
        nf.solve(LinearQuadratic(), nf.FictitiousPlay(capacity=3), num_iterations=5)
    with pytest.raises(ParameterError, match=message):
        nf.run(LinearQuadratic(), nf.FictitiousPlay(capacity=3), num_iterations=5)
    nf.solve(nf.games.LeftRight(), nf.FictitiousPlay(capacity=3), num_iterations=5)


def test_no_capacity():
    with pytest.raises(ParameterError, match="capacity must be at least 1, not 0"):
        nf.FictitiousPlay(capacity=0)


@pytest.mark.parametrize("cls", [nf.FictitiousPlay, nf.FixedPoint])
def test_best_responses_are_exact(cls):
    solver = cls(best_response=nf.SoftBestResponse())
    with pytest.raises(ParameterError, match=r"leave best_response = SoftBestResponse\(...\) out"):
        solver.init_uniform(LinearQuadratic(), key=KEY)


@pytest.mark.parametrize("cls", [nf.FictitiousPlay, nf.FixedPoint])
def test_the_start_must_be_affine(cls):
    policy = Pool.of(Affine(np.zeros((1, 20, 1, 1)), np.zeros((1, 20, 1))))
    with pytest.raises(TypeError, match="the first policy must be an Affine one, not Pool"):
        cls().init(LinearQuadratic(), policy, key=KEY)
    with pytest.raises(ValueError, match=r"gain must have shape \(20, 1, 1\)"):
        cls().init(LinearQuadratic(), Affine(np.zeros((3, 1, 1)), np.zeros((3, 1))), key=KEY)


@pytest.mark.parametrize("cls", [nf.FictitiousPlay, nf.FixedPoint])
def test_runs_keep_their_state_and_compile_once(cls):
    counts = []

    class Counting(LinearQuadratic):
        def stage(self, t, mean_field):
            counts.append(t)
            return super().stage(t, mean_field)

    solver = cls()
    step = eqx.filter_jit(solver.step)
    state = solver.init_uniform(Counting(horizon=3), key=KEY)
    shapes = jax.tree.map(lambda x: (x.shape, x.dtype), state)
    state, _ = step(Counting(horizon=3), state, key=KEY)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == shapes
    traced = len(counts)
    for weight in (1.0, 2.0):
        state, _ = step(Counting(horizon=3, c_a=weight), state, key=KEY)
    assert len(counts) == traced


def test_many_dampings_at_once():
    def run(damping):
        solver = nf.FixedPoint(damping=damping)
        return nf.solve(LinearQuadratic(horizon=3), solver, num_iterations=3).exploitability

    dampings = jnp.asarray([0.2, 0.7])
    np.testing.assert_allclose(jax.vmap(run)(dampings), [run(x) for x in dampings], rtol=1e-9)


def test_a_run_resumed(tmp_path):
    game, solver = LinearQuadratic(horizon=4), nf.FictitiousPlay(capacity=20)
    whole = nf.run(game, solver, num_iterations=12, out=tmp_path / "whole")
    nf.run(game, solver, num_iterations=5, out=tmp_path / "parts")
    parts = nf.run(game, solver, num_iterations=12, out=tmp_path / "parts", resume=True)
    assert eqx.tree_equal(whole.policy, parts.policy)
    np.testing.assert_array_equal(whole.history["exploitability"], parts.history["exploitability"])


@pytest.mark.parametrize("solver", [nf.FixedPoint(damping=0.5), nf.FictitiousPlay(capacity=3)])
def test_answers_from_a_policy_with_noise_are_saved_and_read(solver, tmp_path):
    game = LinearQuadratic(horizon=3)
    start = game.starting_policy()
    noisy = Affine(start.gain, start.offset, jnp.full((3, 1, 1), 0.2))
    solution = nf.solve(game, solver, initial_policy=noisy, num_iterations=2)
    solution.save(tmp_path / "answer")
    read = nf.Solution.load(tmp_path / "answer")
    pair = [jax.tree.map(np.asarray, answer.policy) for answer in (read, solution)]
    assert eqx.tree_equal(*pair)
