"""Mirror descent in (T, S) numbers against the same iterates in tables."""

import jax
import numpy as np
import pytest

import nashfield as nf
from nashfield.solvers.value_form import ValueForm


def game():
    return nf.games.GridNavigation(rows=6, columns=7, horizon=9, spacing=3)


def test_same_iterates_as_in_tables(precision):
    solver = nf.OnlineMirrorDescent(learning_rate=0.3)
    lean = nf.solve(game(), solver, num_iterations=15)
    start = nf.uniform_policy(game())
    table = nf.solve(game(), solver, num_iterations=15, initial_policy=start)
    assert isinstance(lean.state, ValueForm) and not isinstance(table.state, ValueForm)
    # Exploitabilities are about 1, logits reach 100: single precision leaves five digits.
    tolerance = 1e-11 if precision == "float64" else 2e-4
    for name in ("exploitability", "social_welfare"):
        np.testing.assert_allclose(lean.history[name], table.history[name], atol=tolerance)
    np.testing.assert_allclose(lean.policy, table.policy, atol=tolerance)
    np.testing.assert_allclose(np.asarray(lean.flow), np.asarray(table.flow), atol=tolerance)


def test_state_has_no_action_axis():
    state = nf.OnlineMirrorDescent().init_uniform(game(), key=jax.random.key(0))
    assert max(x.size for x in jax.tree.leaves(state)) == 9 * 42


@pytest.mark.slow
def test_thousands_of_steps_in_single_precision():
    def last():
        large = nf.games.GridNavigation(rows=12, columns=12, horizon=30)
        return nf.solve(large, nf.OnlineMirrorDescent(0.3), num_iterations=2000).exploitability

    double = last()
    with jax.enable_x64(False):
        single = last()
    # Without compensated sums the single one ends twice as far from Nash.
    assert abs(single - double) < 0.2 * double


class Doubled(nf.games.GridNavigation):
    """Lays its own reward over the parts."""

    def reward(self, t, mean_field):
        return 2 * super().reward(t, mean_field)


def test_a_reward_of_its_own_is_not_overlooked():
    doubled = Doubled(rows=6, columns=7, horizon=9, spacing=3)
    solution = nf.solve(doubled, nf.OnlineMirrorDescent(0.15), num_iterations=5)
    plain = nf.solve(game(), nf.OnlineMirrorDescent(0.3), num_iterations=5)
    assert not isinstance(solution.state, ValueForm)
    ratio = np.asarray(solution.history["exploitability"]) / plain.history["exploitability"]
    np.testing.assert_allclose(ratio, 2, rtol=1e-9)


def test_learning_rates_under_vmap():
    def last(rate):
        solver = nf.OnlineMirrorDescent(learning_rate=rate)
        return nf.solve(game(), solver, num_iterations=5).history["exploitability"][-1]

    rates = np.array([0.1, 0.4])
    together = jax.vmap(last)(rates)
    np.testing.assert_allclose(together, [last(rate) for rate in rates], rtol=1e-10)
