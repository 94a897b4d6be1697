"""`nashfield fit epidemic`: what is read, said and kept, around a fit that is handed in."""

import json
import os

import numpy as np
import pytest
from tests.cli.fitted import ACTIVE, DAYS

from nashfield.neural import epidemics

needs_data = pytest.mark.skipif(
    not os.environ.get("NASHFIELD_DATA"), reason="NASHFIELD_DATA names no folder of local copies"
)


def test_summary_files_and_picture(run, fitted, cases, tmp_path):
    status, out, err = run("fit", "epidemic", cases, "--population", 100_000, "--out", "runs/a")
    assert status == 0
    for line in (
        "60 days, 2021-01-01 to 2021-03-01",
        f"off by {0.01 * np.sqrt(np.mean(np.round(ACTIVE, 3) ** 2)):,.4g} cases (root mean square)",
        "12 effective parameters",
        "past           forecasts from days of the past, 14 days ahead, off by 0.12 in logarithms, "
        "about 13%",
        "R_t            0.70 (90%: 0.60 to 0.80) on 2021-03-01, given the",
        "recovery       0.1 a day on 2021-03-01 (0.1 given)",
        "peaks          2021-01-31  1,06",
        "forecast       2021-03-08  ",
        f"highest        forecast {1.01 * ACTIVE[-1] * np.exp(-0.1):,.0f} on 2021-03-02",
        "contact level  0.60 learnt, 0.50 best response at the assumed costs",
        "exploitability 0.25: what one person would save over these 60 days",
        "  - Columns: active cases from active.",
        "  - Active cases enter as reported, not smoothed.",
        "  - Counts are reported cases.",
        "  - Recovery is given.",
        "folder         runs/a",
        "picture        runs/a/epidemic.png",
    ):
        assert " ".join(line.split()) in " ".join(out.split())
    assert "warning" not in out and "R_0" not in out
    assert "columns: active cases from active" in err and "compiling, then fitting" in err
    folder = tmp_path / "runs/a"
    names = {"fit.json", "fit.csv", "forecast.csv", "epidemic.png"}
    assert {path.name for path in folder.iterdir()} == names
    rows = (folder / "fit.csv").read_text().splitlines()
    assert rows[0].startswith("date,active,active_fitted,reproduction_number") and len(rows) == 61
    rows = (folder / "forecast.csv").read_text().splitlines()
    assert len(rows) == 15 and all(len(x) < 9 for x in rows[1].split(",")[1:])
    found = json.loads((folder / "fit.json").read_text())
    assert found["peaks"] == [{"day": "2021-01-31", "active": pytest.approx(1060.5)}]


@pytest.mark.parametrize("command", [("check",), ("plot",), ("simulate", "--agents", "9")])
def test_other_commands_say_what_the_folder_is(run, fails, fitted, cases, command):
    options = ("--population", 100_000, "--out", "runs/a", "--no-plots")
    assert run("fit", "epidemic", cases, *options)[0] == 0
    name, *rest = command
    fails(run(name, "runs/a", *rest), "no such file; this is a fit of an epidemic, see fit.json")


def test_json_is_one_object_and_options_reach_the_model(run, fitted, cases):
    events = cases.with_name("events.csv")
    events.write_text("start,end,name\n2021-01-10,2021-01-20,closed schools\n")
    options = ("--from", "2021-01-05", "--to", "2021-02-20", "--gamma", "0.2", "--forecast", "5")
    options += ("--inputs", events, "--inputs-source", "town hall", "--no-plots", "--seed", "3")
    status, out, _ = run("fit", "epidemic", cases, "--population", 99_999, *options, "--json")
    assert status == 0 and len(out.splitlines()) == 1
    found = json.loads(out)
    (call,) = fitted.calls
    assert call.rate == found["gamma"] == found["gamma_given"] == 0.2
    assert call.inputs.names == ("closed schools",)
    assert found["first_day"] == "2021-01-05" and found["last_day"] == "2021-02-20"
    assert len(found["forecast"]["median"]) == 5 and found["seed"] == 3
    assert found["growth_rate"] == pytest.approx(np.log(ACTIVE[50] / ACTIVE[43]) / 7, abs=1e-5)
    assert any("closed schools) are from: town hall." in note for note in found["assumptions"])
    assert any("ahead inputs keep their last value: closed" in n for n in found["assumptions"])
    assert found["out"] == "runs/epidemic-1" and found["warnings"] == []
    assert found["past_forecast_error"] == 0.12 and found["past_forecast_days"] == 14


def test_an_outbreak_has_settings_of_its_own(run, fitted, cases):
    options = ("--population", 100_000, "--outbreak", "--no-plots", "--to", "2021-01-20")
    status, out, _ = run("fit", "epidemic", cases, *options)
    (call,) = fitted.calls
    assert status == 0 and call.rate is None and float(call.settings.gamma) == 0.5
    assert "R_0            1.50 (90%: 1.40 to 1.60) on 2021-01-01" in out
    assert "final size     60.0% of all persons removed by 2021-01-20" in out
    assert "forecast       2021-01-23" in out and "warning" not in out  # three days


def test_costs_reach_the_model_and_the_report(run, fitted, cases):
    options = ("--population", 100_000, "--no-plots", "--cost-illness", 3, "--cost-avoidance", 0.5)
    status, out, _ = run("fit", "epidemic", cases, *options)
    assert status == 0 and (fitted.calls[0].c_I, fitted.calls[0].c_a) == (3.0, 0.5)
    out = " ".join(out.split())
    assert "c_I = 3 for a day of illness (--cost-illness) and c_a = 0.5 for avoidance" in out


def test_a_bad_fit_is_warned_of(run, fitted, cases):
    fitted.changes["off"] = 1.3
    most = ("fit", "epidemic", cases, "--population", 100_000, "--no-plots")
    out = " ".join(run(*most)[1].split())
    off = 0.3 * np.sqrt(np.mean(ACTIVE**2)) / np.mean(ACTIVE)
    assert f"warning the model does not fit: it is off by {off:.0%} of the mean" in out
    assert "try --outbreak (one short outbreak) or another --gamma" in out
    _, out, err = run(*most, "--outbreak", "--json")
    assert "of the mean; try another --gamma" in json.loads(out)["warnings"][0]
    assert "nashfield: warning: the model does not fit" in err


def test_a_short_series_is_warned_of(run, fitted, cases):
    options = ("--population", 100_000, "--no-plots", "--to", "2021-02-08")
    assert "39 days are few for this model" in run("fit", "epidemic", cases, *options)[1]


@pytest.mark.parametrize("column", ["new", "removed"])
def test_a_recovery_that_the_counts_deny_is_warned_of(run, fitted, cases, column):
    active = np.round(1000 + 300 * np.sin(np.arange(60) / 9))
    gone = 0.08 * active
    other = np.append(0, np.diff(active) + gone[:-1]) if column == "new" else np.cumsum(gone) - gone
    days = zip(DAYS, active, other, strict=True)
    text = "".join(f"{day},{x},{max(y, 0)}\n" for day, x, y in days)
    cases.write_text(f"date,active,{column}\n{text}")
    most = ("fit", "epidemic", cases, "--population", 100_000, "--no-plots")
    out = " ".join(run(*most, "--gamma", 5)[1].split())
    assert "recovery does not fit the counts: 5 a day, but by the counts 8.0% of the active" in out
    assert "try --gamma 0.08" in out
    assert "warning" not in run(*most)[1]


def test_inputs_that_change_nothing_are_told(run, fitted, cases):
    events = cases.with_name("events.csv")
    events.write_text("# source: A\nstart,end,name\n2020-01-10,2020-01-20,old\n2021-01-10,,x\n")
    options = ("--population", 100_000, "--no-plots", "--inputs", events)
    status, out, err = run("fit", "epidemic", cases, *options)
    assert status == 0 and "the input old is 0 on every day: it changes nothing within" in err
    out = " ".join(out.split())
    assert "warning the input old is 0" in out and "the input x" not in out
    assert "On the days ahead inputs keep their last value: old = 0, x = 1." in out


def test_a_fit_that_leads_nowhere_leaves_no_folder(run, cases, monkeypatch, tmp_path):
    """But one that was there stays."""

    def nowhere(*args, **kwargs):
        raise ValueError("the fit leads to numbers that are not finite")

    monkeypatch.setattr(epidemics, "fit_epidemic", nowhere)
    kept = tmp_path / "kept"
    kept.mkdir()
    for folder in (tmp_path / "new", kept):
        status, _, err = run("fit", "epidemic", cases, "--population", 100_000, "--out", folder)
        assert status == 2
        assert "nashfield: error: the fit leads to numbers that are not finite" in err
    assert not (tmp_path / "new").exists()
    assert kept.is_dir()


def test_announced_events_reach_the_forecast(run, fitted, cases):
    """Of the last day and of those ahead: the school opens on the third of them."""
    last = cases.read_text().split()[-1].split(",")[0]
    opens = np.datetime64(last) + 3
    events = cases.with_name("events.csv")
    events.write_text(f"# source: A\nstart,end,name\n2021-01-10,{opens - 1},closed\n")
    options = ("--population", 100_000, "--no-plots", "--inputs", events, "--forecast", "5")
    status, out, _ = run("fit", "epidemic", cases, *options)
    assert status == 0
    np.testing.assert_array_equal(fitted.calls[0].inputs_ahead[:, 0], [1, 1, 1, 0, 0])
    out = " ".join(out.split())
    assert "On the days ahead inputs keep their last value but where the file announces" in out
    assert f"closed = 1 and 0 from {opens}" in out
    # Where counts are cut, nobody is to know what came later.
    status, *_ = run("fit", "epidemic", cases, *options, "--to", str(np.datetime64(last) - 1))
    assert status == 0
    np.testing.assert_array_equal(fitted.calls[1].inputs_ahead[:, 0], 1)


def test_interrupted_picture_leaves_the_numbers(run, fitted, cases, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("nashfield.plotting.epidemic.plot_epidemic", stop)
    options = ("--population", 100_000, "--out", "runs/a")
    status, _, err = run("fit", "epidemic", cases, *options)
    assert status == 130
    assert "fit.json, fit.csv and forecast.csv are kept in runs/a" in err


def test_divergence_is_told_with_its_step(run, fitted, cases):
    fitted.changes["diverged_at"] = 17
    options = ("--population", 100_000, "--no-plots", "--json")
    status, out, err = run("fit", "epidemic", cases, *options)
    assert status == 0 and json.loads(out)["diverged_at"] == 17
    assert "warning: the fit diverged at step 17; the last good numbers are kept" in err


def test_new_cases_alone_are_said(run, fitted, cases):
    cases.write_text(cases.read_text().replace("active", "cases"))
    status, out, err = run("fit", "epidemic", cases, "--population", 100_000, "--no-plots")
    assert status == 0
    assert "each case of cases counts as active for 10 days" in err
    assert "counts as active for 10" in out


def test_errors(run, fails, fitted, cases, tmp_path):
    fit = ("fit", "epidemic", cases)
    fails(run(*fit), "--population N: say how many persons live")
    fails(run(*fit, "--population", 0), "--population", "is not an integer of at least 1")
    fails(run(*fit, "--population", 10), "the population 10 is smaller than the 1050 active cases")
    most = (*fit, "--population", 100_000)
    fails(run(*most, "--from", "2020-01-01"), "the data begin on 2021-01-01; 2020-01-01")
    fails(run(*most, "--column", "ill"), "there is no column 'ill'", "there are active")
    fails(run(*most, "--gamma", "-1"), "'-1' is not a positive number")
    fails(run(*most, "--inputs-source", "me"), "--inputs-source names the source of --inputs CSV")
    events = tmp_path / "events.csv"
    events.write_text("start,end,name\n2021-01-10,,x\n")
    fails(run(*most, "--inputs", events), "inputs need a named source")
    fails(run("fit", "epidemic", "none.csv", "--population", 9), "there is no such file")
    fails(run("fit", "plague", cases), "nothing to fit by the name 'plague'; known are: epi")
    fails(run("fit", "epidemics", cases), "'epidemics'; did you mean 'epidemic'?")
    fails(run("fit", "epidemic", "japn-national"), "no dataset", "mean 'japan-national'?")
    fails(run(*most, "--cost-avoidance", "0"), "--cost-avoidance", "is not a positive number")
    fails(run(*most, "--to", "2021-01-04"), "active cases of at least 5 days, not 4")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    fails(run(*most, "--out", "full"), "not empty; name another one or remove it\n")
    cases.write_text("date,active\n" + "".join(f"{day},0\n" for day in DAYS))
    fails(run(*most), "there is no active case on any day from 2021-01-01")
    assert not fitted.calls


@needs_data
def test_a_dataset_by_name(run, fitted):
    options = ("--from", "2021-06-01", "--to", "2021-08-31", "--no-plots", "--json")
    status, out, _ = run("fit", "epidemic", "japan-national", *options)
    assert status == 0
    found = json.loads(out)
    assert found["population"] == 126_146_099 and found["num_days"] == 92
    assert "Source: MHLW open data, processed." in found["assumptions"]


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize(
    ("options", "peaks", "height"),
    [
        (("boarding-school", "--outbreak", "--forecast", "3"), ["1978-01-27"], 298),
        (("japan-national", "--from", "2021-06-15", "--to", "2021-09-30"), ["2021-08-28"], 209_279),
    ],
)
def test_real_series_from_file_to_picture(run, tmp_path, options, peaks, height):
    status, out, _ = run("fit", "epidemic", *options, "--out", "runs/real", "--json")
    assert status == 0
    found = json.loads(out)
    assert [peak["day"] for peak in found["peaks"]] == peaks
    assert found["peaks"][0]["active"] == pytest.approx(height, rel=0.07)
    assert found["diverged_at"] is None and found["exploitability"] >= 0
    assert (tmp_path / "runs/real/epidemic.png").stat().st_size > 50_000
