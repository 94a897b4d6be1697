"""The synthetic crowds of the paper and its earlier version's training, with its faults."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import gamma, norm

from nashfield.papers.thoni2025.data import EL_FAROL, MEETING, Groups, distance
from nashfield.papers.thoni2025.paired import (
    el_farol,
    el_farol_drift,
    meeting,
    meeting_drift,
    train,
)


@pytest.mark.parametrize(("data", "num_agents"), [(MEETING, 42), (EL_FAROL, 100)])
def test_games_have_their_shape(precision, data, num_agents):
    found = data.draw(jax.random.key(0), 7)
    assert found.shape == (7, num_agents)
    assert found.dtype == np.float32
    assert data.num_agents == num_agents


def test_groups_have_means_and_variances_of_their_own():
    """Within and between groups of 4,000 games, within 4 standard errors."""
    games = np.asarray(MEETING.draw(jax.random.key(1), 4000), float).reshape(-1, 6, 7)
    within = games.var(-1, ddof=1)
    # Var of the sample variance: E sigma^4 2 / 6 + Var sigma^2; Gamma(2, .2): mean .4, var .08.
    error = ((0.16 + 0.08) / 3 + 0.08) ** 0.5 / 24_000**0.5
    assert abs(within.mean() - 0.4) < 4 * error
    means = games.mean(-1)
    spread = 0.25 + 0.4 / 7
    assert abs(means.mean() - 15) < 4 * (spread / 24_000) ** 0.5
    assert abs(means.var() - spread) < 5 * spread * (2 / 24_000) ** 0.5
    # Groups of one game are strangers.
    pairs = (means[:, 0] - 15) * (means[:, 1] - 15)
    assert abs(pairs.mean()) < 4 * pairs.std() / 4000**0.5
    # The variance of variances is that of the Gamma law: E s^4 = E sigma^4 (1 + 2 / 6).
    assert abs((within**2).mean() / (0.24 * 4 / 3) - 1) < 0.1


def law_by_quadrature(data, x):
    def below(variance):
        spread = (data.deviation**2 + variance) ** 0.5
        return norm.cdf(x, data.mean, spread) * gamma(2, scale=data.scale).pdf(variance)

    return quad(below, 0, 60 * data.scale, epsabs=1e-12)[0]


@pytest.mark.parametrize("data", [MEETING, EL_FAROL])
def test_quantiles(data):
    """The law by quadrature; and, clipped, that of a large sample."""
    levels = np.array([0.01, 0.2, 0.5, 0.8, 0.95])
    found = data.quantiles(levels)
    for level, x in zip(levels, found, strict=True):
        if x > data.bounds[0]:
            assert abs(law_by_quadrature(data, x) - level) < 2e-4
    sample = np.asarray(data.draw(jax.random.key(2), 20_000)).ravel()
    drawn = np.quantile(sample, levels)
    scale = 0.81 if data is MEETING else 0.14
    np.testing.assert_allclose(found, drawn, atol=0.03 * scale)
    assert sample.min() >= data.bounds[0]
    assert sample.max() <= data.bounds[1]


def test_distances_between_laws():
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    assert distance(x, x) == 0
    np.testing.assert_allclose(distance(x, x + 0.3), 0.3, rtol=1e-10)
    wide = Groups(6, 7, 15.5, 0.5, 0.2)
    np.testing.assert_allclose(distance(MEETING, wide), 0.5, rtol=1e-6)
    np.testing.assert_allclose(distance(MEETING, np.full(3, 15.0)), 0.64, atol=0.02)


@pytest.mark.slow
def test_sampling_floors():
    """Mean distance of 420 agents to their law, over 200 draws: .078 h, clusters included."""
    draws = np.asarray(MEETING.draw(jax.random.key(3), 2000)).reshape(200, -1)
    found = np.array([distance(x, MEETING, 2001) for x in draws])
    print(f"{found.mean():.4f} +- {found.std() / 200**0.5:.4f}")
    assert abs(found.mean() - 0.078) < 3 * found.std() / 200**0.5 + 0.001


def test_drifts_by_differences():
    """Each agent's own cost, by hand, the crowd held."""
    x = np.random.default_rng(0).normal(12, 1, 42)
    begins = np.quantile(x, 0.8)
    by_hand = -(x > 12).astype(float) - np.sign(x - begins)
    np.testing.assert_allclose(meeting_drift(jnp.asarray(x), None), by_hand, atol=1e-6)
    for num_there in (30, 95):  # of 100: below and above the threshold
        went = np.arange(100) < num_there
        p, share = np.random.default_rng(1).random(100), num_there / 100
        over = 0.33 * (went & (p > 0.9)) if share > 0.9 else np.zeros(100)
        under = 0.33 * (~went & (p < 0.9)) if share <= 0.9 else np.zeros(100)
        found = el_farol_drift(jnp.asarray(p), jnp.asarray(went))
        np.testing.assert_allclose(found, under - over - 0.66 * (p - share), atol=1e-12)


@pytest.mark.slow
def test_networks_have_their_size():
    """42 -> 8 -> 8 -> 8 -> 42: 866 numbers."""
    sizes = {"num_games": 2, "num_validation": 2, "batch_size": 2, "num_steps": 2, "num_others": 1}
    found = train(meeting(), **sizes, key=jax.random.key(0))
    assert found.num_parameters == 866
    assert found.other_losses.shape == (1,)
    assert found.training_loss.dtype == np.float32


@pytest.mark.slow
def test_meeting_as_it_was():
    """The number that was reached, and what it is worth with another noise."""
    sizes = {"num_games": 1000, "num_validation": 1000, "batch_size": 32, "num_steps": 500}
    found = [train(meeting(), **sizes, key=jax.random.key(seed)) for seed in range(5)]
    losses = np.array([float(x.validation_loss) for x in found])
    others = np.array([float(jnp.mean(x.other_losses)) for x in found])
    print(f"validation {np.sort(losses)}, with other noises {others}")
    assert 0.63 <= np.median(losses) <= 0.90
    assert np.all(others > 5)


@pytest.mark.slow
def test_el_farol_as_it_was():
    """Runs differ by a factor of 7; the one that was published is among the middle half."""
    sizes = {"num_games": 10, "num_validation": 100, "batch_size": 4, "num_steps": 300}
    found = [train(el_farol(), **sizes, key=jax.random.key(seed)) for seed in range(100)]
    losses = np.array([float(x.training_loss) for x in found])
    low, middle, high = np.quantile(losses, [0.25, 0.5, 0.75])
    print(f"training {middle:.4f} ({low:.4f}, {high:.4f}), from {losses.min()} to {losses.max()}")
    assert abs(middle - 0.072) <= 0.005
    assert low < 0.072 < high
