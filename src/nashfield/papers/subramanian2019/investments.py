"""Product investments with a neural policy: what the limits of the paper's two clusters are."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.dynamics.agents import agents_of
from nashfield.dynamics.draws import HashDraws
from nashfield.dynamics.rollout import play_paths, play_returns
from nashfield.games.zoo.investments_continuous import ContinuousProductInvestment
from nashfield.learners import BatchMean, PlayedCrowd, Reinforce
from nashfield.papers.learning import learn as learn_many
from nashfield.papers.report import Row
from nashfield.papers.subramanian2019 import pictures
from nashfield.policies import Neural
from nashfield.solvers.local_equilibrium import LocalEquilibrium
from nashfield.solvers.steps import Adam

# Section 5.2: n = 100 firms, B = K = 200, hidden layers of 8 and 16, ADAM .1. The number of
# trajectories and the baseline are not stated, and the shares of the clusters hang on them.
NUM_ITERATIONS = 200
CROWD = PlayedCrowd(num_agents=100, num_steps=200, generator="hash")
_NUM_TRAJECTORIES = 5

# The paper's clusters: share of the runs and median of J.
_CLUSTERS = {"no product": (0.52, 1.488), "one product": (0.42, -0.548)}
# Values of never investing, and of always investing in exactly one of the products.
NEVER = 1.5
ALWAYS_ONE = (-0.707692, -0.476923)
# The exact equilibrium, recomputed: thresholds of the three products, and J.
_EQUILIBRIUM, _EQUILIBRIUM_VALUE = (0.713262, 0.708333, 0.703704), 0.602044
# Below the first share of decisions a product counts as left alone, above the second as invested
# in.
_SATURATED = (0.05, 0.95)


def learn(
    num_seeds: int, *, key: PRNGKeyArray, tell: Callable[[str], None]
) -> tuple[list[Row], dict[str, Callable]]:
    """Algorithm 3, and the runs in clusters of what their last policies invest in."""
    game = ContinuousProductInvestment()
    gradient = Reinforce(_NUM_TRAJECTORIES, 200, BatchMean(), generator="hash")

    def make_solver(key: PRNGKeyArray) -> LocalEquilibrium:
        start = Neural((8, 16)).begin(game, key=jax.random.fold_in(key, NUM_ITERATIONS))
        return LocalEquilibrium(start, gradient=gradient, crowd=CROWD, optimizer=Adam(0.1))

    def report(k: int) -> None:
        tell(f"investments, neural policy: {k}/{NUM_ITERATIONS} steps of {num_seeds} seeds")

    sizes = {"num_iterations": NUM_ITERATIONS, "num_seeds": num_seeds}
    learn_key, judge_key = jax.random.split(key)
    _, policies = learn_many(
        game, make_solver, lambda policy: (), **sizes, key=learn_key, tell=report
    )
    judge = eqx.filter_jit(eqx.filter_vmap(_judge, in_axes=(None, 0, 0)))
    keys = jax.random.split(judge_key, num_seeds)
    found = {what: np.asarray(x) for what, x in judge(game, policies, keys).items()}
    drawn = {"investments.png": lambda: pictures.investments(found, _clusters(found), _CLUSTERS)}
    return _rows(found), drawn


def _judge(game: ContinuousProductInvestment, policy: Any, key: PRNGKeyArray) -> dict[str, Any]:
    """What one policy is worth, how far from Nash it is, and what it invests in."""
    crowd_key, value_key, path_key = jax.random.split(key, 3)
    mean_field = CROWD(game, policy, key=crowd_key)
    agents = agents_of(game, policy)
    sizes = {"num_trajectories": 1000, "num_steps": 200}
    value = jnp.mean(play_returns(agents, mean_field, HashDraws(value_key), **sizes))
    paths = play_paths(agents, mean_field, HashDraws(path_key), num_trajectories=100, num_steps=50)
    invests = jax.vmap(jax.vmap(game.invested))(paths.actions)
    return {
        "J": value,
        "exploitability": game.optimal_value(mean_field) - value,
        "rates": jnp.mean(invests, (0, 1)),
    }


def _clusters(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Which runs end with policies that always do the same, and what that is."""
    low, high = found["rates"] < _SATURATED[0], found["rates"] > _SATURATED[1]
    saturated = np.all(low | high, -1)
    number = np.sum(high, -1)
    return {
        "no product": saturated & (number == 0),
        "one product": saturated & (number == 1),
        "several products": saturated & (number > 1),
        "no fixed choice": ~saturated,
    }


def _exact_rows() -> list[Row]:
    """The stationary equilibrium of the game on points, which no run finds."""
    game = ContinuousProductInvestment()
    rest = np.ones(game.state_dim)  # any crowd above q: all steps are slow
    thresholds = game.best_thresholds(rest)
    means = game.threshold_means(thresholds)
    rows = [
        Row.near(f"equilibrium: product {j} is invested in below (recomputed)", x, float(y), 1e-5)
        for j, (x, y) in enumerate(zip(_EQUILIBRIUM, thresholds, strict=True))
    ]
    value = float(np.sum(game.threshold_values(thresholds, means)))
    rows.append(Row.near("equilibrium: J (recomputed)", _EQUILIBRIUM_VALUE, value, 1e-5))
    return rows


def _rows(found: dict[str, np.ndarray]) -> list[Row]:
    clusters = _clusters(found)
    label = "learnt local equilibrium, investments"
    rows, together = _exact_rows(), 0.0
    for name, (share, median) in _CLUSTERS.items():
        inside = clusters[name]
        ours = float(inside.mean())
        together += ours
        text = f"{label}: share of seeds that invest in {name}"
        rows.append(Row(text, share, ours, agrees=ours >= 0.1, bar="at least 0.1"))
        if not inside.any():
            continue
        lower, middle, upper = map(float, np.quantile(found["J"][inside], (0.25, 0.5, 0.75)))
        least, most = (NEVER, NEVER) if name == "no product" else ALWAYS_ONE
        text = f"{label}: J of those that invest in {name}"
        bounds = (round(least - 0.1, 6), round(most + 0.1, 6))
        rows.append(Row.within(text, median, middle, bounds, interval=(lower, upper)))
        lower, middle, upper = map(
            float, np.quantile(found["exploitability"][inside], (0.25, 0.5, 0.75))
        )
        # Saturated policies have a vanishing gradient, and are far from Nash all the same.
        text = f"{label}: exploitability of those that invest in {name}"
        agrees = middle >= 0.9
        rows.append(Row(text, None, middle, (lower, upper), agrees=agrees, bar="at least 0.9"))
    text = f"{label}: share of seeds in both clusters"
    rows.append(Row(text, 0.94, together, agrees=together >= 0.8, bar="at least 0.8"))
    return rows
