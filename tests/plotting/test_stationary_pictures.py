"""Pictures of games without time show the arrays they are given."""

import equinox as eqx
import numpy as np
import pytest
from matplotlib.quiver import Quiver

import nashfield as nf
from nashfield.plotting.policy import expected_moves

RNG = np.random.default_rng(0)


class Ferry(nf.StationaryGame):
    """Stay, or cross between two banks of a river; on a plane where `places` is set."""

    places: bool = eqx.field(static=True, default=False)
    discount: nf.Scalar = eqx.field(converter=nf.scalar, default=0.5)
    num_states: int = eqx.field(static=True, default=2)
    num_actions: int = eqx.field(static=True, default=2)

    def initial(self):
        return np.full(self.num_states, 1 / self.num_states)

    def transition(self, mean_field):
        stay = np.eye(self.num_states)
        moves = [np.roll(stay, a, axis=1) for a in range(self.num_actions)]
        return nf.Dense(np.stack(moves, axis=1))

    def reward(self, mean_field):
        return np.zeros((self.num_states, self.num_actions))

    @property
    def display(self):
        cells = np.array([(0, i) for i in range(self.num_states)])
        return nf.Display(cells=cells) if self.places else nf.Display()


@pytest.mark.parametrize("num_states", [3, 40])
def test_mean_field_bars_are_the_mean_field(num_states, solution_of):
    solution = solution_of(Ferry(num_states=num_states))
    for draw in (nf.plotting.plot_mean_field, nf.plotting.plot_flow):
        ax = draw(solution)
        heights = [bar.get_height() for bar in ax.patches]
        np.testing.assert_array_equal(heights, solution.flow.states)
    middles = [bar.get_x() + bar.get_width() / 2 for bar in ax.patches]
    expected = np.arange(3) if num_states == 3 else np.linspace(0, 1, 40)
    np.testing.assert_allclose(middles, expected, atol=1e-12)


class Scattered(Ferry):
    """Seen by one number, which does not rise with the state's."""

    def features(self):
        return np.array([0.5, 0.1, *np.linspace(1, 2, 38)])[:, None]


def test_states_lie_where_they_are_seen(solution_of):
    solution = solution_of(Scattered(num_states=40))
    ax = nf.plotting.plot_mean_field(solution)
    order = np.argsort(solution.game.features()[:, 0])
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_array_equal(heights, solution.flow.states[order])
    area = nf.plotting.plot_policy(solution).patches[0]
    np.testing.assert_array_equal(area.get_data().values, solution.policy[order, 1])


def test_a_peak_does_not_hide_the_rest(solution_of):
    solution = solution_of(Ferry(num_states=40))
    law = np.full(40, 0.5 / 39)
    law[0] = 0.5
    ax = nf.plotting.plot_mean_field(eqx.tree_at(lambda s: s.flow.states, solution, law))
    assert ax.get_yscale() == "function" and "square-root" in ax.get_ylabel()
    even = eqx.tree_at(lambda s: s.flow.states, solution, np.full(40, 1 / 40))
    assert nf.plotting.plot_mean_field(even).get_yscale() == "linear"


def test_mean_field_and_moves_on_a_grid(solution_of):
    solution = solution_of(Ferry(num_states=4, places=True))
    shares = nf.plotting.plot_mean_field(solution).images[0].get_array()
    np.testing.assert_array_equal(shares, solution.flow.states[None])
    moves = expected_moves(solution)
    ahead = np.array([1, 1, 1, -3])
    np.testing.assert_allclose(moves[:, 1], solution.policy[:, 1] * ahead, atol=1e-12)
    arrows = [a for a in nf.plotting.plot_policy(solution).collections if isinstance(a, Quiver)]
    assert len(arrows) == 1


def test_stacked_areas_are_the_policy(solution_of):
    solution = solution_of(Ferry(num_states=3, num_actions=4))
    ax = nf.plotting.plot_policy(solution)
    for action, area in enumerate(ax.patches):
        data = area.get_data()
        np.testing.assert_allclose(data.values, solution.policy[:, : action + 1].sum(1))
        np.testing.assert_allclose(data.values - data.baseline, solution.policy[:, action])
    assert len(ax.get_legend().get_texts()) == 4


def test_many_actions_without_time_are_a_matrix(solution_of):
    solution = solution_of(Ferry(num_states=30, num_actions=10))
    mesh = nf.plotting.plot_policy(solution).collections[0]
    np.testing.assert_array_equal(np.reshape(mesh.get_array(), (10, 30)), solution.policy.T)


def test_a_policy_with_parameters_is_drawn_by_its_table(solution_of):
    solution = solution_of(nf.games.MalwareSpread(num_states=30))
    policy = nf.policies.SoftThreshold(theta=0.4)
    drawn = nf.plotting.plot_policy(
        eqx.tree_at(lambda s: s.policy, solution, policy, is_leaf=lambda x: x is solution.policy)
    )
    assert drawn.get_ylabel() == "probability of “repair”"
    np.testing.assert_allclose(
        drawn.patches[0].get_data().values, policy.table(solution.game)[:, 1]
    )


def test_points_are_counted(solution_of, default):
    solution = solution_of(default("continuous-product-investment"))
    ax = nf.plotting.plot_mean_field(solution)
    for column, outline in zip(solution.flow.states.T, ax.patches, strict=True):
        values, edges, _ = outline.get_data()
        np.testing.assert_allclose(values, np.histogram(column, edges)[0] / 50)
        assert values.sum() == pytest.approx(1)
    panels = nf.plotting.plot_policy(solution).child_axes
    assert len(panels) == 3


def test_a_policy_on_a_line_is_evaluated(solution_of, default):
    solution = solution_of(default("continuous-malware-spread"))
    values, edges, _ = nf.plotting.plot_policy(solution).patches[0].get_data()
    middles = (edges[1:] + edges[:-1]) / 2
    expected = solution.policy.probabilities(middles[:, None])[:, 1]
    np.testing.assert_allclose(values, expected, rtol=1e-12)
