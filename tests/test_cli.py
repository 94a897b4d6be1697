"""The command line, called in this process."""

import csv
import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import nashfield as nf
from nashfield import cli
from nashfield.cli.catalogue import parameter_meanings
from nashfield.parameters import parameters_of
from nashfield.progress import ProgressReport
from nashfield.registry import GAMES, SOLVERS, find

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


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One compilation cache for the module."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path, cache):
    """In an empty folder, with JAX's settings put back afterwards."""
    names = (
        "jax_enable_x64",
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    before = {name: getattr(jax.config, name) for name in names}
    monkeypatch.setenv("NASHFIELD_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture
def run(capsys):
    """Runs a command; gives status, standard output, standard error."""

    def call(*argv):
        status = cli.main([str(word) for word in argv])
        return status, *capsys.readouterr()

    return call


def fails(outcome, *parts):
    """Whether a command ended with one line that says all of `parts`."""
    status, out, err = outcome
    assert status == 2
    assert not out
    assert re.fullmatch(r"nashfield: error: .*\n", err)
    for part in parts:
        assert part in err


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


def test_a_game_of_ones_own(run, tmp_path):
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


def test_resume_goes_on(run):
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


# Without time

SMALL = ("--set", "num_states=11", "--no-plots")


def test_a_stationary_game_from_the_shell(run, tmp_path):
    status, out, err = run("solve", "malware-spread", "--set", "num_states=11", "--out", "a")
    assert status == 0, err
    game = nf.games.MalwareSpread(num_states=11)
    loaded = nf.Solution.load("a")
    welfare = float(nf.social_welfare(game, loaded.policy))
    anarchy = nf.price_of_anarchy(game, loaded.policy)
    assert f"social welfare {welfare:.6g}\n" in out and "gradient norm" not in out
    assert (
        f"price of anarchy {float(anarchy.ratio):.6g}: the social optimum is at least "
        f"{float(anarchy.optimum):.6g}, a gap of {float(anarchy.gap):.6g}\n"
    ) in out
    assert "a/mean_field.png a/policy.png a/history.png" in out
    assert all((tmp_path / "a" / f"{name}.png").is_file() for name in ("mean_field", "history"))
    status, out, _ = run("check", "a")
    assert status == 0 and "the files agree with the game" in out
    assert run("plot", "a")[1].split() == ["a/mean_field.png", "a/policy.png", "a/history.png"]
    status, out, _ = run("simulate", "a", "--agents", "20", "--seeds", "5")
    assert status == 0 and "gain of one deviator" in out


def test_policies_with_parameters(run):
    line = ("solve", "malware-spread", "--solver", "local-equilibrium", *SMALL)
    status, out, err = run(*line, "--iterations", "20", "--out", "a")
    assert status == 0, err
    assert re.search(r"^policy         SoftThreshold\(theta=0\.\d+\)$", out, re.M)
    assert re.search(r"^gradient norm  \S+$", out, re.M) and "tolerance" not in out
    # 500 steps where nothing else is said.
    status, out, _ = run(*line, "--out", "a", "--resume", "--json")
    found = json.loads(out)
    assert status == 0 and found["iterations"] == 500
    game = nf.games.MalwareSpread(num_states=11)
    solution = nf.solve(game, nf.LocalEquilibrium(), num_iterations=500)
    assert found["gradient_norm"] == pytest.approx(float(solution.gradient_norm), abs=1e-9)
    assert found["social_welfare"] == pytest.approx(solution.social_welfare, rel=1e-9)
    anarchy = nf.price_of_anarchy(game, solution.policy)
    assert found["price_of_anarchy"] == pytest.approx(
        {name: float(getattr(anarchy, name)) for name in ("optimum", "gap", "ratio")}, abs=1e-9
    )
    assert run("check", "a")[0] == 0
    assert nf.Solution.load("a").policy.theta == pytest.approx(float(solution.policy.theta))


@pytest.mark.slow
def test_check_compares_parameters_with_the_table(run):
    line = ("solve", "malware-spread", "--solver", "local-social-optimum", *SMALL)
    run(*line, "--iterations", "2", "--out", "a")
    with np.load("a/solution.npz") as file:
        arrays = dict(file)
    np.savez("a/solution.npz", **{**arrays, "parameter_0": arrays["parameter_0"] + 0.1})
    status, out, _ = run("check", "a")
    assert status == 1 and "the table is not that of the parameters" in out


def test_a_social_optimum_does_not_stop_at_an_equilibrium(run):
    # On its way from theta = .5 it passes, or begins at, an equilibrium.
    line = ("solve", "malware-spread", "--solver", "local-social-optimum", *SMALL)
    found = json.loads(run(*line, "--iterations", "30", "--json")[1])
    assert (found["result"], found["iterations"]) == ("max_iterations", 30)


@pytest.mark.slow
def test_points(run):
    line = ("solve", "continuous-malware-spread", "--solver", "local-equilibrium", "--out", "a")
    few = ("--solver-set", "num_evaluations=200", "num_evaluation_steps=60", "crowd=played-crowd")
    status, out, err = run(*line, *few, "--iterations", "3")
    assert status == 0, err
    assert "price of anarchy" not in out and "gradient norm" in out
    assert "a/mean_field.png a/policy.png a/history.png" in out
    status, out, _ = run("check", "a")
    assert status == 0 and "by 20000 agents" in out
    with np.load("a/solution.npz") as file:
        arrays = dict(file)
    np.savez("a/solution.npz", **{**arrays, "history_exploitability": np.full(4, 0.7)})
    status, out, _ = run("check", "a")
    assert status == 1 and re.search(r"off by \d\S* standard errors", out)
    fails(run("simulate", "a", "--agents", "3"), "ContinuousMalwareSpread are points")


STATIONARY_GAME = """
import jax.numpy as jnp
import numpy as np
import nashfield as nf

class Banks(nf.StationaryGame):
    '''Stay, or cross to where fewer are.'''
    settling_steps = 3
    discount: float = 0.5
    num_states: int = 2
    num_actions: int = 2

    def initial(self):
        return np.array([1.0, 0.0])

    def transition(self, mean_field):
        odds = 0.1 + 0.1 * mean_field.states[0]
        return nf.Dense((1 - odds) * np.stack([np.eye(2), 1 - np.eye(2)], 1) + odds / 2)

    def reward(self, mean_field):
        return jnp.broadcast_to(jnp.array([1.0, -1.0]) * mean_field.states[:, None], (2, 2))
"""


@pytest.mark.slow
def test_a_stationary_game_of_ones_own_that_does_not_settle(run, tmp_path):
    (tmp_path / "mine.py").write_text(STATIONARY_GAME)
    line = ("solve", "mine.py:Banks", "--solver", "local-equilibrium", "--no-plots")
    status, out, err = run(*line, "--iterations", "3", "--out", "a")
    assert status == 0, err
    assert "the stationary mean field has not settled (3 iterations" in out
    assert "nashfield: warning: the stationary mean field has not settled" in err
    assert "raise the game's settling_steps" in err and "after 3 steps" in err
    assert "policy         SoftThreshold(theta=" in out
    status, out, _ = run("check", "a")
    assert status == 0 and "the files agree with the game" in out
    game = importlib.import_module("nashfield.games.loading").load_game("mine.py:Banks")
    loaded = nf.Solution.load("a", game=game).policy
    assert isinstance(loaded, nf.policies.AbstractPolicy)
    assert np.shape(nf.Solution.load("a").policy) == (2, 2)


@pytest.mark.slow
def test_a_long_search_for_the_optimum_is_not_done_unasked(run, monkeypatch):
    monkeypatch.setattr("nashfield.cli.report._MAX_STATES", 5)
    line = ("solve", "malware-spread", "--solver", "fixed-point", *SMALL, "--iterations", "1")
    assert "price of anarchy: not sought among 11 states" in run(*line)[1]
    assert "price_of_anarchy" not in json.loads(run(*line, "--json")[1])


def test_solvers_that_cannot_take_the_game(run):
    outcome = run("solve", "left-right", "--solver", "local-equilibrium")
    fails(outcome, "local-equilibrium does not solve left-right; these do: auto, ")
    fails(run("solve", "continuous-malware-spread"), "these do: local-equilibrium, local-social")


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["games", "malware-spread"], ["malware-spread (stationary)", "whether neglect may leave"]),
        (["solvers", "two-time-scales"], ["(solver)", "one of gibbs, neural, soft-thr", "alpha"]),
        (["solvers", "local-equilibrium"], ["the first policy; None stands", "exact-gradient, "]),
    ],
)
def test_one_entry_of_a_catalogue(run, argv, parts):
    status, out, _ = run(*argv)
    assert status == 0
    assert all(part in out for part in parts), out
    entry = json.loads(run(*argv, "--json")[1])
    assert entry["name"] == argv[1] and all(p["meaning"] for p in entry["parameters"])


@pytest.mark.parametrize(("table", "kind"), [(GAMES, "game"), (SOLVERS, "solver")])
def test_every_parameter_is_explained(table, kind):
    for name in table:
        cls = find(table, name, kind)
        meanings = parameter_meanings(cls)
        assert {p.name for p in parameters_of(cls)} <= set(meanings), name


def test_kinds_are_told_apart(run):
    lines = {line.split()[0]: line for line in run("games")[1].splitlines()}
    assert "(stationary)" in lines["malware-spread"]
    assert "(stationary)" in lines["continuous-malware-spread"]
    assert "(stationary)" not in lines["beach-bar"]
    kinds = {entry["name"]: entry["kind"] for entry in json.loads(run("games", "--json")[1])}
    assert (kinds["malware-spread"], kinds["beach-bar"]) == ("stationary", "finite")


# N agents, catalogues, errors


def test_simulate(run):
    run("solve", "left-right", *QUICK, "--out", "a")
    status, out, _ = run("simulate", "a", "--agents", "20", "--seeds", "5", "--seed", "1")
    assert status == 0
    assert out.startswith("20 agents, 5 seeds; mean [95% interval]")
    assert all(line in out for line in ("return of an agent", "gain of one deviator"))
    assert out == run("simulate", "a", "--agents", "20", "--seeds", "5", "--seed", "1")[1]
    assert out != run("simulate", "a", "--agents", "20", "--seeds", "5", "--seed", "2")[1]


@pytest.mark.parametrize(("command", "table"), [("games", GAMES), ("solvers", SOLVERS)])
def test_catalogues(run, command, table):
    status, out, _ = run(command)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == sorted(table)
    status, out, _ = run(command, "--json")
    assert status == 0 and out.count("\n") == 1
    entries = json.loads(out)
    assert [entry["name"] for entry in entries] == sorted(table)
    for entry in entries:
        assert {"name", "kind", "parameters", "source"} <= set(entry)
        assert all({"name", "default"} <= set(p) for p in entry["parameters"])


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["slove"], ["unknown command 'slove'; did you mean 'solve'"]),
        (["fly"], ["unknown command 'fly'; known are: check, games, paper, plot, simulate"]),
        (["solve", "left-right", "--iteratons", "3"], ["'--iteratons'; did you mean '--iterat"]),
        (["solve", "left-right", "--iter=3"], ["unknown option '--iter'"]),
        (["solve", "left-right", "again"], ["unknown argument 'again'"]),
        (["--jsn"], ["unknown option '--jsn'"]),
        (["solve"], ["the following arguments are required: game", "nashfield solve --help"]),
        (["games", "beachbar"], ["unknown game 'beachbar'; did you mean 'beach-bar'?"]),
        (["solvers", "aut"], ["unknown solver 'aut'; did you mean 'auto'"]),
        (["solve", "left-rigt"], ["unknown game 'left-rigt'; did you mean 'left-right'?"]),
        (["solve", "left-right", "--solver", "aut"], ["unknown solver 'aut'; did you mean 'auto'"]),
        (["solve", "beach-bar", "--set", "num_state=3"], ["no parameter 'num_state'; did you"]),
        (["solve", "beach-bar", "--set", "num_states=x"], ["num_states", "x"]),
        (["solve", "beach-bar", "--set", "num_states"], ["'num_states' is not of the form NAME="]),
        (
            ["solve", "beach-bar", "--solver", "online-mirror-descent", "--solver-set", "eta=3"],
            ["no parameter 'eta'"],
        ),
        (["solve", "beach-bar", "--iterations", "-3"], ["'-3' is not an integer of at least 0"]),
        (["solve", "beach-bar", "--iterations", "3.5"], ["'3.5' is not an integer of at least 0"]),
        (["solve", "beach-bar", "--seed", str(1 << 70)], ["is not an integer of at least 0"]),
        (["solve", "beach-bar", "--tolerance", "low"], ["'low' is not a number of at least 0"]),
        (["solve", "beach-bar", "--tolerance", "nan"], ["'nan' is not a number of at least 0"]),
        (["solve", "nowhere.py:Game"], ["nowhere.py"]),
        (["check", "nowhere"], ["nowhere: there is no such run folder"]),
        (["plot", "nowhere"], ["nowhere: there is no such run folder"]),
        (["simulate", "nowhere", "--agents", "0"], ["'0' is not an integer of at least 1"]),
        (["simulate", "nowhere"], ["required: --agents"]),
    ],
)
def test_errors_are_one_line(run, argv, parts):
    fails(run(*argv), *parts)


@pytest.mark.parametrize(
    "argv", [[], ["--help"], *([name, "--help"] for name in ("solve", "check"))]
)
def test_help(run, argv, capsys):
    with pytest.raises(SystemExit) as ended:
        run(*argv)
    assert ended.value.code == 0
    assert "nashfield" in capsys.readouterr().out


def test_version(run):
    assert run("--version") == (0, f"nashfield {nf.__version__}\n", "")


def test_cache_folder(monkeypatch, tmp_path):
    assert cli.cache_folder() != tmp_path
    monkeypatch.setenv("NASHFIELD_CACHE", str(tmp_path / "here"))
    assert cli.cache_folder() == tmp_path / "here"
    monkeypatch.delenv("NASHFIELD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cli.cache_folder() == tmp_path / "xdg/nashfield"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cli.cache_folder() == tmp_path / "home/.cache/nashfield"


def test_a_cache_that_cannot_be_made_is_done_without(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NASHFIELD_CACHE", str(tmp_path / "file/below"))
    jax.config.update("jax_compilation_cache_dir", None)
    cli.prepare()
    assert jax.config.jax_compilation_cache_dir is None


def test_a_shell_sees_few_programs_and_a_closed_pipe_is_no_error(tmp_path):
    line = f"{sys.executable} -c 'from nashfield.cli import main; main()'"
    command = f"{line.replace('main()', 'raise SystemExit(main())')} games | true"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_importing_the_command_imports_no_pictures():
    code = (
        "import sys, nashfield.cli; from nashfield.cli.parser import parse; parse(['games']);"
        "print([m for m in ('jax', 'rich', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
