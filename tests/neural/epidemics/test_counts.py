"""Counts and inputs from a user's files, and every doubt that is raised."""

import os
from pathlib import Path

import numpy as np
import pytest

from nashfield.datasets import DataError, load
from nashfield.neural.epidemics import (
    Counts,
    centred_mean,
    read_counts,
    read_inputs,
    trailing_mean,
)
from nashfield.neural.epidemics.counts import check_cases, counts_of

needs_data = pytest.mark.skipif(
    not os.environ.get("NASHFIELD_DATA"), reason="NASHFIELD_DATA names no folder of local copies"
)
GOOD = "date,active,new,removed\n2021-01-01,5,2,0\n2021-01-02,6,2,1\n2021-01-03,8,4,3\n"


@pytest.fixture
def file(tmp_path):
    def write(text, name="cases.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_counts_are_read(file):
    counts = read_counts(file(GOOD), population=100)
    assert len(counts) == 3 and str(counts.dates[0]) == "2021-01-01" and counts.population == 100.0
    np.testing.assert_array_equal(counts.active, [5, 6, 8])
    np.testing.assert_array_equal(counts.new, [2, 2, 4])
    np.testing.assert_array_equal(counts.removed, [0, 1, 3])
    wanted = "columns: active cases from active, new cases from new, removed so far from removed"
    assert counts.notes == (wanted,)


def test_names_of_columns_are_forgiven(file):
    text = "Date,In Bed,Cases,Discharged-cum,Deaths cum,remark\n2021/1/1,5,1,2,1,x\n"
    text += "2021/1/2,6,2,3,1,\n"
    counts = read_counts(file(text), population=100)
    np.testing.assert_array_equal(counts.active, [5, 6])
    np.testing.assert_array_equal(counts.new, [1, 2])
    np.testing.assert_array_equal(counts.removed, [3, 4])
    assert "active cases from In Bed, new cases from Cases" in counts.notes[0]
    assert counts.notes[0].endswith("removed so far from Discharged-cum + Deaths cum")


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_marks_between_entries(file, mark):
    counts = read_counts(file("\ufeff" + GOOD.replace(",", mark)), population=100)
    np.testing.assert_array_equal(counts.active, [5, 6, 8])


def test_a_column_of_another_name(file):
    text = GOOD.replace("active", "kranke")
    assert read_counts(file(text), population=100, column="kranke").active[0] == 5


def test_days_between(file):
    path = file(GOOD)
    cut = read_counts(path, population=100, start="2021-01-02")
    np.testing.assert_array_equal(cut.active, [6, 8])
    np.testing.assert_array_equal(
        cut.active, read_counts(path, population=100).between("2021-01-02").active
    )
    assert read_counts(path, population=100, end="2021-01-02").removed.tolist() == [0, 1]


def test_new_cases_alone_count_as_active_for_ten_days_and_it_is_said(file):
    new = np.random.default_rng(0).integers(0, 9, 30)
    days = np.arange("2021-01-01", "2021-01-31", dtype="datetime64[D]")
    text = "date,cases\n" + "".join(f"{d},{n}\n" for d, n in zip(days, new, strict=True))
    counts = read_counts(file(text), population=1000)
    assert any("each case of cases counts as active for 10 days" in note for note in counts.notes)
    assert str(counts.dates[0]) == "2021-01-10"
    expected = [new[k - 9 : k + 1].sum() for k in range(9, 30)]
    np.testing.assert_array_equal(counts.active, expected)
    np.testing.assert_array_equal(
        counts.removed, [new[: max(k - 9, 0)].sum() for k in range(9, 30)]
    )


@pytest.mark.parametrize(
    ("text", "kwargs", "message"),
    [
        ("", {}, r"cases.csv: the file is empty"),
        (b"\xff\xfe\x00\x01PK", {}, "not a text file in UTF-8"),
        (b"date,active\n\x00\x00\n", {}, "a binary file"),
        ("# only words\n", {}, "there is no header"),
        ("date,active\n", {}, "there are no rows below the header date,active"),
        ("day,active\n1,2\n", {}, "there is no column 'date'; there are day, active"),
        ("date,active\n2021-01-01,2\n", {}, "2021-01-01 is the only day with a count"),
        ("date,active\n2021-01-01,2,3\n", {}, "line 2 has 3 entries, but the header has 2"),
        ("date,active\n2021-13-01,2\n", {}, "line 2: '2021-13-01' is not a date such as"),
        ("date,active\nyesterday,2\n", {}, "line 2: 'yesterday' is not a date"),
        ("date,active\n2021-01-01,1\n2021-01-02,x\n", {}, "line 3, column active: 'x' is not a"),
        ("date,active\n2021-01-01,inf\n2021-01-02,1\n", {}, "'inf' is not a number"),
        ('date,active\n2021-01-01,"5,328"\n', {}, "active: '5,328' is not a number; write 5328"),
        (GOOD, {"column": "activ"}, "no column 'activ' with numbers; did you mean 'active'?"),
        (GOOD.replace("01,5,", "01,-5,"), {}, "is negative on 2021-01-01; .* --from 2021-01-02"),
        (GOOD + "2021-01-03,8,4,3\n", {}, "2021-01-03 is there twice"),
        (GOOD + "2021-01-01,8,4,3\n", {}, "2021-01-01 comes after 2021-01-03; sort the rows"),
        (GOOD + "2021-01-07,8,4,3\n", {}, "2021-01-04 and 2 more; .* fill it in.* --to 2021-01-03"),
        (GOOD + "2021-01-04,,4,3\n2021-01-05,1,1,4\n", {}, "missing on 2021-01-04; .* --to"),
        (GOOD + "2021-01-04,-3,4,3\n", {}, "active is negative on 2021-01-04"),
        (GOOD + "2021-01-04,3,-4,3\n", {}, "new is negative on 2021-01-04"),
        ("date,temperature,rain\n2021-01-01,2,3\n", {}, "there are temperature, rain"),
        (GOOD, {"column": "ill"}, "there is no column 'ill' with numbers; there are active, new"),
        (GOOD, {"population": 10}, "10 is smaller than the 11 active and removed cases of 2021"),
        (GOOD.replace("removed", "x"), {"population": 7}, "smaller than the 8 active cases"),
        ("date,active,new\n2021-01-01,1,60\n2021-01-02,1,60\n", {}, "sum of all new cases, 120"),
        (GOOD, {"population": 0}, "the population must be a positive number, not 0"),
        (GOOD, {"start": "2020-12-31"}, "the data begin on 2021-01-01; 2020-12-31 cannot be the f"),
        (GOOD, {"start": "2021-02-01"}, "end on 2021-01-03; 2021-02-01 cannot be the first day"),
        (GOOD, {"end": "2021-02-01"}, "the data end on 2021-01-03; 2021-02-01 cannot be the last"),
        (GOOD, {"start": "2021-01-03", "end": "2021-01-01"}, "must come after the first day"),
        (GOOD, {"start": "soon"}, "the first day 'soon' is not a date such as"),
        (GOOD, {"end": "NaT"}, "the last day 'NaT' is not a date such as"),
        ("date,cases\n2021-01-01,1\n2021-01-02,2\n", {}, "cases has 2 counts; .* more than 10"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(file, text, kwargs, message):
    with pytest.raises(DataError, match=message):
        read_counts(file(text), **({"population": 100} | kwargs))


def test_gap_in_new_cases_is_named_where_it_spoils_the_window(file):
    days = np.arange("2021-01-01", "2021-01-31", dtype="datetime64[D]")
    text = "date,new\n" + "".join(f"{d},{'' if k == 14 else 3}\n" for k, d in enumerate(days))
    with pytest.raises(DataError, match=r"new cases \(new\) is missing on 2021-01-15"):
        read_counts(file(text), population=1000)


def test_no_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.csv: there is no such file"):
        read_counts(tmp_path / "nowhere.csv", population=10)
    with pytest.raises(DataError, match="cannot be read"):
        read_counts(tmp_path, population=10)


def test_what_a_fit_can_do_without_may_be_missing_and_is_told(file):
    counts = read_counts(file(GOOD.replace("2,1\n", ",1\n")), population=100)
    assert np.isnan(counts.new[1])
    assert "new is missing on 1 days, first on 2021-01-02" in counts.notes


def test_removed_that_is_no_running_sum_is_not_used(file):
    text = "date,active,recovered\n2021-01-01,5,3\n2021-01-02,6,1\n2021-01-03,6,4\n"
    counts = read_counts(file(text), population=100)
    assert counts.removed is None
    assert any("falls too often for a running sum: not used" in note for note in counts.notes)


def test_deaths_alone_are_not_the_outflow(file):
    text = "date,active,deaths\n2021-01-01,5,3\n2021-01-02,6,4\n"
    assert read_counts(file(text), population=100).removed is None


def test_means_against_loops():
    values = np.random.default_rng(1).random(20)
    values[[3, 4]] = np.nan
    trailing = [np.nanmean(values[max(0, k - 6) : k + 1]) for k in range(20)]
    centred = [np.nanmean(values[max(0, k - 3) : k + 4]) for k in range(20)]
    np.testing.assert_allclose(trailing_mean(values), trailing, rtol=1e-12)
    np.testing.assert_allclose(centred_mean(values), centred, rtol=1e-12)
    assert np.isnan(trailing_mean(np.full(3, np.nan))).all()
    later = values.copy()
    later[10:] += 5
    np.testing.assert_array_equal(trailing_mean(values)[:10], trailing_mean(later)[:10])


def test_events_become_columns(file):
    path = file(
        "# source: Cabinet Secretariat\nstart,end,name\n2021-01-02,2021-01-03,emergency\n"
        "2021-01-05,,emergency\n2020-12-01,2021-01-01,travel\n"
    )
    days = np.arange("2021-01-01", "2021-01-08", dtype="datetime64[D]")
    inputs = read_inputs(path, days)
    assert inputs.names == ("emergency", "travel") and inputs.source == "Cabinet Secretariat"
    np.testing.assert_array_equal(inputs.values.T, [[0, 1, 1, 0, 1, 1, 1], [1, 0, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(inputs.ahead(2), [[1, 0], [1, 0]])


def test_announced_events_are_known_ahead(file):
    path = file(
        "# source: Cabinet Secretariat\nstart,end,name\n2021-01-02,2021-01-05,emergency\n"
        "2021-01-06,,travel\n2021-01-02,9999-01-01,masks\n"
    )
    days = np.arange("2021-01-01", "2021-01-04", dtype="datetime64[D]")
    inputs = read_inputs(path, days)
    np.testing.assert_array_equal(inputs.values.T, [[0, 1, 1], [0, 0, 0], [0, 1, 1]])
    # From the last day, the third, on; what travel does has never been seen, and it is held.
    ahead = [[1, 1, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]
    np.testing.assert_array_equal(inputs.ahead(5).T, ahead)
    assert len(inputs.announced) == 366
    np.testing.assert_array_equal(inputs.ahead(400)[-1], [0, 0, 1])


def test_later_rows_are_measured_and_not_announced(file):
    """Not even read: they may have holes."""
    path = file("date,doses\n2021-01-01,1\n2021-01-02,2\n2021-01-03,3\n2021-01-04,\n")
    days = np.arange("2021-01-01", "2021-01-03", dtype="datetime64[D]")
    inputs = read_inputs(path, days, source="Digital Agency")
    np.testing.assert_array_equal(inputs.ahead(4)[:, 0], [2, 2, 2, 2])


def test_days_with_a_gap_take_no_inputs(file):
    days = np.array(["2021-01-01", "2021-01-03"], "datetime64[D]")
    with pytest.raises(DataError, match="the days that inputs are read for must follow one"):
        read_inputs(file("date,doses\n2021-01-01,1\n2021-01-03,2\n"), days, source="A")


def test_inputs_by_day(file):
    path = file("date,doses,mobility\n2021-01-01,1,.5\n2021-01-02,2,.4\n2021-01-03,3,.3\n")
    days = np.arange("2021-01-02", "2021-01-04", dtype="datetime64[D]")
    inputs = read_inputs(path, days, source="Digital Agency")
    assert inputs.names == ("doses", "mobility") and inputs.source == "Digital Agency"
    np.testing.assert_array_equal(inputs.values, [[2, 0.4], [3, 0.3]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start,end,name\n2021-01-01,,x\n", "inputs need a named source: begin the file with"),
        ("# source: A\nbegin,what\n2021-01-01,x\n", "inputs have columns start,end,name, or date"),
        ("# source: A\nstart,end,name\n2021-01-05,2021-01-01,x\n", "x ends on 2021-01-01, before"),
        ("# source: A\nstart,end,name\n2021-01-05,2021-01-06,\n", "line 3: the event has no name"),
        ("# source: A\nstart,end,name\nsoon,,x\n", "line 3: 'soon' is not a date"),
        ("# source: A\ndate,x\n2021-01-01,1\n", "there is no row for 2021-01-02; the counts go"),
        ("# source: A\ndate,x\n2021-01-01,1\n2021-01-02,\n", "x is missing on 2021-01-02"),
        ("# source: A\ndate,x\n2021-01-01,warm\n", "no column with numbers beside the date"),
    ],
)
def test_what_is_wrong_with_inputs_is_named(file, text, message):
    days = np.array(["2021-01-01", "2021-01-02"], "datetime64[D]")
    with pytest.raises(DataError, match=message):
        read_inputs(file(text), days)


@needs_data
def test_japan_as_the_ministry_counts():
    counts = counts_of(load("japan-national"), 126_146_099, start="2020-10-01", end="2021-10-03")
    assert isinstance(counts, Counts) and len(counts) == 368
    assert counts.notes[0].endswith("removed so far from discharged_cum + deaths_cum")
    smooth, trailing = centred_mean(counts.active), trailing_mean(counts.active)
    for low, high, peak, height, later in (
        ("2020-12", "2021-03", "2021-01-18", 67_101, "2021-01-21"),
        ("2021-04", "2021-06", "2021-05-14", 71_238, "2021-05-17"),
        ("2021-07", "2021-10", "2021-08-28", 209_279, "2021-08-31"),
    ):
        within = (counts.dates >= np.datetime64(low)) & (counts.dates < np.datetime64(high))
        best = np.flatnonzero(within)[np.argmax(smooth[within])]
        assert str(counts.dates[best]) == peak and round(smooth[best]) == height
        assert str(counts.dates[np.flatnonzero(within)[np.argmax(trailing[within])]]) == later


@needs_data
def test_vintage_and_other_columns_are_left_alone():
    path = Path(os.environ["NASHFIELD_DATA"]) / "japan_national_mhlw.csv"
    counts = read_counts(path, population=126_146_099, start="2021-01-01", end="2021-01-31")
    assert counts.notes[0].startswith("columns: active cases from active_inpatient, new cases from")
    assert np.isfinite(counts.new).all()


@pytest.mark.parametrize(
    ("active", "message"),
    [
        (np.zeros(9), "no active case on any day from 2021-01-01 to 2021-01-09, nothing to fit"),
        (np.array([1.0, 2, 3, 4]), "a fit takes active cases of at least 5 days, not 4"),
        (np.full(9, np.nan), "a fit takes active cases of at least 5 days, not 0"),
    ],
)
def test_nothing_to_fit_is_refused(active, message):
    days = np.datetime64("2021-01-01") + np.arange(active.size)
    with pytest.raises(DataError, match=message):
        check_cases(Counts(days, active, 100.0))
