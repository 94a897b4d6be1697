"""The three algorithms in equal time: invented clocks and distances, and a short race."""

import dataclasses

import jax
import numpy as np
import pytest
import scipy.stats

import nashfield as nf
from nashfield.papers.magnino2025 import QUICK, budget

RNG = np.random.default_rng(0)


@dataclasses.dataclass
class Fake:
    """A racer whose iterations take as long as it is told."""

    cost: float
    seconds: list = dataclasses.field(default_factory=list)
    draws: list = dataclasses.field(default_factory=list)

    @property
    def num_iterations(self):
        return len(self.seconds) - 1

    def iterate(self):
        self.seconds.append((self.seconds or [-self.cost])[-1] + self.cost)


def test_everybody_gets_the_time_of_deda_fp():
    racers = {"algorithm 1": Fake(0.5), "algorithm 2": Fake(1.5), "DEDA-FP": Fake(2.0)}
    lines = []
    budget.race(racers, 4, lines.append)
    assert racers["DEDA-FP"].seconds == [0.0, 2.0, 4.0, 6.0, 8.0]
    done = {name: budget.last_within(racer, 8.0) for name, racer in racers.items()}
    assert done == {"algorithm 1": 16, "algorithm 2": 5, "DEDA-FP": 4}
    # Nobody goes on for longer than it takes to know.
    for racer in racers.values():
        assert 8.0 <= racer.seconds[-1] <= 8.0 + racer.cost
    # They take turns, so that nobody has the machine at another time.
    order = [line.split(":")[0] for line in lines]
    assert set(order[:3]) == set(racers) and set(order[-8:]) == set(racers)


def test_who_has_no_room_left_waits():
    racers = {"algorithm 1": Fake(0.01), "algorithm 2": Fake(1.0), "DEDA-FP": Fake(1.0)}
    budget.race(racers, 3, lambda line: None)
    assert racers["algorithm 1"].num_iterations == 6 * 3
    assert racers["DEDA-FP"].num_iterations == 3


def test_distance_from_an_exact_law():
    exact = np.stack([scipy.stats.norm.ppf((np.arange(4000) + 0.5) / 4000)] * 3)
    draws = scipy.stats.norm.ppf((np.arange(400) + 0.5) / 400)
    moved = np.stack([draws + 9.0, draws + 0.25, draws[::-1] + 0.75])
    # The first time is not counted, where all know the law; order does not matter.
    assert budget.distances(moved, exact) == pytest.approx(0.5, abs=2e-3)
    # Between N(0, 1) and N(0, 4) it is E|z|.
    wider = np.stack([2 * draws] * 3)[None]
    np.testing.assert_allclose(budget.distances(wider, exact), np.sqrt(2 / np.pi), rtol=5e-3)


@pytest.mark.parametrize("law", ["gaussian", "uniform"])
def test_exact_crowds_have_exact_moments(law):
    game = nf.games.LinearQuadratic(initial_law=law)
    states = budget.exact_states(game, 40_000, jax.random.key(0))
    assert states.shape == (21, 40_000) and (np.diff(states, axis=1) >= 0).all()
    flow = game.equilibrium().flow
    deviations = np.sqrt(np.asarray(jax.vmap(lambda law: law.covariance[0, 0])(flow.laws)))
    # Five standard errors.
    tolerance = 5 * deviations / np.sqrt(40_000)
    assert (np.abs(states.mean(1) - np.asarray(flow.means())[:, 0]) < tolerance).all()
    assert (np.abs(states.std(1) - deviations) < tolerance).all()


@pytest.mark.slow
def test_the_grid_knows_the_crowd_where_it_is_known_exactly():
    """Without a floor worth speaking of: 3 of 1000 where deviations are .2 to .5."""
    box = {"low": -2.5, "high": 3.5, "action_low": -1.0, "action_high": 1.0}
    found = budget.grid_states(nf.games.LocalEntropy(), box, 1.0, 300)
    exact = budget.exact_states(nf.games.LocalEntropy(), 1_000_000, jax.random.key(0))
    assert found.shape == (11, 200_000)
    assert budget.distances(found[:, ::10], exact) < 3e-3


def test_rows():
    exact = np.sort(RNG.normal(size=(4, 100_000)), -1)
    shifts = {"algorithm 1": 0.1, "algorithm 2": 0.3, "DEDA-FP": 0.2}
    racers = {}
    for name, shift in shifts.items():
        draws = RNG.normal(size=(2, 4, 20_000)) + shift
        # What came after the time was over does not count.
        racers[name] = Fake(1.0, [0.0, 5.0, 9.0], [draws + 1, draws, draws + 2])
    racers["DEDA-FP"] = Fake(1.0, [0.0, 8.0], racers["DEDA-FP"].draws[:2])
    shorter = {"algorithm 1": 20, "algorithm 2": 20_000, "DEDA-FP": 20_000}
    rows = budget._rows("linear-quadratic", racers, exact, shorter, full=True)
    assert len({row.name for row in rows}) == len(rows) == 9
    assert [row.ours for row in rows[:3]] == [1.0, 1.0, 1.0]
    assert rows[0].name.endswith("iterations in the 8 s of DEDA-FP")
    np.testing.assert_allclose([row.ours for row in rows[3:6]], list(shifts.values()), atol=0.02)
    assert [row.agrees for row in rows[3:6]] == [None, None, False]
    assert "(20)" in rows[6].name and "(20000)" in rows[8].name
    # Few draws are far from any law: by E|mean of 20| at least.
    assert rows[6].ours > 0.2
    assert rows[8].ours == pytest.approx(rows[5].ours) and rows[8].agrees
    quick = budget._rows("linear-quadratic", racers, exact, shorter, full=False)
    assert all(row.agrees is None for row in quick)


def test_the_picture_shows_distances_against_seconds():
    seconds, values = [0.0, 1.0, 2.5], RNG.uniform(0.1, 1, (4, 3))
    curves = {"game": {"DEDA-FP": (seconds, values), "algorithm 1": (seconds, 2 * values)}}
    (ax,) = budget.picture(curves).axes
    for line, factor in zip(ax.lines, (1, 2), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), seconds)
        np.testing.assert_allclose(line.get_ydata(), factor * values.mean(0))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["DEDA-FP", "algorithm 1"]


@pytest.mark.slow
def test_a_short_race():
    sizes = dataclasses.replace(
        QUICK,
        num_iterations=1,
        first_updates=2,
        later_updates=2,
        clone_steps=20,
        fit_steps=20,
        num_agents=200,
        num_samples=20_000,
        num_trajectories=200,
        repeats=2,
    )
    rows, pictures = budget.play(sizes, key=jax.random.key(0), tell=lambda line: None)
    assert len(rows) == 2 * 9 and all(np.isfinite(row.ours) for row in rows)
    for row in rows:
        if "draws" in row.name:
            assert 0 < row.ours < 3
    assert len(pictures["equal-time.png"]().axes) == 2
