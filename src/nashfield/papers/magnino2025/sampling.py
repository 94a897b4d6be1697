"""How long it takes to draw the crowd: from policies that are played, and from the learnt law."""

import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.dynamics.episodes import rollout_flow
from nashfield.papers.magnino2025.learning import Learnt
from nashfield.papers.magnino2025.sizes import Sizes
from nashfield.papers.report import Row

# Seconds of 5,000 trajectories, and how many times faster DEDA-FP is; in the paper on a GPU.
_PAPER_SECONDS = {"algorithm 1": 16.76, "algorithm 2": 15.14, "DEDA-FP": 1.52}
_PAPER_RATIOS = {"algorithm 1": 11.0, "algorithm 2": 9.96}
# Of the reproduction, by dimension: how many times faster the learnt law is at least, for all
# times and for the last one alone.
_LEAST = {1: (10.0, 50.0), 2: (None, 10.0)}


def measure(
    name: str,
    game: Any,
    learnt: Learnt,
    sizes: Sizes,
    *,
    key: PRNGKeyArray,
    tell: Callable[[str], None],
) -> list[Row]:
    """Times the three ways on what one run of DEDA-FP learnt.

    Algorithm 1 plays the pool of all its best responses, algorithm 2 the average policy, and
    DEDA-FP draws from the normalizing flow.
    """
    n = sizes.num_trajectories
    tell(f"{name}: drawing {n} trajectories")
    state, policy, flow = learnt.seed(0)

    def played(policy: Any, key: PRNGKeyArray) -> Any:
        return rollout_flow(game, policy, num_agents=n, key=key).laws

    ways = {
        "algorithm 1": (played, state.pool),
        "algorithm 2": (played, policy),
        "DEDA-FP": (lambda flow, key: flow.sample(key, n), flow),
    }
    seconds = {way: median_seconds(f, of, key, sizes.repeats) for way, (f, of) in ways.items()}
    last = median_seconds(
        lambda flow, key: flow.law(game.horizon).sample(key, n), flow, key, sizes.repeats
    )
    rows = [
        Row(f"{name}, {way}: seconds for {n} trajectories", _PAPER_SECONDS[way], found)
        for way, found in seconds.items()
    ]
    least, least_of_last = _LEAST[game.state_dim]
    for way, paper in _PAPER_RATIOS.items():
        text = f"{name}: DEDA-FP draws {{}} so many times faster than {way}"
        rows.append(
            _ratio(text.format("all times"), paper, seconds[way] / seconds["DEDA-FP"], least)
        )
        rows.append(_ratio(text.format("the last time"), None, seconds[way] / last, least_of_last))
    return rows


def median_seconds(draw: Callable, what: Any, key: PRNGKeyArray, repeats: int) -> float:
    """Median time of `draw(what, key)` once it is compiled."""
    draw = eqx.filter_jit(draw)
    seconds = []
    for index in range(repeats + 1):
        fresh = jax.block_until_ready(jax.random.fold_in(key, index))
        start = time.perf_counter()
        jax.block_until_ready(draw(what, fresh))
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:]))


def _ratio(text: str, paper: float | None, found: float, least: float | None) -> Row:
    if least is None:
        return Row(text, paper, found)
    return Row(text, paper, found, agrees=found >= least, bar=f"at least {least:g}")
