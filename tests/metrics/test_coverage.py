"""How evenly a crowd fills a space, against plain NumPy and what chance must give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.mean_fields.cells import Cells
from nashfield.mean_fields.grid import GridLaw
from nashfield.metrics import coverage
from nashfield.results import ParameterError

ROOMS = nf.games.FourRoomsPlane()


def draw_free(rng, n):
    points = rng.uniform(0, 0.5, (2 * n + 100, 2))
    kept = points[np.asarray(jax.vmap(ROOMS.free)(jnp.asarray(points)))]
    assert len(kept) >= n
    return kept[:n]


def test_counts_are_those_of_a_histogram(precision):
    rng = np.random.default_rng(0)
    states = rng.uniform(-0.1, 0.6, (3, 4000, 2))
    states = np.asarray(jnp.asarray(states), np.float64)  # rounded as the game sees them
    found = coverage(ROOMS, jnp.asarray(states), num_cells=20)
    assert found.masses.shape == (3, 400)
    low, high = np.array([(0.225, 0.275)]).T
    for b in range(3):
        counts, _, _ = np.histogram2d(*states[b].T, bins=20, range=[[0, 0.5]] * 2)
        middle = np.linspace(0.0125, 0.4875, 20)
        slab = (middle > low) & (middle < high)
        door = ((middle > 0.125) & (middle < 0.175)) | ((middle > 0.325) & (middle < 0.375))
        wall = (slab[:, None] & ~door[None]) | (~door[:, None] & slab[None])
        assert wall.sum() == 60
        free = counts[~wall]
        masses = np.asarray(found.masses[b]).reshape(20, 20)
        assert masses[~wall] == pytest.approx(free / 4000, rel=1e-6)
        assert (masses[wall] == 0).all()
        assert float(found.blocked[b]) == pytest.approx(1 - free.sum() / 4000, rel=1e-5)
        assert float(found.num_counted[b]) == free.sum()
        spread = free.std() / free.mean()
        assert float(found.coefficient_of_variation[b]) == pytest.approx(spread, rel=1e-5)
        clean = np.sqrt(max(spread**2 - 340 / free.sum(), 0))
        assert float(found.denoised_coefficient[b]) == pytest.approx(clean, rel=1e-4)


@pytest.mark.slow
def test_chance_alone_is_taken_out():
    """n uniform states: E CV^2 = (M - 1) / n, standard deviation about sqrt(2 M) / n."""
    rng = np.random.default_rng(1)
    n, seeds = 20_000, 20
    states = jnp.asarray(np.stack([draw_free(rng, n) for _ in range(seeds)]))
    found = coverage(ROOMS, states)
    squares = np.asarray(found.coefficient_of_variation) ** 2
    error = np.sqrt(2 * 1360) / n / np.sqrt(seeds)
    assert squares.mean() == pytest.approx(1359 / n, abs=4 * error)
    assert np.asarray(found.coefficient_of_variation) == pytest.approx(0.261, abs=0.03)
    assert np.asarray(found.denoised_coefficient).max() < np.sqrt(5 * error * np.sqrt(seeds))


def test_what_is_uneven_stays():
    """A law with a known coefficient: half of the free cells have three times the others' mass."""
    rng = np.random.default_rng(2)
    cells = ROOMS.free_cells()
    heavy = np.arange(1360) % 2 == 0
    law = np.where(heavy, 3.0, 1.0)
    law /= law.sum()
    exact = law.std() / law.mean()
    samples = []
    for n in (5000, 20_000):
        which = rng.choice(1360, (20, n), p=law)
        states = cells[which] + rng.uniform(-0.5, 0.5, (20, n, 2)) * 0.0125
        found = coverage(ROOMS, jnp.asarray(states))
        assert (np.asarray(found.coefficient_of_variation) > exact + 0.03).all()
        samples.append(np.asarray(found.denoised_coefficient))
    few, many = samples
    for sample in samples:
        assert sample.mean() == pytest.approx(exact, abs=4 * sample.std() / np.sqrt(20))
    assert many.std() < few.std()


@pytest.mark.slow
def test_a_law_is_read_or_drawn():
    uniform = nf.Uniform(np.zeros(2), np.full(2, 0.5))
    read = coverage(ROOMS, uniform)
    assert float(read.blocked) == pytest.approx(240 / 1600)
    assert float(jnp.sum(read.masses)) == pytest.approx(1360 / 1600)
    assert float(read.coefficient_of_variation) == pytest.approx(0, abs=1e-7)
    assert float(read.denoised_coefficient) == float(read.coefficient_of_variation)
    drawn = coverage(ROOMS, uniform, num_samples=50_000, key=jax.random.key(0))
    share = 240 / 1600
    width = 4 * np.sqrt(share * (1 - share) / 50_000)
    assert float(drawn.blocked) == pytest.approx(share, abs=width)
    assert float(drawn.num_counted) == pytest.approx(50_000 * (1 - float(drawn.blocked)))
    states = uniform.sample(jax.random.key(1), 1000)
    counted, given = coverage(ROOMS, nf.Particles(states)), coverage(ROOMS, states)
    assert np.array_equal(counted.masses, given.masses)


def test_masses_of_cells_are_found_again():
    rng = np.random.default_rng(3)
    cells = Cells(np.zeros(2), np.full(2, 0.5), shape=(40, 40))
    free = np.asarray(jax.vmap(ROOMS.free)(cells.centres))
    masses = np.where(free, rng.random(1600), 0)
    masses /= masses.sum()
    found = coverage(ROOMS, GridLaw(jnp.asarray(masses), cells))
    assert np.asarray(found.masses) == pytest.approx(masses)
    exact = masses[free].std() / masses[free].mean()
    assert float(found.coefficient_of_variation) == pytest.approx(exact)
    assert float(found.blocked) == pytest.approx(0, abs=1e-12)


class Ring(nf.games.BeachBarLine):
    periodic = True


def test_on_the_line_and_on_the_circle():
    states = jnp.array([[-0.05], [0.05], [0.15], [0.95], [1.05]])
    found = coverage(nf.games.BeachBarLine(horizon=1), states, num_cells=10)
    expected = np.zeros(10)
    expected[[0, 1, 9]] = 0.2
    assert np.asarray(found.masses) == pytest.approx(expected)
    assert float(found.blocked) == pytest.approx(0.4)
    turned = coverage(Ring(horizon=1), states, num_cells=10)
    expected[[0, 9]] = 0.4
    assert np.asarray(turned.masses) == pytest.approx(expected)
    assert float(turned.blocked) == 0


def test_it_runs_within_a_program():
    states = jnp.asarray(draw_free(np.random.default_rng(4), 500))
    for game, x in ((ROOMS, states), (nf.games.BeachBarLine(horizon=1), states[:, :1])):
        outside = coverage(game, x).coefficient_of_variation
        inside = jax.jit(lambda x, game=game: coverage(game, x).coefficient_of_variation)(x)
        assert float(inside) == pytest.approx(float(outside))


def test_what_cannot_be_covered(without_type_checks):
    with pytest.raises(ParameterError, match="coverage needs a bounded domain"):
        coverage(nf.games.LinearQuadratic(horizon=2), jnp.zeros((5, 1)))
    with pytest.raises(ParameterError, match="num_cells"):
        coverage(ROOMS, jnp.zeros((5, 2)), num_cells=0)
    with pytest.raises(ParameterError, match="num_samples"):
        coverage(ROOMS, ROOMS.initial(), num_samples=0, key=jax.random.key(0))
    for shape in ((5, 1), (2,), (0, 2)):
        with pytest.raises(ValueError, match=r"states of shape \(\*batch, n, 2\)"):
            coverage(ROOMS, jnp.zeros(shape))
