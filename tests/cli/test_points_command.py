"""The command line: games on points with a horizon."""

import json

import numpy as np

import nashfield as nf
from nashfield.learners.riccati import affine_sweep

PLAY = ("solve", "linear-quadratic", "--solver", "fictitious-play", "--tolerance", "0")
SMALL = ("--set", "horizon=5", "--solver-set", "capacity=40")


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


def test_solvers_of_tables_do_not_solve_it(run, fails):
    fails(run("solve", "linear-quadratic"), "auto does not solve linear-quadratic", "fixed-point")
