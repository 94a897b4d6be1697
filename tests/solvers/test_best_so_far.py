"""The best iterate, and that it is the one returned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.beach_bar import BeachBar
from nashfield.games.zoo.matrix import RockPaperScissors

DIVERGING = nf.OnlineMirrorDescent(learning_rate=1.0)


@pytest.mark.parametrize(
    ("game", "inner"),
    [
        (RockPaperScissors(), DIVERGING),
        (RockPaperScissors(), nf.FixedPoint(damping=0.9)),
        (BeachBar(num_states=4, horizon=3), nf.FictitiousPlay()),
    ],
)
def test_history_is_the_running_minimum(game, inner, precision):
    plain = nf.solve(game, inner, num_iterations=30)
    best = nf.solve(game, nf.BestSoFar(inner), num_iterations=30)
    expected = np.minimum.accumulate(np.asarray(plain.history["exploitability"]))
    # The last entry is computed from the policy once more, the others by the wrapped solver.
    tolerance = 1e-13 if precision == "float64" else 1e-6
    np.testing.assert_allclose(best.history["exploitability"], expected, atol=tolerance)
    again = nf.exploitability(game, best.policy)
    np.testing.assert_allclose(again, best.exploitability, atol=tolerance)


def test_returns_the_best_policy_with_its_welfare():
    game = RockPaperScissors()
    start = jax.random.dirichlet(jax.random.key(3), jnp.ones(3), (2, 4))
    inner = nf.FixedPoint(damping=0.5)
    plain = nf.solve(game, inner, num_iterations=7, initial_policy=start)
    k = int(np.argmin(plain.history["exploitability"]))
    assert 0 < k < 7
    winner = nf.solve(game, inner, num_iterations=k, initial_policy=start)
    best = nf.solve(game, nf.BestSoFar(inner), num_iterations=7, initial_policy=start)
    np.testing.assert_allclose(best.policy, winner.policy, atol=1e-14)
    np.testing.assert_allclose(best.social_welfare, winner.social_welfare, atol=1e-13)


def test_tolerance_returns_the_policy_that_met_it():
    game = BeachBar(num_states=4, horizon=3)
    solver = nf.BestSoFar(nf.OnlineMirrorDescent(learning_rate=1.0))
    solution = nf.solve(game, solver, num_iterations=100, atol=0.1)
    plain = nf.solve(game, nf.OnlineMirrorDescent(learning_rate=1.0), num_iterations=100, atol=0.1)
    assert solution.result is nf.Result.CONVERGED
    assert solution.exploitability <= 0.1
    assert int(solution.num_steps) == int(plain.num_steps)
    np.testing.assert_allclose(solution.policy, plain.policy, atol=1e-14)


class NotANumberLater(nf.OnlineMirrorDescent):
    """Ruins its logits with the third step."""

    def init(self, game, policy, *, key):
        return super().init(game, policy, key=key), jnp.asarray(0)

    def step(self, game, state, *, key):
        moved, info = super().step(game, state[0], key=key)
        return (jnp.where(state[1] >= 2, jnp.nan, moved), state[1] + 1), info

    def policy(self, game, state):
        return super().policy(game, state[0])


def test_nan_counts_as_infinite():
    game = BeachBar(num_states=4, horizon=3)
    with pytest.raises(nf.SolveError):
        nf.solve(game, NotANumberLater(1.0), num_iterations=10)
    solution = nf.solve(game, nf.BestSoFar(NotANumberLater(1.0)), num_iterations=10)
    plain = nf.solve(game, nf.OnlineMirrorDescent(1.0), num_iterations=2)
    np.testing.assert_allclose(solution.policy, plain.policy, atol=1e-14)
    assert solution.result.ok


def test_leaves_a_start_that_gives_nan():
    game = BeachBar(num_states=4, horizon=3)
    start = jnp.full((3, 4, 3), jnp.nan)

    class Restart(nf.OnlineMirrorDescent):
        def step(self, game, state, *, key):
            _, info = super().step(game, state, key=key)
            return jnp.zeros_like(state), info

    solver, key = nf.BestSoFar(Restart(1.0)), jax.random.key(0)
    state = solver.init(game, start, key=key)
    for _ in range(3):
        state, _ = solver.step(game, state, key=key)
    np.testing.assert_allclose(solver.policy(game, state), 1 / 3)
