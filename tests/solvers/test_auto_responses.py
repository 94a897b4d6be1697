"""Auto where policies are no tables: exact equilibria, continuous time, the best iterate."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.riccati import Stage
from nashfield.solvers.auto_responses import advance, look, start

CONTACT = nf.games.SIRContact(c_I=3.0)


def test_quadratic_games_in_one_step(precision):
    game = nf.games.LinearQuadratic(horizon=5)
    found = nf.solve(game, nf.Auto(), num_iterations=2)
    exact = game.equilibrium()
    small = 1e-12 if precision == "float64" else 1e-5
    np.testing.assert_allclose(found.policy.gain, exact.policy.gain, atol=small)
    np.testing.assert_allclose(found.social_welfare, exact.value, rtol=small)
    history = found.history["exploitability"]
    assert history[0] > 1e-2 and history[1] < small and history[2] <= history[1]
    judged = nf.exploitability(game, found.policy)
    np.testing.assert_allclose(found.exploitability, judged.value, atol=small)


class Squared(nf.games.LinearQuadratic):
    """The target moves with the square of the crowd's mean: no exact equilibrium is known."""

    def stage(self, t, mean_field):
        stage = super().stage(t, mean_field)
        mean = mean_field.mean()
        return Stage(
            stage.A, stage.B, stage.noise_factor, stage.Q, stage.R, d=stage.d, q=-0.3 * mean**2 - 1
        )


def test_quadratic_games_without_an_exact_equilibrium():
    found = nf.solve(Squared(horizon=4), nf.Auto(), num_iterations=40)
    assert found.exploitability < 1e-12 * float(found.history["exploitability"][0])


def test_continuous_time(precision):
    exact = CONTACT.equilibrium(num_steps=100)
    policy = np.ones((101, 3))
    found = nf.solve(CONTACT, nf.Auto(), num_iterations=40, initial_policy=policy)
    small = 1e-6 if precision == "float64" else 2e-3
    np.testing.assert_allclose(found.policy[:, 0], exact.policy[:, 0], atol=small)
    np.testing.assert_allclose(found.exploitability, nf.exploitability(CONTACT, found.policy))
    history = np.asarray(found.history["exploitability"])
    assert (np.diff(history) <= 0).all()
    # An action that comes to its bound leaves something on this grid, to the iteration as well.
    assert history[0] > 1 and history[-1] < float(exact.exploitability) + 0.1 * small


def test_its_own_start():
    low, high = CONTACT.action_bounds
    found = nf.solve(CONTACT, nf.Auto(), num_iterations=0)
    np.testing.assert_array_equal(found.policy[0], (low + high) / 2)


@pytest.mark.slow
def test_a_step():
    """A half goes over at first; then more or less, as the exploitability falls or rises."""
    judge, step = eqx.filter_jit(look), eqx.filter_jit(advance)
    state = start(CONTACT, jnp.full((21, 3), 0.9))
    shares = []
    for _ in range(6):
        info, _, answer = judge(CONTACT, state.policy)
        np.testing.assert_allclose(state.exploitability, info.exploitability, atol=1e-12)
        moved, _ = step(CONTACT, state)
        expected = state.policy + state.share * (answer - state.policy)
        np.testing.assert_allclose(moved.policy, expected, atol=1e-12)
        fell = moved.exploitability <= state.exploitability
        np.testing.assert_allclose(moved.share, min(1, state.share * (1.1 if fell else 0.5)))
        assert moved.best.exploitability == min(moved.exploitability, state.best.exploitability)
        shares.append(float(state.share))
        state = moved
    assert shares[0] == 0.5 and len(set(shares)) > 2


def test_what_is_no_number_is_left():
    class Broken(nf.games.SIRContact):
        def reward(self, t, mean_field, action):
            return super().reward(t, mean_field, action) + jnp.where(action < 0.2, jnp.nan, 0)

    found = nf.solve(
        Broken(), nf.Auto(), num_iterations=8, initial_policy=np.full((9, 3), 0.1), throw=False
    )
    assert np.isfinite(found.exploitability)


@pytest.mark.slow
def test_runs_are_saved_and_resumed(tmp_path):
    options = {"initial_policy": np.ones((9, 3)), "progress": False}
    whole = nf.run(CONTACT, nf.Auto(), num_iterations=5, out=tmp_path / "a", **options)
    nf.run(CONTACT, nf.Auto(), num_iterations=2, out=tmp_path / "b", **options)
    again = nf.run(CONTACT, nf.Auto(), num_iterations=5, out=tmp_path / "b", resume=True, **options)
    np.testing.assert_array_equal(whole.policy, again.policy)
    np.testing.assert_array_equal(nf.Solution.load(tmp_path / "b").policy, whole.policy)
