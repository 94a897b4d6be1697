"""The conformance checks themselves: what they pass, and one failing example of each."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.kernels import Kernel
from nashfield.registry import GAMES, SOLVERS, find
from nashfield.results import GameError, NashfieldError
from nashfield.testing import CheckError, check_game, check_solver
from nashfield.typing import scalar

S, A, T = 4, 2, 3


class Walk(nf.FiniteGame):
    """Left or right on a ring, away from the crowd."""

    weight: Any = eqx.field(converter=scalar, default=1.0)
    num_states: int = S
    num_actions: int = A
    horizon: int = T

    def initial(self):
        return np.array([0.7, 0.1, 0.1, 0.1])

    def transition(self, t, mean_field):
        return nf.Dense(np.stack([np.roll(np.eye(S), 1, 1), np.roll(np.eye(S), -1, 1)], 1))

    def reward(self, t, mean_field):
        return -self.weight * mean_field.states[:, None] * jnp.ones(A)


TABLE_SOLVERS = [
    name
    for name in SOLVERS
    if nf.FiniteGame in find(SOLVERS, name, "solver").games
    and not find(SOLVERS, name, "solver").starts_itself
]


def refuses(message, check, *arguments):
    with pytest.raises(CheckError, match=message) as caught:
        check(*arguments)
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, NashfieldError)


class TestGames:
    def test_good_games_pass(self):
        check_game(Walk())
        check_game(nf.games.Garnet(num_states=5, num_actions=2, horizon=3))

    def test_arrays_of_jax_pass(self):
        check_game(Walk(weight=jnp.asarray(2.0)))

    @pytest.mark.slow
    @pytest.mark.parametrize("name", GAMES)
    def test_the_zoo_passes(self, name):
        check_game(find(GAMES, name, "game")())

    def test_a_stationary_game_passes(self):
        class Stay(nf.StationaryGame):
            num_states: int = 2
            num_actions: int = 2
            discount: Any = eqx.field(converter=scalar, default=0.5)

            def initial(self):
                return np.array([1.0, 0.0])

            def transition(self, mean_field):
                return nf.Dense(np.tile(np.eye(2)[:, None], (1, 2, 1)))

            def reward(self, mean_field):
                return -mean_field.joint

        check_game(Stay())

    def test_stationary_values_that_plain_iteration_does_not_find(self):
        class Rich(nf.Dense):
            def expect(self, values):
                return super().expect(values) + jnp.where(jnp.max(values) > 50, 1.0, 0.0)

        class Odd(nf.games.MalwareSpread):
            def transition(self, mean_field):
                return Rich(super().transition(mean_field).dense())

            def reward(self, mean_field):
                return super().reward(mean_field) + 10

        refuses(
            "Odd: in float64 the value of a policy is off by .* from what plain iteration finds",
            check_game,
            Odd(num_states=5),
        )

    def test_the_protocol_comes_first(self):
        with pytest.raises(GameError, match=r"Walk.horizon must be at least 1, not 0"):
            check_game(Walk(horizon=0))

    def test_python_floats(self):
        class Plain(Walk):
            weight: float = 1.0

        refuses(
            r"Plain.weight is a Python float, 1.0: every new value.*scalar", check_game, Plain()
        )

    def test_static_fields_that_equal_nothing(self):
        class Anything:
            pass

        class Odd(Walk):
            extra: Any = eqx.field(static=True, default_factory=Anything)

        refuses("Odd compiles anew for an equal game: what a static field holds", check_game, Odd())

    def test_rewards_that_are_infinite_on_the_way(self):
        class Trap(Walk):
            def reward(self, t, mean_field):
                seldom = (mean_field.states > 0.26) & (mean_field.states < 0.99)
                return jnp.where(jnp.sum(seldom) == 1, jnp.inf, 0.0) * jnp.ones((S, A))

        refuses("Trap: in float64 a policy has the exploitability nan", check_game, Trap())

    def test_values_that_are_never_collected(self):
        class Leak(Kernel):
            crowd: Any

            def expect(self, values):
                return jnp.broadcast_to(jnp.mean(values), (S, A))

            def push(self, mass):
                law = jnp.full(S, jnp.sum(mass) / S)
                seldom = (self.crowd > 0.6) & (self.crowd < 0.99)
                return law.at[0].multiply(jnp.where(jnp.any(seldom), 0.5, 1.0))

            def dense(self):
                return jnp.full((S, A, S), 1 / S)

        class Leaky(Walk):
            def transition(self, t, mean_field):
                return Leak(mean_field.states)

        refuses("Leaky: in float64 a policy is worth .* but collects", check_game, Leaky())

    def test_precisions_that_disagree(self):
        class Rounded(Walk):
            def reward(self, t, mean_field):
                states = mean_field.states
                return (states[:, None] + 1e6 * jnp.finfo(states.dtype).eps) * jnp.ones(A)

        refuses(
            "Rounded: the same policy is worth .* in float64 but .* in float32",
            check_game,
            Rounded(),
        )


class Damped(nf.FixedPoint):
    """A good solver to break."""

    damping: Any = eqx.field(converter=scalar, default=0.5)


def breaks(message, **methods):
    broken = type("Broken", (Damped,), {"__module__": __name__, **methods})
    refuses(message, check_solver, broken(), Walk())


class TestSolvers:
    @pytest.mark.parametrize("name", ["online-mirror-descent", "fictitious-play"])
    def test_good_solvers_pass(self, name):
        check_solver(find(SOLVERS, name, "solver")(), Walk())

    @pytest.mark.slow
    @pytest.mark.parametrize("name", TABLE_SOLVERS)
    def test_every_solver_passes(self, name):
        check_solver(find(SOLVERS, name, "solver")(), Walk())

    def test_solvers_that_start_themselves(self):
        refuses(
            "LocalEquilibrium brings its own first policy: only solvers that start from any table",
            check_solver,
            nf.LocalEquilibrium(nf.policies.SoftThreshold(theta=0.3)),
            nf.games.MalwareSpread(),
        )

    def test_games_of_another_kind(self):
        refuses(
            "MFOMO does not solve games such as MalwareSpread",
            check_solver,
            nf.MFOMO(),
            nf.games.MalwareSpread(),
        )

    def test_no_solver(self):
        refuses("int is no solver: derive it from solvers.AbstractSolver", check_solver, 3, Walk())

    def test_python_floats(self):
        class Plain(nf.FixedPoint):
            rate: float = 0.1

        refuses("Plain.rate is a Python float, 0.1", check_solver, Plain(), Walk())

    def test_methods_that_cannot_be_compiled(self):
        def step(self, game, state, *, key):
            return Damped.step(self, game, state * float(self.damping), key=key)

        breaks("Broken.step fails under jit: ConcretizationTypeError", step=step)

    def test_policy_shape(self):
        breaks(
            r"Broken.policy must give .* float64 \(3, 4, 2\), not float64 \(4, 2\)",
            policy=lambda self, game, state: state[0],
        )

    def test_policy_dtype(self):
        breaks(
            r"Broken.policy must give .* float64 \(3, 4, 2\), not float32 \(3, 4, 2\)",
            policy=lambda self, game, state: state.astype(jnp.float32),
        )

    def test_policy_type(self):
        breaks("Broken.policy must give .*not list", policy=lambda self, game, state: [state])

    @pytest.mark.parametrize("change", [lambda p: 0.9 * p, lambda p: 3 * p - 1, lambda p: p / 0])
    def test_rows_that_are_no_laws(self, change):
        breaks(
            "Broken.policy: every row must be a law",
            policy=lambda self, game, state: change(state),
        )

    def test_start(self):
        breaks(
            "Broken.init: the policy of the first state must be the given one, but its flow is off",
            init=lambda self, game, policy, *, key: nf.uniform_policy(game),
        )

    def test_state_dtype(self):
        def step(self, game, state, *, key):
            state, info = Damped.step(self, game, state, key=key)
            return state.astype(jnp.float32), info

        breaks(r"step changes state from float64 \(3, 4, 2\) to float32 \(3, 4, 2\)", step=step)

    def test_state_structure(self):
        def step(self, game, state, *, key):
            state, info = Damped.step(self, game, state, key=key)
            return [state], info

        breaks("Broken.step changes the structure of the state", step=step)

    def test_info(self):
        def step(self, game, state, *, key):
            state, info = Damped.step(self, game, state, key=key)
            return state, info.exploitability

        breaks(r"Broken.step must return \(state, StepInfo\), not ArrayImpl", step=step)

    def test_exploitability_of_another_policy(self):
        def step(self, game, state, *, key):
            state, _ = Damped.step(self, game, state, key=key)
            return state, Damped.step(self, game, state, key=key)[1]

        breaks("Broken.step reports the exploitability .* that entered the step has", step=step)

    def test_social_welfare(self):
        def step(self, game, state, *, key):
            state, info = Damped.step(self, game, state, key=key)
            return state, eqx.tree_at(lambda i: i.social_welfare, info, info.social_welfare + 1)

        breaks("Broken.step reports the social_welfare", step=step)

    def test_other_bits_from_the_same_key(self):
        rng = np.random.default_rng(0)

        def step(self, game, state, *, key):
            share = jax.pure_callback(
                lambda x: np.asarray(rng.random(), x.dtype),
                jax.ShapeDtypeStruct((), state.dtype),
                state[0, 0, 0],
                vmap_method="sequential",
            )
            following, info = Damped.step(self, game, state, key=key)
            return share * state + (1 - share) * following, info

        breaks("Broken: step 1 differs between two runs with the same key", step=step)

    def test_numbers_of_python_in_the_state(self):
        class Counting(Damped):
            def init(self, game, policy, *, key):
                return policy, 0.0

            def step(self, game, state, *, key):
                following, info = Damped.step(self, game, state[0], key=key)
                return (following, state[1] + 1.0), info

            def policy(self, game, state):
                return state[0]

        refuses(r"Counting.\w+ is compiled \d times for one game", check_solver, Counting(), Walk())

    def test_vmap(self):
        def step(self, game, state, *, key):
            same = jax.pure_callback(
                lambda x: x, jax.ShapeDtypeStruct((), self.damping.dtype), self.damping
            )
            return Damped.step(self, game, state + 0 * same, key=key)

        breaks("Broken.step .vmapped over its numbers. fails under jit", step=step)
