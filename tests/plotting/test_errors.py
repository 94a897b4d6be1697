"""The picture of the error budget shows the history, and only of those that have one."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

import nashfield as nf
from nashfield.plotting.errors import REWARDS, STATES

RNG = np.random.default_rng(0)
NAMES = (*REWARDS, *STATES)


@pytest.fixture
def budget(solution_of):
    """A solution of DEDA-FP with invented numbers, one seed or several."""

    def make(*batch):
        solution = solution_of(nf.games.LinearQuadratic(horizon=3))
        history = {name: RNG.uniform(0.1, 1.0, (*batch, 6)) for name in NAMES}
        for name in ("mixture_exploitability", "eps_br", "eps_sl"):
            history[name][..., 0] = np.nan
        history["social_welfare"] = -np.ones((*batch, 6))
        counts = {name: np.full(batch, 5) for name in ("num_steps", "result_code")}
        return dataclasses.replace(solution, history=history, solver=nf.DEDAFP(), **counts)

    return make


def test_lines_are_the_history(budget):
    solution = budget()
    upper = nf.plotting.plot_errors(solution)
    panels = upper.figure.axes[-2:]
    assert panels[0] is upper
    for panel, names in zip(panels, (REWARDS, STATES), strict=True):
        drawn = {line.get_label(): line.get_ydata() for line in panel.lines}
        assert list(drawn) == list(names.values())
        for name, label in names.items():
            np.testing.assert_array_equal(drawn[label], solution.history[name])
        assert panel.get_yscale() == "log"
    assert upper.get_title() == "Linear quadratic, deda-fp"


def test_a_solver_that_clones_nothing_has_no_panel_for_it(budget):
    solution = budget()
    for name in STATES:
        del solution.history[name]
    upper = nf.plotting.plot_errors(solution)
    assert [ax for ax in upper.figure.axes if ax.axison] == [upper]
    assert upper.figure.get_figheight() < nf.plotting.plot_errors(budget()).figure.get_figheight()


def test_several_seeds_are_a_mean_and_a_band(budget):
    solution = budget(4)
    upper = nf.plotting.plot_errors(solution)
    values = solution.history["exploitability"]
    np.testing.assert_allclose(upper.lines[0].get_ydata(), values.mean(0))
    vertices = upper.collections[0].get_paths()[0].vertices
    for k in range(6):
        edges = values[:, k].mean() + values[:, k].std() * np.array([-1, 1])
        for edge in edges:
            assert np.any(np.all(np.isclose(vertices, [k, edge]), 1))


def test_noise_below_zero_lies_on_the_floor(budget):
    solution = budget()
    solution.history["eps_br"][3] = -1e-3
    upper = nf.plotting.plot_errors(solution)
    line = next(line for line in upper.lines if line.get_label() == REWARDS["eps_br"])
    positive = np.concatenate([solution.history[name] for name in REWARDS])
    lowest = np.nanmin(positive[positive > 0])
    assert 0 < line.get_ydata()[3] < lowest
    assert any("zero or below" in text.get_text() for text in upper.texts)


@pytest.mark.slow
def test_solutions_with_a_budget_get_the_picture(budget, tmp_path):
    names = [path.name for path in nf.plotting.save_pictures(budget(), tmp_path)]
    assert names == ["flow.png", "policy.png", "exploitability.png", "errors.png"]


def test_the_exact_equilibrium_lies_on_top_of_a_learnt_crowd(budget):
    solution = budget()
    drawn = {line.get_label(): line.get_ydata() for line in nf.plotting.plot_flow(solution).lines}
    exact = solution.game.equilibrium().flow
    np.testing.assert_allclose(drawn["exact equilibrium, likewise"], exact.means()[:, 0])
    exactly = dataclasses.replace(solution, solver=nf.FixedPoint())
    labels = [line.get_label() for line in nf.plotting.plot_flow(exactly).lines]
    assert "exact equilibrium, likewise" not in labels


def test_errors(budget, solution_of):
    with pytest.raises(ValueError, match=r"no error budget.*exploitability, social_welfare"):
        nf.plotting.plot_errors(solution_of(nf.games.LeftRight()))
    with pytest.raises(ValueError, match="grid of subplots"):
        nf.plotting.plot_errors(budget(), ax=Figure().add_axes((0, 0, 1, 1)))


@pytest.mark.usefixtures("without_type_checks")
def test_something_else_than_a_solution():
    with pytest.raises(TypeError, match="plot_errors draws a Solution"):
        nf.plotting.plot_errors({})
