"""Pictures show the arrays they are given, for every game, and name what they cannot draw."""

import sys
from subprocess import run

import equinox as eqx
import jax
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

import nashfield as nf
from nashfield.plotting.mosaic import Grid, Mosaic, chosen_times
from nashfield.plotting.policy import expected_moves
from nashfield.plotting.save import _all_histories
from nashfield.registry import GAMES

RNG = np.random.default_rng(0)


# Of each kind some games are drawn in every run, and those that take seconds before a release.
SLOW = {
    "building-evacuation",
    "consensus",
    "crowd-aversion",
    "el-farol-intentions",
    "four-rooms-plane",
    "garnet",
    "grid-navigation",
    "linear-quadratic",
    "local-entropy",
    "price-impact",
    "product-investment",
    "systemic-risk",
}
assert set(GAMES) >= SLOW


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in sorted(GAMES)],
)
def test_every_game_has_pictures(name, tmp_path, solution_of, default):
    game = default(name)
    paths = nf.plotting.save_pictures(solution_of(game), tmp_path / "pictures")
    names = ["flow.png", "policy.png", "exploitability.png"]
    if not isinstance(game, nf.FiniteGame | nf.ContinuousGame | nf.RateGame):
        names = ["mean_field.png", "policy.png", "history.png"]
    assert [path.name for path in paths] == names
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 5000


@pytest.mark.parametrize("draw", [nf.plotting.plot_flow, nf.plotting.plot_policy])
@pytest.mark.parametrize(
    "name", ["beach-bar", "rock-paper-scissors", "left-right", "four-rooms", "malware-spread"]
)
def test_games_without_a_name(name, draw, solution_of, default):
    solution = eqx.tree_at(
        lambda s: (s.game, s.solver),
        solution_of(default(name)),
        (None, None),
        is_leaf=lambda x: x is None,
    )
    assert draw(solution).get_title() == ""
    assert nf.plotting.plot_exploitability(solution).get_title() == ""


def test_the_given_axes_are_used(solution_of):
    solution = solution_of(nf.games.LeftRight())
    for draw in (nf.plotting.plot_flow, nf.plotting.plot_policy, nf.plotting.plot_exploitability):
        ax = Figure().add_subplot()
        assert draw(solution, ax=ax) is ax
        assert isinstance(draw(solution), Axes)


def test_matplotlib_is_imported_late_and_pyplot_never():
    code = (
        "import sys, nashfield.plotting, numpy as np\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from nashfield.plotting.canvas import new_axes\n"
        "new_axes(None).figure.savefig('/dev/null', format='png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0


# Flow


def test_flow_heat_map_is_the_flow(solution_of):
    solution = solution_of(nf.games.BeachBar(num_states=20, horizon=6))
    ax = nf.plotting.plot_flow(solution)
    np.testing.assert_array_equal(ax.images[0].get_array(), np.asarray(solution.flow).T)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("time", "state", "Beach bar")


def test_flow_bars_are_the_flow(solution_of):
    solution = solution_of(nf.games.RockPaperScissors())
    ax = nf.plotting.plot_flow(solution)
    heights = [[bar.get_height() for bar in bars] for bars in ax.containers]
    # A bar keeps its ends, not its height.
    np.testing.assert_allclose(np.transpose(heights), np.asarray(solution.flow), atol=1e-15)
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["scissors", "paper", "rock", "start"]


def test_flow_areas_are_the_flow(solution_of):
    solution = solution_of(nf.games.LeftRight(horizon=20))
    ax = nf.plotting.plot_flow(solution)
    states = np.asarray(solution.flow)
    for state, area in enumerate(ax.collections):
        top = states[:, : state + 1].sum(1)
        vertices = area.get_paths()[0].vertices
        for t in range(21):
            assert np.any(np.all(np.isclose(vertices, [t, top[t]], atol=1e-6), axis=1))


class Floors(nf.FiniteGame):
    """Two floors of 2 x 3 cells with one wall each; agents go right, or up at the stairs."""

    horizon: int = 3
    num_states: int = eqx.field(init=False, default=10)
    num_actions: int = eqx.field(init=False, default=2)

    @property
    def display(self):
        cells = [c for c in np.ndindex(2, 2, 3) if c not in {(0, 0, 1), (1, 1, 2)}]
        return nf.Display(cells=np.array(cells), shape=(2, 2, 3), actions=("stay", "next"))

    def initial(self):
        return np.eye(10)[0]

    def transition(self, t, mean_field):
        table = np.zeros((10, 2, 10))
        table[:, 0] = np.eye(10)
        table[:, 1] = np.roll(np.eye(10), 1, axis=1)
        return nf.Dense(table)

    def reward(self, t, mean_field):
        return np.zeros((10, 2))


def test_flow_on_a_grid_draws_shares_and_walls(solution_of):
    solution = solution_of(Floors())
    ax = nf.plotting.plot_flow(solution)
    states, cells = np.asarray(solution.flow), Floors().display.cells
    assert len(ax.images) == 2 * 4  # four times, each with its walls
    for t in range(4):
        shares, walls = (image.get_array() for image in ax.images[2 * t : 2 * t + 2])
        assert shares.shape == (2, 3 + 1 + 3)
        for state, (floor, row, column) in enumerate(cells):
            assert shares[row, column + 4 * floor] == states[t, state]
            assert walls.mask[row, column + 4 * floor]
        assert np.argwhere(~walls.mask).tolist() == [[0, 1], [1, 6]]
        assert shares.mask.sum() == 2 + 2  # the walls, and the gap between the floors
    assert [text.get_text() for text in ax.texts] == [f"time {t}" for t in range(4)]


def test_a_crowd_that_starts_in_one_place_does_not_hide_the_rest(solution_of, default):
    solution = solution_of(default("four-rooms"))
    ax = nf.plotting.plot_flow(solution)
    later = np.median(np.asarray(solution.flow).max(1))
    assert ax.images[0].norm.vmax <= 10 * later < np.asarray(solution.flow).max()


# Policy


def test_policy_of_two_actions_is_one_map(solution_of):
    solution = solution_of(nf.games.LeftRight())
    ax = nf.plotting.plot_policy(solution)
    np.testing.assert_array_equal(ax.images[0].get_array(), solution.policy[..., 1].T)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["C", "L", "R"]
    assert ax.figure.axes[1].get_ylabel() == "probability of “right”"


def test_policy_of_several_actions_is_one_map_each(solution_of):
    solution = solution_of(nf.games.BeachBar(num_states=20, horizon=6))
    ax = nf.plotting.plot_policy(solution)
    for action, image in enumerate(ax.images):
        np.testing.assert_array_equal(image.get_array()[::-1].T, solution.policy[..., action])
    assert [text.get_text() for text in ax.texts] == ["left", "stay", "right"]


def test_policy_of_many_actions_is_their_mean(solution_of):
    solution = solution_of(nf.games.LeftRight())
    policy = RNG.dirichlet(np.ones(15), (2, 3))
    solution = eqx.tree_at(lambda s: s.policy, solution, policy)
    solution = eqx.tree_at(lambda s: s.game, solution, None)
    ax = nf.plotting.plot_policy(solution)
    np.testing.assert_allclose(ax.images[0].get_array(), (policy @ np.arange(15)).T)


def test_arrows_are_expected_moves(solution_of):
    solution = solution_of(Floors())
    cells, policy = Floors().display.cells, np.asarray(solution.policy)
    for t in range(3):
        moves = expected_moves(solution, t)
        ahead = np.roll(cells, -1, axis=0) - cells
        np.testing.assert_allclose(moves, policy[t, :, 1:] * ahead, atol=1e-12)
    ax = nf.plotting.plot_policy(solution)
    arrows = [artist for artist in ax.collections if isinstance(artist, Quiver)]
    assert len(arrows) == 3
    across = np.hypot(*moves[:, 1:].T) > 0.03
    np.testing.assert_allclose(arrows[2].U, 0.95 * moves[across, 2])
    np.testing.assert_allclose(arrows[2].V, 0.95 * moves[across, 1])
    marked = {line.get_marker(): len(line.get_xdata()) for line in ax.lines[-2:]}
    assert marked == {"^": (moves[:, 0] >= 0.5).sum(), "v": (moves[:, 0] <= -0.5).sum()}


class Ring(nf.FiniteGame):
    """A torus of 6 x 7 cells; everyone goes right and up through the seams."""

    horizon: int = 1
    num_states: int = eqx.field(init=False, default=42)
    num_actions: int = eqx.field(init=False, default=1)

    @property
    def display(self):
        return nf.Display(cells=np.array(list(np.ndindex(6, 7))), shape=(6, 7))

    def initial(self):
        return np.full(42, 1 / 42)

    def transition(self, t, mean_field):
        row, column = np.divmod(np.arange(42), 7)
        successors = (row - 1) % 6 * 7 + (column + 1) % 7
        return nf.Sparse(successors[:, None, None], np.ones((1, 1, 1)))

    def reward(self, t, mean_field):
        return np.zeros((42, 1))


def test_arrows_cross_the_seam_of_a_torus(solution_of):
    np.testing.assert_allclose(expected_moves(solution_of(Ring()), 0), np.tile([-1, 1], (42, 1)))


@pytest.mark.slow
def test_a_game_on_a_grid_is_drawn_on_its_line():
    game = nf.games.BeachBarLine(horizon=3)
    grid = nf.discretise(game, num_cells=10, num_actions=3)
    solution = nf.solve(grid, nf.OnlineMirrorDescent(), num_iterations=3)
    flow, policy = nf.plotting.plot_flow(solution), nf.plotting.plot_policy(solution)
    assert flow.get_title() == policy.get_title() == "Beach bar line"
    low, high = flow.get_ylim()
    assert -0.1 < low < 0.05 and 0.95 < high < 1.1
    colours = policy.collections[0].get_array()
    assert np.abs(colours).max() <= 0.2 + 1e-9  # no step is longer


# Exploitability


def test_exploitability_lines_are_the_histories(solution_of):
    game = nf.games.LeftRight()
    histories = {"slow": (1.0, 0.9, 0.8), "fast": (1.0, 0.1, 0.01)}
    ax = nf.plotting.plot_exploitability(
        {name: solution_of(game, history) for name, history in histories.items()}
    )
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")
    for line, (name, history) in zip(ax.lines, histories.items(), strict=True):
        assert line.get_label() == name
        np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2])
        np.testing.assert_array_equal(line.get_ydata(), history)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["slow", "fast"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("iteration", "exploitability")


@pytest.mark.parametrize(("num_iterations", "scale"), [(40, "linear"), (41, "symlog")])
def test_the_axis_of_many_iterations_is_logarithmic(solution_of, num_iterations, scale):
    history = 1 / np.arange(1, num_iterations + 2)
    ax = nf.plotting.plot_exploitability(solution_of(nf.games.LeftRight(), history))
    assert ax.get_xscale() == scale
    assert ax.get_xlim()[0] == 0 and ax.get_xlim()[1] > num_iterations
    assert (ax.lines[0].get_marker() == "o") == (scale == "linear")


def test_values_without_a_logarithm_lie_on_the_floor(solution_of):
    history = (1.0, 1e-3, 0.0, -1e-17, np.nan)
    ax = nf.plotting.plot_exploitability(solution_of(nf.games.LeftRight(), history))
    values, floor = (np.asarray(line.get_ydata()) for line in ax.lines)
    assert np.all(floor == floor[0]) and 0 < floor[0] < 1e-3
    np.testing.assert_array_equal(values, [1.0, 1e-3, floor[0], floor[0], np.nan])
    assert [text.get_text() for text in ax.texts] == ["zero or below"]
    ax = nf.plotting.plot_exploitability(solution_of(nf.games.LeftRight(), (0.0, 0.0)))
    ax.figure.canvas.draw()


def test_history_ends_where_the_solve_ended(solution_of):
    solution = solution_of(nf.games.LeftRight(), (1.0, 0.5, 0.25, 0.25, 0.25))
    solution = eqx.tree_at(lambda s: s.num_steps, solution, np.asarray(2))
    ax = nf.plotting.plot_exploitability(solution)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0, 1, 2])
    assert ax.get_title() == "Left right, online mirror descent"


def batch(solution_of):
    one = solution_of(nf.games.LeftRight())
    return jax.tree.map(lambda leaf: np.stack([leaf, leaf]), one)


def test_a_batch_is_drawn_in_one_colour(solution_of):
    ax = nf.plotting.plot_exploitability({"seeds": batch(solution_of)})
    first, second = ax.lines
    assert first.get_color() == second.get_color()
    assert len(ax.get_legend().get_texts()) == 1


def test_welfare_may_be_negative(solution_of):
    ax = nf.plotting.plot_history(solution_of(nf.games.LeftRight()))
    assert (ax.get_yscale(), ax.get_ylabel()) == ("linear", "social welfare")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [-1.0, -0.5, -0.25])


def test_the_gradient_norm_where_there_is_one(solution_of, default):
    ax = nf.plotting.plot_history(
        solution_of(default("continuous-malware-spread")), "gradient_norm"
    )
    assert (ax.get_yscale(), ax.get_ylabel()) == ("log", "gradient norm")
    with pytest.raises(ValueError, match=r"no 'gradient_norm'; it has exploitability, social_w"):
        nf.plotting.plot_history(solution_of(nf.games.LeftRight()), "gradient_norm")


def test_all_histories_stand_in_one_picture(tmp_path, solution_of, default):
    solution = solution_of(default("continuous-malware-spread"))
    panels = _all_histories(solution).figure.axes
    assert [ax.get_ylabel() for ax in panels] == [
        *("exploitability", "social welfare", "gradient norm")
    ]
    assert [bool(ax.get_title()) for ax in panels] == [True, False, False]


# Layout


@pytest.mark.parametrize("count", range(1, 13))
@pytest.mark.parametrize("shape", [(1.0, 1.0), (13, 13), (10, 54), (40, 3)])
def test_tiles_do_not_overlap(count, shape):
    height, width = shape
    mosaic = Mosaic.fit(count, height, width)
    corners = np.array([mosaic.corner(tile) for tile in range(count)])
    apart = np.abs(corners[:, None] - corners) / [width, height]
    assert np.all((apart.max(-1) > 1) | np.eye(count, dtype=bool))
    assert np.all(corners + np.array([width, height]) <= np.array(mosaic.size) + 1e-9)


def test_chosen_times():
    assert chosen_times(0, 6) == [0]
    assert chosen_times(3, 6) == [0, 1, 2, 3]
    assert chosen_times(100, 6) == [0, 20, 40, 60, 80, 100]


def test_a_grid_without_a_shape_ends_at_its_last_cell():
    grid = Grid.of(nf.Display(cells=np.array([[0, 0], [2, 1]])))
    assert grid is not None and (grid.height, grid.width) == (3, 2)
    assert grid.walls.sum() == 4
    assert Grid.of(nf.Display()) is None


# Errors


@pytest.mark.parametrize(
    "name", ["plot_flow", "plot_mean_field", "plot_policy", "plot_exploitability", "plot_history"]
)
def test_no_solution(name):
    with pytest.raises(TypeError, match=f"{name} draws a Solution .*, not ndarray"):
        getattr(nf.plotting, name).__wrapped__(np.ones((3, 2)))


@pytest.mark.parametrize("name", ["plot_flow", "plot_policy"])
def test_batches_are_named(name, solution_of):
    with pytest.raises(ValueError, match=r"one solution, but .* of shape \(2,\)"):
        getattr(nf.plotting, name)(batch(solution_of))


def test_no_solutions():
    with pytest.raises(ValueError, match="at least one solution"):
        nf.plotting.plot_exploitability({})


def test_no_axes(solution_of):
    with pytest.raises(TypeError, match="must be matplotlib Axes or None, not str"):
        nf.plotting.plot_flow(solution_of(nf.games.LeftRight()), ax="here")
