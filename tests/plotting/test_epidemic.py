"""The picture of an epidemic: what is in which panel."""

from types import SimpleNamespace

import numpy as np
import pytest

from nashfield.neural.epidemics import Counts, DailyInputs
from nashfield.plotting.epidemic import plot_epidemic

DAYS = np.arange("2021-01-01", "2021-03-02", dtype="datetime64[D]")
ACTIVE = 1000 * np.exp(-(((np.arange(60) - 30) / 12) ** 2)) + 50


@pytest.fixture
def counts():
    return Counts(DAYS, ACTIVE, 100_000.0)


@pytest.fixture
def fit():
    return SimpleNamespace(
        active_fitted=1.01 * ACTIVE,
        reproduction_number=np.linspace(1.5, 0.7, 60),
        reproduction_number_low=np.linspace(1.3, 0.5, 60),
        reproduction_number_high=np.linspace(1.7, 0.9, 60),
        contact_level=np.linspace(1, 0.6, 60),
        best_contact_level=np.linspace(1, 0.5, 60),
        transmission=np.linspace(0.2, 0.1, 60),
        gamma=np.full(60, 0.1),
    )


@pytest.fixture
def forecast():
    median = ACTIVE[-1] * np.exp(-0.1 * np.arange(1, 15))
    return SimpleNamespace(
        median=median,
        low=0.8 * median,
        high=1.3 * median,
        reproduction_number=np.full(14, 0.7),
        reproduction_number_low=np.full(14, 0.6),
        reproduction_number_high=np.full(14, 0.8),
    )


def panels(ax):
    return {panel.get_ylabel() or panel.get_title(loc="left"): panel for panel in ax.figure.axes}


def lines(panel):
    return {line.get_label(): line for line in panel.lines}


def test_panels_and_what_they_show(counts, fit, forecast):
    found = panels(plot_epidemic(fit, counts, forecast=forecast, notes=("One.", "Two.")))
    assert set(found) == {
        *("active cases", "the last weeks", "what was assumed", "$R_t$", "contact level"),
        "rate a day",
    }
    for name in ("active cases", "the last weeks"):
        drawn = lines(found[name])
        np.testing.assert_array_equal(drawn["reported"].get_ydata(), ACTIVE)
        np.testing.assert_array_equal(drawn["fit"].get_ydata(), fit.active_fitted)
        median = drawn["forecast"].get_ydata()
        np.testing.assert_array_equal(median, [fit.active_fitted[-1], *forecast.median])
        days = drawn["forecast"].get_xdata()
        assert days[0] == DAYS[-1] and days[1] == np.datetime64("2021-03-02")
    assert any(np.all(np.asarray(line.get_ydata()) == 1) for line in found["$R_t$"].lines)
    drawn = lines(found["contact level"])
    np.testing.assert_array_equal(
        drawn["best response at the assumed costs"].get_ydata(), fit.best_contact_level
    )
    np.testing.assert_array_equal(drawn["learnt"].get_ydata(), fit.contact_level)
    assert found["what was assumed"].texts[0].get_text() == "One.\n\nTwo."


def test_a_wide_band_does_not_flatten_the_counts(counts, fit, forecast):
    forecast.high = 1e6 * forecast.median
    found = panels(plot_epidemic(fit, counts, forecast=forecast))
    assert found["active cases"].get_ylim()[1] < 2.2 * fit.active_fitted.max()


def test_a_short_series_is_shown_once(counts, fit):
    few = {name: value[:14] for name, value in vars(fit).items()}
    short = counts.between(None, DAYS[13])
    found = panels(plot_epidemic(SimpleNamespace(**few), short, notes=("One.",)))
    assert "the last weeks" not in found and "what was assumed" in found


def test_events_are_bars_and_shades(counts, fit):
    values = np.zeros((60, 3))
    values[10:20, 0] = values[30:40, 0] = 1
    values[5:, 1] = 1
    values[:, 2] = np.linspace(0, 1, 60)  # no event: left out
    inputs = DailyInputs(DAYS, ("closed", "masks", "doses"), values, "somebody")
    figure = plot_epidemic(fit, counts, inputs=inputs).figure
    bars = next(panel for panel in figure.axes if len(panel.patches) == 6)
    names = [label.get_text() for label in bars.get_yticklabels()]
    assert names == ["closed", "masks"]
    widths = [patch.get_width() for patch in bars.patches if patch.get_height() == 0.55]
    assert widths == [10, 10, 55]


def test_picture_without_a_forecast_can_be_saved(counts, fit, tmp_path):
    plot_epidemic(fit, counts).figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
