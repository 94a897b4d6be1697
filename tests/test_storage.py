"""Run folders: what is written comes back, what is broken is named, nothing is executed."""

import json
import pickle
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield import record, storage
from nashfield.games.zoo.beach_bar import BeachBar
from nashfield.games.zoo.matrix import LeftRight
from nashfield.results import Result
from nashfield.solvers import OnlineMirrorDescent
from nashfield.storage import RunFolderError


@pytest.fixture
def solution():
    return nf.solve(LeftRight(), OnlineMirrorDescent(0.3), num_iterations=5)


@pytest.fixture
def folder(solution, tmp_path):
    solution.save(tmp_path / "saved")
    return tmp_path / "saved"


def test_what_is_saved_comes_back(precision, solution, folder):
    loaded = nf.Solution.load(folder)
    np.testing.assert_array_equal(loaded.policy, solution.policy)
    np.testing.assert_array_equal(loaded.flow, solution.flow)
    assert loaded.policy.dtype == solution.policy.dtype == precision
    assert set(loaded.history) == {"exploitability", "social_welfare"}
    for name, column in solution.history.items():
        np.testing.assert_array_equal(loaded.history[name], column)
    assert loaded.exploitability == solution.exploitability
    assert int(loaded.num_steps) == 5
    assert loaded.result is Result.MAX_ITERATIONS
    assert eqx.tree_equal(loaded.game, solution.game)
    assert isinstance(loaded.solver, OnlineMirrorDescent)
    assert float(loaded.solver.learning_rate) == pytest.approx(0.3)
    assert loaded.state is None
    joint = loaded.flow.joint
    np.testing.assert_allclose(np.sum(joint, (1, 2)), 1, rtol=1e-6)


def test_the_log_holds_every_digit(solution, folder):
    lines = (folder / "history.csv").read_text().splitlines()
    assert lines[0] == "iteration,exploitability,social_welfare"
    table = np.array([line.split(",") for line in lines[1:]], float)
    np.testing.assert_array_equal(table[:, 0], np.arange(6))
    np.testing.assert_array_equal(table[:, 1], solution.history["exploitability"])
    np.testing.assert_array_equal(table[:, 2], solution.history["social_welfare"])


def test_stats_of_a_run_come_back(tmp_path):
    found = nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=3, out=tmp_path)
    loaded = nf.Solution.load(tmp_path)
    assert loaded.stats == found.stats
    loaded.save(tmp_path / "copy")
    assert nf.Solution.load(tmp_path / "copy").stats == found.stats


def test_a_batch_is_not_saved(tmp_path):
    def solve(learning_rate):
        return nf.solve(LeftRight(), OnlineMirrorDescent(learning_rate), num_iterations=2)

    batch = eqx.filter_vmap(solve)(jnp.array([0.1, 0.2]))
    with pytest.raises(ValueError, match="a batch of solutions: save them one by one"):
        batch.save(tmp_path / "batch")
    one = jax.tree.map(lambda x: x[0] if eqx.is_array(x) else x, batch)
    one.save(tmp_path / "one")
    np.testing.assert_array_equal(nf.Solution.load(tmp_path / "one").policy, batch.policy[0])


class Mine(LeftRight):
    """A game that no name leads to."""


def test_a_game_of_ones_own_is_not_built_again(tmp_path):
    nf.solve(Mine(), OnlineMirrorDescent(), num_iterations=2).save(tmp_path)
    loaded = nf.Solution.load(tmp_path)
    assert loaded.game is None
    with pytest.raises(ValueError, match="the game or the solver of this solution is not known"):
        loaded.save(tmp_path / "copy")


def test_a_game_without_a_recipe_has_a_fingerprint(tmp_path):
    game = eqx.tree_at(lambda g: g._successors, BeachBar(4, 3), BeachBar(4, 3)._successors * 0)
    other = eqx.tree_at(lambda g: g._successors, BeachBar(4, 3), BeachBar(4, 3)._successors * 0 + 1)
    nf.run(game, OnlineMirrorDescent(), num_iterations=2, out=tmp_path)
    assert nf.Solution.load(tmp_path).game is None
    nf.run(game, OnlineMirrorDescent(), num_iterations=3, out=tmp_path, resume=True)
    with pytest.raises(RunFolderError, match=r"game\.fingerprint = "):
        nf.run(other, OnlineMirrorDescent(), num_iterations=4, out=tmp_path, resume=True)
    with pytest.raises(RunFolderError, match="nothing recorded says how to make its game"):
        record.rebuild_game(tmp_path, storage.read_config(tmp_path), run_file=True)


def test_folders_that_cannot_be_new(solution, folder, tmp_path, monkeypatch):
    with pytest.raises(RunFolderError, match="the folder is not empty"):
        solution.save(folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="not a folder; name another one"):
        solution.save(tmp_path / "file")
    with pytest.raises(RunFolderError, match="not a folder; name another one"):
        solution.save(tmp_path / "file/below")
    with monkeypatch.context() as patch:
        patch.setattr(storage.os, "access", lambda *_: False)
        with pytest.raises(RunFolderError, match="cannot write to this folder"):
            solution.save(tmp_path / "locked")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        with pytest.raises(RunFolderError, match=r"cannot make this folder \(Permission denied\)"):
            solution.save(tmp_path / "other")


def test_a_full_disk(solution, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", refuse)
    with pytest.raises(RunFolderError, match=r"config.json: cannot be written \(No space left"):
        solution.save(tmp_path / "a")
    with pytest.raises(RunFolderError, match=r"history.csv: cannot be written \(No space left"):
        storage.write_history(tmp_path / "history.csv", np.zeros((1, 2)), storage.COLUMNS, start=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "config.json: there is no such file; this is not a run folder"),
        ("{", "broken, not JSON"),
        ("[" * 100_000, "broken, not JSON"),
        ("\xff", "broken, not JSON"),
        ("[]", "not written by nashfield"),
        ('{"format": "another"}', "not written by nashfield"),
        ('{"format": "nashfield-run", "version": 99}', "format version 99, but this nashfield"),
        ('{"format": "nashfield-run", "version": 1}', "names no game"),
        ('{"format": "nashfield-run", "version": 1, "game": {"name": "x"}}', "unknown game 'x'"),
        (
            '{"format": "nashfield-run", "version": 1, "game": {"name": "/x/y.py:Z"}}',
            "its game cannot be made: unknown game",
        ),
        ('{"format": "nashfield-run", "version": 1, "game": {"name": []}}', "cannot be made"),
        (
            '{"format": "nashfield-run", "version": 1, "game": {"name": "left-right", '
            '"parameters": {"horizon": "two"}}}',
            "its game cannot be made: .*horizon",
        ),
        (
            '{"format": "nashfield-run", "version": 1, "game": {"name": "left-right", '
            '"parameters": {"horizon": 7}}}',
            r"policy has shape \(2, 3, 2\), but the game has .* = \(7, 3, 2\)",
        ),
        (
            '{"format": "nashfield-run", "version": 1, "game": {"name": "left-right", '
            '"parameters": {}}}',
            "names no solver",
        ),
    ],
)
def test_broken_headers(text, message, folder):
    if text is None:
        (folder / "config.json").unlink()
    else:
        (folder / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(RunFolderError, match=message):
        nf.Solution.load(folder)


def test_no_such_folder(tmp_path):
    with pytest.raises(RunFolderError, match="there is no such run folder"):
        nf.Solution.load(tmp_path / "nowhere")


def test_unreadable_file(folder):
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()
    with pytest.raises(RunFolderError, match=r"config.json: cannot be read"):
        nf.Solution.load(folder)


class Evil:
    """Leaves a trace if anybody unpickles it."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(folder, tmp_path):
    trace, path = tmp_path / "trace", folder / "solution.npz"
    path.write_bytes(pickle.dumps(Evil(trace)))
    with pytest.raises(RunFolderError, match=r"solution.npz: (broken|not arrays)"):
        nf.Solution.load(folder)
    np.savez(path, policy=np.array([Evil(trace)], dtype=object))
    with pytest.raises(RunFolderError, match=r"solution.npz: broken or truncated"):
        nf.Solution.load(folder)
    assert not trace.exists()


def test_a_lone_array_is_no_solution(folder):
    with (folder / "solution.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(RunFolderError, match=r"solution.npz: not arrays of numbers"):
        nf.Solution.load(folder)


def test_truncated_at_any_place(folder):
    path = folder / "solution.npz"
    data = path.read_bytes()
    for size in (0, 1, 10, len(data) // 3, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(RunFolderError, match=r"solution.npz"):
            nf.Solution.load(folder)
    damaged = bytearray(data)
    damaged[len(data) // 4] ^= 0xFF
    path.write_bytes(bytes(damaged))
    with pytest.raises(RunFolderError, match=r"solution.npz"):
        nf.Solution.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policy": None}, "policy is missing or not as it must be"),
        ({"policy": np.zeros(2)}, "policy is missing or not as it must be"),
        ({"policy": np.zeros((2, 3))}, r"policy is \(2, 3\) but flow is \(3, 3\)"),
        ({"policy": np.zeros((2, 3, 2), int)}, "policy is missing or not as it must be"),
        ({"flow": np.zeros((2, 3))}, r"policy is \(2, 3, 2\) but flow is \(2, 3\)"),
        ({"num_steps": np.array(1.5)}, "num_steps is missing or not as it must be"),
        ({"result_code": np.array(77)}, "result_code 77"),
        ({"history_exploitability": np.zeros(0)}, "an empty history"),
        ({"history_social_welfare": None}, "history_social_welfare is missing"),
    ],
)
def test_arrays_that_are_no_solution(change, message, folder):
    arrays = {**storage.read_arrays(folder / "solution.npz", ""), **change}
    np.savez(folder / "solution.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(RunFolderError, match=message):
        nf.Solution.load(folder)


def test_a_run_that_is_not_over(folder):
    (folder / "solution.npz").unlink()
    with pytest.raises(RunFolderError, match="the run is not over: go on with it"):
        nf.Solution.load(folder)


GAME = """
from pathlib import Path
from nashfield.games.zoo.matrix import LeftRight
Path(__file__).with_name("trace").touch()
class Mine(LeftRight):
    '''A game in a file.'''
"""


def from_file(file: Path, folder: Path) -> None:
    """Saves a solution of the game in `file`."""
    from nashfield.games.loading import load_game

    file.write_text(GAME)
    game = load_game(f"{file}:Mine")
    nf.solve(game, OnlineMirrorDescent(), num_iterations=2).save(folder)
    file.with_name("trace").unlink()


def test_load_does_not_import_a_file(tmp_path):
    file = tmp_path / "mine.py"
    from_file(file, tmp_path / "saved")
    assert nf.Solution.load(tmp_path / "saved").game is None
    assert not (tmp_path / "trace").exists()
    config = storage.read_config(tmp_path / "saved")
    assert record.rebuild_game(tmp_path / "saved", config, run_file=True).num_states == 3
    assert (tmp_path / "trace").exists()


def test_a_file_is_run_only_as_it_was_recorded(tmp_path):
    file, folder = tmp_path / "mine.py", tmp_path / "saved"
    from_file(file, folder)
    config = storage.read_config(folder)
    inside = folder / "mine.py"
    inside.write_bytes(file.read_bytes())
    within = {**config, "game": {**config["game"], "file": str(inside)}}
    with pytest.raises(RunFolderError, match="lies in the run folder itself, whose code is not"):
        record.rebuild_game(folder, within, run_file=True)
    file.write_text(GAME + "# changed\n")
    with pytest.raises(RunFolderError, match=r"mine.py has changed since"):
        record.rebuild_game(folder, config, run_file=True)
    file.unlink()
    with pytest.raises(RunFolderError, match="is not there any more; say which game it is with"):
        record.rebuild_game(folder, config, run_file=True)
    odd = {**config, "game": {**config["game"], "name": "left-right"}}
    with pytest.raises(RunFolderError, match=r"not run unasked|cannot be made"):
        record.rebuild_game(folder, odd)
    assert not (tmp_path / "trace").exists()


def test_json_holds_plain_numbers(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["num_iterations"] == 5
    with pytest.raises(ValueError, match="not JSON compliant"):
        storage.write_config(folder, {"x": float("nan")})


def test_a_fit_is_no_run(tmp_path):
    storage.write_config(tmp_path, {"kind": storage.NEURAL_FIT})
    message = "a fit of a neural mean-field game, not a run: open it with nf.neural.Fit.load"
    with pytest.raises(RunFolderError, match=message):
        nf.Solution.load(tmp_path)
