"""Games on points as games on cells, and their policies back on points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.policies import GridActions, GridControl
from nashfield.results import ParameterError

BAR = {"horizon": 5, "c_m": 0.3}


class Windy(nf.ContinuousGame):
    """Moves that depend on the crowd and on time, actions that pay by what the crowd does."""

    horizon: int = 3
    state_dim: int = 1
    control_dim: int = 1

    @property
    def domain(self):
        return np.zeros(1), np.ones(1)

    @property
    def control_bounds(self):
        return np.full(1, -0.5), np.full(1, 0.5)

    def initial(self):
        return nf.Uniform(np.full(1, 0.2), np.full(1, 0.6))

    def step(self, t, x, a, mean_field, noise):
        return jnp.clip(x + 0.3 * a + 0.1 * (mean_field.mean() - x) * t + 0.05 * noise, 0, 1)

    def reward(self, t, x, a, mean_field):
        return jnp.sum(a * mean_field.mean_action() - a**2 - x)


@pytest.mark.slow
def test_it_keeps_the_protocol():
    game = nf.discretise(nf.games.BeachBarLine(**BAR), num_cells=12, num_actions=5)
    assert game.moves is not None
    nf.testing.check_game(game)
    windy = nf.discretise(Windy(), num_cells=10, num_actions=3)
    assert windy.moves is None
    nf.testing.check_game(windy)


@pytest.mark.slow
def test_moves_keep_the_mean_and_rewards_are_those_at_the_centres():
    points = Windy()
    game = nf.discretise(points, num_cells=40, num_actions=5)
    flow = nf.population_flow(game, nf.random_policy(game, key=jax.random.key(0)))
    mean_field = flow[1]
    centres, actions = np.asarray(game.cells.centres)[:, 0], np.linspace(-0.5, 0.5, 5)
    mean = np.asarray(mean_field.states) @ centres
    expected = np.asarray(game.transition(1, mean_field).expect(jnp.asarray(centres)))
    x, a = centres[15:25, None], actions[None]  # away from the walls
    assert expected[15:25] == pytest.approx(x + 0.3 * a + 0.1 * (mean - x), abs=1e-9)
    played = np.sum(np.asarray(mean_field.joint) * actions)
    reward = np.asarray(game.reward(1, mean_field))
    assert reward == pytest.approx(actions * played - actions**2 - centres[:, None])


def test_fictitious_play_on_the_beach():
    """Exploitability falls as 1 / k or faster, and the policy is as good on points."""
    points = nf.games.BeachBarLine(**BAR)
    game = nf.discretise(points, num_cells=40, num_actions=21)
    history = nf.solve(game, nf.FictitiousPlay(), num_iterations=64).history["exploitability"]
    assert history[16] < history[4] / 3
    assert history[64] < history[16] / 3


@pytest.mark.slow
def test_the_linear_quadratic_equilibrium_is_found():
    points = nf.games.LinearQuadratic(horizon=5)
    exact = points.equilibrium()
    game = nf.discretise(
        points, num_cells=60, num_actions=61, low=-2.5, high=2.5, action_low=-0.6, action_high=0.6
    )
    solution = nf.solve(game, nf.OnlineMirrorDescent(learning_rate=20.0), num_iterations=60)
    means = np.asarray(solution.flow.states) @ np.asarray(game.cells.centres)[:, 0]
    assert np.abs(means - np.asarray(exact.flow.means())[:, 0]).max() < 0.02
    control = game.control(solution.policy).certain()
    found = nf.exploitability(points, control, "grid", num_cells=50)
    assert float(found) < 0.02


def test_a_control_plays_the_table():
    game = nf.discretise(nf.games.BeachBarLine(**BAR), num_cells=10, num_actions=5)
    table = np.asarray(nf.random_policy(game, key=jax.random.key(1)))
    control = game.control(table)
    assert isinstance(control, GridControl)
    centre = game.cells.centres[4]
    noise = jax.random.normal(jax.random.key(0), (20_000, 1))
    drawn = np.asarray(jax.vmap(lambda z: control.action(2, centre, z))(noise))[:, 0]
    actions = np.linspace(-0.2, 0.2, 5)
    shares = [(np.abs(drawn - a) < 1e-9).mean() for a in actions]
    assert shares == pytest.approx(table[2, 4], abs=4 * 0.5 / np.sqrt(20_000))
    mean = control.certain()
    assert isinstance(mean, GridActions)
    assert float(mean.action(2, centre, noise[0])[0]) == pytest.approx(table[2, 4] @ actions)
    assert float(mean.log_density(2, centre, mean.action(2, centre, noise[0]))) == np.inf
    with pytest.raises(ValueError, match="finitely many actions"):
        control.log_density(0, centre, jnp.zeros(1))


@pytest.mark.slow
def test_a_certain_table_is_interpolated_in_the_plane():
    points = nf.games.FourRoomsPlane(horizon=1)
    game = nf.discretise(points, num_cells=20, num_actions=3)
    assert game.num_states == 400
    assert game.display.walls.sum() == 60
    table = np.zeros((1, 400, 9))
    column = np.unravel_index(np.arange(400), (20, 20))[0]
    table[0, np.arange(400), np.where(column < 3, 5, 8)] = 1  # (0, .6), then (.6, .6)
    control = game.control(table)
    x = jnp.array([0.075, 0.05])  # midway between the centres .0625 and .0875
    for noise in ([0.0, 0.0], [1.5, -2.0]):
        assert np.asarray(control.action(0, x, jnp.array(noise))) == pytest.approx([0.3, 0.6])


def test_walls_are_kept_on_the_grid():
    game = nf.discretise(nf.games.FourRoomsPlane(horizon=3), num_cells=20, num_actions=3)
    flow = nf.population_flow(game, nf.uniform_policy(game))
    assert np.asarray(flow.states)[:, game.display.walls].max() == 0
    assert np.asarray(flow.states).sum(1) == pytest.approx(np.ones(4))


def test_what_cannot_be_discretised():
    bar, linear = nf.games.BeachBarLine(**BAR), nf.games.LinearQuadratic(horizon=2)
    with pytest.raises(ParameterError, match="domain is infinite: pass low"):
        nf.discretise(linear, num_cells=10, num_actions=5, action_low=-1, action_high=1)
    with pytest.raises(ParameterError, match="actions have no bounds: pass action_low"):
        nf.discretise(linear, num_cells=10, num_actions=5, low=-1, high=1)
    with pytest.raises(ParameterError, match="action_low must be less than action_high"):
        nf.discretise(bar, num_cells=10, num_actions=5, action_low=1)
    with pytest.raises(ParameterError, match="num_actions must be"):
        nf.discretise(bar, num_cells=10, num_actions=(2, 2))
    with pytest.raises(ParameterError, match="num_cells must be"):
        nf.discretise(bar, num_cells=(4, 4), num_actions=3)
    game = nf.discretise(bar, num_cells=10, num_actions=3)
    with pytest.raises(ValueError, match=r"the table must have shape \(5, 10, 3\)"):
        game.control(np.ones((5, 10, 4)) / 4)


class Burst(nf.ContinuousGame):
    """Everyone starts in one place and is scattered; paid for being where few are."""

    horizon: int = 1
    state_dim: int = 1
    control_dim: int = 1

    def initial(self):
        return nf.Gaussian(np.zeros(1), np.full((1, 1), 1e-8))

    def step(self, t, x, a, mean_field, noise):
        return x + 0.1 * noise

    def reward(self, t, x, a, mean_field):
        return jnp.zeros(())

    def terminal_reward(self, x, mean_field):
        return -jnp.log(jnp.exp(mean_field.log_density(x)) + 1e-3)


def test_a_crowd_from_one_place_has_its_density():
    """-E log(N(0, .01) + 1e-3), by a sum over a fine grid; finer cells come nearer to it."""
    x = np.linspace(-1, 1, 20_001)
    density = np.exp(-50 * x**2) / np.sqrt(0.02 * np.pi)
    exact = -np.sum(density * np.log(density + 1e-3)) * (x[1] - x[0])
    errors = []
    for num_cells in (20, 40, 80):
        bounds = {"low": -1, "high": 1, "action_low": -1, "action_high": 1}
        game = nf.discretise(Burst(), num_cells=num_cells, num_actions=2, **bounds)
        policy = nf.uniform_policy(game)
        flow = nf.population_flow(game, policy)
        errors.append(abs(float(nf.evaluate(game, policy, flow).value) - exact))
    assert errors[0] < 0.2
    # A density that is constant in each cell: second order.
    assert errors[1] < errors[0] / 3 and errors[2] < errors[1] / 3


def test_noise_within_a_cell_takes_few_nodes():
    bounds = {"low": -1, "high": 1, "action_low": -1, "action_high": 1}
    assert nf.discretise(Burst(), num_cells=5, num_actions=2, **bounds).num_nodes == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("points", "num_cells", "nodes"),
    [
        (nf.games.BeachBarLine(horizon=2, sigma=0.02), 14, 7),
        (nf.games.FourRoomsPlane(horizon=1), 12, 2),
    ],
)
def test_the_kernel_is_the_sum_over_nodes_and_centres(points, num_cells, nodes, precision):
    game = nf.discretise(points, num_cells=num_cells, num_actions=3)
    assert game.num_nodes == 0
    dim, num_states = points.state_dim, game.num_states
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    z = np.stack(np.meshgrid(*[z] * dim, indexing="ij"), -1).reshape(-1, dim)
    w = np.prod(np.stack(np.meshgrid(*[w / w.sum()] * dim, indexing="ij"), -1), -1).reshape(-1)
    law = game.crowd(nf.population_flow(game, nf.uniform_policy(game))[0])
    move = jax.jit(jax.vmap(lambda x, a, noise: points.step(0, x, a, law, noise), (None, None, 0)))
    table = np.zeros((num_states, game.num_actions, num_states))
    shares = jax.jit(jax.vmap(game.cells.shares))
    for x in range(num_states):
        for a in range(game.num_actions):
            places = move(game.cells.centres[x], game.actions[a], jnp.asarray(z))
            for k, (index, part) in enumerate(zip(*map(np.asarray, shares(places)), strict=True)):
                np.add.at(table[x, a], index, w[k] * part)
    close = 1e-12 if precision == "float64" else 2e-6
    assert np.asarray(game.moves.dense()) == pytest.approx(table, abs=close)
    # Each successor once, as many entries as the longest row needs, and both directions agree.
    num_entries = game.moves.successors.shape[-1]
    rows = np.asarray(game.moves.successors).reshape(-1, num_entries)
    possible = np.asarray(game.moves.probabilities).reshape(rows.shape) > 0
    kept = [row[some] for row, some in zip(rows, possible, strict=True)]
    assert all(len(set(row)) == len(row) for row in kept)
    assert max(len(row) for row in kept) == num_entries
    rng = np.random.default_rng(0)
    mass = rng.random((num_states, game.num_actions))
    values = rng.random(num_states)
    pushed = np.asarray(game.moves.push(jnp.asarray(mass)))
    assert game.moves.predecessors is not None
    assert pushed == pytest.approx(np.einsum("xa,xay->y", mass, table), rel=1e-5)
    expected = np.asarray(game.moves.expect(jnp.asarray(values)))
    assert expected == pytest.approx(table @ values, rel=1e-5)


@pytest.mark.slow
def test_four_rooms_take_few_entries():
    # 2 x 2 nodes x 4 corners are 16, and most of them meet.
    game = nf.discretise(nf.games.FourRoomsPlane(horizon=1), num_cells=40, num_actions=3)
    assert game.moves.successors.shape[-1] <= 14
    assert np.mean(np.asarray(game.moves.probabilities) > 0) * game.moves.successors.shape[-1] < 9


@pytest.mark.slow
def test_mirror_descent_fills_four_rooms():
    """The yardstick: nearly uniform at T on the grid, and so are agents who play it on points."""
    points = nf.games.FourRoomsPlane()
    game = nf.discretise(points, num_cells=40, num_actions=5)
    solution = nf.solve(game, nf.OnlineMirrorDescent(learning_rate=0.03), num_iterations=50)
    last = game.crowd(solution.flow[-1])
    found = nf.metrics.coverage(points, last)
    assert float(found.coefficient_of_variation) < 0.05
    assert float(found.blocked) == pytest.approx(0, abs=1e-12)
    rooms = np.asarray(points.room_masses(last.cells.centres, last.masses))
    assert np.ptp(rooms) < 0.05
    history = solution.history["exploitability"]
    assert history[-1] < 0.02 * history[0]
    control = game.control(solution.policy)
    flow = nf.rollout_flow(points, control, num_agents=40_000, key=jax.random.key(0))
    found = nf.metrics.coverage(points, flow.laws.states[-1])
    # CV^2 of n agents is off by sqrt(2 M) / n = .0013.
    assert float(found.denoised_coefficient) < np.sqrt(0.05**2 + 3 * 0.0013)
    assert float(found.blocked) == 0
    assert np.ptp(points.room_masses(flow.laws.states[-1])) < 0.05
