"""Munchausen mirror descent is mirror descent, and with a smaller bonus an entropy bonus."""

import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.beach_bar import BeachBar
from nashfield.games.zoo.matrix import LeftRight, RockPaperScissors
from nashfield.games.zoo.susceptible_infected import SusceptibleInfected

GAMES = [
    LeftRight(),
    RockPaperScissors(),
    BeachBar(num_states=6, horizon=4),
    SusceptibleInfected(horizon=10),
]


@pytest.mark.parametrize("game", GAMES, ids=lambda game: type(game).__name__)
@pytest.mark.parametrize("temperature", [0.5, 4.0])
def test_is_mirror_descent_at_the_inverse_rate(game, temperature):
    form = nf.solve(
        game, nf.MunchausenOnlineMirrorDescent(temperature=temperature), num_iterations=20
    )
    descent = nf.solve(
        game, nf.OnlineMirrorDescent(learning_rate=1 / temperature), num_iterations=20
    )
    np.testing.assert_allclose(form.policy, descent.policy, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        form.history["exploitability"], descent.history["exploitability"], rtol=0, atol=1e-9
    )


def plain_munchausen_values(game, policy, flow, temperature, munchausen):
    """The recursion as written: log pi as a reward, and minus log pi at the next state."""
    log_policy = np.log(policy)
    values = np.zeros(game.num_states)  # of the next state; no terminal reward
    table = np.zeros(policy.shape)
    for t in reversed(range(game.horizon)):
        kernel = np.asarray(game.transition(t, flow[t]).dense())
        reward = np.asarray(game.reward(t, flow[t]))
        bonus = munchausen * temperature * log_policy[t]
        table[t] = reward + bonus + np.einsum("xay,y->xa", kernel, values)
        values = np.sum(policy[t] * (table[t] - temperature * log_policy[t]), -1)
    return table


@pytest.mark.parametrize("munchausen", [0.0, 0.6, 1.0])
def test_one_step_of_the_recursion(munchausen, skewed_policy):
    game, temperature = SusceptibleInfected(horizon=4), 0.8
    start = skewed_policy(game)
    solver = nf.MunchausenOnlineMirrorDescent(temperature, munchausen)
    solution = nf.solve(game, solver, num_iterations=1, initial_policy=jnp.asarray(start))
    flow = nf.population_flow(game, jnp.asarray(start))
    weights = np.exp(
        plain_munchausen_values(game, start, flow, temperature, munchausen) / temperature
    )
    expected = weights / weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(solution.policy, expected, rtol=1e-12)


# (1 - munchausen) * temperature is the temperature of the limit.
@pytest.mark.parametrize(
    ("temperature", "munchausen", "left"),
    [
        (10.0, 0.9, 0.5711507532829996),
        (2.0, 0.5, 0.5711507532829996),
        (4.0, 0.5, 0.5453635729681853),
        (2.0, 0.0, 0.5453635729681853),
    ],
)
def test_regularised_equilibrium(temperature, munchausen, left, precision):
    solver = nf.MunchausenOnlineMirrorDescent(temperature, munchausen)
    solution = nf.solve(LeftRight(), solver, num_iterations=300)
    np.testing.assert_allclose(
        solution.policy[0, 0], [left, 1 - left], atol=1e-9 if precision == "float64" else 1e-6
    )


@pytest.mark.parametrize("munchausen", [-0.1, 1.1])
def test_munchausen_out_of_range(munchausen):
    with pytest.raises(ValueError, match=r"munchausen must be finite, at least 0 and at most 1"):
        nf.MunchausenOnlineMirrorDescent(munchausen=munchausen)


def test_temperature_out_of_range():
    message = r"MunchausenOnlineMirrorDescent: temperature must be finite, above 0"
    with pytest.raises(ValueError, match=message):
        nf.MunchausenOnlineMirrorDescent(temperature=-1)
