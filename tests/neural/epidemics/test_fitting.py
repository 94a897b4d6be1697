"""Epidemics learnt from counts whose truth is known."""

import dataclasses
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from simulated import epidemic, settings

from nashfield.neural.epidemics import Counts, estimation, fit_epidemic
from nashfield.neural.epidemics import model as model_module
from nashfield.neural.epidemics.drift import PrescribedDrift
from nashfield.neural.epidemics.estimation import estimate, series_of
from nashfield.neural.epidemics.learning import teach
from nashfield.neural.epidemics.model import EpidemicModel
from nashfield.results import ParameterError

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def fits():
    """The same counts by rungs."""
    with jax.enable_x64(True):
        counts, _ = epidemic()
        yield {
            kind: fit_epidemic(counts, drift=kind, settings=settings(), key=KEY)
            for kind in ("prescribed", "neural")
        }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["prescribed", "neural"])
def test_reproduction_numbers_are_found(fits, kind):
    counts, number = epidemic()
    fit = fits[kind]
    inner = slice(10, -5)
    off = np.log(np.asarray(fit.reproduction_number)[inner] / number[inner])
    assert np.sqrt(np.mean(off**2)) < 0.06
    low, high = fit.reproduction_number_low, fit.reproduction_number_high
    inside = (number >= low) & (number <= high)
    assert inside[inner].mean() > 0.8
    assert np.sqrt(np.mean((fit.active_fitted / counts.active - 1) ** 2)) < 0.015


def test_what_a_fit_holds(fits):
    counts, _ = epidemic()
    fit = fits["neural"]
    shares = np.asarray(fit.shares)
    assert shares.shape == (90, 4) and shares.min() >= 0
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-12)
    expected = np.asarray(fit.transmission) * shares[:, 0] / np.asarray(fit.gamma)
    np.testing.assert_allclose(fit.reproduction_number, expected, rtol=1e-10)
    assert (fit.contact_level.max(), fit.diverged_at) == (1, None)
    assert (fit.dates == counts.dates).all() and fit.kind == "neural"
    assert 2 < fit.num_parameters < 90 and np.isfinite(fit.loss) and fit.exploitability >= 0
    said = " ".join(fit.assumptions)
    for part in (
        "not infections",
        "0.1 per day",
        "highest value",
        "c_I = 1",
        "not learnt",
        "variant",
    ):
        assert part in said
    avoided = shares[:, 0] * (1 - np.asarray(fit.contact_level)) ** 2 / 2
    np.testing.assert_allclose(fit.avoidance_cost, np.trapezoid(avoided), rtol=1e-10)
    assert type(fit.drift).__name__ == "NeuralDrift"


@pytest.mark.slow
def test_constant_rates_are_found():
    frozen = settings(
        gamma=0.2, gamma_prior=0.5, gamma_memory=1.0, num_iterations=20, dispersion=0.0
    )
    model = EpidemicModel(frozen, PrescribedDrift(0.0, 0.0))
    start, _ = model.first(jnp.full(25, 20.0), jnp.full(25, jnp.nan), jnp.asarray(1e3))
    start = jnp.asarray(start).at[0].set(np.log(0.6)).at[3].set(np.log(0.25))
    path = model.unpack(model.path(start, jnp.zeros((24, 0))))
    active = 1e3 * np.exp(np.concatenate([[np.log(0.02)], path.active]))
    counts = Counts(np.datetime64("2020-01-01") + np.arange(25), active, 1e3)
    fit = fit_epidemic(counts, drift="none", settings=frozen, key=KEY)
    np.testing.assert_allclose(fit.transmission, 0.6, rtol=0.02)
    np.testing.assert_allclose(fit.gamma, 0.25, rtol=0.02)
    np.testing.assert_allclose(fit.active_fitted, active, rtol=0.01)


def test_days_without_counts_are_filled():
    counts, _ = epidemic()
    holes = counts.active.copy()
    holes[40:46] = np.nan
    fit = fit_epidemic(
        dataclasses.replace(counts, active=holes), drift="prescribed", settings=settings(), key=KEY
    )
    np.testing.assert_allclose(fit.active_fitted[40:46], counts.active[40:46], rtol=0.05)


@pytest.mark.slow
def test_single_precision_is_enough():
    counts, _ = epidemic()
    options = {"drift": "prescribed", "settings": settings(), "key": KEY}
    double = fit_epidemic(counts, **options)
    with jax.enable_x64(False):
        single = fit_epidemic(counts, **{**options, "key": jax.random.key(0)})
    assert single.active_fitted.dtype == np.float32
    np.testing.assert_allclose(single.active_fitted, double.active_fitted, rtol=5e-3)
    np.testing.assert_allclose(single.reproduction_number, double.reproduction_number, rtol=2e-2)


@pytest.mark.slow
def test_a_network_learns_what_the_prescribed_drift_misses():
    """Growth that turns where it is large: the taught network forecasts better than none."""
    counts, _ = epidemic(150, noise=0.3)
    chosen = settings(
        num_training=60, training_stride=3, penalty=0.01, amplitude=0.02, training_days=14
    )
    series = series_of(counts)
    last, seen = jnp.asarray(149), jnp.ones(150, bool)
    found = estimate(chosen, series, last, False, key=KEY)
    model = EpidemicModel(chosen, chosen.drift)
    inputs = jnp.zeros((150, 0))
    silent = dataclasses.replace(chosen, num_training=1)
    args = found.means, inputs, seen, last
    before = teach(EpidemicModel(silent, silent.drift), *args, key=KEY)[1]
    drift, after, broke = jax.jit(lambda: teach(model, *args, key=KEY))()
    # Errors of forecasts below 3% do not count: that is where the loss begins.
    least = np.sqrt(1e-3)
    assert after - least < 0.5 * (before - least) and broke == -1
    assert float(jnp.abs(drift.out).max()) > 0


@pytest.mark.slow
def test_training_that_diverges_keeps_what_was_good():
    counts, _ = epidemic()
    wild = settings(learning_rate=1e308)
    fit = fit_epidemic(counts, settings=wild, key=KEY)
    assert fit.diverged_at == 1
    assert np.isfinite(fit.active_fitted).all() and float(jnp.abs(fit.drift.out).max()) == 0


@pytest.mark.slow
def test_passes_that_are_not_finite_are_left_out(monkeypatch):
    counts, _ = epidemic(30)
    options = settings(num_iterations=2), series_of(counts), jnp.asarray(29), False
    first = estimate(settings(num_iterations=0), *options[1:], key=KEY)
    whole = estimation._pass

    def broken(*args):
        passed = whole(*args)
        lost = jnp.where(args[-1], passed.predicted, jnp.nan)
        return dataclasses.replace(passed, predicted=lost)

    monkeypatch.setattr(estimation, "_pass", broken)
    found = estimate(*options, key=KEY)
    assert int(found.diverged_at) == 1
    for name in ("means", "covariances", "log_likelihood", "num_parameters"):
        # Programs of their own: rounding differs.
        there, here = getattr(first, name), getattr(found, name)
        np.testing.assert_allclose(here, there, rtol=1e-9, atol=1e-12)


def test_the_likelihood_is_that_of_counts_alone(monkeypatch):
    """Where weekdays are known to have no effect, nothing is learnt from their sum being zero."""
    counts, _ = epidemic(30)
    known = settings(weekday_prior=0.0, weekday_noise=0.0)
    options = known, series_of(counts), jnp.asarray(29), False
    before = estimate(*options, key=KEY).log_likelihood
    monkeypatch.setattr(model_module, "_WEEKDAYS_VARIANCE", 0.1)
    np.testing.assert_allclose(estimate(*options, key=KEY).log_likelihood, before, rtol=1e-12)


@pytest.mark.parametrize(
    ("cases", "gamma", "message"),
    [
        (None, 50.0, r"fit is not finite at step 0, with gamma = 50 per day, 2 stages, a popul"),
        (100.0, 5.0, r"fit is not finite \(.*exploitability\), with gamma = 5 per day, 3 stages"),
    ],
)
def test_a_fit_that_leads_nowhere_is_told(cases, gamma, message):
    counts, _ = epidemic()
    options = {"settings": settings()}
    if cases is not None:
        days = np.datetime64("2020-01-01") + np.arange(60)
        counts, options = Counts(days, np.full(60, cases), 1000.0), {}
    with pytest.raises(ValueError, match=message):
        fit_epidemic(counts, drift="prescribed", gamma=gamma, key=KEY, **options)


def test_everybody_ill_on_the_first_day():
    counts = Counts(np.datetime64("2020-01-01") + np.arange(20), np.full(20, 100.0), 100.0)
    fit = fit_epidemic(counts, drift="prescribed", settings=settings(), key=KEY)
    assert np.isfinite(fit.active_fitted).all() and np.isfinite(fit.exploitability)


def test_progress_says_what_came_out(capsys):
    counts, _ = epidemic()
    fit_epidemic(counts, drift="prescribed", settings=settings(), key=KEY, progress=True)
    assert "effective parameters\n" in capsys.readouterr().err


def test_errors():
    counts, _ = epidemic()
    short = counts.between(None, "2020-01-04")
    with pytest.raises(ValueError, match="active cases of at least 5 days, not 4"):
        fit_epidemic(short, key=KEY)
    with pytest.raises(ValueError, match=r"inputs must be finite and have the shape \(90, num_in"):
        fit_epidemic(counts, inputs=np.zeros((89, 1)), key=KEY)
    with pytest.raises(ParameterError, match="drift must be one of"):
        fit_epidemic(counts, drift="learnt", key=KEY)
    for name in ("gamma", "c_a"):
        with pytest.raises(ParameterError, match=f"{name} must be finite and greater than 0"):
            fit_epidemic(counts, **{name: 0.0}, key=KEY)
    with pytest.raises(ParameterError, match="c_I must be finite and at least 0"):
        fit_epidemic(counts, c_I=-1.0, key=KEY)
