"""Cells of a box, and laws given by the masses of cells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import nashfield as nf
from nashfield.mean_fields.cells import Cells
from nashfield.mean_fields.grid import cell_masses, grid_laws

LINE = Cells(np.array([-1.0]), np.array([3.0]), shape=(20,))
PLANE = Cells(np.array([0.0, -1.0]), np.array([1.0, 1.0]), shape=(5, 8))
RING = Cells(np.array([0.0]), np.array([1.0]), shape=(10,), periodic=True)


def place(cells, x):
    """Where the shares of one agent lie on average, and their sum."""
    index, shares = cells.shares(jnp.asarray(x))
    assert (np.asarray(shares) >= 0).all()
    return np.asarray(shares) @ np.asarray(cells.centres)[np.asarray(index)], float(sum(shares))


def test_centres_and_numbers():
    assert PLANE.num_cells == 40
    centres = np.asarray(PLANE.centres)
    assert centres[0] == pytest.approx([0.1, -0.875])
    assert centres[9] == pytest.approx([0.3, -0.625])
    for number in (0, 9, 39):
        assert int(PLANE.locate(jnp.asarray(centres[number]))) == number
    assert int(LINE.locate(jnp.array([7.0]))) == 19
    assert int(RING.locate(jnp.array([1.05]))) == 0


def test_shares_keep_the_place():
    for x in ([0.33, 0.2], [0.5, -0.7], [0.11, 0.8]):
        mean, total = place(PLANE, x)
        assert total == pytest.approx(1)
        assert mean == pytest.approx(x)
    assert place(LINE, [99.0])[0] == pytest.approx([2.9])
    index, shares = RING.shares(jnp.array([0.99]))
    assert dict(zip(np.asarray(index).tolist(), np.asarray(shares).tolist(), strict=True)) == (
        pytest.approx({9: 0.6, 0: 0.4})
    )


def test_walls_get_nothing():
    free = np.ones(20, bool)
    free[10:12] = False
    cells = Cells(LINE.low, LINE.high, free, shape=(20,))
    index, shares = cells.shares(jnp.array([0.95]))  # between the centres .9 and 1.1
    assert dict(zip(np.asarray(index).tolist(), np.asarray(shares).tolist(), strict=True)) == {
        9: 1.0,
        10: 0.0,
    }
    values = jnp.where(jnp.arange(20) == 10, 1e9, 1.0)
    assert float(cells.interpolate(values, jnp.array([0.95]))) == 1.0


def test_smooth_tables_are_interpolated_and_continued(precision):
    def f(x):
        return 2 * x[..., 0] ** 2 - x[..., 0] + 1

    table = f(LINE.centres)
    for x in (0.0, 0.77, 2.0):  # quadratics exactly
        assert float(LINE.interpolate(table, jnp.array([x]))) == pytest.approx(
            float(f(jnp.array([x]))), rel=1e-5
        )
    line = 3 * LINE.centres[:, 0]
    for x in (-5.0, -0.97, 2.95, 9.0):  # lines, also beyond the edge
        assert float(LINE.interpolate(line, jnp.array([x]))) == pytest.approx(3 * x, rel=1e-5)
    wave = jnp.sin(2 * jnp.pi * RING.centres[:, 0])
    ahead = RING.interpolate(wave, jnp.array([1.23]))
    assert float(ahead) == pytest.approx(np.sin(2 * np.pi * 0.23), abs=0.01)


@pytest.mark.slow
def test_masses_of_laws(precision):
    tight = {"rel": 1e-5, "abs": 1e-7}
    edges = np.linspace(-1, 3, 21)
    exact = np.diff(np.concatenate([[0], stats.norm.cdf(edges[1:-1], 0.5, 0.3), [1]]))
    law = nf.Gaussian(np.array([0.5]), np.array([[0.09]]))
    assert np.asarray(cell_masses(law, LINE)) == pytest.approx(exact, **tight)
    law = nf.Uniform(np.array([0.05]), np.array([0.5]))
    exact = np.clip(np.minimum(edges[1:], 0.5) - np.maximum(edges[:-1], 0.05), 0, 1) / 0.45
    assert np.asarray(cell_masses(law, LINE)) == pytest.approx(exact, **tight)
    point = nf.Gaussian(np.array([0.55]), np.zeros((1, 1)))
    masses = cell_masses(point, LINE)
    assert float(jnp.dot(masses, LINE.centres[:, 0])) == pytest.approx(0.55, rel=1e-6)
    assert np.count_nonzero(masses) == 2
    cloud = nf.Particles(jnp.array([[0.5, 0.0], [0.3, 0.5]]))
    masses = cell_masses(cloud, PLANE)
    assert np.asarray(masses @ PLANE.centres) == pytest.approx([0.4, 0.25], rel=1e-5)
    tilted = nf.Gaussian(np.array([0.5, 0.0]), np.array([[0.01, 0.01], [0.01, 0.04]]))
    found = np.asarray(cell_masses(tilted, PLANE))
    assert found.sum() == pytest.approx(1, rel=1e-6)
    assert found @ np.asarray(PLANE.centres) == pytest.approx([0.5, 0.0], abs=1e-5)


@pytest.mark.slow
def test_what_lies_outside_counts_for_the_outer_cells():
    edges = np.linspace(-1, 3, 21)
    exact = np.diff(np.concatenate([[0], stats.norm.cdf(edges[1:-1], -0.9, 1.5), [1]]))
    wide = cell_masses(nf.Gaussian(np.array([-0.9]), np.array([[2.25]])), LINE)
    assert np.asarray(wide) == pytest.approx(exact, abs=1e-9)
    half = np.asarray(cell_masses(nf.Uniform(np.array([-2.0]), np.array([0.0])), LINE))
    assert half == pytest.approx([0.6] + [0.1] * 4 + [0] * 15)
    law = nf.GaussianMixture(
        np.array([0.3, 0.7]), nf.Gaussian(np.array([[-9.0], [9.0]]), np.full((2, 1, 1), 0.01))
    )
    assert np.asarray(cell_masses(law, LINE))[[0, 19]] == pytest.approx([0.3, 0.7])
    # Of a law on other cells the density is read: half of it lies left of the box.
    other = nf.GridLaw(np.full(2, 0.5), Cells(np.array([-2.0]), np.array([0.0]), shape=(2,)))
    read = np.asarray(cell_masses(other, LINE))
    assert read[0] == pytest.approx(0.6, abs=0.04)
    assert read[5:] == pytest.approx(np.zeros(15))


@pytest.mark.parametrize("at", [[-50.0, 0.1], [50.0, 0.1]])
def test_a_law_wholly_outside_is_in_the_outermost_cells(at):
    end = 0 if at[0] < 0 else -1
    line = nf.Gaussian(np.array(at[:1]), np.array([[0.01]]))
    assert float(cell_masses(line, LINE)[end]) == pytest.approx(1)
    plane = nf.Gaussian(np.array(at), np.array([[0.01, 0.0], [0.0, 0.01]]))
    found = np.asarray(cell_masses(plane, PLANE)).reshape(5, 8)
    exact = np.diff(np.concatenate([[0], stats.norm.cdf(np.linspace(-0.75, 0.75, 7), 0.1, 0.1)]))
    assert found[end, :-1] == pytest.approx(exact, abs=1e-6)
    assert found[end].sum() == pytest.approx(1)
    box = nf.Uniform(np.array(at), np.array(at) + 1)
    assert np.asarray(cell_masses(box, PLANE)).reshape(5, 8)[end].sum() == pytest.approx(1)


def test_gaussian_laws_in_the_plane(precision):
    """Tilted, and without spread in one coordinate or along a line."""
    tilted = nf.Gaussian(np.array([0.5, 0.2]), np.array([[0.04, 0.05], [0.05, 0.2]]))
    draws = np.random.default_rng(0).multivariate_normal([0.5, 0.2], tilted.covariance, 400_000)
    draws = np.clip(draws, [1e-9, -1 + 1e-9], [1 - 1e-9, 1 - 1e-9])
    exact = np.histogram2d(*draws.T, [np.linspace(0, 1, 6), np.linspace(-1, 1, 9)])[0] / 400_000
    found = np.asarray(cell_masses(tilted, PLANE)).reshape(5, 8)
    assert found == pytest.approx(exact, abs=5 * np.sqrt(0.25 / 400_000))
    cdf = np.diff(stats.norm.cdf(np.linspace(-1, 1, 9), 0.125, 0.2))
    flat = nf.Gaussian(np.array([0.5, 0.125]), np.diag([0.0, 0.04]))
    found = np.asarray(cell_masses(flat, PLANE)).reshape(5, 8)
    assert found[2] == pytest.approx(cdf, abs=1e-5)
    other = nf.Gaussian(np.array([0.5, 0.125]), np.diag([0.01, 0.0]))
    found = np.asarray(cell_masses(other, PLANE)).reshape(5, 8)
    cdf = np.diff(stats.norm.cdf(np.linspace(0, 1, 6), 0.5, 0.1))
    assert found[:, 4] == pytest.approx(cdf, abs=1e-5)
    line = nf.Gaussian(np.array([0.5, 0.125]), np.array([[0.01, 0.02], [0.02, 0.04]]))
    found = np.asarray(cell_masses(line, PLANE)).reshape(5, 8)
    assert found.sum(1) == pytest.approx(cdf, abs=1e-5)
    # Given the first coordinate the second one is a point, shared by the nearest centres.
    draws = 0.1 * np.random.default_rng(1).normal(size=400_000)
    place = np.clip((1.125 + 2 * draws) / 0.25 - 0.5, 0, 7)
    row = np.clip(np.floor((0.5 + draws) / 0.2), 0, 4)
    shares = np.maximum(1 - np.abs(place - np.arange(8)[:, None]), 0)
    exact = np.stack([(shares * (row == i)).mean(1) for i in range(5)])
    assert found == pytest.approx(exact, abs=5 * np.sqrt(0.25 / 400_000))


def test_a_torus_brings_in_what_lies_outside():
    law = nf.Gaussian(np.array([0.95]), np.array([[0.04]]))
    edges = np.linspace(0, 1, 11)
    exact = sum(np.diff(stats.norm.cdf(edges + k, 0.95, 0.2)) for k in range(-3, 4))
    assert np.asarray(cell_masses(law, RING)) == pytest.approx(exact)


def test_states_of_another_dimension(without_type_checks):
    with pytest.raises(ValueError, match="GridLaw"):
        nf.GridLaw(jnp.full(20, 0.05), LINE).log_density(jnp.zeros((3, 2)))


def test_a_law_on_cells():
    masses = jnp.asarray(np.random.default_rng(0).dirichlet(np.ones(40)))
    law = nf.GridLaw(masses, PLANE)
    centres = np.asarray(PLANE.centres)
    assert np.asarray(law.mean()) == pytest.approx(np.asarray(masses) @ centres)
    square = law.expect(lambda x: x**2)
    assert np.asarray(square) == pytest.approx(np.asarray(masses) @ centres**2)
    # Densities sum to 1, and samples follow them.
    density = np.exp(np.asarray(law.log_density(jnp.asarray(centres))))
    assert (density * 0.2 * 0.25).sum() == pytest.approx(1)
    sample = np.asarray(law.sample(jax.random.key(0), 40_000))
    number = np.asarray(jax.vmap(PLANE.locate)(jnp.asarray(sample)))
    shares = np.bincount(number, minlength=40) / 40_000
    assert np.abs(shares - np.asarray(masses)).max() < 4 * np.sqrt(0.25 / 40_000)
    assert float(law.log_density(jnp.array([2.0, 0.0]))) == -np.inf


def test_an_empty_cell_has_a_finite_log_density_and_slope():
    law = nf.GridLaw(jnp.eye(20)[3], LINE)
    assert -720 < float(law.log_density(jnp.array([2.0]))) < -700

    def worth(masses):
        density = jnp.exp(nf.GridLaw(masses, LINE).log_density(jnp.array([2.0])))
        return jnp.log(density + 1e-3)

    assert np.isfinite(jax.grad(worth)(jnp.eye(20)[3])).all()


def test_a_flow_of_such_laws():
    masses = jnp.stack([jnp.eye(20)[0], jnp.eye(20)[19]])
    flow = grid_laws(masses, LINE, jnp.array([[0.5]]))
    assert len(flow) == 2
    assert float(flow[1].mean()[0]) == pytest.approx(2.9)
    assert float(flow[0].mean_action()[0]) == 0.5
    assert flow[1].action_mean is None
