"""Local equilibria, and what every ascent shares: starts, parts, reports, files, errors."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield import cli
from nashfield.games.loading import load_solver
from nashfield.games.specs import from_spec, spec_of
from nashfield.games.zoo.malware import MalwareSpread
from nashfield.games.zoo.malware_continuous import ContinuousMalwareSpread
from nashfield.games.zoo.matrix import LeftRight
from nashfield.games.zoo.stationary_rooms import StationaryFourRooms
from nashfield.learners import (
    ExactCrowd,
    ExactGradient,
    PlayedCrowd,
    Reinforce,
    SimultaneousPerturbation,
)
from nashfield.policies import AbstractPolicy, Gibbs, Neural, SoftThreshold, Threshold
from nashfield.solvers.starts import gradient_for, moved

KEY = jax.random.key(0)
GAME = MalwareSpread(inclusive=True)
SMALL = MalwareSpread(num_states=5)
# Small enough that a test of form is quick.
FEW = {"num_trajectories": 20, "num_steps": 10}
QUICK = SimultaneousPerturbation(**FEW)
CROWD = PlayedCrowd(num_agents=20, num_steps=10)


class Plain(eqx.Module):
    """Neither table nor policy."""


class Constant(AbstractPolicy):
    """Nothing to learn."""

    def probabilities(self, features):
        return jnp.full((*features.shape[:-1], 2), 0.5)


class TestOnTheSoftThreshold:
    @pytest.mark.slow
    def test_adam_ends_where_the_partial_gradient_vanishes(self, precision):
        solver = nf.LocalEquilibrium(SoftThreshold(0.9))
        solution = nf.solve(GAME, solver, num_iterations=400)
        tolerance = 1e-6 if precision == "float64" else 2e-4
        assert abs(solution.policy.theta - 0.480336) < tolerance
        health = np.linspace(0, 1, 101)
        assert abs(np.dot(solution.flow.states, health) - 0.346140) < tolerance
        assert solution.gradient_norm < (1e-8 if precision == "float64" else 1e-3)
        assert solution.policy.theta.dtype == jnp.dtype(precision)

    @pytest.mark.slow
    def test_written_down_steps_end_there_too(self):
        solver = nf.LocalEquilibrium(SoftThreshold(0.9), optimizer=nf.PowerStep(0.2, 0.0))
        assert abs(nf.solve(GAME, solver, num_iterations=100).policy.theta - 0.480336) < 1e-6

    @pytest.mark.slow
    def test_steps_are_those_of_the_formula(self):
        solver = nf.LocalEquilibrium(SoftThreshold(0.9), optimizer=nf.PowerStep(0.3, 0.7))
        solution = nf.solve(GAME, solver, num_iterations=3)
        theta = 0.9
        for k in range(3):
            policy = SoftThreshold(theta)
            gradient = nf.partial_gradient(GAME, policy).theta
            assert solution.history["gradient_norm"][k] == pytest.approx(
                float(abs(gradient)), abs=1e-12
            )
            gap = nf.exploitability(GAME, policy)
            assert solution.history["exploitability"][k] == pytest.approx(float(gap), abs=1e-12)
            theta = float(np.clip(theta + 0.3 / (1 + k) ** 0.7 * gradient, 0, 1))
        assert solution.policy.theta == pytest.approx(float(theta), abs=1e-12)

    def test_parameters_stay_in_their_set(self):
        policy = SoftThreshold(0.4)
        for change, end in ((3.0, 1.0), (-3.0, 0.0), (0.125, 0.525)):
            step = eqx.tree_at(lambda p: p.theta, policy.split()[0], np.asarray(change))
            assert moved(policy, step).theta == end

    @pytest.mark.slow
    def test_seeds_and_starts_side_by_side(self):
        starts = jnp.array([0.1, 0.9])

        def learn(theta, key):
            solver = nf.LocalEquilibrium(Threshold(theta), gradient=QUICK, crowd=CROWD)
            return nf.solve(SMALL, solver, num_iterations=3, key=key)

        keys = jax.random.split(KEY, 2)
        both = jax.vmap(learn)(starts, keys)
        assert both.policy.theta.shape == (2,)
        for i in range(2):
            alone = learn(starts[i], keys[i])
            np.testing.assert_allclose(both.policy.theta[i], alone.policy.theta, atol=1e-6)

    @pytest.mark.slow
    def test_gradient_with_respect_to_the_learning_rate(self):
        def end(rate):
            solver = nf.LocalEquilibrium(SoftThreshold(0.9), optimizer=nf.PowerStep(rate, 1.0))
            return nf.solve(SMALL, solver, num_iterations=3).policy.theta

        slope = (end(0.1 + 1e-5) - end(0.1 - 1e-5)) / 2e-5
        assert jax.grad(end)(0.1) == pytest.approx(float(slope), rel=1e-6)


@pytest.mark.slow
def test_a_table_finds_the_equilibrium_that_mixes():
    solver = nf.LocalEquilibrium(Gibbs(), optimizer=nf.Adam(0.3))
    solution = nf.solve(MalwareSpread(), solver, num_iterations=1000)
    assert solution.exploitability < 1e-4 and solution.gradient_norm < 1e-4
    repairs = solution.policy.table(MalwareSpread())[:, 1]
    assert abs(repairs[48] - 0.07175) < 0.02  # indifferent there
    assert repairs[47] < 0.01 and repairs[49] > 0.99


class TestReports:
    @pytest.mark.slow
    @pytest.mark.parametrize("gradient", [Reinforce(**FEW), QUICK])
    def test_the_norm_is_that_of_the_exact_gradient(self, gradient):
        solver = nf.LocalEquilibrium(SoftThreshold(0.3), gradient=gradient, crowd=CROWD)
        solution = nf.solve(SMALL, solver, num_iterations=1)
        exact = nf.partial_gradient(SMALL, SoftThreshold(0.3)).theta
        assert solution.history["gradient_norm"][0] == pytest.approx(float(abs(exact)), abs=1e-12)
        exact = nf.partial_gradient(SMALL, solution.policy).theta
        assert solution.gradient_norm == pytest.approx(float(abs(exact)), abs=1e-12)

    @pytest.mark.slow
    def test_of_a_policy_that_jumps_it_is_that_of_the_estimate(self):
        solver = nf.LocalEquilibrium(
            Threshold(0.5), gradient=QUICK, optimizer=nf.PowerStep(1e-3, 0.0)
        )
        solution = nf.solve(SMALL, solver, num_iterations=1)
        step = abs(solution.policy.theta - 0.5) / 1e-3
        assert solution.history["gradient_norm"][0] == pytest.approx(float(step), rel=1e-6)

    @pytest.mark.slow
    def test_a_played_crowd_with_the_exact_gradient(self):
        solver = nf.LocalEquilibrium(SoftThreshold(0.3), gradient=ExactGradient(), crowd=CROWD)
        solution = nf.solve(SMALL, solver, num_iterations=1)
        exact = nf.partial_gradient(SMALL, SoftThreshold(0.3)).theta
        assert solution.history["gradient_norm"][0] == pytest.approx(float(abs(exact)), abs=1e-12)

    @pytest.mark.slow
    def test_on_points_they_are_near_the_closed_form(self):
        game = ContinuousMalwareSpread()
        solver = nf.LocalEquilibrium(
            Threshold(0.3), num_evaluations=20_000, crowd=PlayedCrowd(num_agents=5000)
        )
        solution = nf.solve(game, solver, num_iterations=0)
        mean = game.threshold_mean(0.3)
        value = game.threshold_value(0.3, mean)
        best = game.threshold_value(game.best_threshold(mean), mean)
        assert abs(solution.social_welfare - value) < 0.02
        assert abs(solution.exploitability - (best - value)) < 0.02
        assert abs(solution.flow.mean()[0] - mean) < 0.02


class TestStarts:
    @pytest.mark.parametrize(
        ("game", "kind"),
        [
            (SMALL, SoftThreshold),
            (ContinuousMalwareSpread(), SoftThreshold),
            (StationaryFourRooms(), Gibbs),
        ],
    )
    def test_the_usual_policy(self, game, kind):
        policy = nf.LocalEquilibrium().first_policy(game, key=KEY)
        assert type(policy) is kind
        assert all(isinstance(x, jax.Array) for x in jax.tree.leaves(policy.split()[0]))

    def test_weights_are_drawn_with_the_key(self):
        solver = nf.LocalEquilibrium(Neural((3,)))
        a, b, c = (solver.first_policy(SMALL, key=jax.random.key(k)) for k in (1, 1, 2))
        assert eqx.tree_equal(a, b) and not eqx.tree_equal(a, c)

    @pytest.mark.parametrize(
        ("game", "policy", "alone", "kind"),
        [
            (SMALL, SoftThreshold(), True, ExactGradient),
            (SMALL, SoftThreshold(), False, ExactGradient),
            (SMALL, Threshold(), True, SimultaneousPerturbation),
            (ContinuousMalwareSpread(), SoftThreshold(), True, Reinforce),
            (ContinuousMalwareSpread(), SoftThreshold(), False, SimultaneousPerturbation),
            (ContinuousMalwareSpread(), Threshold(), True, SimultaneousPerturbation),
        ],
    )
    def test_the_usual_gradient(self, game, policy, alone, kind):
        assert type(gradient_for(game, policy, None, alone=alone)) is kind

    def test_the_best_of_its_iterates(self):
        solver = nf.BestSoFar(nf.LocalEquilibrium(SoftThreshold(0.9), optimizer=nf.Adam(0.3)))
        gaps = nf.solve(GAME, solver, num_iterations=20).history["exploitability"]
        assert np.all(np.diff(gaps) <= 0) and gaps[-1] < gaps[0]


class TestPoints:
    @pytest.mark.slow
    def test_reinforce_is_what_climbs(self):
        crowd = PlayedCrowd(num_agents=50, num_steps=20)
        solver = nf.LocalEquilibrium(
            Neural((3,)),
            gradient=Reinforce(**FEW),
            crowd=crowd,
            num_evaluations=20,
            num_evaluation_steps=10,
        )
        solution = nf.solve(ContinuousMalwareSpread(), solver, num_iterations=2, key=KEY)
        assert solution.history["gradient_norm"].shape == (3,)
        assert solution.flow.states.shape == (50, 1)
        assert np.isfinite(solution.exploitability)

    def test_exact_parts_are_refused(self):
        game = ContinuousMalwareSpread()
        with pytest.raises(nf.ParameterError, match="are points: take crowd=PlayedCrowd"):
            nf.solve(game, nf.LocalEquilibrium(crowd=ExactCrowd()), num_iterations=1)
        with pytest.raises(nf.ParameterError, match="are points: take gradient=Reinforce"):
            nf.solve(game, nf.LocalEquilibrium(gradient=ExactGradient()), num_iterations=1)


class TestErrors:
    def test_a_policy_to_start_from_besides_its_own(self):
        table = np.full((5, 2), 0.5)
        with pytest.raises(
            ValueError, match=r"starts from its own .* LocalEquilibrium\(policy=..."
        ):
            nf.solve(SMALL, nf.LocalEquilibrium(), num_iterations=1, initial_policy=table)

    def test_games_with_a_horizon(self):
        with pytest.raises(TypeError, match="LocalEquilibrium solves only of class StationaryGame"):
            nf.solve(LeftRight(), nf.LocalEquilibrium(), num_iterations=1)

    def test_tables(self, without_type_checks):
        with pytest.raises(nf.ParameterError, match=r"for a table, .*Gibbs.of\(table\)"):
            nf.LocalEquilibrium(np.full((5, 2), 0.5))
        with pytest.raises(nf.ParameterError, match="needs a policy with parameters"):
            nf.LocalEquilibrium(Plain())

    def test_policies_without_parameters(self):
        with pytest.raises(nf.ParameterError, match="Constant has no parameters"):
            nf.solve(SMALL, nf.LocalEquilibrium(Constant()), num_iterations=1)

    @pytest.mark.parametrize("gradient", [ExactGradient(), Reinforce()])
    def test_smooth_gradients_of_policies_that_jump(self, gradient):
        solver = nf.LocalEquilibrium(Threshold(0.3), gradient=gradient)
        with pytest.raises(nf.ParameterError, match="Threshold has no gradient, its actions jump"):
            nf.solve(SMALL, solver, num_iterations=1)

    def test_numbers(self):
        with pytest.raises(nf.ParameterError, match="num_evaluations must be at least 1"):
            nf.LocalEquilibrium(num_evaluations=0)
        with pytest.raises(nf.ParameterError, match="num_evaluation_steps must be at least 1"):
            nf.LocalEquilibrium(num_evaluation_steps=0)
        with pytest.raises(nf.ParameterError, match="Adam: learning_rate must be finite, above 0"):
            nf.Adam(0.0)
        with pytest.raises(nf.ParameterError, match="PowerStep: scale must be finite, above 0"):
            nf.PowerStep(0.0)
        with pytest.raises(nf.ParameterError, match="PowerStep: power must be finite, at least 0"):
            nf.PowerStep(1.0, -0.1)


SAVED = {
    "soft-threshold": nf.LocalEquilibrium(SoftThreshold(0.7), gradient=Reinforce(**FEW)),
    "neural": nf.LocalEquilibrium(Neural((3,)), optimizer=nf.Adam(0.1)),
    "social-optimum": nf.LocalSocialOptimum(Threshold(0.7), gradient=QUICK, crowd=CROWD),
    "two-time-scales": nf.TwoTimeScales(SoftThreshold(0.7), num_samples=10),
}


@pytest.mark.parametrize("solver", SAVED.values(), ids=SAVED.keys())
class TestFiles:
    @pytest.mark.slow
    def test_a_resumed_run_ends_bitwise_where_one_ends(self, solver, tmp_path):
        arguments = {"key": KEY, "progress": False, "chunk_size": 2}
        whole = nf.run(SMALL, solver, num_iterations=5, out=tmp_path / "a", **arguments)
        nf.run(SMALL, solver, num_iterations=2, out=tmp_path / "b", **arguments)
        resumed = nf.run(
            SMALL, solver, num_iterations=5, out=tmp_path / "b", resume=True, **arguments
        )
        assert eqx.tree_equal(whole.state, resumed.state)
        assert eqx.tree_equal(whole.policy, resumed.policy)
        for name, column in whole.history.items():
            np.testing.assert_array_equal(column, resumed.history[name])

    def test_what_was_learnt_comes_back(self, solver, tmp_path):
        solution = nf.solve(SMALL, solver, num_iterations=0, key=KEY)
        parameters, rest = solution.policy.split()
        learnt = eqx.combine(jax.tree.map(lambda x: x + 0.125, parameters), rest)
        dataclasses.replace(solution, policy=learnt).save(tmp_path / "a")
        loaded = nf.Solution.load(tmp_path / "a").policy
        assert type(loaded) is type(learnt)
        assert eqx.tree_equal(loaded.split()[0], _numpy(learnt.split()[0]))
        np.testing.assert_array_equal(loaded.table(SMALL), learnt.table(SMALL))

    def test_it_is_written_down(self, solver, tmp_path):
        spec = json.loads(json.dumps(spec_of(solver)))
        assert eqx.tree_equal(_numpy(from_spec(spec)), _numpy(solver))


def _numpy(tree):
    return jax.tree.map(np.asarray, tree)


@pytest.mark.slow
def test_a_resumed_run_of_samples(tmp_path):
    test = TestFiles().test_a_resumed_run_ends_bitwise_where_one_ends
    test(SAVED["two-time-scales"], tmp_path)


class TestShell:
    def test_parts_by_name(self):
        solver = load_solver(
            "local-equilibrium",
            {"policy": "soft-threshold", "gradient": "reinforce", "optimizer": "adam"},
        )
        assert type(solver.start) is SoftThreshold and type(solver.gradient) is Reinforce
        assert load_solver("two-time-scales", {"num_samples": "10"}).num_samples == 10
        assert load_solver("local-social-optimum", {"crowd": "played-crowd"}).crowd is not None

    @pytest.mark.slow
    def test_solve(self, tmp_path, capsys):
        words = "solve malware-spread --set num_states=5 --solver local-equilibrium --solver-set "
        words += "policy=soft-threshold gradient=simultaneous-perturbation --iterations 2"
        assert cli.main([*words.split(), "--no-plots", "--out", str(tmp_path / "a")]) == 0
        assert "exploitability" in capsys.readouterr().out
        assert type(nf.Solution.load(tmp_path / "a").policy) is SoftThreshold


class TestUnsettledCrowds:
    """A crowd that was played for too few moves is told of in the result."""

    def test_says_what_to_raise(self):
        crowd = PlayedCrowd(num_agents=2000, num_steps=2)
        game, policy = nf.games.MalwareSpread(), nf.policies.SoftThreshold(0.1)
        solver = nf.LocalEquilibrium(policy, crowd=crowd)
        solution = nf.solve(game, solver, num_iterations=0)
        assert solution.result is nf.Result.UNSETTLED
        assert "num_steps" in solution.result.message

    def test_enough_moves(self):
        crowd = PlayedCrowd(num_agents=2000, num_steps=100)
        game, policy = nf.games.MalwareSpread(), nf.policies.SoftThreshold(0.1)
        solver = nf.LocalEquilibrium(policy, crowd=crowd)
        solution = nf.solve(game, solver, num_iterations=0)
        assert solution.result is nf.Result.MAX_ITERATIONS
