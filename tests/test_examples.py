"""Scripts and the blocks of the README run as they stand."""

import re
import runpy
from pathlib import Path

import jax
import pytest

from nashfield import cli
from nashfield.registry import GAMES, SOLVERS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """In an empty folder, with JAX's settings put back afterwards."""
    before = jax.config.jax_enable_x64
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASHFIELD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cli, "cache_folder", lambda: Path("/dev/null/nowhere"))
    monkeypatch.setenv("MPLBACKEND", "agg")
    yield
    jax.config.update("jax_enable_x64", before)


def block(start: str) -> str:
    """The README's block of Python that begins with `start`."""
    (found,) = re.findall(rf"```python\n({re.escape(start)}.*?)```", README, re.S)
    return found


SLOW = {"learnt_crowd", "social_optimum"}
assert {path.stem for path in (ROOT / "examples").glob("*.py")} >= SLOW
EXAMPLES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in SLOW))
    for path in sorted((ROOT / "examples").glob("*.py"))
]


@pytest.mark.parametrize("path", EXAMPLES)
def test_examples(path, capsys):
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out


def test_quick_start(tmp_path):
    exec(compile(block("import jax\nimport nashfield as nf\n"), "README.md", "exec"), {})
    assert (tmp_path / "runs/beach-bar-python/solution.npz").exists()
    assert (tmp_path / "flow.png").exists()


def test_a_game_of_your_own(tmp_path, capsys):
    text = block("# my_game.py\n")
    assert len([line for line in text.splitlines() if line.strip()]) <= 20
    (tmp_path / "my_game.py").write_text(text)
    (line,) = re.findall(r"^nashfield (solve my_game.py:MyGame)$", README, re.M)
    assert cli.main([*line.split(), "--no-plots"]) == 0
    assert "the tolerance was reached" in capsys.readouterr().out


def test_the_tables_name_everything_there_is():
    for heading, table in (("Games", GAMES), ("Solvers", SOLVERS)):
        text = README.partition(f"## {heading}\n")[2].partition("\n## ")[0]
        assert re.findall(r"^\| `([\w-]+)` \|", text, re.M) == sorted(table)


def test_one_line_installs_and_solves():
    (line,) = re.findall(r"^python3 -m venv .*nashfield (solve .*)$", README, re.M)
    args = cli.parse(line.split())
    assert (args.game, args.out, args.no_plots) == ("beach-bar", "runs/beach-bar", False)
    assert len(re.findall(r"^python3 -m venv .*pytest$", README, re.M)) == 1


def test_every_command_of_the_readme_is_one():
    for line in re.findall(r"^nashfield (\w.*)$", README.replace("\\\n", " "), re.M):
        cli.parse(line.partition("#")[0].split())


@pytest.mark.slow
@pytest.mark.parametrize(
    "start",
    [
        "# herd.py\n",
        "import jax\nimport numpy as np\nimport nashfield as nf\n\ngame = nf.games.Meeting",
        "import nashfield as nf\n\ntruth",
    ],
    ids=["herd", "meeting", "calibration"],
)
def test_what_is_learnt_from_data(start, capsys):
    exec(compile(block(start), "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out
