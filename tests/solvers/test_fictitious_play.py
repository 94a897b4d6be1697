"""Fictitious play: first iterates, rate on monotone games, crowds that slow themselves down."""

import jax.numpy as jnp
import numpy as np
import pytest

import nashfield as nf
from nashfield.games.zoo.beach_bar import BeachBar
from nashfield.games.zoo.congestion import CrowdLine
from nashfield.games.zoo.matrix import LeftRight
from nashfield.games.zoo.susceptible_infected import SusceptibleInfected

# Made with mfglib 0.3.0 in double precision from the skewed start: beach bar n = 4, T = 2, and
# susceptible-infected T = 5.
TABLE = [
    (
        BeachBar(num_states=4, horizon=3),
        [1.178058553947003, 0.3959376772715555, 0.2270659972311193, 0.15901730260291158,
         0.12597760337187136, 0.09874940209453298],
    ),
    (
        SusceptibleInfected(horizon=6),
        [0.908752703222858, 0.4596146291739669, 0.3076072975861659, 0.23115879361020086,
         0.18514570896750104, 0.15440995749218134],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("game", "expected"), TABLE)
def test_first_iterates(game, expected, skewed_policy, precision):
    start = jnp.asarray(skewed_policy(game))
    solution = nf.solve(game, nf.FictitiousPlay(), num_iterations=5, initial_policy=start)
    tolerance = 1e-12 if precision == "float64" else 1e-5
    np.testing.assert_allclose(solution.history["exploitability"], expected, rtol=tolerance)


def test_left_right(precision):
    solution = nf.solve(LeftRight(), nf.FictitiousPlay(), num_iterations=1000)
    assert abs(solution.policy[0, 0, 0] - 2 / 3) < 1e-3
    assert solution.exploitability < 1e-3


@pytest.mark.parametrize(
    "game",
    [
        BeachBar(num_states=4, horizon=3),
        BeachBar(num_states=10, horizon=5),
        BeachBar(num_states=20, horizon=10, ring=True),
        CrowdLine(num_states=10, horizon=8),
    ],
    ids=["beach-4", "beach-10", "beach-ring-20", "line-10"],
)
def test_rate_on_monotone_games(game):
    solution = nf.solve(game, nf.FictitiousPlay(), num_iterations=800)
    k = np.arange(50, 801)
    exploitability = np.asarray(solution.history["exploitability"])[k]
    slope = np.polyfit(np.log(k), np.log(exploitability), 1)[0]
    assert -1.1 <= slope <= -0.9


class Plain:
    """Susceptible-infected with T decisions, written again with loops over states and actions."""

    def __init__(self, horizon, cure=0.3, infection=0.81):
        self.horizon, self.cure, self.infection = horizon, cure, infection
        self.reward = [[0.0, -0.5], [-1.0, -1.5]]

    def kernel(self, states):
        caught = self.infection * states[1]
        sick = [self.cure, 1 - self.cure]
        return [[[1 - caught, caught], [1.0, 0.0]], [sick, sick]]

    def flow(self, policy):
        states = [[0.4, 0.6]]
        for t in range(self.horizon):
            kernel, ahead = self.kernel(states[t]), [0.0, 0.0]
            for x in range(2):
                for a in range(2):
                    for y in range(2):
                        ahead[y] += states[t][x] * policy[t][x][a] * kernel[x][a][y]
            states.append(ahead)
        return states

    def values(self, flow, policy=None):
        """Action values of `policy`, or of the best response; and the value from the start."""
        ahead, tables = [0.0, 0.0], []
        for t in reversed(range(self.horizon)):
            kernel = self.kernel(flow[t])
            table = [
                [self.reward[x][a] + sum(kernel[x][a][y] * ahead[y] for y in range(2))
                 for a in range(2)]
                for x in range(2)
            ]  # fmt: skip
            if policy is None:
                ahead = [max(row) for row in table]
            else:
                ahead = [sum(policy[t][x][a] * table[x][a] for a in range(2)) for x in range(2)]
            tables.insert(0, table)
        return tables, flow[0][0] * ahead[0] + flow[0][1] * ahead[1]

    def play(self, policy, num_iterations):
        """Policies and their exploitabilities."""
        policy = np.array(policy)
        policies, gaps = [], []
        for k in range(num_iterations + 1):
            flow = self.flow(policy)
            tables, best = self.values(flow)
            policies.append(policy.copy())
            gaps.append(best - self.values(flow, policy)[1])
            answer = np.zeros_like(policy)
            for t in range(self.horizon):
                for x in range(2):
                    answer[t, x, int(np.argmax(tables[t][x]))] = 1
            answer_flow, averaged = self.flow(answer), policy.copy()
            for t in range(self.horizon):
                for x in range(2):
                    old, new = (k + 1) * flow[t][x], answer_flow[t][x]
                    averaged[t, x] = (old * policy[t, x] + new * answer[t, x]) / (old + new)
            policy = averaged
        return policies, gaps


@pytest.mark.parametrize("num_iterations", [1, 2, 3, 6])
def test_transitions_that_depend_on_the_crowd(num_iterations, skewed_policy):
    game = SusceptibleInfected(horizon=8)
    start = skewed_policy(game)
    policies, gaps = Plain(8).play(start, num_iterations)
    solution = nf.solve(
        game, nf.FictitiousPlay(), num_iterations=num_iterations, initial_policy=jnp.asarray(start)
    )
    np.testing.assert_allclose(solution.policy, policies[-1], atol=1e-13)
    np.testing.assert_allclose(solution.history["exploitability"], gaps, atol=1e-13)


def test_best_response_is_a_part():
    # Smoothed play ends where softmax answers itself: P(left) = sigmoid((2 - 3 p) / temperature).
    soft = nf.FictitiousPlay(best_response=nf.SoftBestResponse(temperature=1.0))
    solution = nf.solve(LeftRight(), soft, num_iterations=3000)
    assert abs(solution.policy[0, 0, 0] - 0.5711507532829996) < 1e-4
