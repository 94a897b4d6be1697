"""Forecasts: what they see, what they say, and how sure they are."""

import dataclasses
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from simulated import epidemic, settings

from nashfield.neural.epidemics import EpidemicModel, fit_epidemic, rolling_forecasts
from nashfield.neural.epidemics.estimation import Estimate
from nashfield.neural.epidemics.forecast import draw
from nashfield.results import ParameterError

KEY = jax.random.key(0)
ORIGINS = np.array([60, 70])


def rolling(counts, origins=ORIGINS, **changes):
    options = {"settings": settings(), "drift": "neural", "num_samples": 50, "key": KEY}
    return rolling_forecasts(counts, origins, 7, **options | changes)


@pytest.fixture(scope="module")
def forecast():
    with jax.enable_x64(True):
        yield rolling(epidemic()[0])


def test_nothing_later_than_the_origin_is_seen(forecast):
    counts, _ = epidemic()
    later = np.arange(90) > ORIGINS[0]
    changed = {
        name: np.where(later, 17.0 + np.arange(90) ** 2, getattr(counts, name))
        for name in ("active", "new")
    }
    other = rolling(dataclasses.replace(counts, **changed))
    for name in ("median", "low", "high", "samples", "reproduction_number"):
        before, after = getattr(forecast, name), getattr(other, name)
        np.testing.assert_array_equal(before[0], after[0])
        assert not np.array_equal(before[1], after[1])


@pytest.mark.slow
def test_inputs_are_held_at_the_origin():
    counts, _ = epidemic()
    # Strong enough to matter: a network that listens loudly.
    inputs = np.linspace(0, 1, 90)[:, None]
    changes = {"settings": settings(amplitude=0.05, penalty=0.0, learning_rate=0.3)}
    known = rolling(counts, ORIGINS[:1], inputs=inputs, **changes)
    later = np.where(np.arange(90)[:, None] > ORIGINS[0], 40.0, inputs)
    np.testing.assert_array_equal(
        known.median, rolling(counts, ORIGINS[:1], inputs=later, **changes).median
    )
    earlier = np.where(np.arange(90)[:, None] == ORIGINS[0], 40.0, inputs)
    other = rolling(counts, ORIGINS[:1], inputs=earlier, **changes)
    assert not np.array_equal(known.median, other.median)


@pytest.mark.slow
def test_a_fit_of_the_cut_counts_forecasts_the_same(forecast):
    counts, _ = epidemic()
    fit = fit_epidemic(counts.between(None, counts.dates[70]), settings=settings(), key=KEY)
    alone = fit.forecast(7, key=jax.random.fold_in(KEY, 70), num_samples=50)
    np.testing.assert_allclose(alone.median, forecast.median[1], rtol=1e-6)
    np.testing.assert_allclose(alone.high, forecast.high[1], rtol=1e-6)


def test_bands_are_in_order_and_open(forecast):
    assert forecast.samples.shape == (2, 50, 7)
    assert (forecast.low < forecast.median).all() and (forecast.median < forecast.high).all()
    width = np.log(forecast.high / forecast.low)
    assert (width[:, -1] > width[:, 0]).all()
    low, high = forecast.reproduction_number_low, forecast.reproduction_number_high
    assert ((low < forecast.reproduction_number) & (forecast.reproduction_number < high)).all()
    counts, _ = epidemic()
    np.testing.assert_allclose(forecast.median[:, 0], counts.active[ORIGINS + 1], rtol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("dispersion", [0.0, 10.0])
def test_bands_hold_nine_of_ten_where_the_model_is_true(dispersion):
    """Epidemics drawn from the model itself, fitted by it: 40 of them, 7 days each."""
    chosen = settings(spread=1.0, dispersion=dispersion)
    model = EpidemicModel(chosen, chosen.drift)
    fixed = jnp.full(51, 500.0), jnp.full(51, 50.0), jnp.asarray(1e6)
    mean, _ = model.first(*fixed)
    options = {"num_samples": 40, "key": jax.random.key(3)}
    paths = model.samples(mean, jnp.zeros((16, 16)), jnp.zeros((57, 0)), **options)
    states = model.unpack(paths)
    rng = np.random.default_rng(0)
    active = 1e6 * np.exp(states.active + states.reporting)
    new = 1e6 * np.exp(np.asarray(states.new))
    scale = np.sqrt(0.02**2 + dispersion / active), np.sqrt(0.04**2 + dispersion / new)
    active = active * np.exp(scale[0] * rng.normal(size=active.shape))
    new = new * np.exp(scale[1] * rng.normal(size=active.shape))
    template, _ = epidemic(57)
    inside = []
    for one in range(40):
        counts = dataclasses.replace(template, active=active[one], new=new[one])
        found = rolling(
            counts, ORIGINS[:1] - 11, drift="prescribed", settings=chosen, num_samples=200
        )
        ahead = active[one, 50:57]
        inside.append(((found.low[0] <= ahead) & (ahead <= found.high[0])).mean())
    # Days of one epidemic go together: the error is that of 40 means.
    error = np.std(inside) / np.sqrt(40)
    assert abs(np.mean(inside) - 0.9) < max(3 * error, 0.05)


@pytest.mark.slow
def test_known_inputs_of_the_future_are_taken():
    counts, _ = epidemic()
    inputs = np.linspace(0, 1, 90)[:, None]
    changes = settings(amplitude=0.05, penalty=0.0, learning_rate=0.3)
    fit = fit_epidemic(counts, inputs=inputs, settings=changes, key=KEY)
    held = fit.forecast(7, key=KEY, num_samples=20)
    told = fit.forecast(7, key=KEY, num_samples=20, inputs=np.ones((7, 1)))
    np.testing.assert_allclose(held.median, told.median, rtol=1e-12)
    other = fit.forecast(7, key=KEY, num_samples=20, inputs=np.full((7, 1), -9.0))
    assert not np.allclose(held.median, other.median, rtol=1e-6)
    with pytest.raises(ValueError, match=r"inputs must have the shape \(7, 1\), not \(6, 1\)"):
        fit.forecast(7, key=KEY, inputs=np.ones((6, 1)))
    with pytest.raises(ParameterError, match="num_days must be at least 1"):
        fit.forecast(0, key=KEY)


@pytest.mark.slow
def test_small_numbers_widen_bands():
    """States that are known, and chance in counts alone: the band is that of the counts."""
    still = settings(
        spread=1.0, dispersion=9.0, transmission_noise=0, trend_noise=0, reporting_noise=0
    )
    model = EpidemicModel(still, still.drift)
    mean, spread = model.first(jnp.full(9, 400.0), jnp.full(9, 40.0), jnp.asarray(1e6))
    zero = jnp.asarray(0.0)
    found = Estimate(still.drift, mean[None], 0 * spread[None], zero, zero, zero, jnp.asarray(-1))
    there = jnp.asarray(0), jnp.asarray(1e6), jnp.zeros((3, 0))
    ahead = draw(still, found, *there, 4000, jax.random.key(2))
    expected = 1e6 * np.exp(model.unpack(model.path(mean, there[2])).active)
    width = 2 * 1.6449 * np.sqrt(0.02**2 + 9 / expected)
    # The error of a quantile of 4000 draws is 2% of this width.
    np.testing.assert_allclose(np.log(ahead.high / ahead.low), width, rtol=0.06)


def test_fits_that_lead_nowhere_are_told():
    counts, _ = epidemic()
    with pytest.raises(
        ValueError, match=r"counts up to 2020-03-01: the fit is not finite, with ga"
    ):
        rolling(counts, drift="prescribed", settings=settings(gamma=50.0))


def test_origins_must_be_there():
    counts, _ = epidemic()
    with pytest.raises(ValueError, match="origins must be positions from 1 to 89 in the counts"):
        rolling(counts, np.array([90]))
