"""Best responses without training, what they gain, and distances between crowds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import nashfield as nf
from nashfield.metrics.responders import (
    gain,
    reference_of,
    reference_response,
    sliced_wasserstein,
)
from nashfield.policies import Affine

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)


def test_where_references_come_from():
    games = nf.games
    assert reference_of(games.LinearQuadratic()) == "exact"
    # Its rewards read the density: exact answers hold among Gaussian crowds alone.
    assert reference_of(games.LocalEntropy()) == "grid"
    assert reference_of(games.BeachBarLine()) == "grid"
    assert reference_of(games.FourRoomsPlane()) == "learned"
    crowd = nf.mean_fields.Flow(nf.Gaussian(np.zeros((3, 2)), np.tile(np.eye(2), (3, 1, 1))))
    assert reference_response(games.FourRoomsPlane(), crowd, jnp.zeros((3, 5, 2))) is None


def test_what_the_exact_response_gains():
    """The crowd rests at m; the agent stands still or plays what plain backward induction finds.

    x' = .95 x + a + .05 m + .05 noise, cost (x - .5)^2 + 10 a^2 + (x - m)^2, T = 4.
    """
    T, m = 4, 0.3
    game = nf.games.LinearQuadratic(horizon=T)
    laws = nf.Gaussian(np.full((T + 1, 1), m), np.full((T + 1, 1, 1), 0.1))
    flow = nf.mean_fields.Flow(laws)
    still = Affine(np.zeros((T, 1, 1)), np.zeros((T, 1)))
    response = reference_response(game, flow, jnp.zeros((T + 1, 3, 1)))
    assert response is not None
    value, found = gain(game, still, response, flow, num_agents=40_000, key=KEY)

    # Costs to go p x^2 + 2 s x + c, of both ways to play.
    def cost(best):
        p = s = c = 0.0
        for _ in range(T):
            a2, d = 0.95, 0.05 * m
            gain_x, gain_0 = (p * a2 / (p + 10), (p * d + s) / (p + 10)) if best else (0.0, 0.0)
            A, D = a2 - gain_x, d - gain_0
            p, s, c = (
                2 + 10 * gain_x**2 + p * A**2,
                -(0.5 + m) + 10 * gain_x * gain_0 + p * A * D + s * A,
                0.25 + m**2 + 10 * gain_0**2 + p * (D**2 + 0.05**2) + 2 * s * D + c,
            )
        return p / 3 + c  # x_0 of mean 0 and variance 1/3

    # Four standard errors of 40,000 returns of deviation about 3; less for the difference.
    assert float(value) == pytest.approx(-cost(best=False), abs=0.06)
    assert float(found) == pytest.approx(cost(best=False) - cost(best=True), abs=0.03)
    assert float(found) > 0.1


def test_distances_on_the_line():
    """Against SciPy, which sorts as well; and a shift in any order."""
    a, b = RNG.normal(size=(2, 300, 1)), 0.5 + 2 * RNG.normal(size=(2, 300, 1))
    wanted = [scipy.stats.wasserstein_distance(x[:, 0], y[:, 0]) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(sliced_wasserstein(jnp.asarray(a), jnp.asarray(b)), wanted)
    assert float(sliced_wasserstein(jnp.asarray(a[0]), jnp.asarray(a[0, ::-1] + 0.25))) == (
        pytest.approx(0.25)
    )


@pytest.mark.parametrize(("dim", "mean", "atol"), [(2, 2 / np.pi, 0.01), (3, 1 / 2, 0.05)])
def test_distances_of_shifted_crowds(dim, mean, atol):
    """|shift| times the mean of |cos| over all directions: 2 / pi in the plane, 1/2 in space."""
    a = jnp.asarray(RNG.normal(size=(200, dim)))
    shift = RNG.normal(size=dim)
    found = sliced_wasserstein(a, a[::-1] + shift, num_slices=16 if dim == 2 else 400)
    assert float(found) / np.linalg.norm(shift) == pytest.approx(mean, abs=atol)
