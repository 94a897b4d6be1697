"""What holds for every solver: its contract, tracing once, vmap over its numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.beach_bar import BeachBar
from nashfield.games.zoo.matrix import LeftRight
from nashfield.games.zoo.susceptible_infected import SusceptibleInfected
from nashfield.registry import SOLVERS, find

# name -> how to build it from one number that may be traced.
MADE_OF = {
    "FixedPoint": lambda x: nf.FixedPoint(damping=x),
    "FictitiousPlay": lambda x: nf.FictitiousPlay(nf.SoftBestResponse(temperature=x)),
    "OnlineMirrorDescent": lambda x: nf.OnlineMirrorDescent(learning_rate=x),
    "MunchausenOnlineMirrorDescent": lambda x: nf.MunchausenOnlineMirrorDescent(1.0, x),
    "BoltzmannPolicyIteration": lambda x: nf.BoltzmannPolicyIteration(temperature=x),
    "PriorDescent": lambda x: nf.PriorDescent(temperature=x, num_inner=2),
    "MFOMO": lambda x: nf.MFOMO(learning_rate=x),
    "BestSoFar": lambda x: nf.BestSoFar(nf.OnlineMirrorDescent(learning_rate=x)),
}
SOLVER = pytest.mark.parametrize("make", MADE_OF.values(), ids=MADE_OF.keys())
GAMES = [BeachBar(num_states=4, horizon=2), SusceptibleInfected(horizon=3)]


@SOLVER
@pytest.mark.parametrize("game", GAMES, ids=["beach-bar", "susceptible-infected"])
def test_info_describes_the_policy_that_entered(make, game, skewed_policy):
    solver, key = make(0.5), jax.random.key(0)
    state = solver.init(game, jnp.asarray(skewed_policy(game)), key=key)
    step = eqx.filter_jit(solver.step)
    for _ in range(4):
        policy = solver.policy(game, state)
        shape = (game.horizon, game.num_states, game.num_actions)
        assert policy.shape == shape
        np.testing.assert_allclose(np.sum(policy, -1), 1, atol=1e-6)
        assert np.min(policy) >= 0
        before = jax.tree.map(lambda x: (x.shape, x.dtype), state)
        state, info = step(game, state, key=key)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == before
        np.testing.assert_allclose(info.exploitability, nf.exploitability(game, policy), atol=1e-12)
        np.testing.assert_allclose(info.social_welfare, nf.social_welfare(game, policy), atol=1e-12)


@SOLVER
def test_starts_where_it_is_told(make, skewed_policy):
    game = GAMES[0]
    start = jnp.asarray(skewed_policy(game))
    solver = make(0.5)
    state = solver.init(game, start, key=jax.random.key(0))
    np.testing.assert_allclose(solver.policy(game, state), start, atol=2e-3)


class Counting(LeftRight):
    """Counts how often Python runs the reward, which is only while tracing."""

    def state_reward(self, t, mean_field):
        Counting.calls += 1
        return super().state_reward(t, mean_field)


@SOLVER
def test_a_new_number_traces_nothing(make):
    Counting.calls = 0
    nf.solve(Counting(), make(0.5), num_iterations=3)
    first = Counting.calls
    assert first > 0
    for value in (0.25, 0.3):
        nf.solve(Counting(), make(value), num_iterations=3)
    assert Counting.calls == first


@SOLVER
def test_single_precision(make, skewed_policy):
    game = SusceptibleInfected(horizon=3)
    histories = []
    for double in (True, False):
        with jax.enable_x64(double):
            solution = nf.solve(
                game, make(0.5), num_iterations=4, initial_policy=jnp.asarray(skewed_policy(game))
            )
            assert solution.policy.dtype == (jnp.float64 if double else jnp.float32)
            histories.append(np.asarray(solution.history["exploitability"]))
    np.testing.assert_allclose(histories[1], histories[0], rtol=2e-5, atol=1e-6)


@SOLVER
def test_vmap_over_its_number_equals_separate_runs(make):
    values = jnp.array([0.2, 0.5, 0.9])

    def run(value):
        return nf.solve(LeftRight(), make(value), num_iterations=5).history["exploitability"]

    batched = jax.vmap(run)(values)
    separate = jnp.stack([run(value) for value in values])
    np.testing.assert_allclose(batched, separate, rtol=1e-11)


QUICK = {"FictitiousPlay", "MFOMO"}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=name, marks=[] if name in QUICK else pytest.mark.slow)
        for name, make in MADE_OF.items()
    ],
)
def test_gradient_with_respect_to_the_game_and_its_number(make):
    @jax.jit
    def gap(noise, number):
        game = BeachBar(num_states=3, horizon=2, noise=noise)
        return nf.solve(game, make(number), num_iterations=4).exploitability

    step = 1e-5
    exact = jax.grad(gap, argnums=(0, 1))(0.4, 0.5)
    noise = (gap(0.4 + step, 0.5) - gap(0.4 - step, 0.5)) / (2 * step)
    number = (gap(0.4, 0.5 + step) - gap(0.4, 0.5 - step)) / (2 * step)
    np.testing.assert_allclose(exact, [noise, number], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["boltzmann-policy-iteration", "fictitious-play", "fixed-point",
                                  "mf-omo", "munchausen-online-mirror-descent",
                                  "online-mirror-descent", "prior-descent"])  # fmt: skip
def test_registered_under_its_name(name):
    solver = find(SOLVERS, name, "solver")()
    solution = nf.solve(LeftRight(), solver, num_iterations=2)
    assert solution.history["exploitability"].shape == (3,)
