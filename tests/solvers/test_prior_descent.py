"""Prior descent: first iterates, and that the prior takes the temperature's bias away."""

import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.beach_bar import BeachBar
from nashfield.games.zoo.matrix import LeftRight
from nashfield.games.zoo.susceptible_infected import SusceptibleInfected

# Made with mfglib 0.3.0 in double precision at eta = 2 from the skewed start; num_inner = 2 by
# restarting it with a prior that stays, every second step, at the policy reached (its own
# n_inner = 2 moves the prior after steps 1, 3, 5, ...). Beach bar n = 4, T = 2, and
# susceptible-infected T = 5.
BEACH = BeachBar(num_states=4, horizon=3)
EPIDEMIC = SusceptibleInfected(horizon=6)
TABLE = [
    (BEACH, 1000, [1.178058553947003, 0.7707524234612912, 0.8380492565903663, 0.8236573998249676,
                   0.8266684463559539, 0.8260257436400538]),
    (BEACH, 1, [1.178058553947003, 0.7707524234612912, 0.5450685609728558, 0.42258445944026324,
                0.3492190820266692, 0.3012450874531709]),
    (BEACH, 2, [1.178058553947003, 0.7707524234612912, 0.8380492565903663, 0.5812717746227212,
                0.6194331257701802, 0.45573139640969307]),
    (EPIDEMIC, 1000, [0.908752703222858, 0.8239671562631039, 0.8239028468818819, 0.8239061114566248,
                      0.8239061404196999, 0.8239061396928502]),
    (EPIDEMIC, 1, [0.908752703222858, 0.8239671562631039, 0.7415177235799133, 0.662042365563178,
                   0.5861656939973008, 0.5145377140854683]),
    (EPIDEMIC, 2, [0.908752703222858, 0.8239671562631039, 0.8239028468818819, 0.7414531935762092,
                   0.741392980892178, 0.6619173119986028]),
]  # fmt: skip


@pytest.mark.parametrize(("game", "num_inner", "expected"), TABLE)
def test_first_iterates(game, num_inner, expected, skewed_policy):
    start = jnp.asarray(skewed_policy(game))
    solver = nf.PriorDescent(temperature=2.0, num_inner=num_inner)
    solution = nf.solve(game, solver, num_iterations=5, initial_policy=start)
    np.testing.assert_allclose(solution.history["exploitability"], expected, rtol=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_reaches_nash_where_boltzmann_iteration_does_not(temperature):
    solver = nf.PriorDescent(temperature=temperature, num_inner=20)
    solution = nf.solve(LeftRight(), solver, num_iterations=2000)
    np.testing.assert_allclose(solution.policy[0, 0], [2 / 3, 1 / 3], atol=1e-9)
    # Before its first move the prior is uniform: the regularised equilibrium is on the way.
    fixed = nf.PriorDescent(temperature=temperature, num_inner=1000)
    found = nf.solve(LeftRight(), fixed, num_iterations=200).policy
    boltzmann = nf.BoltzmannPolicyIteration(temperature=temperature)
    wanted = nf.solve(LeftRight(), boltzmann, num_iterations=200).policy
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("num_inner", [0, 2.5])
def test_num_inner_out_of_range(num_inner):
    message = r"PriorDescent: num_inner must be a whole number, at least 1"
    with pytest.raises(ValueError, match=message):
        nf.PriorDescent(num_inner=num_inner)


def test_temperature_out_of_range():
    with pytest.raises(ValueError, match=r"PriorDescent: temperature must be finite, above 0"):
        nf.PriorDescent(temperature=0)
