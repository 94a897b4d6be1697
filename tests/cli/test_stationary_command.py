"""The command line: games without time."""

import importlib
import json
import re

import numpy as np
import pytest

import nashfield as nf
from nashfield.cli.catalogue import parameter_meanings
from nashfield.parameters import parameters_of
from nashfield.registry import GAMES, SOLVERS, find

SMALL = ("--set", "num_states=11", "--no-plots")


@pytest.mark.slow
def test_a_stationary_game_from_the_shell(run, tmp_path):
    status, out, err = run("solve", "malware-spread", "--set", "num_states=11", "--out", "a")
    assert status == 0, err
    game = nf.games.MalwareSpread(num_states=11)
    loaded = nf.Solution.load("a")
    welfare = float(nf.social_welfare(game, loaded.policy))
    anarchy = nf.price_of_anarchy(game, loaded.policy)
    assert f"social welfare {welfare:.6g}\n" in out and "gradient norm" not in out
    assert (
        f"price of anarchy {float(anarchy.ratio):.6g}: the social optimum is at least "
        f"{float(anarchy.optimum):.6g}, a gap of {float(anarchy.gap):.6g}\n"
    ) in out
    assert "a/mean_field.png a/policy.png a/history.png" in out
    assert all((tmp_path / "a" / f"{name}.png").is_file() for name in ("mean_field", "history"))
    status, out, _ = run("check", "a")
    assert status == 0 and "the files agree with the game" in out
    assert run("plot", "a")[1].split() == ["a/mean_field.png", "a/policy.png", "a/history.png"]
    status, out, _ = run("simulate", "a", "--agents", "20", "--seeds", "5")
    assert status == 0 and "gain of one deviator" in out


@pytest.mark.slow
def test_policies_with_parameters(run):
    line = ("solve", "malware-spread", "--solver", "local-equilibrium", *SMALL)
    status, out, err = run(*line, "--iterations", "20", "--out", "a")
    assert status == 0, err
    assert re.search(r"^policy         SoftThreshold\(theta=0\.\d+\)$", out, re.M)
    assert re.search(r"^gradient norm  \S+$", out, re.M) and "tolerance" not in out
    # 500 steps where nothing else is said.
    status, out, _ = run(*line, "--out", "a", "--resume", "--json")
    found = json.loads(out)
    assert status == 0 and found["iterations"] == 500
    game = nf.games.MalwareSpread(num_states=11)
    solution = nf.solve(game, nf.LocalEquilibrium(), num_iterations=500)
    assert found["gradient_norm"] == pytest.approx(float(solution.gradient_norm), abs=1e-9)
    assert found["social_welfare"] == pytest.approx(solution.social_welfare, rel=1e-9)
    anarchy = nf.price_of_anarchy(game, solution.policy)
    assert found["price_of_anarchy"] == pytest.approx(
        {name: float(getattr(anarchy, name)) for name in ("optimum", "gap", "ratio")}, abs=1e-9
    )
    assert run("check", "a")[0] == 0
    assert nf.Solution.load("a").policy.theta == pytest.approx(float(solution.policy.theta))


@pytest.mark.slow
def test_check_compares_parameters_with_the_table(run):
    line = ("solve", "malware-spread", "--solver", "local-social-optimum", *SMALL)
    run(*line, "--iterations", "2", "--out", "a")
    with np.load("a/solution.npz") as file:
        arrays = dict(file)
    np.savez("a/solution.npz", **{**arrays, "parameter_0": arrays["parameter_0"] + 0.1})
    status, out, _ = run("check", "a")
    assert status == 1 and "the table is not that of the parameters" in out


@pytest.mark.slow
def test_a_social_optimum_does_not_stop_at_an_equilibrium(run):
    # On its way from theta = .5 it passes, or begins at, an equilibrium.
    line = ("solve", "malware-spread", "--solver", "local-social-optimum", *SMALL)
    found = json.loads(run(*line, "--iterations", "30", "--json")[1])
    assert (found["result"], found["iterations"]) == ("max_iterations", 30)


@pytest.mark.slow
def test_points(run, fails):
    line = ("solve", "continuous-malware-spread", "--solver", "local-equilibrium", "--out", "a")
    few = ("--solver-set", "num_evaluations=200", "num_evaluation_steps=60", "crowd=played-crowd")
    status, out, err = run(*line, *few, "--iterations", "3")
    assert status == 0, err
    assert "price of anarchy" not in out and "gradient norm" in out
    assert "a/mean_field.png a/policy.png a/history.png" in out
    status, out, _ = run("check", "a")
    assert status == 0 and "by 20000 agents" in out
    with np.load("a/solution.npz") as file:
        arrays = dict(file)
    np.savez("a/solution.npz", **{**arrays, "history_exploitability": np.full(4, 0.7)})
    status, out, _ = run("check", "a")
    assert status == 1 and re.search(r"off by \d\S* standard errors", out)
    fails(run("simulate", "a", "--agents", "3"), "which ContinuousMalwareSpread is not")


STATIONARY_GAME = """
import jax.numpy as jnp
import numpy as np
import nashfield as nf

class Banks(nf.StationaryGame):
    '''Stay, or cross to where fewer are.'''
    settling_steps = 3
    discount: float = 0.5
    num_states: int = 2
    num_actions: int = 2

    def initial(self):
        return np.array([1.0, 0.0])

    def transition(self, mean_field):
        odds = 0.1 + 0.1 * mean_field.states[0]
        return nf.Dense((1 - odds) * np.stack([np.eye(2), 1 - np.eye(2)], 1) + odds / 2)

    def reward(self, mean_field):
        return jnp.broadcast_to(jnp.array([1.0, -1.0]) * mean_field.states[:, None], (2, 2))
"""


@pytest.mark.slow
def test_a_stationary_game_of_ones_own_that_does_not_settle(run, tmp_path):
    (tmp_path / "mine.py").write_text(STATIONARY_GAME)
    line = ("solve", "mine.py:Banks", "--solver", "local-equilibrium", "--no-plots")
    status, out, err = run(*line, "--iterations", "3", "--out", "a")
    assert status == 0, err
    assert "the stationary mean field has not settled (3 iterations" in out
    assert "nashfield: warning: the stationary mean field has not settled" in err
    assert "raise the game's settling_steps" in err and "after 3 steps" in err
    assert "policy         SoftThreshold(theta=" in out
    status, out, _ = run("check", "a")
    assert status == 0 and "the files agree with the game" in out
    game = importlib.import_module("nashfield.games.loading").load_game("mine.py:Banks")
    loaded = nf.Solution.load("a", game=game).policy
    assert isinstance(loaded, nf.policies.AbstractPolicy)
    assert np.shape(nf.Solution.load("a").policy) == (2, 2)


@pytest.mark.slow
def test_a_long_search_for_the_optimum_is_not_done_unasked(run, monkeypatch):
    monkeypatch.setattr("nashfield.cli.report._MAX_STATES", 5)
    line = ("solve", "malware-spread", "--solver", "fixed-point", *SMALL, "--iterations", "1")
    assert "price of anarchy: not sought among 11 states" in run(*line)[1]
    assert "price_of_anarchy" not in json.loads(run(*line, "--json")[1])


def test_solvers_that_cannot_take_the_game(run, fails):
    outcome = run("solve", "left-right", "--solver", "local-equilibrium")
    fails(outcome, "local-equilibrium does not solve left-right; these do: auto, ")
    fails(run("solve", "continuous-malware-spread"), "these do: local-equilibrium, local-social")


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["games", "malware-spread"], ["malware-spread (stationary)", "whether neglect may leave"]),
        (["solvers", "two-time-scales"], ["(solver)", "one of gibbs, neural, soft-thr", "alpha"]),
        (["solvers", "local-equilibrium"], ["the first policy; None stands", "exact-gradient, "]),
    ],
)
def test_one_entry_of_a_catalogue(run, argv, parts):
    status, out, _ = run(*argv)
    assert status == 0
    assert all(part in out for part in parts), out
    entry = json.loads(run(*argv, "--json")[1])
    assert entry["name"] == argv[1] and all(p["meaning"] for p in entry["parameters"])


@pytest.mark.parametrize(("table", "kind"), [(GAMES, "game"), (SOLVERS, "solver")])
def test_every_parameter_is_explained(table, kind):
    for name in table:
        cls = find(table, name, kind)
        meanings = parameter_meanings(cls)
        assert {p.name for p in parameters_of(cls)} <= set(meanings), name


def test_kinds_are_told_apart(run):
    lines = {line.split()[0]: line for line in run("games")[1].splitlines()}
    assert "(stationary)" in lines["malware-spread"]
    assert "(stationary)" in lines["continuous-malware-spread"]
    assert "(stationary)" not in lines["beach-bar"]
    kinds = {entry["name"]: entry["kind"] for entry in json.loads(run("games", "--json")[1])}
    assert (kinds["malware-spread"], kinds["beach-bar"]) == ("stationary", "finite")
