"""Games of agents that follow the gradient of their cost: what the base class makes of a cost."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.differential import DifferentialGame
from nashfield.mean_fields import Gaussian, Particles
from nashfield.results import GameError
from nashfield.typing import Scalar, scalar


class Drawn(DifferentialGame):
    """Agents of the plane are drawn to the crowd's mean, ever more, by a spring, and to a line."""

    pull: Scalar = eqx.field(converter=scalar, default=0.7)
    nu: Scalar = eqx.field(converter=scalar, default=0.32)
    common_noise: Scalar = eqx.field(converter=scalar, default=0.0)
    duration: Scalar = eqx.field(converter=scalar, default=2.0)
    horizon: int = 8
    state_dim: int = 2
    control_dim: int = 2

    @property
    def domain(self):
        return np.array([-np.inf, -1.0]), np.array([np.inf, 2.0])

    def initial(self):
        return Gaussian(np.zeros(2), 0.04 * np.eye(2))

    def statistic(self, mean_field):
        return mean_field.mean()

    def cost(self, t, x, statistic):
        return (1 + t) * self.pull * jnp.sum((x - statistic) ** 2) / 2 + jnp.abs(x[0])


CROWD = np.random.default_rng(0).uniform(-1, 2, (50, 2))
X, A, NOISE = np.array([0.4, 1.9]), np.array([-0.3, 1.5]), np.array([0.5, -0.1])


def test_drift_is_minus_the_gradient(precision):
    x, mean = X.astype(precision), CROWD.mean(0).astype(precision)
    found = Drawn().drift(jnp.asarray(0.5, precision), jnp.asarray(x), jnp.asarray(mean))
    assert found.dtype == precision
    by_hand = -1.5 * 0.7 * (x - mean) - np.array([1.0, 0.0])
    np.testing.assert_allclose(found, by_hand, rtol=1e-6 if precision == "float32" else 1e-14)


def test_nobody_moves_the_crowd_alone():
    """The agent's own weight in the mean is not in the gradient."""
    game = Drawn()

    def drift(x):
        statistic = game.statistic(game.crowd_of(jnp.asarray(CROWD).at[0].set(x)))
        return game.drift(jnp.asarray(0.0), x, statistic)

    others = np.concatenate([[X], CROWD[1:]]).mean(0)
    np.testing.assert_allclose(drift(X), -0.7 * (X - others) - [1.0, 0.0], rtol=1e-12)


def test_a_step_and_its_reward_by_hand(precision):
    """Step 3 of 8 in 2 units of time begins at .75; the wall at 2 stops the second coordinate."""
    game, crowd = Drawn(), Particles(jnp.asarray(CROWD.astype(precision)))
    x, a, noise = (jnp.asarray(z.astype(precision)) for z in (X, A, NOISE))
    rtol = 1e-6 if precision == "float32" else 1e-14
    moved = game.step(3, x, a, crowd, noise)
    assert moved.dtype == precision
    free = X + A * 0.25 + 0.8 * 0.5 * NOISE
    assert free[1] > 2
    np.testing.assert_allclose(moved, [free[0], 2.0], rtol=rtol)
    cost = 1.75 * 0.7 * np.sum((X - CROWD.mean(0)) ** 2) / 2 + 0.4
    found = game.reward(3, x, a, crowd)
    assert found.dtype == precision
    np.testing.assert_allclose(found, -(cost + np.sum(A**2) / 2) * 0.25, rtol=3 * rtol)
    assert game.terminal_reward(x, crowd) == 0


def test_sigma_is_the_root_of_twice_nu(precision):
    game = Drawn()
    found = game.diffusion(jnp.asarray(0.0), jnp.asarray(X.astype(precision)), jnp.zeros(2))
    assert found.dtype == precision
    np.testing.assert_allclose(found, [0.8, 0.8], rtol=1e-6)
    assert float(game.dt) == 0.25


def test_inside_is_the_nearest_state_of_any_batch(precision):
    states = jnp.asarray([[[5.0, 5.0], [-9.0, -9.0]]], precision)
    found = Drawn().inside(states)
    assert found.dtype == precision
    np.testing.assert_array_equal(found, [[[5, 2], [-9, -1]]])


def test_it_is_a_game_on_points():
    """Conformance, and a certificate of the policy that stands still."""
    nf.testing.check_game(Drawn())


@pytest.mark.parametrize("missing", ["cost", "statistic", "initial"])
def test_a_game_without_its_parts_cannot_be_made(missing):
    parts = {name: getattr(Drawn, name) for name in ("cost", "statistic", "initial")}
    del parts[missing]
    parts["__annotations__"] = {
        **dict.fromkeys(("duration", "nu", "common_noise"), Scalar),
        **dict.fromkeys(("horizon", "state_dim", "control_dim"), int),
    }
    incomplete = type("Incomplete", (DifferentialGame,), parts)
    with pytest.raises(TypeError, match=missing):
        incomplete(*map(np.asarray, (1.0, 0.0, 0.0)), 4, 1, 1)


FLOW = nf.mean_fields.Flow(Particles(np.zeros((9, 5, 2))))
STILL = nf.policies.Affine(np.zeros((8, 2, 2)), np.zeros((8, 2)), np.zeros((8, 2, 2)))


@pytest.mark.parametrize(
    "use",
    [
        lambda game: nf.solve(game, nf.solvers.Auto(), num_iterations=1),
        lambda game: nf.solve(game, nf.solvers.DEDAFP(), num_iterations=1),
        lambda game: nf.exploitability(game, STILL),
        lambda game: nf.discretise(game, num_cells=4, num_actions=3, low=-1, high=1),
        lambda game: nf.adapters.gymnasium_env(game, FLOW),
    ],
)
def test_common_noise_is_refused_where_the_crowd_must_have_one_flow(use):
    message = "Drawn has common noise: its crowd takes another way every time, and there is no"
    with pytest.raises(GameError, match=message):
        use(Drawn(common_noise=0.1))
