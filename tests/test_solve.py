"""`solve`: history, stopping, errors, and that it is a pure function."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics import sweep
from nashfield.games.zoo.beach_bar import BeachBar
from nashfield.games.zoo.matrix import LeftRight
from nashfield.solvers import OnlineMirrorDescent, StepInfo

SOLVER = OnlineMirrorDescent(learning_rate=1.0)


class Broken(LeftRight):
    """Its reward is not a number."""

    def state_reward(self, t, mean_field):
        return jnp.full(3, jnp.nan)


class Drawing(OnlineMirrorDescent):
    """Adds noise to the logits, to see which keys a solver is given."""

    def step(self, game, state, *, key):
        state, info = super().step(game, state, key=key)
        return state + 0.01 * jax.random.normal(key, state.shape, state.dtype), info


@pytest.fixture(scope="module")
def plain():
    with jax.enable_x64(True):
        return nf.solve(LeftRight(), SOLVER, num_iterations=5)


def test_history_holds_the_start_and_every_iterate(plain):
    assert plain.history["exploitability"].shape == (6,)
    assert plain.history["social_welfare"].shape == (6,)
    np.testing.assert_allclose(plain.history["exploitability"][0], 0.25, atol=1e-14)
    np.testing.assert_allclose(plain.history["social_welfare"][0], -0.75, atol=1e-14)
    assert int(plain.num_steps) == 5


def test_exploitability_is_a_float_of_the_returned_policy(plain):
    assert type(plain.exploitability) is float
    assert type(plain.social_welfare) is float
    assert plain.exploitability == plain.history["exploitability"][-1]
    again = nf.exploitability(LeftRight(), plain.policy)
    np.testing.assert_allclose(plain.exploitability, again, rtol=1e-10)


def test_flow_is_that_of_the_policy(plain):
    assert plain.policy.shape == (2, 3, 2)
    assert plain.flow.shape == (3, 3)
    np.testing.assert_allclose(plain.flow[1].states[1:], plain.policy[0, 0], atol=1e-14)


def test_no_iteration_returns_the_start():
    solution = nf.solve(LeftRight(), SOLVER, num_iterations=0)
    np.testing.assert_allclose(solution.history["exploitability"], [0.25], atol=1e-14)
    np.testing.assert_allclose(solution.policy, 0.5)
    assert solution.result is nf.Result.MAX_ITERATIONS


def test_absolute_tolerance(plain):
    solution = nf.solve(LeftRight(), SOLVER, num_iterations=50, atol=0.01)
    history = np.asarray(solution.history["exploitability"])
    assert solution.result is nf.Result.CONVERGED
    assert history.shape == (51,)
    first = int(solution.num_steps)
    assert np.all(history[:first] > 0.01)
    assert history[first] <= 0.01
    np.testing.assert_allclose(history[first:], history[first], rtol=1e-10)
    np.testing.assert_allclose(
        history[: first + 1], plain.history["exploitability"][: first + 1], rtol=1e-10
    )
    np.testing.assert_allclose(
        nf.exploitability(LeftRight(), solution.policy), history[first], rtol=1e-10
    )


def test_relative_tolerance():
    relative = nf.solve(LeftRight(), SOLVER, num_iterations=50, rtol=0.04)  # 0.04 * 0.25 = 0.01
    absolute = nf.solve(LeftRight(), SOLVER, num_iterations=50, atol=0.01)
    assert int(relative.num_steps) == int(absolute.num_steps)
    assert relative.result is nf.Result.CONVERGED


def test_tolerance_met_by_the_start():
    solution = nf.solve(LeftRight(), SOLVER, num_iterations=3, atol=1.0)
    assert int(solution.num_steps) == 0
    np.testing.assert_allclose(solution.policy, 0.5)
    np.testing.assert_allclose(solution.history["exploitability"], 0.25, atol=1e-14)


def test_tolerance_not_met():
    solution = nf.solve(LeftRight(), SOLVER, num_iterations=2, atol=1e-12)
    assert solution.result is nf.Result.MAX_ITERATIONS
    assert int(solution.num_steps) == 2


def test_a_new_tolerance_or_start_compiles_nothing():
    class Counting(LeftRight):
        calls = 0

        def state_reward(self, t, mean_field):
            Counting.calls += 1
            return super().state_reward(t, mean_field)

    for tolerance in (0.1, 0.01, 0.001):
        start = jnp.full((2, 3, 2), 0.5).at[0].set(jnp.array([tolerance, 1 - tolerance]))
        nf.solve(
            Counting(), SOLVER, num_iterations=3, atol=jnp.asarray(tolerance), initial_policy=start
        )
        counted = Counting.calls if tolerance == 0.1 else counted
    assert Counting.calls == counted > 0


def test_nan_raises():
    with pytest.raises(
        nf.SolveError, match=r"NaN or infinite.*check_game.*lower the learning rate"
    ):
        nf.solve(Broken(), SOLVER, num_iterations=3)


@pytest.mark.parametrize("atol", [0.0, 1e-3])
def test_nan_without_throwing(atol):
    solution = nf.solve(Broken(), SOLVER, num_iterations=3, atol=atol, throw=False)
    assert solution.result is nf.Result.NONFINITE
    assert not solution.result.ok
    assert np.isnan(solution.exploitability)


@pytest.mark.parametrize("shape", [(3, 3, 2), (2, 2, 2), (2, 3, 3)])
def test_initial_policy_of_the_wrong_shape(shape):
    message = r"initial_policy has shape .* \(horizon, num_states, num_actions\) = \(2, 3, 2\)"
    with pytest.raises(ValueError, match=message):
        nf.solve(LeftRight(), SOLVER, num_iterations=1, initial_policy=jnp.ones(shape))


def test_negative_number_of_iterations():
    with pytest.raises(ValueError, match="num_iterations must be at least 0, not -1"):
        nf.solve(LeftRight(), SOLVER, num_iterations=-1)


def test_messages_of_results():
    assert str(nf.Result.MAX_ITERATIONS) == "all iterations done"
    assert str(nf.Result.CONVERGED) == "the tolerance was reached"
    assert "lower the learning rate" in str(nf.Result.NONFINITE)
    assert "raise the game's settling_steps" in str(nf.Result.UNSETTLED)
    unusable = {nf.Result.NONFINITE, nf.Result.LOST_MASS}
    assert {result for result in nf.Result if not result.ok} == unusable
    assert "check_game" in str(nf.Result.LOST_MASS)


def test_vmap_over_starts():
    starts = jax.random.dirichlet(jax.random.key(0), jnp.ones(2), (4, 2, 3))

    def run(start):
        return nf.solve(LeftRight(), SOLVER, num_iterations=5, initial_policy=start).policy

    batched = jax.vmap(run)(starts)
    np.testing.assert_allclose(batched, jnp.stack([run(x) for x in starts]), atol=1e-13)


def test_vmap_over_seeds():
    keys = jax.random.split(jax.random.key(1), 3)

    def run(key):
        return nf.solve(LeftRight(), Drawing(1.0), num_iterations=5, key=key)

    batched = jax.vmap(lambda key: run(key).policy)(keys)
    separate = jnp.stack([run(key).policy for key in keys])
    np.testing.assert_allclose(batched, separate, atol=1e-13)
    assert len(np.unique(np.round(np.asarray(batched)[:, 0, 0, 0], 12))) == 3


def test_the_same_key_gives_the_same_bits():
    runs = [
        nf.solve(LeftRight(), Drawing(1.0), num_iterations=5, key=jax.random.key(7))
        for _ in range(2)
    ]
    np.testing.assert_array_equal(runs[0].policy, runs[1].policy)


def test_every_step_draws_afresh():
    still = OnlineMirrorDescent(1e-12)
    noisy = Drawing(still.learning_rate)
    logits = [np.asarray(nf.solve(LeftRight(), noisy, num_iterations=k).state) for k in range(4)]
    # Up to a shift of each row, the noise of the steps.
    moves = np.diff(np.stack(logits), axis=0)
    moves -= moves.mean(-1, keepdims=True)
    assert not np.allclose(moves[0], moves[1])
    assert not np.allclose(moves[1], moves[2])


def test_inside_jit_and_outside_are_the_same():
    game = BeachBar(num_states=4, horizon=3)

    @jax.jit
    def run(learning_rate):
        solution = nf.solve(game, OnlineMirrorDescent(learning_rate), num_iterations=5)
        return solution.policy, solution.exploitability

    policy, exploitability = run(0.5)
    outside = nf.solve(game, OnlineMirrorDescent(0.5), num_iterations=5)
    np.testing.assert_allclose(policy, outside.policy, atol=1e-13)
    np.testing.assert_allclose(exploitability, outside.exploitability, rtol=1e-11)


def test_batched_solution_reports_arrays():
    class Sometimes(LeftRight):
        fee: jax.Array | None = None

        def state_reward(self, t, mean_field):
            return super().state_reward(t, mean_field) + self.fee

    def run(fee):
        solution = nf.solve(Sometimes(fee=fee), SOLVER, num_iterations=2)
        return solution.history, solution.result_code

    history, codes = jax.vmap(run)(jnp.array([0.0, jnp.nan]))
    assert history["exploitability"].shape == (2, 3)
    assert [nf.Result(int(code)).ok for code in codes] == [True, False]


@pytest.mark.parametrize(
    ("tolerances", "worst"),
    [([0.1, 0.2], "CONVERGED"), ([0.1, 1e-9], "MAX_ITERATIONS"), ([0.1, jnp.nan], "NONFINITE")],
)
def test_result_of_a_batch_is_the_worst(tolerances, worst):
    class Fee(LeftRight):
        fee: jax.Array | None = None

        def state_reward(self, t, mean_field):
            return super().state_reward(t, mean_field) + self.fee

    def run(tolerance):
        fee = jnp.where(jnp.isnan(tolerance), jnp.nan, 0.0)
        return nf.solve(Fee(fee=fee), SOLVER, num_iterations=3, atol=tolerance)

    solutions = eqx.filter_vmap(run)(jnp.array(tolerances))
    assert solutions.result is nf.Result[worst]


def test_is_pure():
    game, start = LeftRight(), jnp.full((2, 3, 2), 0.5)
    first = nf.solve(game, SOLVER, num_iterations=3, initial_policy=start)
    second = nf.solve(game, SOLVER, num_iterations=3, initial_policy=start)
    np.testing.assert_array_equal(first.policy, second.policy)
    np.testing.assert_array_equal(start, 0.5)


def test_both_precisions(precision):
    solution = nf.solve(LeftRight(), SOLVER, num_iterations=10)
    assert solution.policy.dtype == np.dtype(precision)
    tolerance = 1e-12 if precision == "float64" else 1e-6
    np.testing.assert_allclose(solution.exploitability, 1.98984409e-6, atol=tolerance)


def test_step_info_reads_a_sweep():
    info = StepInfo.of(sweep(LeftRight(), nf.uniform_policy(LeftRight())))
    np.testing.assert_allclose([info.exploitability, info.social_welfare], [0.25, -0.75])


class Leaking(nf.games.LeftRight):
    """Loses a fifth of the population at every step."""

    def kernel(self, t):
        return nf.Dense(0.8 * super().kernel(t).dense())


@pytest.mark.parametrize("play", [nf.solve, nf.run])
def test_a_game_that_loses_mass(play):
    with pytest.raises(nf.SolveError, match=r"transition rows do not sum to 1.*check_game"):
        play(Leaking(), nf.OnlineMirrorDescent(), num_iterations=2)


@pytest.mark.parametrize("play", [nf.solve, nf.run])
def test_classes_are_not_instances(play, without_type_checks):
    with pytest.raises(TypeError, match=r"game must be an instance: write LeftRight\(\.\.\.\)"):
        play(nf.games.LeftRight, nf.OnlineMirrorDescent(), num_iterations=2)
    with pytest.raises(TypeError, match="solver must be an instance"):
        play(nf.games.LeftRight(), nf.OnlineMirrorDescent, num_iterations=2)
    with pytest.raises(TypeError, match=r"of class FiniteGame or .*, not str"):
        play("left-right", nf.OnlineMirrorDescent(), num_iterations=2)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (np.ones((2, 3, 2)), r"sum to 1.*time 0, state 0 it is \[1.0, 1.0\]"),
        (np.full((2, 3, 2), np.nan), "sum to 1"),
        (np.tile([1.5, -0.5], (2, 3, 1)), "must be probabilities"),
        (np.ones((2, 3, 1)), r"shape \(2, 3, 1\)"),
        (np.full((4, 2, 3, 2), 0.5), r"shape \(4, 2, 3, 2\)"),
    ],
)
def test_no_policy_of_this_game(policy, message, without_type_checks):
    game = nf.games.LeftRight()
    with pytest.raises(ValueError, match=message):
        nf.exploitability(game, policy)
    with pytest.raises(ValueError, match=message):
        nf.start_regrets(game, policy)
    with pytest.raises(ValueError, match=message):
        nf.solve(game, nf.FictitiousPlay(), num_iterations=1, initial_policy=policy)


def test_tolerances_compile_nothing():
    traces = []

    class Traced(LeftRight):
        def state_reward(self, t, mean_field):
            traces.append(t)
            return super().state_reward(t, mean_field)

    nf.solve(Traced(), SOLVER, num_iterations=3, rtol=0.5)
    before = len(traces)
    nf.solve(Traced(), SOLVER, num_iterations=3, rtol=0.25, atol=1e-3)
    assert len(traces) == before > 0


@pytest.mark.slow
def test_run_without_tolerance_does_every_iteration():
    game = nf.games.SusceptibleInfected(horizon=6)
    options = {"num_iterations": 20}
    solved, ran = (play(game, nf.FixedPoint(), **options) for play in (nf.solve, nf.run))
    assert int(solved.num_steps) == int(ran.num_steps) == 20
    np.testing.assert_allclose(solved.history["exploitability"], ran.history["exploitability"])


def test_a_game_in_single_precision_is_saved_by_its_parameters(tmp_path):
    with jax.enable_x64(False):
        game = nf.games.Garnet(num_states=5, horizon=3)
        nf.solve(game, nf.OnlineMirrorDescent(), num_iterations=2).save(tmp_path / "run")
        assert nf.Solution.load(tmp_path / "run").game is not None


class Misshapen(nf.FiniteGame):
    """Its reward has an action too many."""

    horizon: int = 2
    num_states: int = 2
    num_actions: int = 2

    def initial(self):
        return np.array([0.5, 0.5])

    def transition(self, t, mean_field):
        return nf.Dense(np.full((2, 2, 2), 0.5))

    def reward(self, t, mean_field):
        return jnp.zeros((2, 3))


@pytest.mark.parametrize("play", [nf.solve, nf.run])
def test_shapes_of_a_users_game_are_looked_at_first(play, without_type_checks):
    with pytest.raises(nf.GameError, match=r"Misshapen\.reward.*\(2, 2\), but has shape \(2, 3\)"):
        play(Misshapen(), nf.OnlineMirrorDescent(), num_iterations=2)
    with pytest.raises(nf.GameError, match=r"Misshapen\.horizon must be at least 1, not 0"):
        play(Misshapen(horizon=0), nf.OnlineMirrorDescent(), num_iterations=2)


@pytest.mark.parametrize("play", [nf.solve, nf.run])
def test_half_an_iteration(play, without_type_checks):
    with pytest.raises(TypeError, match=r"num_iterations must be a whole number, not 10\.5"):
        play(nf.games.LeftRight(), nf.OnlineMirrorDescent(), num_iterations=10.5)
