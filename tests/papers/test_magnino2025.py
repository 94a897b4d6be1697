"""The paper run again: its parts by closed forms and invented numbers, all of it in a slow test."""

import json
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.metrics import coverage
from nashfield.papers.magnino2025 import Sizes, density, pictures, quadratic, rooms, run, sampling
from nashfield.papers.magnino2025.learning import Learnt, Run, learn
from nashfield.registry import PAPERS, find

RNG = np.random.default_rng(0)


def quiet(line: str) -> None:
    """Tells nobody."""


class Counter(eqx.Module):
    """Stands for a solver: its state counts steps, and its info is what the state was."""

    def init_uniform(self, game, *, key):
        return jnp.zeros(()), jax.random.uniform(key)

    def step(self, game, state, *, key):
        count, name = state
        return (count + 1, name), Info(count, name)

    def policy(self, game, state):
        return state[0]

    def flow(self, game, state):
        return state[1]


class Info(eqx.Module):
    """What a step says."""

    count: jax.Array
    name: jax.Array

    def columns(self):
        return {"exploitability": self.count, "name": self.name}


def test_history_is_that_of_every_iterate_and_the_last_step_is_forgotten():
    lines = []
    runs = {"first": Run(None, Counter(), 1, 2), "game": Run(None, Counter(), 4, 3)}
    found = learn(runs, key=jax.random.key(0), tell=lines.append)["game"]
    np.testing.assert_array_equal(found.history["exploitability"], [np.arange(5.0)] * 3)
    np.testing.assert_array_equal(found.policy, np.full(3, 4.0))
    names = jax.vmap(jax.random.uniform)(
        jax.random.split(jax.random.fold_in(jax.random.key(0), 1), 3)
    )
    np.testing.assert_array_equal(found.history["name"][:, 2], names)
    assert len(set(np.asarray(found.flow).tolist())) == 3
    (count, name), policy, _ = found.seed(1)
    assert (float(count), float(policy)) == (4.0, 4.0) and name == names[1]
    assert lines[:2] == ["first: compiling", "game: compiling"]
    assert lines[-1] == "game: 4/4 iterations of 3 seeds, exploitability 4"


def test_sizes_reach_the_solvers():
    sizes = Sizes(first_updates=7, later_updates=3, clone_steps=5, fit_steps=6, num_agents=200)
    solver = sizes.fictitious(nf.DEDAFP, 9)
    assert (solver.learner.num_updates, solver.later_updates, solver.capacity) == (7, 3, 10)
    assert solver.average_policy.num_steps == 5 and solver.normalizing_flow.num_steps == 6
    plain = sizes.fictitious(nf.DeepFictitiousPlay, 9)
    assert plain.average_policy is None and plain.num_agents == 200


@pytest.mark.slow
def test_exact_play_is_that_of_the_sheet():
    game = nf.games.LinearQuadratic(initial_law="uniform")
    curve, (equilibrium, mixture) = quadratic._exact_play(game, 20)
    np.testing.assert_allclose(curve[[0, 9, 19]], [0.34846, 0.09318, 0.05448], atol=5e-6)
    np.testing.assert_allclose(
        equilibrium[0, [1, 5, 10, 20]], [0.1274802, 0.38521278, 0.47360058, 0.49698552], rtol=1e-7
    )
    np.testing.assert_allclose(equilibrium[1, 20], 0.08597514, rtol=1e-6)
    # The sheet: exact fictitious play is .046 from equilibrium at k = 20.
    assert np.abs(mixture[0] - equilibrium[0]).max() == pytest.approx(0.046, abs=1e-3)


def learnt(num_seeds, num_iterations, **columns):
    """Invented histories."""
    history = {name: np.full((num_seeds, num_iterations + 1), x) for name, x in columns.items()}
    return Learnt(history, None, None, None, 1.5)


def test_bars_of_the_curves():
    exact = 1.0 / np.arange(1, 21)
    runs = dict.fromkeys((*quadratic.ALGORITHMS, quadratic.OURS), None)
    for name in runs:
        runs[name] = learnt(4, 20, exploitability=0.06, mean_action_exploitability=0.04)
    rows = {row.name: row for row in quadratic._curve_rows(runs, exact)}
    assert len(rows) == 3 * 4 + 3 + 4
    at = "linear-quadratic, {}: exploitability at k = {}"
    assert rows[at.format("exact fictitious play", 10)].ours == 0.1
    assert rows[at.format("DEDA-FP", 20)].bar == "at most 0.065"
    assert rows[at.format("DEDA-FP", 20)].agrees
    assert rows[at.format("algorithm 1", 20)].agrees is None
    mean_action = "linear-quadratic, DEDA-FP: exploitability of its mean action at k = 20"
    assert rows[mean_action].agrees is False
    assert rows[at.format(quadratic.OURS, 20)].agrees is False
    # A quick run is not held to what twenty iterations must reach.
    short = {
        name: learnt(2, 5, exploitability=0.1, mean_action_exploitability=0.1) for name in runs
    }
    judged = [row for row in quadratic._curve_rows(short, exact[:5]) if row.agrees is not None]
    assert not judged


def test_rows_of_the_crowd():
    exact = np.stack([np.linspace(0, 0.5, 21), np.linspace(0.6, 0.1, 21)])
    crowd = exact + np.array([0.01, 0.02])[:, None] * np.array([1.0, 1.2])[:, None, None]
    rows = quadratic._crowd_rows(crowd, exact, full=True)
    assert [row.paper for row in rows] == [0.007, 0.576, 0.464, 0.133, None, None]
    assert rows[2].ours == pytest.approx(exact[0, 19] + 0.011)
    assert rows[2].interval == pytest.approx((exact[0, 19] + 0.01, exact[0, 19] + 0.012))
    assert rows[4].ours == pytest.approx(0.011) and rows[4].agrees
    assert rows[5].ours == pytest.approx(0.022) and rows[5].agrees is False
    quick = quadratic._crowd_rows(crowd, exact, full=False)
    assert [row.agrees for row in quick] == [None] * 6


def test_variation():
    exact = np.array([[0.5, 0.5, 0.0]])
    masses = np.array([[[0.25, 0.5, 0.25]], [[0.0, 0.0, 0.5]], [[0.5, 0.5, 0.0]]])
    # Of the second one half is outside of the box: it meets nobody.
    np.testing.assert_allclose(density.variation(masses, exact)[:, 0], [0.25, 1.0, 0.0])


def test_rows_of_an_even_crowd_and_of_one_in_a_single_room():
    game = nf.games.FourRoomsPlane()
    cells = game.free_cells()
    inside = cells[(cells < 0.225).all(1)]
    even = coverage(game, jnp.asarray(cells))
    # As often as if it were a law: what the chance of few draws adds is taken off.
    one = coverage(game, jnp.asarray(np.repeat(inside, 100, 0)))
    run = learnt(2, 40)
    rows = rooms._rows("rooms", 40, run, [even, even], 0.9)
    assert [row.agrees for row in rows] == [True, True, None, None]
    # Doors across the middle belong to either side.
    assert rows[1].ours < 0.05 and rows[2].ours == 0
    rows = rooms._rows("rooms", 40, run, [one], 0.9)
    assert [row.agrees for row in rows] == [False, False, None, None]
    ratio = len(cells) / len(inside)
    assert rows[0].ours == pytest.approx(np.sqrt(ratio - 1 - ratio / 100))
    assert rows[1].ours == pytest.approx(1.0)


def test_timing_leaves_compilation_out_and_takes_turns():
    traces, turns = [], []

    def draw(what, key):
        traces.append(what)
        time.sleep(0.5)
        jax.debug.callback(lambda x: turns.append(len(x)), what, ordered=True)
        return what + jax.random.normal(key, what.shape)

    ways = {"one": (draw, jnp.ones(3)), "other": (draw, jnp.ones(4))}
    found = sampling.seconds_in_turn(ways, jax.random.key(0), 3)
    jax.effects_barrier()
    assert list(found) == ["one", "other"]
    assert all(0 < seconds < 0.5 for seconds in found.values())
    assert len(traces) == 2
    assert turns == [3, 4] * 4
    assert 0 < sampling.median_seconds(draw, jnp.ones(5), jax.random.key(0), 1) < 0.5


@pytest.mark.slow
def test_densities_are_those_of_every_time(monkeypatch):
    """What is timed, by its results: the learnt law's at all times, and by sums and tables."""
    crowd = nf.mean_fields.Flow(nf.mean_fields.Particles(jnp.asarray(RNG.normal(size=(3, 500, 1)))))
    exact = nf.mean_fields.Flow(nf.mean_fields.Gaussian(jnp.zeros((3, 1)), jnp.ones((3, 1, 1))))
    points, found = jnp.asarray(RNG.normal(size=(3, 20, 1))), {}

    def timed(ways, key, repeats):
        found.update({name: jax.jit(do)(what, key) for name, (do, what) in ways.items()})
        return {name: 12.0 if "sum" in name else 1.0 for name in ways}

    monkeypatch.setattr(sampling, "seconds_in_turn", timed)
    rows = sampling._density_rows("line", exact, crowd, points, jax.random.key(0), 3)
    normal = -(np.asarray(points)[..., 0] ** 2) / 2 - np.log(2 * np.pi) / 2
    np.testing.assert_allclose(found["the normalizing flow"], normal, rtol=1e-6)
    summed = [law.log_density(x) for law, x in zip(crowd, points, strict=True)]
    np.testing.assert_allclose(found["a sum of kernels"], summed, rtol=1e-6)
    for name in ("binned kernels", "binned kernels and their tables"):
        np.testing.assert_allclose(found[name], summed, atol=0.02)
    assert [row.ours for row in rows] == [1, 1, 1, 12, 12]
    assert rows[-1].agrees
    # In the plane nothing is summed.
    plane = nf.mean_fields.Flow(nf.mean_fields.Uniform(jnp.zeros((3, 2)), jnp.ones((3, 2))))
    crowd = nf.mean_fields.Flow(nf.mean_fields.Particles(jnp.asarray(RNG.normal(size=(3, 500, 2)))))
    rows = sampling._density_rows("plane", plane, crowd, crowd.laws.states, jax.random.key(0), 3)
    assert [row.agrees for row in rows] == [None] * 3


def test_pictures_show_what_they_are_given():
    found = {"DEDA-FP": RNG.uniform(0.1, 1, (4, 6)), "ours": RNG.uniform(0.1, 1, (4, 11))}
    ax = pictures.curves(found, np.ones(5)).axes[0]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), found["DEDA-FP"].mean(0))
    np.testing.assert_array_equal(ax.lines[2].get_xdata(), np.arange(1, 6))
    crowd, exact = RNG.normal(size=(4, 2, 5)), RNG.normal(size=(2, 5))
    axes = pictures.moments(crowd, {"exact": exact, "play": exact}, {0: (0.1, 0.2)}).axes
    for i, ax in enumerate(axes[:2]):
        np.testing.assert_allclose(ax.lines[0].get_ydata(), crowd[:, i].mean(0))
        np.testing.assert_allclose(ax.lines[1].get_ydata(), exact[i])
        np.testing.assert_allclose(ax.lines[3].get_ydata(), [0.1 * (i + 1)])
    learnt_density, grid = RNG.uniform(size=(2, 4, 9)), RNG.uniform(0.5, 1, (4, 9))
    axes = pictures.densities(np.linspace(0, 1, 9), learnt_density, grid, "game").axes
    np.testing.assert_allclose(axes[0].collections[0].get_array(), learnt_density.mean(0).T)
    np.testing.assert_allclose(axes[1].collections[0].get_array(), grid.T)
    free = np.arange(9) != 4
    maps = {f"map {i}": np.where(free, 1 / 8, 0) for i in range(5)}
    axes = pictures.rooms(maps, free).axes
    shown = axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown.mask.ravel(), ~free)
    np.testing.assert_allclose(shown.compressed(), 1.0)
    history = {name: np.ones((2, 3)) for name in ("exploitability", "eps_br", "eps_sl", "eps_cnf")}
    assert [len(ax.lines) for ax in pictures.budget(history).axes] == [2, 2]


TINY = Sizes(
    num_seeds=2,
    num_iterations=2,
    descent_iterations=2,
    rooms_iterations=1,
    rooms_descent_iterations=1,
    first_updates=2,
    later_updates=2,
    clone_steps=20,
    fit_steps=20,
    num_agents=200,
    grid_iterations=20,
    num_samples=2000,
    num_trajectories=200,
    repeats=2,
)


@pytest.mark.slow
def test_all_of_it(tmp_path):
    assert find(PAPERS, "magnino2025", "paper").__module__ == run.__module__
    lines = []
    report = run(TINY, key=jax.random.key(0), tell=lines.append)
    names = [row.name for row in report.rows]
    assert len(set(names)) == len(names)
    papers = {row.paper for row in report.rows} - {None}
    assert papers == {0.007, 0.464, 0.576, 0.133, 0.267, 1.43, 16.76, 15.14, 1.52, 11.0, 9.96}
    paths = report.save(tmp_path)
    assert len(paths) == 2 + len(report.pictures) == 10
    json.dumps([row.as_json() for row in report.rows], allow_nan=False)
    assert "mean -/+ deviation over seeds" in report.table()
    assert len(lines) > 20
