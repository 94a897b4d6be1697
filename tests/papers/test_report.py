"""Rows and reports: bars, text, files."""

import json

import pytest

from nashfield.papers import Report, Row


def test_bars():
    assert Row.within("x", 0.5, 0.50004, (0.4, 0.5)).agrees  # rounds to .5, and bounds belong to it
    assert not Row.within("x", 0.5, 0.50006, (0.4, 0.5)).agrees
    assert Row.near("x", 1.0, 1.09, 0.1).agrees
    assert not Row.near("x", 1.0, 1.11, 0.1).agrees
    assert Row.near_reference("x", 1.0, 1.09, 0.1).agrees
    assert not Row.near_reference("x", 1.0, 1.11, 0.1).agrees
    assert Row.most("x", 1.0, 1.0).agrees
    assert not Row.most("x", 1.01, 1.0).agrees
    assert Row.most("x", 1.01, 1.0, judged=False).agrees is None
    assert Row("x", 1.0, 2.0).agrees is None


@pytest.fixture
def report():
    from nashfield.papers.figures import new_figure

    rows = (
        Row.near("first", 1.0, 1.05, 0.1, interval=(0.9, 1.2)),
        Row.near("second", 1.0, 2.0, 0.1),
        Row("third", None, float("nan")),
    )
    return Report("A title", rows, {"a.png": lambda: new_figure(1, 1, 2.0, 2.0)[0]})


def test_table(report):
    lines = report.table().splitlines()
    assert len(lines) == 4
    assert lines[1].split() == ["first", "1", "1.05", "(0.9,", "1.2)", "yes", "within", "0.1"]
    assert "NO" in lines[2]


def test_references_have_a_column_where_there_are_any():
    rows = (Row.near_reference("derived", 1.05, 1.0, 0.1), Row("printed", 2.0, 2.5))
    lines = Report("A title", rows, {}).table().splitlines()
    assert lines[0].split()[:3] == ["paper", "reference", "ours"]
    assert lines[1].split()[:3] == ["derived", "1.05", "1"]
    assert lines[2].split()[:3] == ["printed", "2", "2.5"]
    assert rows[0].as_json()["paper"] is None
    assert rows[0].as_json()["reference"] == 1.05


def test_files(report, tmp_path):
    paths = report.save(tmp_path)
    assert [path.name for path in paths] == ["rows.json", "rows.csv", "a.png"]
    rows = json.loads(paths[0].read_text())["rows"]
    assert set(rows[0]) == {"name", "paper", "reference", "ours", "interval", "agrees"}
    assert rows[0]["interval"] == [0.9, 1.2]
    assert rows[2]["ours"] is None
    assert paths[1].read_text().splitlines()[1] == "first,1.0,,1.05,0.9,1.2,True"
    assert paths[2].stat().st_size > 0
