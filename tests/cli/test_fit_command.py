"""`nashfield fit epidemic`: what is read, said and kept, around a fit that is handed in."""

import dataclasses
import json
import os
from types import SimpleNamespace

import numpy as np
import pytest

from nashfield.neural import epidemics

needs_data = pytest.mark.skipif(
    not os.environ.get("NASHFIELD_DATA"), reason="NASHFIELD_DATA names no folder of local copies"
)
DAYS = np.arange("2021-01-01", "2021-03-02", dtype="datetime64[D]")
ACTIVE = 1000 * np.exp(-(((np.arange(60) - 30) / 12) ** 2)) + 50


@dataclasses.dataclass
class Fitted:
    """What a model finds, made up."""

    counts: epidemics.Counts
    rate: float
    inputs: object
    settings: object
    diverged_at: int | None = None
    assumptions = ("counts are confirmed cases", "recovery is given.")
    exploitability, num_parameters, c_I, c_a = 0.25, 12.0, 2.0, 1.0

    def __post_init__(self):
        num = len(self.counts)
        self.active_fitted = 1.01 * self.counts.active
        self.reproduction_number = np.linspace(1.5, 0.7, num)
        self.reproduction_number_low = self.reproduction_number - 0.1
        self.reproduction_number_high = self.reproduction_number + 0.1
        self.gamma = np.full(num, self.rate or 0.1)
        self.contact_level = np.linspace(1, 0.6, num)
        self.best_contact_level = np.linspace(1, 0.5, num)
        self.transmission = np.linspace(0.2, 0.1, num)

    def forecast(self, num_days, *, key):
        median = self.active_fitted[-1] * np.exp(-0.1 * np.arange(1, num_days + 1))
        return SimpleNamespace(
            median=median,
            low=0.8 * median,
            high=1.3 * median,
            reproduction_number=np.full(num_days, 0.7),
            reproduction_number_low=np.full(num_days, 0.6),
            reproduction_number_high=np.full(num_days, 0.8),
        )


@pytest.fixture
def fitted(monkeypatch):
    """Puts `Fitted` in the place of the model; keeps what it was called with."""
    calls = []

    def fit_epidemic(counts, *, gamma, inputs, settings, key, progress):
        calls.append(Fitted(counts, gamma, inputs, settings, *calls_diverge))
        return calls[-1]

    calls_diverge: list = []
    fit_epidemic.diverge = calls_diverge.append
    fit_epidemic.calls = calls
    monkeypatch.setattr(epidemics, "fit_epidemic", fit_epidemic)
    return fit_epidemic


@pytest.fixture
def cases(tmp_path):
    path = tmp_path / "cases.csv"
    rows = "".join(f"{day},{x:.3f}\n" for day, x in zip(DAYS, ACTIVE, strict=True))
    path.write_text("date,active\n" + rows)
    return path


def test_summary_files_and_picture(run, fitted, cases, tmp_path):
    status, out, err = run("fit", "epidemic", cases, "--population", 100_000, "--out", "runs/a")
    assert status == 0
    for line in (
        "60 days, 2021-01-01 to 2021-03-01",
        f"off by {0.01 * np.sqrt(np.mean(np.round(ACTIVE, 3) ** 2)):,.4g} cases (root mean square)",
        "12 effective parameters",
        "R_t            0.70 on 2021-03-01 (90%: 0.60 to 0.80)",
        "peaks          2021-01-31  1,06",
        "forecast       2021-03-08  ",
        "highest        2021-03-02, of the days ahead",
        "contact level  0.60 learnt, 0.50 best response",
        "exploitability 0.25 (a day of illness costs 2)",
        "  - Columns: active cases from active.",
        "  - Active and new cases enter as reported, not smoothed",
        "  - Counts are confirmed cases.",
        "  - Recovery is given.",
        "run folder     runs/a",
        "picture        runs/a/epidemic.png",
    ):
        assert line in out
    assert "columns: active cases from active" in err and "compiling, then fitting" in err
    folder = tmp_path / "runs/a"
    names = {"fit.json", "fit.csv", "forecast.csv", "epidemic.png"}
    assert {path.name for path in folder.iterdir()} == names
    rows = (folder / "fit.csv").read_text().splitlines()
    assert rows[0].startswith("date,active,active_fitted,reproduction_number") and len(rows) == 61
    assert len((folder / "forecast.csv").read_text().splitlines()) == 15
    found = json.loads((folder / "fit.json").read_text())
    assert found["peaks"] == [{"day": "2021-01-31", "active": pytest.approx(1060.5)}]


def test_json_is_one_object_and_options_reach_the_model(run, fitted, cases):
    events = cases.with_name("events.csv")
    events.write_text("start,end,name\n2021-01-10,2021-01-20,closed schools\n")
    options = ("--from", "2021-01-05", "--to", "2021-02-20", "--gamma", "0.2", "--forecast", "5")
    options += ("--inputs", events, "--inputs-source", "town hall", "--no-plots", "--seed", "3")
    status, out, _ = run("fit", "epidemic", cases, "--population", 99_999, *options, "--json")
    assert status == 0 and len(out.splitlines()) == 1
    found = json.loads(out)
    (call,) = fitted.calls
    assert call.rate == found["gamma"] == 0.2 and float(call.settings.gamma) == 0.1
    assert call.inputs.names == ("closed schools",)
    assert found["first_day"] == "2021-01-05" and found["last_day"] == "2021-02-20"
    assert len(found["forecast"]["median"]) == 5 and found["seed"] == 3
    assert found["growth_rate"] == pytest.approx(np.log(ACTIVE[50] / ACTIVE[43]) / 7, abs=1e-5)
    assert any("closed schools) are from: town hall." in note for note in found["assumptions"])
    assert found["out"] == "runs/epidemic-1"


def test_an_outbreak_has_settings_of_its_own(run, fitted, cases):
    options = ("--population", 100_000, "--outbreak", "--no-plots", "--json")
    assert run("fit", "epidemic", cases, *options)[0] == 0
    (call,) = fitted.calls
    assert call.rate is None and float(call.settings.gamma) == 0.5


def test_divergence_is_told_with_its_step(run, fitted, cases):
    fitted.diverge(17)
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
    fails(run(*most, "--from", "2020-01-01"), "counts span 2021-01-01 to 2021-03-01")
    fails(run(*most, "--column", "ill"), "there is no column 'ill'", "there are active")
    fails(run(*most, "--gamma", "-1"), "'-1' is not a positive number")
    fails(run(*most, "--inputs-source", "me"), "--inputs-source names the source of --inputs CSV")
    events = tmp_path / "events.csv"
    events.write_text("start,end,name\n2021-01-10,,x\n")
    fails(run(*most, "--inputs", events), "inputs need a named source")
    fails(run("fit", "epidemic", "none.csv", "--population", 9), "there is no such file")
    fails(run("fit", "plague", cases), "invalid choice: 'plague'")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    fails(run(*most, "--out", "full"), "the folder is not empty")
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
