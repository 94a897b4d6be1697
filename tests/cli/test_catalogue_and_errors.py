"""The command line: N agents, catalogues, errors, help."""

import json
import subprocess
import sys

import jax
import pytest

import nashfield as nf
from nashfield import cli
from nashfield.registry import GAMES, SOLVERS

QUICK = ("--solver", "online-mirror-descent", "--iterations", "5", "--no-plots")


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
        (["fly"], ["unknown command 'fly'; known are: check, datasets, fit, games, paper"]),
        (["solve", "left-right", "--iteratons", "3"], ["'--iteratons'; did you mean '--iterat"]),
        (["solve", "left-right", "--iter=3"], ["unknown option '--iter'"]),
        (["solve", "left-right", "again"], ["unknown argument 'again'"]),
        (["--jsn"], ["unknown option '--jsn'"]),
        (["solve"], ["the following arguments are required: game", "nashfield solve --help"]),
        (["games", "beachbar"], ["unknown game 'beachbar'; did you mean 'beach-bar' or"]),
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
def test_errors_are_one_line(run, argv, parts, fails):
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
