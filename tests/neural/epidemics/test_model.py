"""The law of an epidemic from day to day, and its drifts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from nashfield.neural.epidemics import EpidemicModel, EpidemicSettings, PrescribedDrift, outbreak
from nashfield.neural.epidemics.drift import features_of, neural_drift, penalty
from nashfield.neural.epidemics.model import EpidemicState
from nashfield.neural.epidemics.settings import constant, rung
from nashfield.results import ParameterError


def model_of(**changes):
    settings = EpidemicSettings(**{"num_substeps": 4, **changes})
    return EpidemicModel(settings, settings.drift)


def state_of(model, *, rate=0.2, trend=0.0, ill=0.01, gamma=0.1):
    num_stages = model.settings.num_stages
    state = EpidemicState(
        transmission=jnp.log(jnp.asarray(rate)),
        trend=jnp.asarray(trend),
        slow_trend=jnp.asarray(0.0),
        gamma=jnp.log(jnp.asarray(gamma)),
        susceptible=jnp.log(jnp.asarray(1 - ill)),
        new=jnp.asarray(-9.0),
        reporting=jnp.asarray(0.0),
        weekdays=jnp.zeros(7),
        infected=jnp.log(jnp.full(num_stages, ill / num_stages)),
    )
    return model.pack(state)


def nothing(num_days):
    return jnp.zeros((num_days, 0))


def test_constant_rates_are_the_classical_sir():
    settings = constant(EpidemicSettings(num_stages=1, num_substeps=16))
    model = EpidemicModel(settings, settings.drift)
    path = model.unpack(model.path(state_of(model, rate=0.5), nothing(40)))

    def sir(t, x):
        return [-0.5 * x[0] * x[1], 0.5 * x[0] * x[1] - 0.1 * x[1]]

    exact = solve_ivp(sir, (0, 40), [0.99, 0.01], t_eval=np.arange(1, 41), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(np.exp(path.susceptible), exact.y[0], atol=2e-4)
    np.testing.assert_allclose(np.exp(path.active), exact.y[1], atol=2e-4)
    left = np.exp(np.concatenate([[np.log(0.99)], path.susceptible]))
    np.testing.assert_allclose(np.exp(path.new), -np.diff(left), rtol=1e-8)


@pytest.mark.parametrize("trend", [0.0, 0.05])
def test_at_response_one_the_risk_grows_by_the_trend(trend):
    model = model_of(drift=PrescribedDrift(reversion=0.0, response=1.0))
    path = model.unpack(model.path(state_of(model, trend=trend), nothing(30)))
    risk = path.transmission + path.active
    np.testing.assert_allclose(np.diff(risk), trend, atol=2e-3)


def test_the_trend_fades_and_is_remembered():
    model = model_of(drift=PrescribedDrift(reversion=0.1, response=1.0), slow_days=10.0)
    path = model.unpack(model.path(state_of(model, trend=0.1), nothing(5)))
    np.testing.assert_allclose(path.trend, 0.1 * np.exp(-0.1 * np.arange(1, 6)), rtol=1e-10)
    slow, trend = 0.0, 0.1 * np.exp(-0.1 * np.arange(5))
    for day in range(5):
        slow += (trend[day] - slow) / 10
    np.testing.assert_allclose(path.slow_trend[-1], slow, rtol=1e-10)


def test_what_is_seen():
    model = model_of()
    state = model.unpack(state_of(model, ill=0.02))
    factors = jnp.arange(7) / 10
    state = dataclasses.replace(state, weekdays=factors, reporting=jnp.asarray(0.3))
    look = model.look(model.pack(state), jnp.asarray(2))
    np.testing.assert_allclose(look, [np.log(0.02) + 0.3, -9 + 0.2, 2.1], rtol=1e-10)
    counts = jnp.asarray([100.0, np.nan]), jnp.asarray([0.0, 4.0]), jnp.asarray(1000.0)
    seen, errors = model.seen(*counts)
    np.testing.assert_allclose(seen[:, :2], [[np.log(0.1), np.log(0.0005)], [np.nan, np.log(4e-3)]])
    np.testing.assert_allclose(errors[0, :2], [0.02**2 + 0.01, 0.04**2 + 1])


def test_the_first_day():
    model = model_of(num_stages=2)
    active, new = np.full(20, np.nan), np.full(20, 30.0)
    active[3] = 200.0
    start = model.unpack(model.first(jnp.asarray(active), jnp.asarray(new), jnp.asarray(1e4))[0])
    np.testing.assert_allclose(np.exp(start.infected), [0.01, 0.01])
    np.testing.assert_allclose(np.exp(start.transmission), 30 / 200)
    school = EpidemicModel(outbreak(), outbreak().drift)
    nobody = jnp.full(14, jnp.nan)
    mean, spread = school.first(jnp.full(14, 3.0), nobody, jnp.asarray(763.0))
    start = school.unpack(mean)
    np.testing.assert_allclose(np.exp(start.infected), 3 / 763 * np.exp([0, -5, -5, -5]))
    np.testing.assert_allclose(np.exp(start.transmission), 1.7)
    np.testing.assert_allclose(np.diagonal(spread)[-4:], [1, 0, 0, 0])


@pytest.mark.parametrize("settings", [EpidemicSettings(), outbreak()])
@pytest.mark.parametrize("counted", [100.0, 1e4])
def test_the_first_day_where_all_are_ill(settings, counted):
    model = EpidemicModel(settings, settings.drift)
    days = jnp.full(14, counted)
    mean, _ = model.first(days, days, jnp.asarray(100.0))
    state = model.unpack(mean)
    assert np.isfinite(mean).all()
    np.testing.assert_allclose(np.exp(state.infected).sum() + np.exp(state.susceptible), 1)


@pytest.mark.slow
def test_samples_stay_on_the_simplex_and_their_chance_is_as_said():
    model = model_of(spread=2.0, transmission_noise=0.1)
    mean = state_of(model, rate=3.0, ill=0.5)
    covariance = jnp.diag(jnp.full(model.size, 0.3))
    options = {"num_samples": 400, "key": jax.random.key(1)}
    states = model.unpack(model.samples(mean, covariance, nothing(6), **options))
    total = np.exp(states.susceptible) + np.exp(states.infected).sum(-1)
    assert total.max() <= 1 + 1e-6 and np.isfinite(total).all()
    calm = model.unpack(model.samples(mean, 0 * covariance, nothing(1), **options))
    spread = np.std(calm.transmission[:, 0])
    assert abs(spread / 0.2 - 1) < 0.15  # 400 draws: 4 standard errors


def test_a_network_begins_as_nothing_and_never_says_much():
    prescribed = PrescribedDrift()
    key = jax.random.key(0)
    drift = neural_drift(prescribed, 2, 5, jnp.asarray(0.003), key=key)
    seen = jnp.ones(4), jnp.ones(2)
    assert float(drift.push(*seen)) == 0 == float(prescribed.push(*seen))
    assert drift.hidden.shape == (5, 6) and float(penalty(drift)) > 0
    loud = dataclasses.replace(drift, out=1e6 * jnp.ones(5), level=jnp.asarray(1e6))
    assert abs(float(loud.push(*seen))) <= 0.003
    listens = dataclasses.replace(drift, out=jnp.ones(5))
    assert float(listens.push(*seen)) != float(listens.push(seen[0], jnp.zeros(2)))


def test_features_tell_how_far_growth_explains_the_number():
    steady = features_of(*(jnp.asarray(x) for x in (0.05, 0.02, np.log(1.5), 0.1)))
    np.testing.assert_allclose(steady, [0.75, 0.3, 2 * np.log(1.5), 0], atol=1e-12)
    falling = features_of(*(jnp.asarray(x) for x in (-0.5, 0.0, -2.0, 0.1)))
    assert np.isfinite(falling).all()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("gamma", 0.0, "gamma must be finite and greater than 0"),
        ("penalty", -1.0, "penalty must be finite and at least 0"),
        ("gamma_memory", 1.5, "gamma_memory must lie between 0 and 1"),
        ("num_stages", 0, "num_stages must be at least 1"),
        ("num_iterations", -1, "num_iterations must be at least 0"),
    ],
)
def test_settings_are_checked(field, value, message):
    with pytest.raises(ParameterError, match=message):
        EpidemicSettings(**{field: value})


def test_rungs():
    settings = EpidemicSettings()
    assert rung(settings, "neural") == (settings, True)
    assert rung(settings, "prescribed") == (settings, False)
    bare, neural = rung(settings, "none")
    assert not neural and float(bare.transmission_noise) == 0 == float(bare.drift.response)
    with pytest.raises(ParameterError, match="drift must be one of neural, prescribed, none"):
        rung(settings, "wild")
