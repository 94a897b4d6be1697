"""Runs without time: tables, policies with parameters, and points come back from their folders."""

import equinox as eqx
import jax
import numpy as np
import pytest

import nashfield as nf
from nashfield import storage
from nashfield.learners import PlayedCrowd, Reinforce
from nashfield.storage import RunFolderError

GAME = nf.games.MalwareSpread(num_states=7)
POINTS = nf.games.ContinuousMalwareSpread()
PLAYED = nf.LocalEquilibrium(
    nf.policies.Neural(hidden=(3,)),
    crowd=PlayedCrowd(num_agents=30, num_steps=10),
    gradient=Reinforce(num_trajectories=10, num_steps=10),
    num_evaluations=30,
    num_evaluation_steps=10,
)


def same(one, other):
    """Whether policy, flow and history are equal to the last bit."""
    pairs = [(one.policy, other.policy), (one.flow.states, other.flow.states)]
    pairs += [(one.history, other.history)]
    leaves = [jax.tree.leaves(pair[i]) for i in (0, 1) for pair in pairs]
    half = len(leaves) // 2
    return all(
        np.array_equal(a, b)
        for xs, ys in zip(leaves[:half], leaves[half:], strict=True)
        for a, b in zip(xs, ys, strict=True)
    )


@pytest.mark.parametrize(
    ("game", "solver"),
    [
        (GAME, nf.FixedPoint()),
        (GAME, nf.LocalEquilibrium()),
        (GAME, nf.LocalSocialOptimum(nf.policies.Gibbs())),
        (GAME, nf.TwoTimeScales()),
        (POINTS, PLAYED),
    ],
    ids=lambda x: type(x).__name__,
)
def test_what_was_run_comes_back(game, solver, tmp_path):
    key = jax.random.key(3)
    first = nf.run(game, solver, num_iterations=3, out=tmp_path / "a", key=key)
    loaded = nf.Solution.load(tmp_path / "a")
    assert same(loaded, first)
    assert type(loaded.policy) is type(first.policy) or isinstance(loaded.policy, np.ndarray)
    assert type(loaded.flow) is type(first.flow)
    assert eqx.tree_equal(loaded.game, game)
    assert isinstance(loaded.solver, type(solver))
    # In pieces or at once: the very same.
    options = {"num_iterations": 6, "key": key}
    resumed = nf.run(game, solver, out=tmp_path / "a", resume=True, **options)
    assert same(resumed, nf.run(game, solver, **options))
    columns = (tmp_path / "a/history.csv").read_text().splitlines()[0].split(",")
    follows = ["gradient_norm"] if solver.starts_itself else []
    assert columns == ["iteration", "exploitability", "social_welfare", *follows]
    if not follows:
        with pytest.raises(AttributeError, match="follows no gradient"):
            _ = loaded.gradient_norm
    else:
        assert loaded.gradient_norm == first.history["gradient_norm"][-1]


@pytest.fixture
def folder(tmp_path):
    solution = nf.solve(GAME, nf.LocalEquilibrium(), num_iterations=2)
    solution.save(tmp_path / "saved")
    return tmp_path / "saved"


def change(folder, **entries):
    arrays = {**storage.read_arrays(folder / "solution.npz", ""), **entries}
    np.savez(folder / "solution.npz", **{k: v for k, v in arrays.items() if v is not None})


def test_the_table_lies_beside_the_parameters(folder):
    arrays = storage.read_arrays(folder / "solution.npz", "")
    policy = nf.Solution.load(folder).policy
    np.testing.assert_array_equal(arrays["policy"], policy.table(GAME))
    assert arrays["parameter_0"] == policy.theta


def test_parameters_of_another_policy(folder):
    change(folder, parameter_0=np.zeros(3))
    with pytest.raises(RunFolderError, match=r"parameters of its policy are \[\(3,\)\], but SoftT"):
        nf.Solution.load(folder)


def test_a_flow_of_another_length(folder):
    change(folder, flow=np.full(6, 1 / 6))
    with pytest.raises(RunFolderError, match=r"policy is \(7, 2\) but flow is \(6,\)"):
        nf.Solution.load(folder)


@pytest.mark.parametrize(
    ("game", "message"),
    [
        (nf.games.MalwareSpread(num_states=8), r"\(num_states, num_actions\) = \(8, 2\)"),
        (nf.games.LeftRight(), r"\(horizon, num_states, num_actions\) = \(2, 3, 2\)"),
        (POINTS, "states of ContinuousMalwareSpread are points of 1 dimensions"),
    ],
)
def test_another_game(folder, game, message):
    with pytest.raises(RunFolderError, match=message):
        nf.Solution.load(folder, game=game)


@pytest.mark.slow
def test_points_are_no_table(tmp_path):
    nf.solve(POINTS, PLAYED, num_iterations=1).save(tmp_path / "a")
    with pytest.raises(RunFolderError, match=r"policy has shape \(\), but the game has"):
        nf.Solution.load(tmp_path / "a", game=GAME)


class Mine(nf.games.ContinuousMalwareSpread):
    """A game that no name stands for."""


def test_points_of_a_game_that_is_not_known(tmp_path):
    solution = nf.solve(Mine(), PLAYED, num_iterations=1)
    solution.save(tmp_path / "a")
    with pytest.raises(
        RunFolderError, match=r"lives on points, and the game or the solver that .* game=MyGame"
    ):
        nf.Solution.load(tmp_path / "a")
    assert same(nf.Solution.load(tmp_path / "a", game=Mine()), solution)
