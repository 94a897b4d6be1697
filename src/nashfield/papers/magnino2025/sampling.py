"""How long it takes to draw the crowd, and to know its density: played, and by the learnt law."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
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
# How many times faster than the sum of kernels its density is at least, on the line; in the plane
# that sum takes too long to be timed.
_LEAST_OF_DENSITY = 10.0


def measure(
    name: str,
    game: Any,
    learnt: Learnt,
    sizes: Sizes,
    *,
    key: PRNGKeyArray,
    tell: Callable[[str], None],
) -> list[Row]:
    """Times the three ways on what one run of DEDA-FP learnt, taking turns.

    Algorithm 1 plays the pool of all its best responses, algorithm 2 the average policy, and
    DEDA-FP draws from the normalizing flow. Densities are asked where agents are drawn.
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
        "the last time": (lambda flow, key: flow.law(game.horizon).sample(key, n), flow),
    }
    seconds = seconds_in_turn(ways, key, sizes.repeats)
    last = seconds.pop("the last time")
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
    tell(f"{name}: densities at {n} points")
    points = jax.block_until_ready(jax.jit(lambda key: flow.sample(key, n))(key))
    return rows + _density_rows(name, flow, state.crowd, points, key, sizes.repeats)


def _density_rows(
    name: str, flow: Any, crowd: Any, points: Any, key: PRNGKeyArray, repeats: int
) -> list[Row]:
    """The density at `points` (T + 1, n, D): of the learnt crowd, and of particles."""

    def look(pair: tuple[Any, Any], key: PRNGKeyArray) -> Any:
        flow, points = pair
        times = jnp.arange(len(points))
        return jax.lax.map(lambda at: flow.law(at[0]).log_density(at[1]), (times, points))

    def binned(pair: tuple[Any, Any], key: PRNGKeyArray) -> Any:
        return look((pair[0].prepare(), pair[1]), key)

    ways = {
        "the normalizing flow": (look, (flow, points)),
        "binned kernels": (look, (crowd.prepare(), points)),
        "binned kernels and their tables": (binned, (crowd, points)),
    }
    if points.shape[-1] == 1:
        ways["a sum of kernels"] = (look, (crowd, points))
    seconds = seconds_in_turn(ways, key, repeats)
    where = f"the density at {points.shape[1]} points and all times"
    rows = [Row(f"{name}, {way}: seconds for {where}", None, s) for way, s in seconds.items()]
    if "a sum of kernels" in seconds:
        ratio = seconds["a sum of kernels"] / seconds["the normalizing flow"]
        text = f"{name}: the normalizing flow knows {where} so many times faster than the sum"
        rows.append(_ratio(text, None, ratio, _LEAST_OF_DENSITY))
    return rows


def median_seconds(do: Callable, what: Any, key: PRNGKeyArray, repeats: int) -> float:
    """Median time of `do(what, key)` once it is compiled."""
    return seconds_in_turn({"": (do, what)}, key, repeats)[""]


def seconds_in_turn(
    ways: Mapping[str, tuple[Callable, Any]], key: PRNGKeyArray, repeats: int
) -> dict[str, float]:
    """Median time of `do(what, key)` once it is compiled, for each pair of these.

    They take turns, so that what else the machine does is spread over all. Only arrays are handed
    over: to take modules apart costs Python as much as a small draw.
    """

    def compiled(do: Callable, what: Any) -> tuple[Callable, list[Any]]:
        arrays, rest = eqx.partition(what, eqx.is_array)
        leaves, tree = jax.tree.flatten(arrays)

        def run(leaves: list[Any], key: PRNGKeyArray) -> Any:
            return do(eqx.combine(jax.tree.unflatten(tree, leaves), rest), key)

        return jax.jit(run), leaves

    ready = {name: compiled(*way) for name, way in ways.items()}
    seconds = {name: [] for name in ways}
    for index in range(repeats + 1):
        fresh = jax.block_until_ready(jax.random.fold_in(key, index))
        for name, (run, leaves) in ready.items():
            start = time.perf_counter()
            jax.block_until_ready(run(leaves, fresh))
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(found[1:])) for name, found in seconds.items()}


def _ratio(text: str, paper: float | None, found: float, least: float | None) -> Row:
    if least is None:
        return Row(text, paper, found)
    return Row(text, paper, found, agrees=found >= least, bar=f"at least {least:g}")
