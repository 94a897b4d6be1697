"""`nashfield datasets`."""

import json

import pytest

from nashfield import datasets

TABLE = "date,in_bed,convalescent\n1978-01-22,3,0\n"


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch):
    """No local copies, and the empty cache of the test."""
    monkeypatch.delenv("NASHFIELD_DATA", raising=False)


def test_all_are_told_with_source_licence_and_how_to_have_them(run):
    status, out, _ = run("datasets")
    assert status == 0
    for dataset in datasets.DATASETS.values():
        assert f"{dataset.name}: {dataset.summary}" in out
        for text in (dataset.source, dataset.licence, dataset.attribution, dataset.page):
            assert text in out
        assert f"none: `nashfield datasets fetch {dataset.name}` puts one at" in out


def test_one_as_json(run):
    status, out, _ = run("datasets", "boarding-school", "--json")
    assert status == 0
    (entry,) = json.loads(out)
    assert entry["name"] == "boarding-school" and entry["path"] is None
    assert entry["population"] == 763 and entry["columns"] == ["in_bed", "convalescent"]
    assert all(address.startswith("https://") for part in entry["addresses"] for address in part)


def test_a_copy_that_is_not_the_series_is_told(run, tmp_path):
    path = tmp_path / "influenza_boarding_school_1978.csv"
    path.write_text(TABLE)
    status, out, _ = run("datasets", "boarding-school", "--data", tmp_path)
    assert status == 0
    assert f"{path} ({path}: not the series boarding-school, its values differ" in out


def test_fetch_prints_where_the_file_is(run, monkeypatch):
    monkeypatch.setattr(datasets, "fetch", lambda name, tell: tell("fetching x") or f"/at/{name}")
    status, out, err = run("datasets", "fetch", "boarding-school", "japan-national")
    assert status == 0
    assert out == "/at/boarding-school\n/at/japan-national\n" and err == "fetching x\n" * 2


def test_errors(run, fails):
    fails(run("datasets", "fetch"), "datasets fetch needs a name: boarding-school, japan-national")
    fails(run("datasets", "boarding-scool"), "unknown dataset", "did you mean 'boarding-school'?")
    fails(run("datasets", "fetch", "x"), "unknown dataset 'x'; known are: boarding-school")
    fails(run("datasets", "--dat", "x"), "unknown option '--dat'; did you mean '--data'")


def test_a_folder_that_is_not_there_is_named(run, monkeypatch, tmp_path):
    monkeypatch.setenv("NASHFIELD_DATA", str(tmp_path / "gone"))
    status, _, err = run("datasets")
    assert status == 0 and f"NASHFIELD_DATA: there is no folder {tmp_path / 'gone'}" in err
    assert "--data: there is no folder away" in run("datasets", "--data", "away")[2]
