"""The command line: games with a horizon, from solving to pictures."""

import csv
import importlib
import json
import re
import shlex
from pathlib import Path

import jax
import numpy as np
import pytest

import nashfield as nf
from nashfield.progress import ProgressReport

MY_GAME = """
import jax.numpy as jnp
import numpy as np
import nashfield as nf

class MyGame(nf.FiniteGame):
    '''Stay or move between two rooms.'''
    horizon: int = 3
    num_states: int = 2
    num_actions: int = 2

    def initial(self):
        return np.array([1.0, 0.0])

    def transition(self, t, mean_field):
        return nf.Dense(np.stack([np.eye(2), 1 - np.eye(2)], axis=1))

    def reward(self, t, mean_field):
        return jnp.broadcast_to(np.array([[0.0], [0.7]]) - mean_field.states[:, None], (2, 2))
"""
QUICK = ("--solver", "online-mirror-descent", "--iterations", "5", "--no-plots")


def test_solve_prints_the_number_and_where_the_files_are(run, tmp_path):
    status, out, _ = run("solve", "left-right", "--out", "runs/x", "--tolerance", "1e-2")
    assert status == 0
    assert "left-right by auto: the tolerance was reached" in out
    assert re.search(r"^exploitability \S+, \S+ of that of the start$", out, re.M)
    assert "runs/x/flow.png runs/x/policy.png runs/x/exploitability.png" in out
    names = {path.name for path in (tmp_path / "runs/x").iterdir()}
    wanted = {"config.json", "history.csv", "solution.npz", "checkpoint.npz"}
    assert names == wanted | {"flow.png", "policy.png", "exploitability.png"}


def test_json_is_the_last_line_and_one_object(run):
    status, out, _ = run(
        "solve",
        "beach-bar",
        *QUICK,
        "--set",
        "num_states=6",
        "horizon=4",
        "--solver-set",
        "learning_rate=0.5",
        "--json",
        "--out",
        "a",
    )
    assert status == 0
    found = json.loads(out.splitlines()[-1])
    assert set(found) == {
        *("game", "solver", "iterations", "exploitability", "initial_exploitability"),
        *("social_welfare", "seconds", "compile_seconds", "result", "out"),
    }
    expected = nf.solve(nf.games.BeachBar(6, 4), nf.OnlineMirrorDescent(0.5), num_iterations=5)
    assert found["exploitability"] == pytest.approx(expected.exploitability, rel=1e-9)
    initial = float(expected.history["exploitability"][0])
    assert found["initial_exploitability"] == pytest.approx(initial, rel=1e-9)
    assert found["game"] == "beach-bar" and found["solver"] == "online-mirror-descent"
    assert found["iterations"] == 5 and found["result"] == "max_iterations" and found["out"] == "a"
    assert found["seconds"] > 0 and found["compile_seconds"] > 0
    loaded = nf.Solution.load("a")
    assert loaded.policy.dtype == np.float64 and loaded.exploitability == found["exploitability"]


def test_without_out_every_run_has_a_folder_of_its_own(run):
    outs = [json.loads(run("solve", "left-right", *QUICK, "--json")[1])["out"] for _ in range(2)]
    assert outs == [f"runs/left-right-online-mirror-descent-{n}" for n in (1, 2)]


def test_converged_and_seed(run):
    _, out, _ = run(
        "solve",
        "left-right",
        "--tolerance",
        "0.5",
        "--seed",
        "7",
        "--no-plots",
        "--json",
        "--solver",
        "online-mirror-descent",
        "--out",
        "a",
    )
    assert json.loads(out)["result"] == "converged"
    assert json.loads(Path("a/config.json").read_text())["key"] == [0, 7]


def test_a_game_of_ones_own(run, tmp_path, fails):
    (tmp_path / "mine.py").write_text(MY_GAME)
    status, out, err = run("solve", "mine.py:MyGame", *QUICK, "--set", "horizon=4", "--out", "a")
    assert status == 0, err
    assert nf.Solution.load("a").game is None
    status, out, _ = run("check", "a")
    assert status == 0 and "the files agree with the game" in out
    (tmp_path / "mine.py").rename(tmp_path / "moved.py")
    fails(run("check", "a"), "mine.py", "is not there any more", "--game PATH.py:CLASS")
    status, out, _ = run("check", "a", "--game", "moved.py:MyGame")
    assert status == 0 and "the files agree with the game" in out
    fails(run("check", "a", "--game", "left-right"), "left-right has no parameter 'num_")
    fails(run("solve", "moved.py:Other", *QUICK), "Other")
    fails(run("solve", "nowhere.py:MyGame", *QUICK), "nowhere.py")


def test_resume_goes_on(run, fails):
    line = (
        "solve",
        "rock-paper-scissors",
        "--solver",
        "online-mirror-descent",
        "--no-plots",
        "--tolerance",
        "0",
    )
    run(*line, "--iterations", "30", "--out", "a")
    status, _, err = run(*line, "--iterations", "70", "--out", "a", "--resume")
    assert status == 0, err
    run(*line, "--iterations", "70", "--out", "b")
    a, b = nf.Solution.load("a"), nf.Solution.load("b")
    assert np.array_equal(a.policy, b.policy)
    assert Path("a/history.csv").read_text() == Path("b/history.csv").read_text()
    with Path("a/history.csv").open() as file:
        assert [int(row["iteration"]) for row in csv.DictReader(file)] == list(range(71))
    fails(run(*line, "--iterations", "80", "--out", "a"), "not empty", "--resume")
    fails(run(*line, "--iterations", "80", "--out", "a", "--resume", "--seed", "1"), "key = [0, 0]")
    fails(
        run(*line, "--iterations", "80", "--out", "a", "--resume", "--set", "horizon=3"),
        "game.parameters.horizon = 2, not 3",
    )
    fails(run(*line, "--resume"), "--resume goes on with the run in --out DIR")
    fails(run(*line, "--out", "c", "--resume"), "no such run folder")


def test_interrupt_prints_the_command_that_goes_on(run, monkeypatch):
    def update(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressReport, "update", update)
        status, out, err = run(
            "solve",
            "left-right",
            "--set",
            "horizon=3",
            "--out",
            "my run",
            "--solver",
            "online-mirror-descent",
            "--no-plots",
            "--json",
            "--solver-set",
            "learning_rate=0.5",
            "--iterations",
            "40",
        )
    assert status == 130 and not out
    assert "nashfield: stopped after 1 iterations, all of them saved; go on with: nash" in err
    command = err.partition("go on with: ")[2]
    assert command == (
        "nashfield solve left-right --solver online-mirror-descent --iterations 40 --tolerance "
        "0.0001 --seed 0 --set horizon=3 --solver-set learning_rate=0.5 --no-plots --json "
        "--out 'my run' --resume\n"
    )
    status, out, _ = run(*shlex.split(command)[1:])
    assert status == 0 and json.loads(out)["iterations"] > 1


def test_interrupt_before_anything_was_written(run, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(importlib.import_module("nashfield.run"), "run", stop)
        status, _, err = run("solve", "left-right")
    assert (status, err) == (130, "nashfield: interrupted\n")


def test_nan_is_an_error_with_a_json_line(run, tmp_path):
    # Every reward is finite, their sum is not.
    (tmp_path / "mine.py").write_text(MY_GAME.replace("[0.7]", "[1.7e308]"))
    line = ("solve", "mine.py:MyGame", "--solver", "online-mirror-descent", "--out", "a", "--json")
    status, out, err = run(*line)
    found = json.loads(out)
    assert status == 2
    assert (found["result"], found["exploitability"]) == ("nonfinite", None)
    assert "nashfield: error: the exploitability became NaN or infinite" in err


def test_check_finds_what_was_changed(run):
    run("solve", "left-right", *QUICK, "--out", "a")
    status, out, _ = run("check", "a")
    assert status == 0
    assert re.match(r"exploitability (\S+) \(recorded \1\)\n", out)
    with np.load("a/solution.npz") as file:
        arrays = dict(file)
    policy = arrays["policy"]

    def damage(**change):
        np.savez("a/solution.npz", **{**arrays, **change})
        status, out, _ = run("check", "a")
        assert status == 1
        return out

    assert "recorded exploitability is off" in damage(history_exploitability=np.zeros(3))
    assert "flow is not that of the policy" in damage(flow=arrays["flow"] * 0.9)
    assert "its rows sum to 1 only within" in damage(policy=policy * 0.9)
    assert "recorded exploitability is off" in damage(policy=policy[:, :, ::-1])


def test_single_precision_is_checked_as_such(run):
    with jax.enable_x64(False):
        nf.run(nf.games.LeftRight(), nf.OnlineMirrorDescent(), num_iterations=9, out="a")
    assert run("check", "a")[0] == 0


def test_plot_draws_into_the_folder(run, tmp_path):
    run("solve", "left-right", *QUICK, "--out", "a")
    status, out, _ = run("plot", "a")
    assert status == 0
    assert out.split() == ["a/flow.png", "a/policy.png", "a/exploitability.png"]
    assert (tmp_path / "a/flow.png").read_bytes().startswith(b"\x89PNG")
