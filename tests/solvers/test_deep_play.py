"""Deep play on small sizes: what every such solver keeps to, its numbers, and its troubles."""

import collections
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import nashfield as nf
from nashfield.games.loading import load_game
from nashfield.learners import PPO, SAC, Cloning
from nashfield.mean_fields import Flow, KnownStart, MaximumLikelihood, Particles
from nashfield.phases import PhasedLoop
from nashfield.solvers.deep_fictitious_play import AbstractDeepFictitiousPlay

KEY = jax.random.key(5)
LEARNER = PPO(num_updates=6, num_envs=16, num_epochs=2, num_minibatches=2, hidden=(8,))
SMALL = {"learner": LEARNER, "num_agents": 300}
CLONED = {"average_policy": Cloning(num_steps=50, batch_size=128, hidden=(8,)), "num_cloned": 20}
FLOW = {"normalizing_flow": MaximumLikelihood(num_steps=40, look_every=20, width=8)}

SOLVERS = {
    "mixture": nf.DeepFictitiousPlay(later_updates=3, capacity=4, **SMALL),
    "average": nf.AveragePolicyFictitiousPlay(later_updates=3, capacity=4, **SMALL, **CLONED),
    "deda-fp": nf.DEDAFP(later_updates=3, capacity=4, **SMALL, **CLONED, **FLOW),
    "descent": nf.DeepMirrorDescent(num_agents=300, learner=LEARNER, judging_updates=2, **FLOW),
}
GAME = nf.games.LinearQuadratic(horizon=5)


@pytest.fixture(scope="module")
def traces():
    """How often phases were traced, by solver and phase."""
    found = collections.Counter()
    with pytest.MonkeyPatch.context() as patch:
        for kind in (AbstractDeepFictitiousPlay, nf.DeepMirrorDescent):

            def counted(self, name, game, state, *, key, phase=kind.phase):
                found[type(self).__name__, name] += 1
                return phase(self, name, game, state, key=key)

            def judged(self, game, state, response, *, key, judge=kind.judge):
                found[type(self).__name__, "judge"] += 1
                return judge(self, game, state, response, key=key)

            patch.setattr(kind, "phase", counted)
            patch.setattr(kind, "judge", judged)
        yield found


@pytest.fixture(scope="module")
def runs(tmp_path_factory, traces):
    """Two iterations of each solver in a folder, then one more after a resumption."""
    with jax.enable_x64(True):
        found = {}
        for name, solver in SOLVERS.items():
            folder = tmp_path_factory.mktemp("runs") / name
            options = {"key": KEY, "out": folder}
            first = nf.run(GAME, solver, num_iterations=2, **options)
            found[name] = (
                folder,
                first,
                nf.run(GAME, solver, num_iterations=3, resume=True, **options),
            )
        return found


@pytest.mark.slow
def test_every_phase_is_traced_once(traces, runs):
    """Not anew for later iterations, nor after a resumption."""
    assert len(traces) == 3 + 4 + 5 + 4
    assert set(traces.values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("name", SOLVERS)
def test_histories_say_what_is_known(runs, name):
    history = runs[name][2].history
    wanted = {"exploitability", "social_welfare"}
    if name != "descent":
        wanted |= {"eps_br"}
    if name in ("average", "deda-fp"):
        wanted |= {"eps_sl", "mean_action_exploitability", "mixture_exploitability"}
    if name in ("deda-fp", "descent"):
        wanted |= {"eps_cnf"}
    assert set(history) == wanted
    assert all(column.shape == (4,) for column in history.values())
    assert np.isfinite(history["exploitability"]).all()
    # Before the first best response there is none to judge.
    known = {column: np.isfinite(values[1:]).all() for column, values in history.items()}
    assert all(known.values()), known


@pytest.mark.parametrize("name", SOLVERS)
def test_a_resumed_run_goes_on_where_it_was(runs, name):
    """Bitwise what a run without a break finds."""
    again = nf.run(GAME, SOLVERS[name], num_iterations=3, key=KEY)
    for one, other in zip(
        jax.tree.leaves((again.policy, again.flow, again.history)),
        jax.tree.leaves((runs[name][2].policy, runs[name][2].flow, runs[name][2].history)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_a_run_that_was_stopped_in_its_first_iteration(runs, tmp_path, monkeypatch):
    options = {"num_iterations": 2, "key": KEY, "out": tmp_path / "run"}

    def stop(loop, report):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PhasedLoop, "_iterate", stop)
        with pytest.raises(KeyboardInterrupt, match="after 0 iterations"):
            nf.run(GAME, SOLVERS["mixture"], **options)
    solution, wanted = nf.run(GAME, SOLVERS["mixture"], resume=True, **options), runs["mixture"][1]
    for name, column in wanted.history.items():
        np.testing.assert_array_equal(solution.history[name], column)
    name = "initial_exploitability"
    assert solution.stats[name] == wanted.stats[name] == wanted.history["exploitability"][0]


def test_a_policy_without_finite_values_is_not_returned(runs, monkeypatch):
    """Neither where a further iteration finds out nor where the run is over; but the one before."""
    judge = PhasedLoop._judge

    def blind(self, state, response, key):
        info = judge(self, state, response, key)
        bad = int(state.num_responses) == 1
        return dataclasses.replace(info, exploitability=info.exploitability * (jnp.nan**bad))

    monkeypatch.setattr(PhasedLoop, "_judge", blind)
    for num_iterations in (1, 2):
        options = {"num_iterations": num_iterations, "key": KEY}
        solution = nf.run(GAME, SOLVERS["mixture"], **options, throw=False)
        assert solution.result is nf.Result.NONFINITE
        assert solution.trouble == "iteration 1: values of its policy are not finite"
        assert int(solution.num_steps) == 0 and int(solution.state.num_responses) == 0
        # The same policy, judged by other 300 agents.
        wanted = runs["mixture"][1].history["exploitability"][0]
        assert solution.exploitability == pytest.approx(wanted, rel=0.3)


def test_distances_are_between_whole_crowds():
    """Agents stand in the order of what they play, as in the crowd of a pool."""
    solver, x = nf.DeepFictitiousPlay(), np.random.default_rng(0).normal(size=(3, 10_000, 1))
    crowd, ordered, moved = (Flow(Particles(jnp.asarray(y))) for y in (x, np.sort(x, 1), x + 0.5))
    # Two samples of 3334 of one law are apart by about 1 / sqrt(3334) = .017.
    assert solver.distance(ordered, crowd, key=KEY) < 0.05
    assert solver.distance(ordered, moved, key=KEY) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", SOLVERS)
def test_what_was_saved_comes_back(runs, name):
    folder, _, solution = runs[name]
    loaded = nf.Solution.load(folder)
    assert type(loaded.policy) is type(solution.policy)
    assert type(loaded.flow) is type(solution.flow)
    for one, other in zip(
        jax.tree.leaves((loaded.policy, loaded.flow)),
        jax.tree.leaves((solution.policy, solution.flow)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_noise_of_an_answer_is_left_to_the_game():
    """None in quadratic games, where it costs; else what was learnt is played, noise and all."""
    noisy = nf.DeepMirrorDescent(mean_action=False, num_agents=300, learner=LEARNER, **FLOW)
    solutions = [
        nf.run(game, solver, num_iterations=1, key=KEY)
        for game, solver in (
            (GAME, SOLVERS["descent"]),
            (GAME, noisy),
            (nf.games.BeachBarLine(horizon=5), SOLVERS["descent"]),
        )
    ]
    assert [s.policy.stochastic for s in solutions] == [False, True, True]
    # Where noise is played, the mean action is judged beside it.
    name = "mean_action_exploitability"
    assert [name in s.history for s in solutions] == [False, True, True]
    history = solutions[1].history
    assert history[name][1] < history["exploitability"][1]


@pytest.mark.slow
def test_an_answer_among_walls_comes_back(tmp_path):
    game, solver = nf.games.FourRoomsPlane(horizon=2), SOLVERS["descent"]
    solution = nf.run(game, solver, num_iterations=1, key=KEY, out=tmp_path / "rooms")
    loaded = nf.Solution.load(tmp_path / "rooms")
    for t in (1, 2):
        drawn, other = (flow[t].sample(KEY, 500) for flow in (solution.flow, loaded.flow))
        np.testing.assert_array_equal(drawn, other)
        assert all(game.free(x) for x in drawn[:50])
        there = jnp.array([[0.05, 0.45], [0.25, 0.25]])
        found = loaded.flow[t].log_density(there)
        np.testing.assert_array_equal(found, solution.flow[t].log_density(there))
        # The second point lies in a wall.
        assert np.isfinite(found[0]) and found[1] == -np.inf


@pytest.mark.slow
def test_the_answer_can_be_used(runs):
    solution = runs["deda-fp"][2]
    policy, flow = solution.policy, solution.flow
    assert isinstance(flow, KnownStart)
    assert flow[3].sample(KEY, 7).shape == (7, 1)
    assert flow.sample(KEY, 7).shape == (6, 7, 1)
    action = policy.action(0, jnp.zeros(1), jnp.zeros(1))
    assert np.isfinite(policy.log_density(0, jnp.zeros(1), action))
    # The law at time 0 is the game's, N(0, 1/3), and not what the normalizing flow learnt.
    for x in (0.0, 1.01):
        wanted = scipy.stats.norm.logpdf(x, 0, np.sqrt(1 / 3))
        assert flow[0].log_density(jnp.array([x])) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.slow
def test_solve_finds_what_run_finds(runs):
    """One program in place of several, so that only rounding differs."""
    solver = SOLVERS["mixture"]
    solution = nf.solve(GAME, solver, num_iterations=1, key=KEY)
    np.testing.assert_allclose(
        solution.history["exploitability"][0],
        runs["mixture"][1].history["exploitability"][0],
        rtol=1e-3,
    )


def test_the_pool_is_every_best_response(runs):
    """Its first two members are those of the shorter run, and its count that of the iterations."""
    _, short, long = runs["mixture"]
    assert int(short.policy.count) == 2 and int(long.policy.count) == 3
    for one, other in zip(
        jax.tree.leaves(short.policy.members), jax.tree.leaves(long.policy.members), strict=True
    ):
        np.testing.assert_array_equal(one[:2], other[:2])


def test_equal_shares_in_the_buffer(runs):
    buffer = runs["average"][2].state.buffer
    assert int(buffer.count) == 3
    assert buffer.states.shape == (4, 5, 20, 1)
    filled = np.abs(np.asarray(buffer.states)).sum((1, 2, 3)) > 0
    assert filled.tolist() == [True, True, True, False]


def test_stops_at_a_tolerance():
    solution = nf.run(GAME, SOLVERS["descent"], num_iterations=3, rtol=2.0, key=KEY)
    assert solution.result is nf.Result.CONVERGED
    assert int(solution.num_steps) == 0


@pytest.mark.parametrize("go", [nf.run, nf.solve])
@pytest.mark.parametrize("tolerance", ["atol", "rtol"])
def test_a_tolerance_needs_a_number_that_is_known(go, tolerance):
    with pytest.raises(ValueError, match="DeepMirrorDescent cannot stop at a tolerance in FourRo"):
        options = {tolerance: 0.1, "num_iterations": 1, "key": KEY}
        go(nf.games.FourRoomsPlane(), nf.DeepMirrorDescent(), **options)


class Burst(nf.games.LinearQuadratic):
    """Pays without bound for states that few reach."""

    limit: float = 0.0

    def reward(self, t, x, a, mean_field):
        usual = super().reward(t, x, a, mean_field)
        return jnp.where(jnp.abs(x[0]) > self.limit, jnp.inf, usual)


@pytest.mark.slow
def test_a_best_response_that_explodes(tmp_path):
    """Named with the iteration and the phase; what was good before is returned."""
    game, solver = Burst(horizon=5, limit=0.5), SOLVERS["descent"]
    with pytest.raises(nf.SolveError, match=r"iteration 1, policy improvement: training failed"):
        nf.run(game, solver, num_iterations=2, key=KEY)
    solution = nf.run(game, solver, num_iterations=2, key=KEY, throw=False)
    assert solution.result is nf.Result.NONFINITE
    assert "iteration 1, policy improvement" in solution.trouble
    assert solution.policy.horizon == 5
    with pytest.raises(nf.SolveError) as caught:
        nf.run(game, solver, num_iterations=2, key=KEY, out=tmp_path / "run")
    assert caught.value.solution.policy.horizon == 5


@pytest.mark.parametrize("name", ["average policy", "roll-out", "normalizing flow"])
def test_every_phase_is_looked_at(runs, name):
    state = runs["deda-fp"][2].state
    solver = SOLVERS["deda-fp"]
    assert solver.trouble(GAME, name, state) == ""
    broken = eqx.tree_at(
        lambda s: (s.average.network, s.crowd.laws.states, s.flow.bijection),
        state,
        replace_fn=lambda part: jax.tree.map(
            lambda x: x * jnp.nan if jnp.issubdtype(x.dtype, jnp.floating) else x, part
        ),
    )
    assert "is not finite; " in solver.trouble(GAME, name, broken)


@pytest.mark.parametrize("name", SOLVERS)
def test_no_iteration_is_no_answer(name):
    with pytest.raises(nf.ParameterError, match="needs at least one iteration, not 0"):
        nf.run(GAME, SOLVERS[name], num_iterations=0)


def test_more_iterations_than_there_is_room_for():
    with pytest.raises(nf.ParameterError, match="5 iterations need capacity=5, not 4"):
        nf.solve(GAME, SOLVERS["mixture"], num_iterations=5)


def test_too_few_agents_for_a_density():
    solver = nf.DeepFictitiousPlay(num_agents=20)
    with pytest.raises(nf.ParameterError, match="reads the density of the crowd, which num_agents"):
        nf.solve(nf.games.BeachBarLine(), solver, num_iterations=1)
    # Where nothing reads a density few agents are few agents, and no error.
    solver.check_iterations(GAME, 1)
    with pytest.raises(nf.ParameterError, match="not fitted to num_agents = 99 agents: take at"):
        nf.solve(GAME, nf.DeepMirrorDescent(num_agents=99), num_iterations=1)


def test_a_start_of_ones_own_is_refused():
    policy = GAME.starting_policy()
    with pytest.raises(ValueError, match="starts from its own policy"):
        nf.solve(GAME, SOLVERS["mixture"], num_iterations=1, initial_policy=policy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"later_updates": 0}, "later_updates must be at least 1"),
        ({"num_cloned": 0}, "num_cloned must be at least 1"),
        ({"capacity": 0}, "capacity must be at least 1"),
        ({"num_agents": 0}, "num_agents must be at least 1"),
        ({"initial_sd": 0.0}, "initial_sd must be finite and greater than 0"),
        ({"initial_sd": 8.0}, "initial_sd must lie between 0.0025 and 7.3891"),
    ],
)
def test_parameters(options, message):
    with pytest.raises(nf.ParameterError, match=message):
        nf.DEDAFP(**options)


@pytest.mark.slow
@pytest.mark.parametrize("learner", [LEARNER, SAC(num_updates=4, num_envs=8, hidden=(8,))])
@pytest.mark.parametrize(
    "name", ["beach-bar-line", "price-impact", "crowd-aversion", "four-rooms-plane"]
)
def test_every_game_with_either_learner(name, learner):
    game = load_game(name, {"horizon": 3})
    solver = nf.DEDAFP(
        learner=learner, later_updates=2, num_agents=300, capacity=2, **CLONED, **FLOW
    )
    solution = nf.solve(game, solver, num_iterations=2, key=KEY)
    assert np.isfinite(solution.history["exploitability"]).all()
