"""Four rooms in the plane: how evenly the crowd fills them, and who walks how fast."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.dynamics.episodes import play_among, rollout_flow
from nashfield.games.zoo.four_rooms_plane import FourRoomsPlane
from nashfield.metrics.coverage import Coverage, coverage
from nashfield.papers.magnino2025 import pictures
from nashfield.papers.magnino2025.learning import Learnt, Run, learn
from nashfield.papers.magnino2025.sizes import Sizes
from nashfield.papers.report import Row
from nashfield.plotting import plot_agents
from nashfield.plotting.mosaic import chosen_times
from nashfield.solvers import DEDAFP, DeepMirrorDescent

# Coefficient of variation of the cells at t = T in the paper, and of how many agents that is.
_PAPER = {"DEDA-FP": (0.267, 20_000), "algorithm 1": (1.43, 700)}
_NUM_AGENTS = 1500
_MIDDLE = 0.25
# Of the reproduction after 40 iterations: denoised coefficient of variation, and how far the rooms'
# shares of the crowd may lie apart; the coefficient of mirror descent.
_MOST, _MOST_APART, _MOST_OF_OURS, _FULL = 0.9, 0.3, 0.3, 40
_GAME = "four rooms"
# Best responses that are all but certain leave the crowd where it is dense: noise spreads it.
_NOISE: dict[str, Any] = {"entropy_bonus": 0.03, "log_sd": -0.3, "restart_log_sd": -0.3}


def play(
    sizes: Sizes, *, key: PRNGKeyArray, tell: Callable[[str], None]
) -> tuple[list[Row], dict[str, Callable], Any, Learnt]:
    """DEDA-FP and deep mirror descent; also the game, and what DEDA-FP learnt."""
    game, keys = FourRoomsPlane(), jax.random.split(key, 4)
    num_iterations, num_seeds = sizes.rooms_iterations, sizes.rooms_seeds
    deda = sizes.fictitious(DEDAFP, num_iterations, learner=sizes.learner(**_NOISE))
    descent = DeepMirrorDescent(num_agents=sizes.num_agents)
    runs = {
        "DEDA-FP": Run(game, deda, num_iterations, num_seeds),
        "deep mirror descent": Run(game, descent, sizes.rooms_descent_iterations, num_seeds),
    }
    labelled = {f"{_GAME}, {name}": run for name, run in runs.items()}
    found = dict(zip(runs, learn(labelled, key=keys[0], tell=tell).values(), strict=True))
    bars = (_MOST, _MOST_OF_OURS) if num_iterations >= _FULL else (None, None)
    rows, last = [], {}
    for (name, learnt), bar in zip(found.items(), bars, strict=True):
        tell(f"{_GAME}, {name}: counting {sizes.num_samples} agents")
        last[name] = [
            _count(game, learnt.seed(m)[2], sizes.num_samples, keys[1]) for m in range(num_seeds)
        ]
        rows += _rows(f"{_GAME}, {name}", runs[name].num_iterations, learnt, last[name], bar)
    deda = found["DEDA-FP"]
    state, policy, flow = deda.seed(0)
    rows += _paper_rows(game, state, flow, keys[2])
    episodes = jax.jit(lambda key: play_among(game, policy, num_agents=_NUM_AGENTS, key=key))(
        keys[3]
    )
    times = chosen_times(game.horizon, 6)
    # The crowd at some times, then what the algorithms end with.
    maps = {f"DEDA-FP, t = {t}": _masses(game, flow, t) for t in times}
    maps |= {
        f"{name}, t = {game.horizon}": np.asarray(counted[0].masses)
        for name, counted in last.items()
        if name != "DEDA-FP"
    }
    free = np.asarray(last["DEDA-FP"][0].cells.free)
    drawn = {
        "rooms-agents.png": lambda: (
            plot_agents(game, episodes, times=range(game.horizon + 1)).figure
        ),
        "rooms-density.png": lambda: pictures.rooms(maps, free),
    }
    return rows, drawn, game, deda


def _count(game: Any, flow: Any, num_samples: int, key: PRNGKeyArray) -> Coverage:
    """Draws of the learnt crowd at t = T, in cells."""
    return coverage(game, flow[game.horizon], num_samples=num_samples, key=key)


def _masses(game: Any, flow: Any, t: int) -> np.ndarray:
    """Masses of cells, by the learnt density."""
    return np.asarray(coverage(game, flow[t]).masses)


def _rows(name: str, k: int, learnt: Learnt, last: list[Coverage], most: float | None) -> list[Row]:
    free = np.asarray(last[0].cells.free)
    rooms = (np.asarray(last[0].cells.centres) > _MIDDLE) @ np.array([2, 1])
    shares = np.array(
        [[np.asarray(c.masses)[free & (rooms == room)].sum() for room in range(4)] for c in last]
    )
    return [
        Row.mean(
            f"{name}: denoised coefficient of variation at k = {k}",
            None,
            [float(c.denoised_coefficient) for c in last],
            most,
        ),
        Row.mean(
            f"{name}: greatest less least share of a room at k = {k}",
            None,
            np.ptp(shares, axis=1),
            _MOST_APART if most is not None else None,
        ),
        Row.mean(f"{name}: share of the draws in walls", None, [float(c.blocked) for c in last]),
        Row(f"{name}: seconds of {len(last)} seeds", None, learnt.seconds),
    ]


def _paper_rows(game: Any, state: Any, flow: Any, key: PRNGKeyArray) -> list[Row]:
    """The paper's two numbers: as many agents as it drew in the same time."""

    def played(num_agents: int) -> Any:
        laws: Any = rollout_flow(game, state.pool, num_agents=num_agents, key=key).laws
        return laws.states[-1]

    ways = {"DEDA-FP": lambda n: flow[game.horizon].sample(key, n), "algorithm 1": played}
    rows = []
    for name, (paper, num_agents) in _PAPER.items():
        found = coverage(game, ways[name](num_agents))
        chance = float(np.sqrt(np.sum(np.asarray(found.cells.free)) / num_agents))
        text = f"{_GAME}, {name}: coefficient of variation of {num_agents} agents"
        rows.append(Row(f"{text} (chance alone: {chance:.3f})", paper,
                        float(found.coefficient_of_variation)))  # fmt: skip
    return rows
