"""Datasets: the catalogue, local copies, and downloads from a server on this machine."""

import dataclasses
import hashlib
import http.server
import os
import threading
from pathlib import Path

import numpy as np
import pytest

import nashfield as nf
from nashfield import datasets
from nashfield.datasets import convert
from nashfield.datasets.cache import write_whole
from nashfield.datasets.table import DataError, parse_table

# Read before a test takes it away.
DATA = os.environ.get("NASHFIELD_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="NASHFIELD_DATA names no folder of local copies")
NEW = "Date,ALL,Hokkaido\n2020/5/8,3,1\n2020/5/9,5,2\n2020/5/10,4,0\n"
CARE = (
    "Date,(ALL) Requiring inpatient care,(ALL) Discharged from hospital or released from treatment,"
    "(ALL) To be confirmed,(Hokkaido) Requiring inpatient care\n"
    "2020/5/9,60,80,4,1\n2020/5/10,58,84,4,1\n"
)
DEATHS = "Date,ALL,Hokkaido\n2020/5/9,7,0\n2020/5/10,8,0\n"
TIDY = (
    "date,new_confirmed,active_inpatient,discharged_cum,deaths_cum\n"
    "2020-05-08,3,,,\n2020-05-09,5,60,80,7\n2020-05-10,4,58,84,8\n"
)


class Server(http.server.ThreadingHTTPServer):
    """Gives `files` by path, and breaks off in the middle of those in `torn`."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.torn: set[str] = set()
        self.asked: list[str] = []

    def address(self, path):
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path not in self.server.files:
            self.send_error(404, "Not Found")
            return
        data = self.server.files[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if self.path in self.server.torn else data)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.delenv("NASHFIELD_DATA", raising=False)
    monkeypatch.setenv("NASHFIELD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets"


@pytest.fixture
def small(monkeypatch, server, cache):
    """A small series of the same form as Japan's, published by the server."""
    server.files |= {"/new": NEW.encode(), "/care": CARE.encode(), "/deaths": DEATHS.encode()}
    dataset = dataclasses.replace(
        datasets.DATASETS["japan-national"],
        name="small",
        file="small.csv",
        mirrors=({part: server.address(f"/{part}") for part in ("new", "care", "deaths")},),
        sha256=hashlib.sha256(TIDY.encode()).hexdigest(),
    )
    monkeypatch.setitem(datasets.DATASETS, "small", dataset)
    return dataset


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_download_is_made_tidy_checked_and_kept(small, server, cache):
    told = []
    path = datasets.fetch("small", tell=told.append)
    assert path == cache / "small.csv" and path.read_text() == TIDY
    assert left(cache) == ["small.csv"]
    assert told == [f"fetching {server.address(f'/{part}')}" for part in ("new", "care", "deaths")]
    table = nf.datasets.load("small")
    assert table.dates.dtype == "datetime64[D]" and len(table) == 3
    np.testing.assert_array_equal(table["active_inpatient"], [np.nan, 60, 58])
    assert datasets.fetch("small") == path and len(server.asked) == 3  # no second download


def test_damaged_copy_in_the_cache_is_named_and_fetched_again(small, server, cache):
    write_whole(cache / "small.csv", TIDY.replace("60", "61").encode())
    with pytest.raises(DataError, match=r"small.csv: not the series small, its values differ"):
        datasets.load("small")
    datasets.fetch("small")
    assert (cache / "small.csv").read_text() == TIDY


def test_torn_download_leaves_nothing(small, server, cache):
    server.torn.add("/care")
    with pytest.raises(DataError, match=r"small could not be downloaded: .*broke off"):
        datasets.fetch("small")
    assert left(cache) == []


def test_another_vintage_is_refused_and_leaves_nothing(small, server, cache):
    server.files["/deaths"] = DEATHS.replace(",8,", ",9,").encode()
    with pytest.raises(DataError, match=r"values differ .*another vintage.*set NASHFIELD_DATA to"):
        datasets.fetch("small")
    assert left(cache) == []


def test_missing_file_is_named_and_the_next_mirror_is_tried(small, server, cache, monkeypatch):
    gone = dict.fromkeys(("new", "care", "deaths"), server.address("/gone"))
    both = dataclasses.replace(small, mirrors=(gone, *small.mirrors))
    monkeypatch.setitem(datasets.DATASETS, "small", both)
    told = []
    assert datasets.fetch("small", tell=told.append).is_file()
    assert any("HTTP 404" in line for line in told)


def test_unreachable_server_is_named(small, cache, monkeypatch):
    nowhere = dataclasses.replace(small, mirrors=({"new": "http://127.0.0.1:9/new"},))
    monkeypatch.setitem(datasets.DATASETS, "small", nowhere)
    with pytest.raises(DataError, match=r"127.0.0.1:9, new: no answer"):
        datasets.fetch("small")


def test_page_in_place_of_data_is_refused(small, server, cache):
    server.files["/care"] = b"<html><body>moved</body></html>\n<p>\n"
    with pytest.raises(DataError, match=r"in care: there is no column Date"):
        datasets.fetch("small")
    assert left(cache) == []


def test_folder_that_cannot_be_written_is_named(small, server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NASHFIELD_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="cannot be written"):
        datasets.fetch("small")


def test_long_form_of_the_published_files_gives_the_same():
    new = "Date,Prefecture,Newly confirmed cases\n2020/5/8,ALL,3\n2020/5/8,Hokkaido,1\n"
    new += "2020/5/9,ALL,5\n2020/5/10,ALL,4\n"
    care = (
        "Date,Prefecture,Requiring inpatient care,Discharged from hospital or released from "
        "treatment,To be confirmed\n2020/5/9,ALL,60,80,4\n2020/5/9,Hokkaido,1,1,1\n"
        "2020/5/10,ALL,58,84,4\n"
    )
    deaths = "Date,Prefecture,Deaths(Cumulative)\n2020/5/9,ALL,7\n2020/5/10,ALL,8\n"
    table = convert.japan_national({"new": new, "care": care, "deaths": deaths})
    columns = datasets.DATASETS["japan-national"].columns
    assert convert.canonical(table, columns) == TIDY


@pytest.mark.parametrize(
    ("part", "text", "message"),
    [
        ("new", "Date,Hokkaido\n2020/5/8,1\n", "newly confirmed: there is no column ALL"),
        ("new", "Date,ALL\n2020/5/8,x\n", "line 2: 'x' is no number"),
        ("deaths", "Date,Prefecture,Deaths\n2020/5/8,Tokyo,1\n", r"no row for the country \(ALL\)"),
    ],
)
def test_other_forms_are_named(part, text, message):
    parts = {"new": NEW, "care": CARE, "deaths": DEATHS, part: text}
    with pytest.raises(DataError, match=message):
        convert.japan_national(parts)


def test_canonical_text_does_not_depend_on_how_numbers_are_written():
    one = parse_table("date,a\n2020-01-01,1\n2020-01-02,\n2020-01-03,2.5\n", "one")
    two = parse_table("Date,a\r\n2020/1/1,1.0\r\n2020/1/2,NA\r\n2020/1/3,25e-1\r\n", "two")
    assert convert.canonical(one, ["a"]) == convert.canonical(two, ["a"])
    assert convert.canonical(one, ["a"]) == "date,a\n2020-01-01,1\n2020-01-02,\n2020-01-03,2.5\n"


def test_no_copy_says_how_to_have_one(cache):
    with pytest.raises(DataError, match=r"`nashfield datasets fetch boarding-school` .* or set"):
        datasets.load("boarding-school")


def test_unknown_name_offers_the_nearest():
    with pytest.raises(nf.NashfieldError, match=r"unknown dataset 'japan-nationl'.*japan-national"):
        datasets.load("japan-nationl")


def test_cache_follows_the_platform(monkeypatch):
    monkeypatch.delenv("NASHFIELD_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    for platform, folder in (
        ("linux", Path("/x/nashfield/datasets")),
        ("darwin", Path("~/Library/Caches/nashfield/datasets").expanduser()),
        ("win32", Path("/local/nashfield/datasets")),
    ):
        monkeypatch.setattr("sys.platform", platform)
        assert datasets.cache_folder() == folder
    monkeypatch.setenv("NASHFIELD_CACHE", "/mine")
    assert datasets.cache_folder() == Path("/mine/datasets")


@needs_data
@pytest.mark.parametrize("name", sorted(datasets.DATASETS))
def test_local_copies_are_the_series(name):
    table = nf.datasets.load(name)
    first, last = datasets.DATASETS[name].span
    assert str(table.dates[0]) == first and str(table.dates[-1]) == last


@needs_data
def test_published_form_gives_the_local_copy(server, cache, monkeypatch):
    """The real values, written as the ministry writes them, served, fetched, and checked."""
    table = datasets.load("japan-national", data=DATA)
    care = ["(ALL) Requiring inpatient care"]
    care.append("(ALL) Discharged from hospital or released from treatment")
    columns = {
        "new": (["ALL"], ["new_confirmed"]),
        "care": (care, ["active_inpatient", "discharged_cum"]),
        "deaths": (["ALL"], ["deaths_cum"]),
    }
    for part, (labels, names) in columns.items():
        lines = [",".join(["Date", *labels])]
        for day, *row in zip(table.dates, *(table[name] for name in names), strict=True):
            if np.isfinite(row).all():
                year, month, number = str(day).split("-")
                written = f"{year}/{int(month)}/{int(number)}"
                lines.append(",".join([written, *(str(int(x)) for x in row)]))
        server.files[f"/{part}"] = "\n".join(lines).encode()
    mirrors = ({part: server.address(f"/{part}") for part in columns},)
    dataset = dataclasses.replace(datasets.DATASETS["japan-national"], mirrors=mirrors)
    monkeypatch.setitem(datasets.DATASETS, "japan-national", dataset)
    assert datasets.fetch("japan-national") == cache / "japan_national_mhlw.csv"
    np.testing.assert_array_equal(
        datasets.load("japan-national")["active_inpatient"], table["active_inpatient"]
    )
