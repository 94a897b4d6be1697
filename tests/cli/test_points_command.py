"""The command line: games on points with a horizon."""

import json

import numpy as np
import pytest

import nashfield as nf
from nashfield.cli import report
from nashfield.learners.riccati import affine_sweep

PLAY = ("solve", "linear-quadratic", "--solver", "fictitious-play", "--tolerance", "0")
SMALL = ("--set", "horizon=5", "--solver-set", "capacity=40")


@pytest.mark.slow
def test_solve_check_and_simulate(run, tmp_path):
    status, out, err = run(*PLAY, *SMALL, "--iterations", "20", "--out", "a")
    assert status == 0, err
    assert "exploitability" in out
    for name in ("flow", "policy", "exploitability"):
        assert (tmp_path / f"a/{name}.png").read_bytes().startswith(b"\x89PNG")
    loaded = nf.Solution.load("a")
    sweep = affine_sweep(nf.games.LinearQuadratic(horizon=5), loaded.policy)
    np.testing.assert_allclose(loaded.exploitability, sweep.exploitability, rtol=1e-12)
    assert int(loaded.policy.count) == 21
    np.testing.assert_allclose(loaded.flow.means(), sweep.flow.means(), rtol=1e-12)
    status, out, _ = run("check", "a")
    assert status == 0 and "the files agree with the game" in out
    status, out, _ = run("simulate", "a", "--agents", "50", "--seeds", "3")
    assert status == 0
    assert {line.split("  ")[0] for line in out.splitlines()[1:]} >= {
        "return of an agent",
        "gain of one deviator",
    }
    assert out.splitlines()[-1] == "animation  a/agents.gif"
    assert (tmp_path / "a/agents.gif").read_bytes().startswith(b"GIF")


def test_check_finds_what_was_changed(run, tmp_path):
    run(*PLAY, *SMALL, "--iterations", "3", "--no-plots", "--out", "a")
    path = tmp_path / "a/solution.npz"
    arrays = dict(np.load(path))
    offset = next(name for name, x in arrays.items() if x.shape[1:] == (5, 1) and len(x) > 6)
    arrays[offset] = arrays[offset] + 0.1
    np.savez(path, **arrays)
    status, out, _ = run("check", "a")
    assert status == 1
    assert "the flow is not that of the policy" in out
    assert "the recorded exploitability is off" in out


def test_where_the_animation_goes(run, fails, tmp_path):
    run(*PLAY, *SMALL, "--iterations", "3", "--no-plots", "--out", "a")
    line = ("simulate", "a", "--agents", "5", "--seeds", "2")
    _, out, _ = run(*line, "--no-plots")
    assert "animation" not in out and not list(tmp_path.rglob("*.gif"))
    _, out, _ = run(*line, "--out", "b")
    assert "animation  b/agents.gif" in out
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.gif")] == ["b/agents.gif"]
    fails(run(*line, "--no-plots", "--out", "c"), "draws nothing with --no-plots: leave --out out")
    run("solve", "left-right", "--no-plots", "--iterations", "1", "--out", "d")
    fails(
        run("simulate", "d", "--agents", "5", "--out", "e"),
        "one or two coordinates, which LeftRight is not: leave --out out",
    )


def test_resumption_takes_the_same_steps(run, tmp_path):
    run(*PLAY, *SMALL, "--iterations", "12", "--no-plots", "--out", "whole")
    run(*PLAY, *SMALL, "--iterations", "5", "--no-plots", "--out", "parts")
    status, _, err = run(
        *PLAY, *SMALL, "--iterations", "12", "--no-plots", "--out", "parts", "--resume"
    )
    assert status == 0, err
    whole, parts = (np.load(tmp_path / name / "solution.npz") for name in ("whole", "parts"))
    for name in whole:
        if not name.startswith("stats_"):
            assert np.array_equal(whole[name], parts[name]), name


def test_json(run):
    _, out, _ = run(*PLAY, *SMALL, "--iterations", "3", "--no-plots", "--json")
    found = json.loads(out.splitlines()[-1])
    assert found["game"] == "linear-quadratic" and found["exploitability"] > 0


def test_a_run_of_another_game(run, fails, tmp_path):
    run(*PLAY, *SMALL, "--iterations", "3", "--no-plots", "--out", "a")
    config = json.loads((tmp_path / "a/config.json").read_text())
    config["game"]["parameters"]["horizon"] = 6
    (tmp_path / "a/config.json").write_text(json.dumps(config))
    fails(run("check", "a"), "this is not the game that was solved")


def test_more_iterations_than_there_is_room_for(run, fails):
    fails(run(*PLAY, *SMALL, "--iterations", "41"), "41 iterations need capacity=41, not 40")


def test_a_full_pool_is_said_to_be_full(run):
    line = ("solve", "linear-quadratic", "--solver", "fictitious-play", "--no-plots", *SMALL)
    _, out, _ = run(*line)
    assert "40 iterations" in out
    assert "was not reached: start anew with --solver-set capacity=400" in out


def test_solvers_of_tables_do_not_solve_it(run, fails):
    line = ("solve", "linear-quadratic", "--solver", "mf-omo")
    fails(run(*line), "mf-omo does not solve linear-quadratic", "auto, ", "fixed-point")


GRID = ("--grid", "num_cells=12", "num_actions=5")


@pytest.fixture
def no_certificates(monkeypatch):
    """They take their time to compile."""
    monkeypatch.setattr(report, "find_certificate", lambda solution: None)


@pytest.mark.slow
def test_what_an_answer_on_a_grid_is_worth_on_points(run):
    line = ("solve", "beach-bar-line", "--set", "horizon=3", "--no-plots", "--iterations", "10")
    status, out, err = run(*line, *GRID, "--json")
    assert status == 0, err
    found = json.loads(out)["on_points"]
    game = nf.games.BeachBarLine(horizon=3)
    policy = nf.discretise(game, num_cells=12, num_actions=5).control(
        nf.Solution.load(json.loads(out)["out"]).policy
    )
    again = nf.exploitability(game, policy, method="grid")
    np.testing.assert_allclose(found["value"], again.value, rtol=1e-9)
    np.testing.assert_allclose(found["error"], again.error, rtol=1e-6, atol=1e-12)


def test_on_a_grid_every_solver_of_tables_does(run, no_certificates):
    line = ("solve", "beach-bar-line", "--set", "horizon=4", "--no-plots", "--solver")
    line = (*line, "online-mirror-descent", "--iterations")
    status, out, err = run(*line, "10", *GRID, "--out", "a")
    assert status == 0, err
    loaded = nf.Solution.load("a")
    game = nf.games.BeachBarLine(horizon=4)
    grid = nf.discretise(game, num_cells=12, num_actions=5)
    assert loaded.policy.shape == (4, 12, 5)
    np.testing.assert_allclose(
        loaded.exploitability, nf.exploitability(grid, loaded.policy), atol=1e-12
    )
    status, out, _ = run("check", "a")
    assert status == 0 and "the files agree with the game" in out
    status, _, err = run(*line, "15", *GRID, "--out", "a", "--resume")
    assert status == 0, err
    status, _, err = run(*line, "15", "--grid", "num_cells=13", "num_actions=5", "--out", "a")
    assert status == 2 and "not empty" in err
    status, _, err = run(
        *line, "20", "--grid", "num_cells=13", "num_actions=5", "--out", "a", "--resume"
    )
    assert status == 2 and "begun with game.grid.num_cells = [12], not [13]" in err


MINE = """
import numpy as np
import nashfield as nf

class Bird(nf.ContinuousGame):
    '''Fly with the flock.'''
    horizon: int = 3
    state_dim: int = 1
    control_dim: int = 1

    def initial(self):
        return nf.Uniform(np.zeros(1), np.ones(1))

    def step(self, t, x, a, mean_field, noise):
        return x + a + 0.05 * noise

    def reward(self, t, x, a, mean_field):
        return -(x[0] - mean_field.mean()[0] - 0.5) ** 2 - a[0] ** 2
"""


def test_a_game_of_ones_own(run, fails, tmp_path, no_certificates):
    (tmp_path / "mine.py").write_text(MINE)
    line = ("solve", "mine.py:Bird", "--no-plots", "--iterations", "3")
    fails(run(*line), "auto does not solve mine.py:Bird", "--grid num_cells=60 num_actions=21")
    fails(run(*line, *GRID), "--grid: the game's domain is infinite: pass low")
    fails(run(*line, *GRID, "low=-1", "high=2"), "--grid: the game's actions have no bounds")
    bounds = ("low=-1", "high=2", "action_low=-0.5", "action_high=0.5")
    status, out, err = run(*line, *GRID, *bounds, "--out", "a")
    assert status == 0, err
    status, out, err = run("check", "a")
    assert status == 0, err
    assert "the files agree with the game" in out


def test_grids_that_make_no_sense(run, fails):
    fails(run("solve", "left-right", *GRID), "--grid is for games on points", "left-right is not")
    line = ("solve", "beach-bar-line", "--grid")
    fails(run(*line, "num_cels=3"), "--grid has no setting 'num_cels'", "num_cells")
    fails(run(*line, "num_cells=3"), "--grid needs num_actions")
    fails(run(*line, "num_cells=3.5", "num_actions=2"), "num_cells of --grid must be a whole")
    fails(run(*line, "num_cells=3", "num_actions=2", "low=x"), "low of --grid must be a number")
