"""The command line: deep play."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from nashfield import cli
from nashfield.cli.solve import _fill_in
from nashfield.games import LinearQuadratic
from nashfield.games.loading import load_solver

SMALL = [
    "learner.num_updates=6",
    "learner.num_envs=16",
    "learner.num_epochs=2",
    "learner.num_minibatches=2",
    "learner.hidden=8",
    "later_updates=3",
    "num_agents=200",
    "capacity=5",
]
CLONED = ["average_policy.num_steps=40", "average_policy.hidden=8", "num_cloned=20"]
FLOW = ["normalizing_flow.num_steps=40", "normalizing_flow.look_every=20"]
PLAY = ("solve", "linear-quadratic", "--set", "horizon=5", "--no-plots", "--solver")
DEDA = (*PLAY, "deda-fp", "--solver-set", *SMALL, *CLONED, *FLOW)

KILLED = """
import os, signal, sys
from nashfield import cli
from nashfield.progress import ProgressReport

def phase(self, num_steps, name):
    if (num_steps, name) == (2, "normalizing flow"):
        os.kill(os.getpid(), signal.SIGKILL)

ProgressReport.phase = phase
cli.main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("name", "options", "wanted"),
    [
        ("deda-fp", {}, 20),
        ("deep-fictitious-play", {"capacity": "7"}, 7),
        ("deep-mirror-descent", {}, 100),
        ("fictitious-play", {"capacity": "20000"}, 10_000),
    ],
)
def test_iterations_that_nobody_names(name, options, wanted, capsys):
    args = cli.parse(["solve", "linear-quadratic", "--solver", name])
    _fill_in(args, LinearQuadratic(), load_solver(name, options))
    assert args.iterations == wanted
    with pytest.raises(SystemExit):
        cli.parse(["solve", "--help"])
    # The help names them all but for what a capacity holds.
    text = " ".join(capsys.readouterr().out.split())
    assert options or f"{wanted} of " in text


@pytest.mark.slow
def test_kill_9_within_an_iteration(run, tmp_path):
    """What is saved is the second iteration; a run goes on from there as if nothing had been."""
    command = [*DEDA, "--iterations", "4"]
    process = subprocess.run(
        [sys.executable, "-c", KILLED, *command, "--out", "killed"],
        capture_output=True,
        text=True,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == [
        "checkpoint.npz",
        "config.json",
        "history.csv",
    ]
    assert len((tmp_path / "killed/history.csv").read_text().splitlines()) == 3
    assert run(*command, "--out", "killed", "--resume")[0] == 0
    assert run(*command, "--out", "whole")[0] == 0
    killed, whole = (
        dict(np.load(tmp_path / name / "solution.npz")) for name in ("killed", "whole")
    )
    assert set(killed) == set(whole)
    kinds = {name.partition("_")[0] for name in whole}
    assert {"policy", "flow", "history"} <= kinds
    for name in whole:
        if not name.startswith("stats_"):
            np.testing.assert_array_equal(killed[name], whole[name], err_msg=name)
    histories = [(tmp_path / name / "history.csv").read_bytes() for name in ("killed", "whole")]
    assert histories[0] == histories[1]


@pytest.mark.slow
def test_solve_check_plot_and_simulate(run, tmp_path):
    line = (*PLAY, "deep-fictitious-play", "--solver-set", *SMALL, "--iterations", "2")
    status, out, err = run(*line, "--out", "a")
    assert status == 0, err
    assert " s each; compiled in" in out or "/s; compiled in" in out
    status, out, err = run("check", "a")
    assert status == 0, out + err
    assert "in 16 roll-outs (recorded " in out and "the files agree with the game" in out
    status, out, _ = run("plot", "a")
    assert [word.rpartition("/")[2] for word in out.split()] == [
        "flow.png",
        "policy.png",
        "exploitability.png",
        "errors.png",
    ]
    status, out, _ = run("simulate", "a", "--agents", "50", "--seeds", "3")
    assert status == 0 and out.splitlines()[-1] == "animation  a/agents.gif"
    # A policy that does something else is found out, in its crowd and in what it is worth.
    path = tmp_path / "a/solution.npz"
    arrays = dict(np.load(path))
    # The last layer's shift, of five policies.
    assert next(name for name, x in arrays.items() if x.shape == (5, 1)) == "policy_3"
    arrays["policy_3"] = arrays["policy_3"] + 0.3
    np.savez(path, **arrays)
    status, out, _ = run("check", "a")
    assert status == 1
    assert "the recorded exploitability is off by" in out and "standard errors" in out
    assert "the recorded value is off by" in out
    assert "the crowd is not that of the policy" in out
