"""Table solvers on games without an end, against plain iteration, closed forms and each other."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.dynamics import sweep
from nashfield.registry import SOLVERS, find
from nashfield.results import Result
from nashfield.testing import check_solver
from nashfield.testing.stationary import reference

MALWARE = nf.games.MalwareSpread(num_states=9)
ROOMS = nf.games.StationaryFourRooms(rows=("..#..", ".....", "..#.."))
GARNET = nf.games.StationaryGarnet(num_states=6, num_actions=3, num_branches=2)
TABLE_SOLVERS = [
    name
    for name in SOLVERS
    if nf.StationaryGame in find(SOLVERS, name, "solver").games
    and not find(SOLVERS, name, "solver").starts_itself
]


def skewed(game):
    """Weights 1 + (2 x + 3 a) mod 5, normalised over actions."""
    x, a = np.ogrid[: game.num_states, : game.num_actions]
    weights = 1.0 + (2 * x + 3 * a) % 5
    return jnp.asarray(weights / weights.sum(-1, keepdims=True))


def step(solver, game, policy):
    """The policy after one step from `policy`."""

    @eqx.filter_jit
    def run(solver, game, policy):
        key = jax.random.key(0)
        state, _ = solver.step(game, solver.init(game, policy, key=key), key=key)
        return solver.policy(game, state)

    return np.asarray(run(solver, game, policy))


def frozen(game, policy):
    """Reward and (S, A, S) table among the crowd of `policy`, by plain iteration."""
    crowd = nf.FiniteMeanField(jnp.asarray(reference(game, policy).mean_field), policy)
    return np.asarray(game.reward(crowd)), np.asarray(game.transition(crowd).dense())


def action_values(game, policy, bonus=0.0):
    """Q along `policy`, with `bonus` times the entropy paid from the next step on."""
    reward, table = frozen(game, policy)
    policy, values = np.asarray(policy), np.zeros(game.num_states)
    entropy = -np.sum(policy * np.log(policy), -1)
    for _ in range(2000):
        values = np.sum(policy * (reward + game.discount * table @ values), -1) + bonus * entropy
    return reward + game.discount * table @ values


def optimal_action_values(game, policy):
    """Q of a best response to the crowd of `policy`."""
    reward, table = frozen(game, policy)
    values = np.zeros(game.num_states)
    for _ in range(2000):
        values = np.max(reward + game.discount * table @ values, -1)
    return reward + game.discount * table @ values


def softmax(x):
    weights = np.exp(x - x.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# Every program takes a second or more to compile; those that tell most run by default.
QUICK = {"online-mirror-descent", "munchausen-online-mirror-descent"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in TABLE_SOLVERS],
)
def test_conforms(name):
    check_solver(find(SOLVERS, name, "solver")(), MALWARE)


@pytest.mark.slow
@pytest.mark.parametrize("game", [ROOMS, GARNET], ids=["rooms", "garnet"])
@pytest.mark.parametrize("name", TABLE_SOLVERS)
def test_conforms_on_other_games(name, game):
    check_solver(find(SOLVERS, name, "solver")(), game)


@pytest.mark.parametrize(
    "game",
    [
        pytest.param(GARNET, id="garnet"),
        pytest.param(MALWARE, id="malware", marks=pytest.mark.slow),
        pytest.param(ROOMS, id="rooms", marks=pytest.mark.slow),
    ],
)
class TestOneStep:
    """Each algorithm's formula, from values by plain iteration."""

    def test_mirror_descent(self, game):
        policy = skewed(game)
        expected = softmax(np.log(policy) + 0.3 * action_values(game, policy))
        found = step(nf.OnlineMirrorDescent(learning_rate=0.3), game, policy)
        np.testing.assert_allclose(found, expected, atol=1e-9)

    def test_munchausen(self, game):
        policy = skewed(game)
        values = action_values(game, policy, bonus=0.25 * 2.0)
        expected = softmax(0.75 * np.log(policy) + values / 2.0)
        found = step(nf.MunchausenOnlineMirrorDescent(2.0, 0.75), game, policy)
        np.testing.assert_allclose(found, expected, atol=1e-9)

    def test_boltzmann(self, game):
        policy = skewed(game)
        expected = softmax(optimal_action_values(game, policy) / 0.5)
        found = step(nf.BoltzmannPolicyIteration(temperature=0.5), game, policy)
        np.testing.assert_allclose(found, expected, atol=1e-9)

    def test_prior_descent(self, game):
        policy = skewed(game)
        expected = softmax(np.log(policy) + optimal_action_values(game, policy) / 0.5)
        found = step(nf.PriorDescent(temperature=0.5), game, policy)
        np.testing.assert_allclose(found, expected, atol=1e-9)

    @pytest.mark.parametrize(
        ("solver", "share"), [(nf.FixedPoint(damping=0.7), 0.3), (nf.FictitiousPlay(), 0.5)]
    )
    def test_towards_the_best_response(self, game, solver, share):
        policy = skewed(game)
        values = optimal_action_values(game, policy)
        best = values >= values.max(-1, keepdims=True) - 1e-9
        response = best / best.sum(-1, keepdims=True)
        expected = (1 - share) * np.asarray(policy) + share * response
        np.testing.assert_allclose(step(solver, game, policy), expected, atol=1e-12)


def test_munchausen_without_forgetting_is_mirror_descent(precision):
    policy = skewed(ROOMS).astype(precision)
    runs = [
        nf.solve(ROOMS, solver, num_iterations=5, initial_policy=policy)
        for solver in (nf.MunchausenOnlineMirrorDescent(4.0), nf.OnlineMirrorDescent(0.25))
    ]
    histories = [run.history["exploitability"] for run in runs]
    rtol = 1e-9 if precision == "float64" else 1e-3
    np.testing.assert_allclose(*histories, rtol=rtol)


class TestAuto:
    @pytest.mark.parametrize(
        ("game", "num_iterations"),
        [
            (nf.games.MalwareSpread(), 50),
            pytest.param(
                nf.games.MalwareSpread(num_states=30, inclusive=True), 50, marks=pytest.mark.slow
            ),
            pytest.param(nf.games.StationaryGarnet(), 30, marks=pytest.mark.slow),
        ],
        ids=["malware", "inclusive", "garnet"],
    )
    def test_reaches_a_ten_thousandth_untuned(self, game, num_iterations):
        solution = nf.solve(game, nf.Auto(), num_iterations=num_iterations)
        assert solution.exploitability <= 1e-4 * solution.history["exploitability"][0]
        judged = reference(game, solution.policy)
        np.testing.assert_allclose(
            solution.exploitability, judged.best - judged.value, atol=1e-9 * judged.scale
        )
        assert (np.diff(solution.history["exploitability"]) <= 1e-13).all()

    @pytest.mark.slow
    def test_four_rooms(self):
        game = nf.games.StationaryFourRooms()
        solution = nf.run(game, nf.Auto(), num_iterations=3000, rtol=1e-4, progress=False)
        assert solution.result is Result.CONVERGED

    @pytest.mark.slow
    def test_rewards_have_no_unit(self):
        class Scaled(nf.games.MalwareSpread):
            def reward(self, mean_field):
                return 2.0**20 * super().reward(mean_field)

        gaps = [
            nf.solve(game(num_states=9), nf.Auto(), num_iterations=10).exploitability
            for game in (nf.games.MalwareSpread, Scaled)
        ]
        np.testing.assert_allclose(gaps[1], 2.0**20 * gaps[0], rtol=1e-6)

    @pytest.mark.slow
    def test_searches_and_rounds(self):
        # Past a search and several rounds, one of them with anchors that move.
        solution = nf.solve(MALWARE, nf.Auto(), num_iterations=460)
        assert int(solution.state.num_rounds) == 3
        assert solution.exploitability <= 1e-8 * solution.history["exploitability"][0]
        assert not np.asarray(solution.state.slopes).any()

    @pytest.mark.slow
    def test_single_precision(self):
        with jax.enable_x64(False):
            solution = nf.solve(MALWARE, nf.Auto(), num_iterations=50)
        assert solution.exploitability <= 1e-4 * solution.history["exploitability"][0]


def test_small_shares_keep_their_digits(precision):
    # The crowd gathers at one end, and is paid for the logarithm of how few are elsewhere.
    policy = softmax(np.array([0.0, 0.0, -6.0, 6.0, 0.0]) + np.zeros((15, 1))).astype(precision)
    found = eqx.filter_jit(sweep)(ROOMS, policy)
    judged = reference(ROOMS, policy)
    assert 0 < judged.mean_field[judged.mean_field > 0].min() < 1e-8
    rtol = 1e-9 if precision == "float64" else 1e-3
    np.testing.assert_allclose(found.flow.states, judged.mean_field, rtol=rtol)
    np.testing.assert_allclose(found.exploitability, judged.best - judged.value, rtol=rtol)


def test_what_is_solved_only_to_a_horizon():
    with pytest.raises(TypeError, match="MFOMO solves only of class FiniteGame, which MalwareSpr"):
        nf.solve(MALWARE, nf.MFOMO(), num_iterations=1)


def test_a_crowd_that_does_not_settle():
    game = nf.games.StationaryGarnet(num_noises=16, settling_steps=70)
    solution = nf.solve(game, nf.OnlineMirrorDescent(0.01), num_iterations=2, throw=False)
    assert solution.result is Result.UNSETTLED
    assert np.isfinite(solution.exploitability)
