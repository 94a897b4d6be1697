"""Fits: a truth that is known is found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.neural.free import KEY, Free, ornstein_uhlenbeck, untrained

from nashfield.games.zoo.meeting_arrival import MeetingArrival
from nashfield.neural import (
    EnergyDistance,
    Inputs,
    NeuralMeanFieldGame,
    Observations,
    PairedMSE,
    fit,
)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [None, EnergyDistance()])
def test_a_known_law_is_found_at_the_last_turn(loss):
    """Mean and deviation within 4 standard errors of the 1,000 agents, and 3% of the spread."""
    seen = ornstein_uhlenbeck(20, 50, [2.0])[:, 0]
    model = untrained(drift=(16,), diffusion=(16,))
    found = fit(model, seen, loss=loss, num_steps=400, key=KEY)
    ends = np.asarray(found.model.simulate(KEY, num_agents=20_000, times=[2.0]))[0, :, 0]
    mean = 2 - 2 * np.exp(-2)
    spread = (0.09 * np.exp(-4) + 0.32 * (1 - np.exp(-4))) ** 0.5
    print(f"mean {ends.mean():.4f} of {mean:.4f}, deviation {ends.std():.4f} of {spread:.4f}")
    assert abs(ends.mean() - mean) < 4 * spread / 1000**0.5 + 0.03 * spread
    assert abs(ends.std() - spread) < 4 * spread / 2000**0.5 + 0.03 * spread
    assert found.best_loss < found.history["loss"][0] / 20


@pytest.mark.slow
def test_a_whole_trajectory_gives_the_drift():
    """From where agents were seen at time 0: mean and deviation at every time."""
    times = [0.4, 0.8, 1.2, 1.6, 2.0]
    rng = np.random.default_rng(3)
    start = rng.uniform(-1, 1, (20, 1)) + 0.3 * rng.normal(size=(20, 50))
    after = ornstein_uhlenbeck(20, 50, times, start=start)
    states = np.concatenate([start[:, None, :, None], after], 1)
    model = untrained(Free(nu=0.32, horizon=20), drift=(16,))  # sigma is .8, as in the data
    found = fit(model, Observations([0.0, *times], states), num_steps=400, key=KEY)
    simulated = np.stack(
        [
            found.model.simulate(key, num_agents=50, times=times, start=jnp.asarray(x)[:, None])
            for key, x in zip(jax.random.split(KEY, 20), start, strict=True)
        ]
    )
    for i, t in enumerate(times):
        seen = after[:, i]
        assert abs(simulated[:, i].mean() - seen.mean()) < 4 * seen.std() / 500**0.5, t
        assert abs(simulated[:, i].std() / seen.std() - 1) < 4 / 1000**0.5, t
    # Of a typical agent, the drift itself.
    x = jnp.asarray([[0.2], [0.8], [1.4]])
    drift = found.model.speeds(jnp.asarray(1.0), x).drift
    np.testing.assert_allclose(drift, 2 - x, atol=0.4)


@pytest.mark.slow
def test_inputs_are_learnt_for_all_games_at_once():
    """An input that pushes by 1.5 after t = 1, the same in all games, seen at six times."""
    times = np.linspace(0, 2, 6)[1:]
    rng = np.random.default_rng(0)
    noise = np.cumsum(rng.normal(size=(10, 5, 40)) * 0.2**0.5 * 0.5, 1)
    start = 0.3 * rng.normal(size=(10, 1, 40))
    push = 1.5 * np.maximum(times - 1.2, 0)[:, None]
    inputs = Inputs([0.0, 1.2], [[0.0], [1.0]])
    model = untrained(Free(horizon=10), num_inputs=1, drift=(8,))
    seen = Observations(times, (start + noise + push)[..., None], inputs)
    found = fit(model, seen, num_steps=300, key=KEY)
    ends = [
        np.asarray(found.model.simulate(KEY, num_agents=5000, times=times, inputs=u))[-1].mean()
        for u in (inputs, Inputs([0.0], [[0.0]]))
    ]
    assert abs(ends[0] - 1.2) < 0.12
    assert ends[0] - ends[1] > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_inputs_of_each_game_are_told_apart(seed):
    """Half of the games are pushed by 1 per unit of time: only they, and that way round.

    All games in one heap would be as well explained by the others being pushed.
    """
    rng = np.random.default_rng(0)
    pushed = np.arange(20) % 2
    noise = rng.normal(size=(20, 40)) * (0.09 + 0.25 * 2) ** 0.5
    states = noise + 2.0 * pushed[:, None]
    inputs = Inputs([0.0], pushed[:, None, None].astype(float))
    seen = Observations([2.0], states[:, None, :, None], inputs)
    key = jax.random.key(seed)
    model = NeuralMeanFieldGame(Free(), drift=(8,), diffusion=None, num_inputs=1, key=key)
    found = fit(model, seen, num_steps=200, key=key)
    ends = [
        np.asarray(
            found.model.simulate(KEY, num_agents=5000, times=[2.0], inputs=Inputs([0.0], [[u]]))
        )
        for u in (0.0, 1.0)
    ]
    shift = ends[1].mean() - ends[0].mean()
    exact = states[pushed == 1].mean() - states[pushed == 0].mean()
    print(f"shift {shift:.3f} of {exact:.3f}")
    assert abs(shift - exact) < 0.2
    assert abs(ends[0].mean() - states[pushed == 0].mean()) < 0.1


@pytest.mark.slow
def test_paired_agents_begin_as_they_were_seen():
    """With the loss that compares one by one, a push of 1 in 2 units is found to the digit."""
    start = np.random.default_rng(0).normal(size=(4, 1, 5, 1))
    seen = Observations([0.0, 2.0], np.concatenate([start, start + 1], 1))
    model = untrained(Free(nu=0.0), drift=(4,))
    found = fit(model, seen, loss=PairedMSE(), num_steps=60, learning_rate=0.05, key=KEY)
    assert found.best_loss < 0.01
    ends = found.model.simulate(KEY, num_agents=5, times=[2.0], start=jnp.asarray(start[0, 0]))
    np.testing.assert_allclose(ends[0], start[0, 0] + 1, atol=0.3)


@pytest.mark.slow
def test_a_meeting_by_default():
    """The defaults on the game they were made for: ten games around 15."""
    seen = 15 + 0.8 * np.random.default_rng(0).normal(size=(10, 42))
    found = fit(NeuralMeanFieldGame(MeetingArrival(), key=KEY), seen, key=KEY)
    assert found.best_loss < 0.02
