"""What the tests of all games share."""

import equinox as eqx
import jax
import numpy as np
import pytest

import nashfield as nf

KEY = jax.random.key(0)


@pytest.fixture
def iterates():
    """(game, learning_rate) -> exploitability of mirror descent's iterates 0, 1 and 3."""

    def run(game, learning_rate):
        solver = nf.OnlineMirrorDescent(learning_rate=learning_rate)
        state = solver.init(game, nf.uniform_policy(game), key=KEY)
        gaps = []
        for _ in range(4):
            state, info = _step(solver, game, state)
            gaps.append(float(info.exploitability))
        return [gaps[0], gaps[1], gaps[3]]

    return run


@eqx.filter_jit
def _step(solver, game, state):
    return solver.step(game, state, key=KEY)


@pytest.fixture
def check_kernels():
    """game -> None: rows sum to 1, and expect and push agree with the dense table."""

    def check(game):
        rng = np.random.default_rng(0)
        num_states, num_actions = game.num_states, game.num_actions
        values = rng.normal(size=num_states)
        mass = rng.dirichlet(np.ones(num_states * num_actions)).reshape(num_states, num_actions)
        for t in np.array([0, game.horizon - 1]):
            law = rng.dirichlet(np.ones(num_states))
            crowd = nf.FiniteMeanField(law, rng.dirichlet(np.ones(num_actions), num_states))
            table, expected, pushed = map(np.asarray, _kernel(game, t, crowd, values, mass))
            assert table.min() >= 0
            np.testing.assert_allclose(table.sum(-1), 1, rtol=1e-13)
            np.testing.assert_allclose(expected, table @ values, atol=1e-13)
            by_hand = np.einsum("xa,xay->y", mass, table)
            np.testing.assert_allclose(pushed, by_hand, rtol=1e-12, atol=1e-15)

    return check


@eqx.filter_jit
def _kernel(game, t, crowd, values, mass):
    kernel = game.transition(t, crowd)
    return kernel.dense(), kernel.expect(values), kernel.push(mass)


@pytest.fixture
def welfare():
    """(game, policy) -> what everyone gets if everyone plays the policy."""
    return _welfare


@eqx.filter_jit
def _welfare(game, policy):
    return nf.evaluate(game, policy, nf.population_flow(game, policy)).value


@pytest.fixture
def tolerance(precision):
    """Relative tolerance of a sum over a short horizon."""
    return {"float64": 1e-11, "float32": 2e-5}[precision]
