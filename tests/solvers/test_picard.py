"""Picard's iteration in continuous time: steps, files, the command's check, messages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.rate_equations import crowd_of
from nashfield.games.rate_equilibria import answer_policy
from nashfield.results import GameError, ParameterError

GAME = nf.games.SIRContact(c_I=1.0)


def test_finds_the_equilibrium(precision):
    exact = GAME.equilibrium(num_steps=100)
    found = nf.solve(GAME, nf.Picard(num_steps=100), num_iterations=40)
    within = 1e-8 if precision == "float64" else 2e-4
    np.testing.assert_allclose(found.policy[:, 0], exact.policy[:, 0], atol=within)
    np.testing.assert_allclose(found.flow.states, exact.flow.states, atol=within)
    np.testing.assert_allclose(found.social_welfare, exact.value, rtol=within)
    assert found.exploitability < (1e-8 if precision == "float64" else 1e-4)
    history = found.history["exploitability"]
    assert history[0] > 0.1 > history[10]
    np.testing.assert_allclose(found.exploitability, nf.exploitability(GAME, found.policy))
    np.testing.assert_allclose(found.social_welfare, nf.social_welfare(GAME, found.policy))


def test_a_step_is_the_damped_best_response():
    solver = nf.Picard(num_steps=20, damping=0.3)
    policy = np.random.default_rng(0).random((21, 3))
    state = solver.init(GAME, jnp.asarray(policy), key=jax.random.key(0))
    moved, info = solver.step(GAME, state, key=jax.random.key(0))
    best = answer_policy(GAME, crowd_of(GAME, jnp.asarray(policy)))
    np.testing.assert_allclose(moved, 0.3 * policy + 0.7 * best, atol=1e-12)
    np.testing.assert_allclose(info.exploitability, nf.exploitability(GAME, policy))


def test_runs_are_saved_and_resumed(tmp_path):
    solver = nf.Picard(num_steps=20)
    whole = nf.run(GAME, solver, num_iterations=6, out=tmp_path / "a", progress=False)
    nf.run(GAME, solver, num_iterations=3, out=tmp_path / "b", progress=False)
    more = nf.run(GAME, solver, num_iterations=6, out=tmp_path / "b", resume=True, progress=False)
    np.testing.assert_array_equal(more.policy, whole.policy)
    read = nf.Solution.load(tmp_path / "b")
    np.testing.assert_array_equal(read.policy, whole.policy)
    np.testing.assert_array_equal(read.flow.states, whole.flow.states)
    assert isinstance(read.game, nf.games.SIRContact)


def test_starts_where_it_is_told():
    policy = np.full((21, 3), 0.9)
    found = nf.solve(GAME, nf.Picard(), num_iterations=0, initial_policy=policy)
    np.testing.assert_array_equal(found.policy, policy)


class TestMessages:
    def test_bad_numbers(self):
        with pytest.raises(ParameterError, match="num_steps must be at least 4, not 3"):
            nf.Picard(num_steps=3)
        with pytest.raises(ParameterError, match="Picard: damping must be finite"):
            nf.Picard(damping=1.0)

    @pytest.mark.parametrize(
        ("policy", "message"),
        [
            (np.ones((4, 3)), r"initial_policy must hold the actions .* has shape \(4, 3\)"),
            (np.ones((9, 2)), r"= \(K \+ 1, 3\) with K >= 4, but has shape \(9, 2\)"),
            (np.full((9, 3), 1.5), "initial_policy holds actions outside .* from 1.5 to 1.5"),
        ],
    )
    def test_bad_start(self, policy, message):
        with pytest.raises(ValueError, match=message):
            nf.solve(GAME, nf.Picard(), num_iterations=1, initial_policy=policy)

    def test_other_solvers(self):
        with pytest.raises(TypeError, match="FixedPoint solves only"):
            nf.solve(GAME, nf.FixedPoint(), num_iterations=1)

    def test_simulate(self):
        with pytest.raises(TypeError, match="SIRContact is one in continuous time"):
            nf.simulate(GAME, np.ones((9, 3)), num_agents=5)


class TestBrokenGames:
    @pytest.mark.parametrize(
        ("method", "value", "message"),
        [
            ("rates", lambda s, t, m, a: -jnp.ones((3, 3)), "from state 0 to state 1, a rate"),
            ("rates", lambda s, t, m, a: jnp.ones(3), r"rates\(...\) must have shape .* \(3, 3\)"),
            ("reward", lambda s, t, m, a: jnp.full(3, jnp.nan), "in state 0, the reward is nan"),
            ("reward", lambda s, t, m, a: jnp.ones(2), r"reward\(...\) must have shape"),
            ("initial", lambda s: np.ones(3), r"initial\(\) must be shares that sum to 1"),
            (
                "action_bounds",
                property(lambda s: (np.ones(3), np.zeros(3))),
                "least action exceeds",
            ),
            ("action_bounds", property(lambda s: (0.0, 1.0)), "two finite arrays of shape"),
            ("duration", np.inf, "duration must be finite and greater than 0, not inf"),
        ],
    )
    def test_message(self, method, value, message, without_type_checks):
        broken = type("Broken", (nf.games.SIRContact,), {})
        game = broken()
        if method == "duration":
            object.__setattr__(game, "duration", value)
        else:
            setattr(broken, method, value)
        with pytest.raises(GameError, match=f"Broken.*{message}"):
            nf.testing.check_game(game)
