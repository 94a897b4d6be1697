"""Games and solvers by name and from files; every message."""

import json
import textwrap

import equinox as eqx
import jax
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.listing import describe
from nashfield.games.loading import load_game, load_solver
from nashfield.games.specs import from_spec, spec_of
from nashfield.parameters import build, parameters_of
from nashfield.registry import GAMES, SOLVERS, UnknownNameError, find
from nashfield.results import GameError, NashfieldError, ParameterError

MY_GAME = """
    import equinox as eqx
    import jax.numpy as jnp
    import numpy as np
    import nashfield as nf
    from nashfield.typing import Scalar, scalar

    class Waiting(nf.FiniteGame):
        num_states: int = 3
        num_actions: int = 3
        horizon: int = 4
        aversion: Scalar = eqx.field(converter=scalar, default=1.0)

        def initial(self):
            return np.eye(self.num_states)[0]

        def transition(self, t, mean_field):
            table = np.broadcast_to(np.eye(3), (self.num_states, 3, 3))
            return nf.Dense(jnp.asarray(table))

        def reward(self, t, mean_field):
            return -self.aversion * mean_field.states[:, None] * jnp.ones((1, 3))

    class Other(Waiting):
        horizon: int = 7

    class NoGame:
        pass

    class Unfinished(nf.FiniteGame):
        num_states: int = 3
        num_actions: int = 3
        horizon: int = 4

        def initial(self):
            return np.ones(3) / 3

    ANSWER = 42
"""


@pytest.fixture
def my_game(tmp_path):
    path = tmp_path / "my_game.py"
    path.write_text(textwrap.dedent(MY_GAME))
    return path


def refuses(error, message, function, *arguments, **keys):
    with pytest.raises(error, match=message) as caught:
        function(*arguments, **keys)
    assert isinstance(caught.value, NashfieldError)


class TestParameters:
    def test_text_becomes_what_the_constructor_takes(self):
        text = {"num_states": "12", "ring": "true", "noise": "0.25", "floor": "1e-9"}
        game = load_game("beach-bar", text)
        assert (game.num_states, game.ring, game.noise, game.floor) == (12, True, 0.25, 1e-9)

    def test_values_of_the_right_type_pass(self):
        game = load_game("beach-bar", {"num_states": np.int64(12), "ring": False, "noise": 1})
        assert (game.num_states, game.ring, game.noise) == (12, False, 1)
        assert type(game.num_states) is int

    @pytest.mark.parametrize("value", ["3.5", "many", 3.5, True, None, "1e3"])
    def test_an_integer(self, value):
        message = f"num_states of beach-bar must be an integer, not {value!r}"
        refuses(ParameterError, message, load_game, "beach-bar", {"num_states": value})

    @pytest.mark.parametrize("value", ["strong", True, [1.0, 2.0], None])
    def test_a_number(self, value):
        with pytest.raises(ParameterError) as caught:
            load_game("beach-bar", {"noise": value})
        assert str(caught.value) == f"noise of beach-bar must be a number, not {value!r}"

    @pytest.mark.parametrize("value", ["maybe", 2, None])
    def test_true_or_false(self, value):
        message = f"ring of beach-bar must be true or false, not {value!r}"
        refuses(ParameterError, message, load_game, "beach-bar", {"ring": value})

    @pytest.mark.parametrize(("value", "truth"), [("YES", True), ("off", False), ("1", True)])
    def test_words_for_true_and_false(self, value, truth):
        assert load_game("beach-bar", {"ring": value}).ring is truth

    def test_an_unknown_name(self):
        message = "beach-bar has no parameter 'num_state'; did you mean 'num_states'"
        refuses(UnknownNameError, message, load_game, "beach-bar", {"num_state": "3"})

    def test_a_missing_one(self):
        def make(size: int, weight: float, extra: int = 3):
            return size, weight, extra

        message = "it needs size and weight: pass size=..."
        refuses(ParameterError, message, build, make, {}, "it")
        assert build(make, {"size": "1", "weight": "2"}, "it") == (1, 2.0, 3)

    def test_none_that_may_be_given(self):
        def nothing():
            return ()

        message = "it has no parameter 'x'; it takes none"
        refuses(UnknownNameError, message, build, nothing, {"x": "3"}, "it")

    def test_what_the_constructor_refuses(self):
        message = "noise must lie between 0 and 1"
        refuses(ParameterError, message, load_game, "beach-bar", {"noise": "-1"})

        def make(size: int):
            raise ZeroDivisionError("by zero")

        message = r"it\(size=3\) cannot be built: by zero"
        refuses(ParameterError, message, build, make, {"size": "3"}, "it")

    def test_lists_arrays_choices_and_none(self):
        def make(
            cells: tuple[int, ...] = (1,),
            law: np.ndarray | None = None,
            kind: str = "a",
            goal: int | None = None,
            weights: float | np.ndarray = 1.0,
        ):
            return cells, law, kind, goal, weights

        def given(**parameters):
            return build(make, parameters, "it")

        assert given(cells="1,2,3")[0] == given(cells="(1, 2, 3)")[0] == (1, 2, 3)
        assert given(cells="5")[0] == (5,)
        assert given(cells=[[1, 2], [3, 4]])[0] == ((1, 2), (3, 4))
        np.testing.assert_array_equal(given(law="0.5,0.5")[1], [0.5, 0.5])
        np.testing.assert_array_equal(given(law=[1, 0])[1], [1.0, 0.0])
        assert given(law="none")[1] is None
        assert given(kind="word")[2] == "word"
        assert given(goal="7")[3] == 7
        assert given(goal=None)[3] is None
        assert given(weights="2")[4] == 2
        message = "cells of it must be a list such as 1,2,3, not 'a b'"
        refuses(ParameterError, message, given, cells="a b")
        message = "law of it must be a number, or numbers such as 1,2,3, not 'x'"
        refuses(ParameterError, message, given, law="x")
        refuses(ParameterError, "kind of it must be text, not 3", given, kind=3)

    def test_choices(self):
        from typing import Literal

        def make(kind: Literal["wall", "ring"] = "wall"):
            return kind

        assert build(make, {"kind": "ring"}, "it") == "ring"
        message = "kind of it must be one of wall, ring, not 'torus'"
        refuses(ParameterError, message, build, make, {"kind": "torus"}, "it")

    def test_kinds_of_the_zoo(self):
        kinds = {p.name: p.kind for p in parameters_of(nf.games.BeachBar)}
        assert kinds == {
            "num_states": "integer",
            "horizon": "integer",
            "noise": "number",
            "ring": "bool",
            "floor": "number",
        }
        (rate,) = parameters_of(nf.OnlineMirrorDescent)
        assert (rate.name, rate.default, rate.kind) == ("learning_rate", 0.1, "number")


class TestSolvers:
    def test_by_name(self):
        solver = load_solver("online-mirror-descent", {"learning_rate": "0.3"})
        assert isinstance(solver, nf.OnlineMirrorDescent)
        assert solver.learning_rate == 0.3

    def test_unknown(self):
        message = "unknown solver 'online-miror'; did you mean 'online-mirror-descent'"
        refuses(UnknownNameError, message, load_solver, "online-miror")

    def test_a_part_by_name(self):
        solver = load_solver("fictitious-play", {"best_response": "soft-best-response"})
        assert isinstance(solver.best_response, nf.SoftBestResponse)

    def test_an_unknown_part(self):
        message = (
            "best_response of fictitious-play cannot be 'softest-response'; "
            "did you mean 'soft-best-response'"
        )
        parameters = {"best_response": "softest-response"}
        refuses(UnknownNameError, message, load_solver, "fictitious-play", parameters)


class TestFiles:
    def test_a_game(self, my_game):
        game = load_game(f"{my_game}:Waiting", {"aversion": "2.5", "horizon": "6"})
        assert (game.horizon, game.aversion) == (6, 2.5)
        solution = nf.solve(game, nf.OnlineMirrorDescent(), num_iterations=3)
        assert np.isfinite(solution.exploitability)

    def test_neighbours_can_be_imported(self, my_game):
        path = my_game.with_name("second_game.py")
        path.write_text("from my_game import Waiting\nclass Mine(Waiting):\n    horizon: int = 2\n")
        assert load_game(f"{path}:Mine").horizon == 2

    def test_a_path_relative_to_here(self, my_game, monkeypatch):
        monkeypatch.chdir(my_game.parent)
        assert load_game("my_game.py:Other").horizon == 7

    def test_no_such_game(self):
        message = "unknown game 'beachbar'; did you mean 'beach-bar'"
        refuses(UnknownNameError, message, load_game, "beachbar")

    def test_no_such_file(self, tmp_path):
        message = "there is no file .*nowhere.py"
        refuses(GameError, message, load_game, f"{tmp_path}/nowhere.py:Game")

    def test_no_python_file(self, tmp_path):
        message = "names no Python file: write path/to/my_game.py:MyGame"
        refuses(GameError, message, load_game, f"{tmp_path}/game")

    def test_no_class_named(self, my_game):
        message = "say which game of my_game.py.*it has Waiting, Other, Unfinished"
        refuses(GameError, message, load_game, str(my_game))

    def test_no_such_class(self, my_game):
        message = "has no class Waitin; it has Waiting, Other, Unfinished; did you mean 'Waiting'"
        refuses(GameError, message, load_game, f"{my_game}:Waitin")

    def test_no_game_at_all(self, tmp_path):
        path = tmp_path / "empty.py"
        path.write_text("x = 1\n")
        refuses(GameError, "has no class Game; it has no game$", load_game, f"{path}:Game")

    @pytest.mark.parametrize("name", ["NoGame", "ANSWER"])
    def test_a_class_that_is_no_game(self, my_game, name):
        message = f"{name} of .* is no game: derive it from nashfield.FiniteGame"
        refuses(GameError, message, load_game, f"{my_game}:{name}")

    def test_methods_that_are_missing(self, my_game):
        message = "Unfinished of .* lacks reward, transition"
        refuses(GameError, message, load_game, f"{my_game}:Unfinished")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("import nashfield\nx = undefined_name\n", "at line 2: NameError: .*undefined_name"),
            ("class Game(:\n", "at line 1: SyntaxError"),
            ("import no_such_package\n", "at line 1: ModuleNotFoundError: .*no_such_package"),
            ("import sys\nsys.exit(3)\n", "at line 2: SystemExit: 3"),
        ],
    )
    def test_a_file_that_fails(self, tmp_path, text, message):
        path = tmp_path / "broken.py"
        path.write_text(text)
        refuses(GameError, f"broken.py fails {message}", load_game, f"{path}:Game")

    def test_a_game_that_is_wrong(self, my_game):
        my_game.write_text(my_game.read_text().replace("np.eye(3)", "0.9 * np.eye(3)"))
        message = "Waiting.transition: at t = 0, state 0, action 0, .* but sum to 0.9"
        refuses(GameError, message, load_game, f"{my_game}:Waiting")

    def test_a_parameter_of_the_wrong_type(self, my_game):
        message = "horizon of Waiting must be an integer, not 'long'"
        refuses(ParameterError, message, load_game, f"{my_game}:Waiting", {"horizon": "long"})


def same(one, other):
    leaves, others = jax.tree.leaves(one), jax.tree.leaves(other)
    return len(leaves) == len(others) and all(map(np.array_equal, leaves, others))


class TestSpecifications:
    @pytest.mark.parametrize("name", GAMES)
    def test_games_of_the_zoo(self, name):
        game = find(GAMES, name, "game")()
        spec = json.loads(json.dumps(spec_of(game), allow_nan=False))
        assert spec["name"] == name
        assert same(from_spec(spec), game)

    def test_parameters_are_kept(self):
        game = nf.games.RandomLinear(4, 3, 2, coupling=1 / 3, seed=5)
        spec = spec_of(game)
        expected = {"num_states": 4, "num_actions": 3, "horizon": 2, "coupling": 1 / 3, "seed": 5}
        assert spec == {"name": "random-linear", "parameters": expected}
        assert same(from_spec(spec), game)

    def test_what_no_constructor_gives_back(self):
        game = nf.games.Garnet(num_states=5)
        changed = eqx.tree_at(lambda g: g.base_reward, game, game.base_reward + 1)
        assert spec_of(changed) is None

    @pytest.mark.parametrize(
        "make",
        [
            lambda: nf.OnlineMirrorDescent(learning_rate=0.7),
            lambda: nf.FictitiousPlay(best_response=nf.SoftBestResponse(temperature=0.3)),
            lambda: nf.FixedPoint(damping=0.5),
        ],
    )
    def test_solvers(self, make):
        spec = json.loads(json.dumps(spec_of(make())))
        assert same(from_spec(spec), make())
        assert type(from_spec(spec)) is type(make())

    def test_infinity_survives_strict_json(self):
        solver = eqx.tree_at(
            lambda s: s.learning_rate, nf.OnlineMirrorDescent(), np.asarray(np.inf)
        )
        parameters = spec_of(solver)
        assert parameters is None or json.dumps(parameters, allow_nan=False)

    def test_a_game_from_a_file(self, my_game):
        game = load_game(f"{my_game}:Waiting", {"aversion": "2.5"})
        spec = json.loads(json.dumps(spec_of(game)))
        assert (spec["file"], spec["class"]) == (str(my_game.resolve()), "Waiting")
        assert spec["parameters"]["aversion"] == 2.5
        assert same(from_spec(spec, run_file=True), game)

    def test_no_file_is_run_unasked(self, my_game):
        spec = spec_of(load_game(f"{my_game}:Waiting"))
        refuses(GameError, "comes from a file, which is not run unasked", from_spec, spec)

    def test_a_file_that_has_changed(self, my_game):
        spec = spec_of(load_game(f"{my_game}:Waiting"))
        my_game.write_text(my_game.read_text() + "\n# changed\n")
        refuses(GameError, "my_game.py has changed since", from_spec, spec, run_file=True)

    def test_a_class_that_no_loader_finds(self):
        class Local(nf.games.BeachBar):
            pass

        assert spec_of(Local()) is None


class TestDescriptions:
    @pytest.mark.parametrize("name", GAMES)
    def test_every_game(self, name):
        described = describe(find(GAMES, name, "game"))
        assert described["name"] == name
        assert described["kind"] in ("finite", "stationary", "continuous", "continuous-time")
        assert 10 < len(described["summary"]) < 200
        assert described["source"]
        assert not described["source"].endswith(".")
        json.dumps(described, allow_nan=False)

    @pytest.mark.parametrize("name", SOLVERS)
    def test_every_solver(self, name):
        described = describe(find(SOLVERS, name, "solver"))
        assert (described["name"], described["kind"]) == (name, "solver")
        json.dumps(described, allow_nan=False)

    def test_sources_end_where_the_citation_ends(self):
        assert describe(nf.games.BeachBar)["source"] == (
            'Perrin et al. (2020), "Fictitious play for mean field games: continuous time '
            'analysis and applications", section 5.1'
        )
        assert describe(nf.games.MonotoneGame)["source"] == (
            'Lasry and Lions (2007), "Mean field games", for the condition'
        )

    def test_parameters(self):
        described = describe(nf.games.LeftRight)
        assert described["parameters"] == [{"name": "horizon", "type": "integer", "default": 2}]

    def test_a_class_of_ones_own(self, my_game):
        described = describe(type(load_game(f"{my_game}:Waiting")))
        assert (described["name"], described["kind"]) == ("Waiting", "finite")
        assert described["source"] is None
