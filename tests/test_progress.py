"""What a run shows while it goes on: lines, a bar, or nothing."""

import importlib
import sys

import pytest

import nashfield as nf
from nashfield.games.zoo.matrix import LeftRight
from nashfield.solvers import OnlineMirrorDescent


def test_lines_of_text_where_there_is_no_terminal(monkeypatch, capsys):
    progress = importlib.import_module("nashfield.progress")
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=30, chunk_size=10, progress=True)
    out, err = capsys.readouterr()
    assert not out
    assert "iteration 1/30, exploitability 2.500e-01" in err
    assert "it/s" in err.splitlines()[-1]


def test_a_bar_on_a_terminal(monkeypatch, capsys):
    progress = importlib.import_module("nashfield.progress")
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=30, chunk_size=10)
    assert "exploitability" in capsys.readouterr().err


@pytest.mark.parametrize("progress", [None, False])
def test_silence(progress, capsys):
    nf.run(LeftRight(), OnlineMirrorDescent(), num_iterations=300, progress=progress)
    assert capsys.readouterr() == ("", "")
