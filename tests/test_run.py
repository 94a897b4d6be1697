"""`run` finds what `solve` finds, compiles once, and survives whatever ends it."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield import storage
from nashfield.games.zoo.beach_bar import BeachBar
from nashfield.games.zoo.matrix import LeftRight, RockPaperScissors
from nashfield.progress import ProgressReport
from nashfield.results import Result, SolveError
from nashfield.solvers import OnlineMirrorDescent
from nashfield.solvers.value_form import ValueForm
from nashfield.storage import RunFolderError


class Drawing(OnlineMirrorDescent):
    """Mirror descent with noise: its state holds a random key and a counter."""

    def init(self, game, policy, *, key):
        return super().init(game, policy, key=key), key, jnp.asarray(0)

    def step(self, game, state, *, key):
        values, inner, count = state
        values, info = super().step(game, values, key=key)
        inner, draw = jax.random.split(jax.random.fold_in(inner, count))
        noise = jax.random.normal(draw, values.shape) + jax.random.normal(key, values.shape)
        return (values + 0.01 * noise, inner, count + 1), info

    def policy(self, game, state):
        return super().policy(game, state[0])


class Breaking(OnlineMirrorDescent):
    """Mirror descent whose seventh policy is NaN."""

    def init(self, game, policy, *, key):
        return super().init(game, policy, key=key), jnp.asarray(0)

    def step(self, game, state, *, key):
        values, count = state
        values, info = super().step(game, values, key=key)
        return (jnp.where(count == 6, jnp.nan, values), count + 1), info

    def policy(self, game, state):
        return super().policy(game, state[0])


def same(a: nf.Solution, b: nf.Solution) -> bool:
    """Whether two solutions agree to the last bit."""
    leaves = [
        [s.policy, s.flow.states, *s.history.values(), *storage.state_arrays(s.state).values()]
        for s in (a, b)
    ]
    return all(
        x.dtype == y.dtype and np.array_equal(x, y)
        for x, y in zip(*[map(np.asarray, part) for part in leaves], strict=True)
    )


def rows(folder: Path) -> list[int]:
    with (folder / "history.csv").open() as file:
        return [int(row["iteration"]) for row in csv.DictReader(file)]


def test_finds_what_solve_finds(precision):
    game, solver = BeachBar(num_states=10, horizon=5), OnlineMirrorDescent()
    found = nf.run(game, solver, num_iterations=250, chunk_size=7)
    expected = nf.solve(game, solver, num_iterations=250)
    tolerance = 1e-12 if precision == "float64" else 1e-5
    assert found.policy.dtype == precision
    np.testing.assert_allclose(found.policy, expected.policy, atol=tolerance)
    for name, column in expected.history.items():
        assert found.history[name].shape == (251,)
        assert found.history[name].dtype == precision
        np.testing.assert_allclose(found.history[name], column, rtol=tolerance, atol=tolerance)
    assert found.result is Result.MAX_ITERATIONS
    assert int(found.num_steps) == 250
    assert set(found.stats) == {"seconds", "compile_seconds", "initial_exploitability"}
    assert found.game is game and found.solver is solver


@pytest.mark.parametrize(("atol", "rtol"), [(1e-3, 0.0), (0.0, 4e-3)])
def test_stops_at_a_tolerance_where_solve_stops(atol, rtol):
    options = {"num_iterations": 500, "atol": atol, "rtol": rtol}
    found = nf.run(LeftRight(), OnlineMirrorDescent(1.0), **options)
    expected = nf.solve(LeftRight(), OnlineMirrorDescent(1.0), **options)
    assert found.result is Result.CONVERGED
    assert int(found.num_steps) == int(expected.num_steps) < 20
    assert found.history["exploitability"].shape == (int(found.num_steps) + 1,)
    assert found.exploitability == pytest.approx(expected.exploitability)
    assert found.exploitability <= 1e-3 < found.history["exploitability"][-2]


def test_no_iterations_and_a_given_start():
    game = LeftRight()
    policy = nf.random_policy(game, key=jax.random.key(1))
    found = nf.run(game, OnlineMirrorDescent(), num_iterations=0, initial_policy=policy)
    np.testing.assert_allclose(found.policy, policy, atol=1e-15)
    assert found.stats["initial_exploitability"] == pytest.approx(found.exploitability)


@pytest.mark.slow
def test_large_grids_are_kept_in_values():
    game, solver = nf.games.GridNavigation(6, 7, horizon=9, spacing=3), OnlineMirrorDescent(0.3)
    found = nf.run(game, solver, num_iterations=20)
    assert isinstance(found.state, ValueForm)
    expected = nf.solve(game, solver, num_iterations=20)
    np.testing.assert_allclose(found.policy, expected.policy, atol=1e-12)
    given = nf.run(game, solver, num_iterations=20, initial_policy=nf.uniform_policy(game))
    np.testing.assert_allclose(given.policy, expected.policy, atol=1e-11)


def test_compiles_once_for_all_numbers():
    traces = 0

    class Counting(OnlineMirrorDescent):
        def step(self, game, state, *, key):
            nonlocal traces
            traces += 1
            return super().step(game, state, key=key)

    def go(game, learning_rate, **options):
        nf.run(game, Counting(learning_rate), **options)

    go(BeachBar(5, 4), 0.1, num_iterations=10)
    once = traces
    go(BeachBar(5, 4), 0.1, num_iterations=1)
    go(BeachBar(5, 4, noise=0.2), 0.3, num_iterations=333, atol=1e-2)
    go(BeachBar(5, 4), 0.1, num_iterations=20, rtol=0.5, key=jax.random.key(3))
    assert traces == once
    # Shape of the infos, and the step itself.
    assert once <= 2


@pytest.mark.parametrize("solver", [OnlineMirrorDescent(), Drawing()])
def test_resumed_and_uninterrupted_runs_are_one(solver, tmp_path, precision):
    options = {"chunk_size": 7, "key": jax.random.key(5)}
    game = RockPaperScissors()
    nf.run(game, solver, num_iterations=23, out=tmp_path / "a", **options)
    resumed = nf.run(game, solver, num_iterations=60, out=tmp_path / "a", resume=True, **options)
    whole = nf.run(game, solver, num_iterations=60, out=tmp_path / "b", **options)
    assert same(resumed, whole)
    assert (tmp_path / "a/history.csv").read_bytes() == (tmp_path / "b/history.csv").read_bytes()
    assert rows(tmp_path / "a") == list(range(61))
    again = nf.run(game, solver, num_iterations=60, out=tmp_path / "a", resume=True, **options)
    assert same(again, whole)


def test_a_converged_run_goes_on_with_a_smaller_tolerance(tmp_path):
    def go(out, **options):
        return nf.run(LeftRight(), OnlineMirrorDescent(0.5), num_iterations=100, out=out, **options)

    assert go(tmp_path / "a", atol=1e-3).result is Result.CONVERGED
    assert same(go(tmp_path / "a", atol=1e-6, resume=True), go(tmp_path / "b", atol=1e-6))


KILLED = """
import importlib, os, signal, sys
import jax
jax.config.update("jax_enable_x64", True)
import nashfield as nf
from nashfield import storage
importlib.import_module("nashfield.chunks")._SAVE_SECONDS = 0.0
write, replace, calls = storage.write_arrays, storage._replace, 0

def dies(path, arrays):
    global calls
    calls += path.name == "checkpoint.npz"
    if calls == 5 and sys.argv[2] == "before the checkpoint":
        os.kill(os.getpid(), signal.SIGKILL)
    if calls == 5 and sys.argv[2] == "within the checkpoint":
        path.with_name(path.name + ".part").write_bytes(b"half of it")
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, arrays)
    if calls == 5 and sys.argv[2] == "within the log":
        with (path.parent / "history.csv").open("a") as file:
            file.write("301,0.0")
        os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] != "at any time":
    storage.write_arrays = dies
game = nf.games.BeachBar(num_states=10, horizon=5)
nf.run(game, nf.OnlineMirrorDescent(), num_iterations=int(sys.argv[3]), out=sys.argv[1])
"""


@pytest.mark.parametrize(
    "moment", ["before the checkpoint", "within the checkpoint", "within the log", "at any time"]
)
def test_kill_9_loses_the_last_chunk_at_most(moment, tmp_path):
    out = tmp_path / "run"
    # Killed from within at a known moment, or from without while it runs for ever.
    num_iterations = 10**9 if moment == "at any time" else 1000
    command = [sys.executable, "-c", KILLED, str(out), moment, str(num_iterations)]
    with subprocess.Popen(command) as process:
        if moment == "at any time":
            deadline = time.monotonic() + 60
            while not (out / "checkpoint.npz").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.1)
            process.kill()
    assert process.returncode == -signal.SIGKILL
    at = int(storage.read_arrays(out / "checkpoint.npz", "")["num_steps"])
    assert 0 < at < num_iterations
    end = at + 250
    game, solver = BeachBar(num_states=10, horizon=5), OnlineMirrorDescent()
    resumed = nf.run(game, solver, num_iterations=end, out=out, resume=True)
    whole = nf.run(game, solver, num_iterations=end, out=tmp_path / "whole")
    assert same(resumed, whole)
    assert rows(out) == list(range(end + 1))
    assert (out / "history.csv").read_bytes() == (tmp_path / "whole/history.csv").read_bytes()


def interrupt_after(monkeypatch, num_reports: int) -> None:
    """Ctrl-C at a report."""
    left = [num_reports]

    def update(*_):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(ProgressReport, "update", update)


def test_interrupt_saves_and_says_how_to_go_on(monkeypatch, tmp_path):
    options = {"num_iterations": 50, "chunk_size": 5}
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        with pytest.raises(KeyboardInterrupt, match=r"stopped after .* saved; go on with resume=T"):
            nf.run(LeftRight(), Drawing(), out=tmp_path / "a", **options)
    at = int(storage.read_arrays(tmp_path / "a/checkpoint.npz", "")["num_steps"])
    assert 3 <= at <= 15
    assert not (tmp_path / "a/solution.npz").exists()
    resumed = nf.run(LeftRight(), Drawing(), out=tmp_path / "a", resume=True, **options)
    assert same(resumed, nf.run(LeftRight(), Drawing(), **options))


def test_interrupt_without_a_folder_is_only_an_interrupt(monkeypatch):
    interrupt_after(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt) as caught:
        nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=50)
    assert not str(caught.value)


def test_resume_of_a_run_that_ended_before_its_first_checkpoint(tmp_path):
    whole = nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=9, out=tmp_path)
    for name in ("checkpoint.npz", "solution.npz", "history.csv"):
        (tmp_path / name).unlink()
    resumed = nf.run(
        LeftRight(), OnlineMirrorDescent(), num_iterations=9, out=tmp_path, resume=True
    )
    assert same(resumed, whole)


def test_nan_is_reported_and_the_last_good_checkpoint_kept(tmp_path):
    options = {"num_iterations": 50, "chunk_size": 3}
    with pytest.raises(SolveError, match=r"NaN or infinite.*iteration 7\); the last good state"):
        nf.run(LeftRight(), Breaking(), out=tmp_path, **options)
    kept = storage.read_arrays(tmp_path / "checkpoint.npz", "")
    assert 0 < int(kept["num_steps"]) < 7
    assert np.isfinite(kept["state_0"]).all()
    assert not (tmp_path / "solution.npz").exists()
    assert rows(tmp_path) == list(range(8))
    found = nf.run(LeftRight(), Breaking(), throw=False, **options)
    assert found.result is Result.NONFINITE
    assert np.isnan(found.exploitability)
    assert np.isfinite(found.history["exploitability"][:-1]).all()
    with pytest.raises(SolveError, match="NaN or infinite"):
        nf.run(LeftRight(), Breaking(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_iterations": -1}, "num_iterations must be at least 0, not -1"),
        ({"num_iterations": 1, "chunk_size": 0}, "chunk_size must be at least 1, not 0"),
        ({"num_iterations": 1, "resume": True}, "resume needs out"),
        ({"num_iterations": 1, "initial_policy": np.ones((1, 2, 3))}, "initial_policy has shape"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        nf.run(LeftRight(), OnlineMirrorDescent(), **options)


@pytest.mark.parametrize(
    ("game", "solver", "options", "message"),
    [
        (RockPaperScissors(), OnlineMirrorDescent(), {}, r'game.name = "left-right", not "rock-'),
        (LeftRight(horizon=3), OnlineMirrorDescent(), {}, r"game.parameters.horizon = 2, not 3"),
        (LeftRight(), OnlineMirrorDescent(0.5), {}, r"parameters.learning_rate = 0.1, not 0.5"),
        (LeftRight(), Drawing(), {}, r"solver\.\w+ = "),
        (LeftRight(), OnlineMirrorDescent(), {"key": jax.random.key(1)}, r"key = \[0, 0\], not"),
        (
            LeftRight(),
            OnlineMirrorDescent(),
            {"initial_policy": np.full((2, 3, 2), 0.5)},
            "initial_policy = null, not",
        ),
        (LeftRight(), OnlineMirrorDescent(), {"num_iterations": 3}, "already done 5 iterations"),
    ],
)
def test_another_run_is_not_resumed(game, solver, options, message, tmp_path):
    nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=5, out=tmp_path)
    with pytest.raises(RunFolderError, match=message):
        nf.run(game, solver, out=tmp_path, resume=True, **{"num_iterations": 9, **options})


def test_another_precision_is_not_resumed(tmp_path):
    nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=5, out=tmp_path)
    with jax.enable_x64(False), pytest.raises(RunFolderError, match='dtype = "float64", not'):
        nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=9, out=tmp_path, resume=True)


def test_a_full_folder_is_left_alone(tmp_path):
    nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=5, out=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunFolderError, match="not empty; name another one or remove it, or go on"):
        nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=9, out=tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("config.json", None, "no such file; this is not a run folder"),
        ("checkpoint.npz", b"PK", "checkpoint.npz: broken or truncated"),
        ("history.csv", None, "history.csv: there is no such file; it belongs to the checkpoint"),
        ("history.csv", b"a,b\n", "not a history, its first line must be iteration,exploit"),
        ("history.csv", b"iteration,exploitability,social_welfare\n0,1,1\n", "rows are missing"),
        ("history.csv", b"iteration,exploitability,social_welfare\n0,x,1\n", "broken"),
    ],
)
def test_resume_of_a_broken_folder(name, damage, message, tmp_path):
    nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=5, out=tmp_path)
    (tmp_path / name).unlink()
    if damage is not None:
        (tmp_path / name).write_bytes(damage)
    with pytest.raises(RunFolderError, match=message):
        nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=9, out=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"num_steps": 5, "seconds": 0.0}, "0 arrays in place of 1"),
        ({"state_0": np.zeros(3), "num_steps": 5, "seconds": 0.0}, r"state_0 is float64\[3\], the"),
        ({"state_1": np.zeros(3)}, "state_0 is nothing, the solver needs"),
        ({"state_0": np.zeros((2, 3, 2))}, "not a checkpoint"),
    ],
)
def test_resume_with_a_foreign_checkpoint(arrays, message, tmp_path):
    nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=5, out=tmp_path)
    np.savez(tmp_path / "checkpoint.npz", **arrays)
    with pytest.raises(RunFolderError, match=message):
        nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=9, out=tmp_path, resume=True)


def test_a_game_that_fails_leaves_an_empty_folder(tmp_path):
    class Wrong(LeftRight):
        def initial(self):
            raise RuntimeError("no law at all")

    with pytest.raises(nf.GameError, match="no law at all"):
        nf.run(Wrong(), OnlineMirrorDescent(), num_iterations=1, out=tmp_path / "a")
    nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=1, out=tmp_path / "a")


def test_a_folder_says_what_was_run(tmp_path):
    nf.run(BeachBar(6, 3), OnlineMirrorDescent(0.3), num_iterations=5, out=tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["format"] == "nashfield-run" and config["version"] == 1
    assert config["game"]["name"] == "beach-bar"
    assert config["game"]["parameters"]["num_states"] == 6
    assert config["solver"]["parameters"] == {"learning_rate": 0.3}
    assert config["num_iterations"] == 5 and config["key"] == [0, 0]
    assert set(config["versions"]) == {"python", "nashfield", "jax", "equinox", "numpy"}
