"""The command line: games in continuous time, and those whose equilibrium is known."""

import numpy as np
import pytest

import nashfield as nf

PICTURES = ("flow", "policy", "exploitability")


def solve_and_check(run, tmp_path, name, *options):
    status, out, err = run("solve", name, *options, "--out", "a")
    assert status == 0, err
    assert "the tolerance was reached" in out
    for picture in PICTURES:
        assert (tmp_path / f"a/{picture}.png").read_bytes().startswith(b"\x89PNG")
    status, out, _ = run("check", "a")
    assert status == 0 and "the files agree with the game" in out
    return nf.Solution.load("a")


def test_continuous_time(run, fails, tmp_path):
    solution = solve_and_check(run, tmp_path, "sir-contact", "--set", "c_I=1.0")
    exact = nf.games.SIRContact(c_I=1.0).equilibrium(num_steps=200)
    np.testing.assert_allclose(solution.flow.states[::4], exact.flow.states, atol=0.02)
    assert run("plot", "a")[0] == 0
    line = ("simulate", "a", "--agents", "10")
    fails(run(*line), "simulate plays games in discrete time", "SIRContact is one in continuous")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("el-farol-bar", ("--set", "home=0.5")),
        pytest.param("meeting-time", ("--set", "num_actions=21"), marks=pytest.mark.slow),
        pytest.param("consensus", ("--set", "horizon=5"), marks=pytest.mark.slow),
    ],
)
def test_closed_forms(run, tmp_path, name, options):
    solution = solve_and_check(run, tmp_path, name, *options)
    if name == "el-farol-bar":
        np.testing.assert_allclose(solution.flow.states[1, 2], 0.63344028, atol=1e-4)
    status, out, _ = run("simulate", "a", "--agents", "20", "--seeds", "3", "--no-plots")
    assert status == 0
    assert "gain of one deviator" in out


def test_no_finite_equilibrium(run, fails):
    fails(run("solve", "meeting-time", "--set", "waiting=2.0"), "there is no finite equilibrium")
