"""Yardsticks and rolling origins: against loops, closed forms, SciPy, and known numbers."""

import dataclasses
import os

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

from nashfield.datasets import DataError, load
from nashfield.neural.epidemics import (
    YARDSTICKS,
    Counts,
    centred_mean,
    fit_sir,
    rolling_scores,
    weekly_origins,
)
from nashfield.neural.epidemics import yardsticks as plain
from nashfield.neural.epidemics.counts import counts_of
from nashfield.neural.epidemics.sir_fit import sir_path

needs_data = pytest.mark.skipif(
    not os.environ.get("NASHFIELD_DATA"), reason="NASHFIELD_DATA names no folder of local copies"
)
DAYS = np.arange("2021-01-01", "2021-06-01", dtype="datetime64[D]")


def growing(rate=0.03, gamma=0.1):
    """New cases that grow by a constant rate, and what follows of them day by day."""
    num = len(DAYS)
    new = 100 * np.exp(rate * np.arange(num))
    active, removed = np.empty(num), np.empty(num)
    active[0], removed[0] = 100 / (np.expm1(rate) + gamma) * np.exp(rate), 50.0
    for k in range(1, num):
        active[k] = (1 - gamma) * active[k - 1] + new[k]
        removed[k] = removed[k - 1] + gamma * active[k - 1]
    return Counts(DAYS, active, 1e12, new, removed)


def noisy(seed=0):
    counts, rng = growing(), np.random.default_rng(seed)
    noise = np.exp(0.1 * rng.normal(size=(2, len(counts))))
    return dataclasses.replace(counts, active=counts.active * noise[0], new=counts.new * noise[1])


@pytest.mark.parametrize("name", sorted(YARDSTICKS))
def test_nothing_of_the_future_is_used(name):
    counts, origins = noisy(), np.array([60, 80])
    before = YARDSTICKS[name](counts, origins, 14)
    assert before.shape == (2, 14) and np.isfinite(before).all()
    later = {k: getattr(counts, k).copy() for k in ("active", "new", "removed")}
    for values in later.values():
        values[81:] *= 7
    changed = YARDSTICKS[name](dataclasses.replace(counts, **later), origins, 14)
    np.testing.assert_array_equal(before, changed)
    alone = YARDSTICKS[name](counts, origins[:1], 14)
    np.testing.assert_allclose(alone, before[:1], rtol=1e-9)


@pytest.mark.parametrize("name", sorted(set(YARDSTICKS) - {"persistence"}))
def test_constant_growth_is_continued(name):
    """Damped rules fall short of it by what they say; the others hit it."""
    counts, origins = growing(), np.array([100])
    found, seen = YARDSTICKS[name](counts, origins, 7)[0], counts.active[101:108]
    logs = np.log(found / seen)
    if "damped trend" in name:
        expected = 0.03 * (np.cumsum(0.9 ** np.arange(1, 8)) - np.arange(1, 8))
        np.testing.assert_allclose(logs, expected, atol=1e-9)
    elif "renewal" in name:
        assert (logs < 0).all() and (logs > -0.1).all()
    else:
        # A day of the counts above is an Euler step, a day of SIR is not.
        np.testing.assert_allclose(logs, 0, atol=0.03)


def test_renewal_against_a_loop():
    counts, origin = noisy(1), 90
    days = np.arange(1, 22)
    shape = 1 / 0.62**2
    weights = days ** (shape - 1) * np.exp(-days / (6.5 / shape))
    weights /= weights.sum()
    new = list(counts.new[: origin + 1])

    def pressure(series, t):
        return sum(weights[s - 1] * series[t - s] for s in range(1, 22))

    recent = range(origin - 6, origin + 1)
    log_number = np.log(sum(new[t] for t in recent) / sum(pressure(new, t) for t in recent))
    left = sum(counts.new[t] - counts.active[t] + counts.active[t - 1] for t in recent)
    outflow = left / sum(counts.active[t - 1] for t in recent)
    level, expected = counts.active[origin], []
    for h in range(1, 15):
        new.append(np.exp(log_number * 0.8 ** (h / 7)) * pressure(new, origin + h))
        level = level * (1 - outflow) + new[-1]
        expected.append(level)
    found = plain.renewal(counts, np.array([origin]), 14)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_two_points_need_no_more():
    counts = dataclasses.replace(growing(), active=2.0 ** np.arange(len(DAYS)))
    np.testing.assert_allclose(plain.two_point(counts, np.array([5]), 2, lag=1), [[64, 128]])


def test_sir_path_against_scipy():
    beta, gamma = np.array([0.4, 0.2]), np.array([0.125, 0.1])
    active, removed = np.array([10.0, 5.0]), np.array([0.0, 100.0])
    found = sir_path(beta, gamma, active, removed, 1000.0, 60)
    for k in range(2):

        def slope(t, x, b=beta[k], g=gamma[k]):
            return [b * (1000 - x[0] - x[1]) * x[0] / 1000 - g * x[0], g * x[0]]

        run = solve_ivp(slope, (0, 59), [active[k], removed[k]], t_eval=range(60), rtol=1e-10)
        np.testing.assert_allclose(np.stack([found[0][k], found[1][k]]), run.y, rtol=1e-6)


def test_fit_is_that_of_scipy():
    counts = noisy(2)
    window = slice(60, 90)
    active, removed = counts.active[window] / 10, counts.removed[window] / 10
    population = 1e6

    def residuals(logs):
        rates = np.exp(logs)[:, None]
        path = sir_path(*rates, active[:1], removed[:1], population, 30)
        return np.concatenate([path[0][0] - active, path[1][0] - removed]) / active.max()

    expected = np.exp(least_squares(residuals, np.log([0.15, 0.1]), xtol=1e-14, ftol=1e-14).x)
    found = fit_sir(active, population, removed=removed)
    np.testing.assert_allclose([found.beta, found.gamma], expected, rtol=1e-5)
    twice = [np.stack([x, x]) for x in (active, removed)]
    both = fit_sir(twice[0], population, removed=twice[1])
    np.testing.assert_allclose(both.beta, found.beta, rtol=1e-9)
    assert both.beta.shape == (2,) and both.forecast(5).shape == (2, 5)


def test_scores_against_loops():
    counts = noisy(3)
    origins = weekly_origins(counts, "2021-02-01", "2021-05-03")
    assert [str(day) for day in counts.dates[origins[:2]]] == ["2021-02-01", "2021-02-08"]
    forecast = plain.exponential(counts, origins, 5)
    band = np.stack([0.9 * forecast, 1.1 * forecast])
    scores = rolling_scores(counts, origins, forecast, band=band)
    logs, raws, flat_logs, flat_raws, inside = [], [], [], [], []
    for row, origin in zip(forecast, origins, strict=True):
        seen, last = counts.active[origin + 1 : origin + 6], counts.active[origin]
        logs.append(np.sqrt(np.mean(np.log(row / seen) ** 2)))
        raws.append(np.sqrt(np.mean((row - seen) ** 2)))
        flat_logs.append(np.sqrt(np.mean(np.log(last / seen) ** 2)))
        flat_raws.append(np.sqrt(np.mean((last - seen) ** 2)))
        inside += list((seen >= 0.9 * row) & (seen <= 1.1 * row))
    np.testing.assert_allclose(scores.log_errors, logs, rtol=1e-12)
    np.testing.assert_allclose(scores.raw_errors, raws, rtol=1e-12)
    assert scores.log_ratio == pytest.approx(np.sum(logs) / np.sum(flat_logs))
    assert scores.raw_ratio == pytest.approx(np.sum(raws) / np.sum(flat_raws))
    assert scores.coverage == pytest.approx(np.mean(inside))
    assert scores.log_interval[0] <= scores.log_ratio <= scores.log_interval[1]


def test_bootstrap_keeps_its_seed_and_its_blocks():
    counts = noisy(4)
    origins = weekly_origins(counts, "2021-02-01", "2021-05-03")
    forecast = plain.damped_trend(counts, origins, 5)
    one, same = (rolling_scores(counts, origins, forecast) for _ in range(2))
    np.testing.assert_array_equal(one.log_interval, same.log_interval)
    other = rolling_scores(counts, origins, forecast, key=jax.random.key(1))
    np.testing.assert_allclose(one.log_interval, other.log_interval, rtol=0.03)
    # As many origins as a block holds: there is one way to draw them.
    few = rolling_scores(counts, origins[:6], forecast[:6])
    np.testing.assert_allclose(few.log_interval, few.log_ratio, rtol=1e-12)


def test_persistence_is_one():
    counts, origins = noisy(5), np.array([50, 57])
    scores = rolling_scores(counts, origins, plain.persistence(counts, origins, 14))
    assert scores.log_ratio == scores.raw_ratio == 1 and scores.coverage is None


def test_what_is_missing_is_named():
    counts = growing()
    none = dataclasses.replace(counts, new=None, removed=None)
    with pytest.raises(DataError, match="needs a column of new cases"):
        plain.renewal(none, np.array([60]), 3)
    with pytest.raises(DataError, match="damped_sir needs a column of removed cases"):
        plain.damped_sir(dataclasses.replace(counts, removed=None), np.array([60]), 3)
    with pytest.raises(DataError, match="constant_sir needs a column of removed cases"):
        plain.constant_sir(none, np.array([60]), 3)
    with pytest.raises(DataError, match="needs 7 days of counts; there are 3 before"):
        plain.exponential(counts, np.array([2, 60]), 3)
    with pytest.raises(DataError, match="forecasts go 4 days beyond the last count, 2021-05-31"):
        rolling_scores(counts, np.array([149]), np.ones((1, 5)))
    with pytest.raises(DataError, match=r"have the shape \(2, days\), not \(1, 5\)"):
        rolling_scores(counts, np.array([10, 20]), np.ones((1, 5)))
    with pytest.raises(DataError, match="do not lie within the counts, 2021-01-01 to 2021-05-31"):
        weekly_origins(counts, "2020-12-01", "2021-02-01")


@needs_data
def test_rows_of_japan():
    """Two weeks from each of 43 Sundays; mean errors over those of persistence."""
    counts = counts_of(load("japan-national"), 126_146_099)
    origins = weekly_origins(counts, "2020-11-29", "2021-09-19")
    assert len(origins) == 43
    expected = {
        "7-day exponential": (0.632, 1.018),
        "7-day exponential, two points": (0.604, 0.847),
        "damped trend (7 days, .9)": (0.635, 0.713),
        "renewal, rate damped .8": (0.529, 0.729),
        "SIR, time-varying rate damped": (0.549, 0.951),
        "SIR, constant rates": (1.335, 1.724),
    }
    for name, (log_ratio, raw_ratio) in expected.items():
        scores = rolling_scores(counts, origins, YARDSTICKS[name](counts, origins, 14))
        found = (scores.log_ratio, scores.raw_ratio)
        np.testing.assert_allclose(found, (log_ratio, raw_ratio), atol=6e-4, err_msg=name)


def test_cubic_is_found_again_without_looking_at_the_gap():
    days = np.arange(60.0)
    values = np.exp(8 + 0.03 * days - 2e-3 * (days - 30) ** 2 + 1e-5 * (days - 20) ** 3)
    hidden = np.arange(25, 40)
    shown = values.copy()
    shown[hidden] = np.nan
    np.testing.assert_allclose(plain.cubic_gap(shown, hidden), values[hidden], rtol=1e-9)
    with pytest.raises(DataError, match="two days with counts on either side"):
        plain.cubic_gap(shown, np.arange(1, 15))


@needs_data
def test_cubic_through_hidden_peaks_of_japan():
    counts = counts_of(load("japan-national"), 126_146_099)
    smooth, errors = centred_mean(counts.active), []
    for day in ("2021-01-18", "2021-05-14", "2021-08-28"):
        peak = int((np.datetime64(day) - counts.dates[0]).astype(int))
        found = plain.cubic_gap(smooth, np.arange(peak - 10, peak + 11))
        errors.append(abs(found.max() / smooth[peak] - 1))
    assert np.mean(errors) == pytest.approx(0.09, abs=1e-3)


@needs_data
@pytest.mark.parametrize(
    ("first", "last", "rates", "errors"),
    [
        ("2021-07-01", "2021-08-31", (0.1316, 0.0842), (1.197, 0.259, 0.263)),
        ("2020-11-15", "2021-01-15", (0.1208, 0.0952), (0.194, 0.105, 0.485)),
    ],
)
def test_two_single_windows_of_japan(first, last, rates, errors):
    table = load("japan-national")
    counts = counts_of(table, 126_146_099, start=first, end=last)
    fit = fit_sir(counts.active, counts.population, removed=counts.removed)
    np.testing.assert_allclose((fit.beta, fit.gamma), rates, atol=5e-5)
    origin = np.array([len(counts) - 1])
    later = np.datetime64(last) + np.arange(1, 15)
    seen = table["active_inpatient"][np.isin(table.dates, later)]
    forecasts = (
        fit.forecast(14),
        plain.persistence(counts, origin, 14)[0],
        plain.two_point(counts, origin, 14)[0],
    )
    found = [np.sqrt(np.mean((x - seen) ** 2)) / counts.active.max() for x in forecasts]
    np.testing.assert_allclose(found, errors, atol=5e-4)


@needs_data
def test_boarding_school():
    counts = counts_of(load("boarding-school"), 763)
    fit = fit_sir(counts.active, 763, free_start=True)
    assert float(fit.beta) == pytest.approx(1.788107, abs=2e-6)
    assert float(fit.gamma) == pytest.approx(0.455701, abs=1e-6)
    assert float(fit.initial_active) == pytest.approx(2.0934, abs=5e-5)
    assert float(fit.squares) == pytest.approx(3589.85, abs=5e-3)
    assert np.sqrt(fit.squares / 14) == pytest.approx(16.01, abs=5e-3)

    def error(forecast, num_days):
        seen = counts.active[num_days : num_days + 3]
        return np.sqrt(np.mean((forecast - seen) ** 2))

    ahead = {n: fit_sir(counts.active[:n], 763, free_start=True).forecast(3) for n in range(6, 12)}
    assert error(ahead[11], 11) == pytest.approx(24.0, abs=0.05)
    assert np.mean([error(x, n) for n, x in ahead.items()]) == pytest.approx(36.1, abs=0.05)
    two = plain.two_point(counts, np.array([10]), 3, lag=1)[0]
    assert error(two, 11) == pytest.approx(6.2, abs=0.05)
