"""Auto: its promise on the zoo, that it never loses its best iterate, and that it has no unit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.registry import GAMES, find
from nashfield.solvers import auto, auto_rounds


def solve(game, num_iterations, **options):
    solution = nf.solve(game, nf.Auto(), num_iterations=num_iterations, **options)
    relative = solution.exploitability / float(solution.history["exploitability"][0])
    return solution, relative


# game, iterations that suffice for a relative exploitability of 1e-3.
QUICK = [
    ("left-right", {}, 50),
    ("rock-paper-scissors", {}, 800),
    ("susceptible-infected", {}, 150),
    ("susceptible-infected", {"horizon": 31}, 100),
    ("beach-bar", {}, 30),
    ("equilibrium-price", {}, 30),
    ("road-routing", {}, 30),
    ("conservative-treasure-hunting", {}, 30),
    ("random-coupled", {"num_states": 8, "num_actions": 3, "horizon": 6}, 60),
    ("random-cyclic", {"num_states": 8, "num_actions": 3, "horizon": 6}, 800),
]


@pytest.mark.parametrize(("name", "parameters", "num_iterations"), QUICK)
def test_reaches_a_thousandth_untuned(name, parameters, num_iterations):
    game = find(GAMES, name, "game")(**parameters)
    solution, relative = solve(game, num_iterations)
    assert relative <= 1e-3
    # Read off independently: best response and policy evaluation against the policy's own flow.
    flow = nf.population_flow(game, solution.policy)
    best = nf.evaluate(game, nf.best_response(game, flow), flow).value
    gain = float(best - nf.evaluate(game, solution.policy, flow).value)
    scale = float(solution.history["exploitability"][0])
    np.testing.assert_allclose(gain, solution.exploitability, atol=1e-9 * scale)


def test_never_worse_than_before():
    solution, _ = solve(nf.games.RockPaperScissors(), 400)
    history = np.asarray(solution.history["exploitability"])
    assert (np.diff(history) <= 1e-15).all()
    assert history[-1] < history[0]


class Scaled(nf.games.SusceptibleInfected):
    """The same game paid in another currency."""

    def reward(self, t, mean_field):
        return 2.0**20 * super().reward(t, mean_field)


def test_rewards_have_no_unit():
    plain, _ = solve(nf.games.SusceptibleInfected(horizon=11), 60)
    scaled, _ = solve(Scaled(horizon=11), 60)
    ratio = np.asarray(scaled.history["exploitability"]) / np.asarray(
        plain.history["exploitability"]
    )
    np.testing.assert_allclose(ratio, 2.0**20, rtol=1e-6)


def test_an_equilibrium_is_kept():
    game = nf.games.RockPaperScissors()
    start = np.full((2, 4, 3), 1 / 3)
    start[0, 0] = np.array([26, 20, 31]) / 77
    solution, _ = solve(game, 10, initial_policy=jnp.asarray(start))
    assert abs(solution.exploitability) < 1e-14


class Explosive(nf.games.LeftRight):
    """Pays beyond all numbers where the crowd is all on one side."""

    def state_reward(self, t, mean_field):
        crowded = mean_field.states[1] > 0.999
        return jnp.where(crowded, jnp.inf, super().state_reward(t, mean_field))


def test_lanes_that_overflow_do_no_harm():
    solution, relative = solve(Explosive(), 60)
    assert relative <= 1e-3
    assert np.isfinite(np.asarray(solution.policy)).all()


def test_leaves_a_start_that_has_no_number():
    start = np.zeros((2, 3, 2))
    start[..., 0] = 1
    solution, _ = solve(Explosive(), 60, initial_policy=jnp.asarray(start), throw=False)
    assert np.isfinite(solution.exploitability)


def test_single_precision():
    with jax.enable_x64(False):
        _, relative = solve(nf.games.BeachBar(num_states=10, horizon=5), 60)
    assert relative <= 1e-3


def test_searches_again_when_it_stalls():
    game = nf.games.LeftRight()  # solved to the last digit at once: every later round stalls
    num_rounds = sum(range(1, 2 + auto_rounds.MAX_STALLS))
    solution, _ = solve(game, auto_rounds.ROUND * (1 + num_rounds))
    assert int(solution.state.num_searches) > 1


@pytest.mark.parametrize(("size", "lanes"), [(2, 32), (200, 16), (600, 8)])
def test_fewer_lanes_on_large_games(size, lanes):
    game = nf.games.GridNavigation(size, size, horizon=30)
    state = jax.eval_shape(
        lambda: nf.Auto().init(game, nf.uniform_policy(game), key=jax.random.key(0))
    )
    assert state.logits.shape[0] == lanes
    assert state.learning_rates.shape == (lanes,)


@pytest.mark.parametrize(("large", "huge"), [(0, 10**9), (0, 0)])
def test_few_lanes_still_solve(large, huge, monkeypatch):
    monkeypatch.setattr(auto, "_LARGE", large)
    monkeypatch.setattr(auto, "_HUGE", huge)
    # Sizes that no other test compiles with 32 lanes.
    game = nf.games.BeachBar(num_states=13 if huge else 14, horizon=7)
    solution, relative = solve(game, 250)
    assert solution.state.logits.shape[0] == (16 if huge else 8)
    assert relative <= 1e-3


ZOO = [
    (name, {}) for name in GAMES if issubclass(find(GAMES, name, "game"), nf.solvers.Auto.games)
] + [("susceptible-infected", {"horizon": num + 1}) for num in (20, 30, 40, 60, 100)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters"), ZOO)
def test_the_whole_zoo_to_a_ten_thousandth(name, parameters):
    game = find(GAMES, name, "game")(**parameters)
    # The zero-sum class converges slowly at the end: its own bar is 1e-2.
    target = 1e-3 if name == "random-cyclic" else 1e-4
    solution = nf.run(game, nf.Auto(), num_iterations=3000, rtol=target, progress=False)
    assert solution.exploitability <= target * solution.history["exploitability"][0] + 1e-14
