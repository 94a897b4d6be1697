"""The three algorithms in equal wall-clock time: how far their crowds are from the exact ones."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.dynamics.discretised import discretise
from nashfield.dynamics.episodes import rollout_flow
from nashfield.games.zoo.continuous_linear_quadratic import LinearQuadratic
from nashfield.papers.figures import Figure, new_figure
from nashfield.papers.magnino2025 import density
from nashfield.papers.magnino2025.learning import NUM_COMPILERS
from nashfield.papers.magnino2025.quadratic import ALGORITHMS
from nashfield.papers.magnino2025.sampling import median_seconds
from nashfield.papers.magnino2025.sizes import Sizes
from nashfield.papers.report import Row
from nashfield.plotting.canvas import PALETTE
from nashfield.solve import solve
from nashfield.solvers import OnlineMirrorDescent

# Whose last iteration ends the race, and for how many times its iterations others have room.
_PACE, _ROOM = "DEDA-FP", 6
# How many times the least distance that of DEDA-FP may be, where it has so many iterations.
_MOST, _FULL = {"linear-quadratic": 1.5, "local-entropy": 1.0}, 20
# Draws of each crowd, and how often a draw that takes less time is repeated.
_NUM_DRAWS, _REPEATS = 20_000, 16
# Of the grid, whose actions decide how well it knows the equilibrium; and of its laws.
_NUM_CELLS, _NUM_ACTIONS, _NUM_QUANTILES = 200, 81, 200_000


class Racer:
    """All seeds of one algorithm side by side, and a clock that runs while they learn.

    Attributes:
        seconds: on the clock at the start, and after each iteration.
        draws: (M, T + 1, N) states of the crowd at these times.
        state: the solver's states, leading axis M.
    """

    def __init__(self, game: Any, solver: Any, keys: Any, num_draws: int):
        """Traces all programs and compiles none.

        Args:
            game: the game.
            solver: an `AbstractDeepPlay` that keeps a pool or an average policy.
            keys: (M,) one a seed.
            num_draws: N.
        """
        self.solver, self.keys = solver, keys
        self.seconds: list[float] = []
        self.draws: list[np.ndarray] = []
        self.state: Any = None
        self._game = game
        begin = jax.jit(jax.vmap(lambda key: solver.init_uniform(game, key=key))).lower(keys)
        like = begin.out_info
        draw = jax.vmap(lambda state, key: self.draw(state, key, num_draws))
        self._programs: list[Any] = [begin]
        for phase in (self._phase(name) for name in solver.phases):
            self._programs.append(jax.jit(jax.vmap(phase)).lower(like, keys))
        self._programs.append(jax.jit(draw).lower(like, keys))

    def compile(self) -> None:
        """Makes all programs ready, which the clock does not count."""
        self._programs = [program.compile() for program in self._programs]

    @property
    def num_iterations(self) -> int:
        """How many are done; -1 before the start."""
        return len(self.seconds) - 1

    def iterate(self) -> None:
        """Begins, or does one iteration: the clock counts learning, and no judging."""
        begin, *phases, draw = self._programs
        keys = jax.vmap(jax.random.fold_in, (0, None))(self.keys, len(self.seconds))
        start = time.perf_counter()
        if self.state is None:
            self.state = jax.block_until_ready(begin(keys))
        else:
            for index, phase in enumerate(phases):
                each = jax.vmap(self.solver.phase_key, (0, None))(keys, index)
                self.state = jax.block_until_ready(phase(self.state, each))
        spent = time.perf_counter() - start
        self.seconds.append(spent + (self.seconds[-1] if self.seconds else 0.0))
        self.draws.append(np.asarray(draw(self.state, keys)))

    def draw(self, state: Any, key: PRNGKeyArray, num_draws: int) -> Any:
        """(T + 1, N) states of one seed's crowd: played, or drawn where the crowd is learnt."""
        if state.flow is not None:
            return self.solver.flow(self._game, state).sample(key, num_draws)[..., 0]
        policy = self.solver.policy(self._game, state)
        crowd: Any = rollout_flow(self._game, policy, num_agents=num_draws, key=key)
        return crowd.laws.states[..., 0]

    def _phase(self, name: str) -> Callable:
        return lambda state, key: self.solver.phase(name, self._game, state, key=key)


def play(
    sizes: Sizes, *, key: PRNGKeyArray, tell: Callable[[str], None]
) -> tuple[list[Row], dict[str, Callable]]:
    """The three algorithms for as long as DEDA-FP takes, in two games with exact crowds."""
    entropy = density.cases()["local-entropy"]
    games = {
        "linear-quadratic": LinearQuadratic(initial_law="uniform"),
        "local-entropy": entropy.game,
    }
    keys, rows, curves = jax.random.split(key, 3), [], {}
    racers = {}
    for index, (name, game) in enumerate(games.items()):
        tell(f"{name}, equal time: compiling")
        seeds = jax.random.split(jax.random.fold_in(keys[0], index), sizes.num_seeds)
        racers[name] = {
            way: Racer(game, _solver(way, solver, sizes), seeds, _NUM_DRAWS)
            for way, solver in ALGORITHMS.items()
        }
    with ThreadPoolExecutor(NUM_COMPILERS) as pool:
        every = [racer for found in racers.values() for racer in found.values()]
        list(pool.map(Racer.compile, every))
    for name, game in games.items():
        race(racers[name], sizes.num_iterations, lambda line, name=name: tell(f"{name}, {line}"))
        if game is entropy.game:
            exact = grid_states(game, entropy.box, entropy.step, 4 * sizes.grid_iterations)
        else:
            exact = exact_states(game, sizes.num_samples, keys[1])
        shorter = _draws_in_time(racers[name], sizes, keys[2])
        rows += _rows(name, racers[name], exact, shorter, full=sizes.num_iterations >= _FULL)
        curves[name] = {
            way: (racer.seconds, np.array([distances(x, exact) for x in racer.draws]).T)
            for way, racer in racers[name].items()
        }
    return rows, {"equal-time.png": lambda: picture(curves)}


def _solver(way: str, solver: type, sizes: Sizes) -> Any:
    room = sizes.num_iterations * (1 if way == _PACE else _ROOM)
    return sizes.fictitious(solver, room)


def race(racers: Mapping[str, Any], num_iterations: int, tell: Callable[[str], None]) -> None:
    """Lets whoever is behind do an iteration, until the last one of DEDA-FP is past.

    So all meet the same moods of the machine. Nobody stops before the time of DEDA-FP is over, but
    for want of room.

    Args:
        racers: of each algorithm a `Racer`, compiled.
        num_iterations: of DEDA-FP.
        tell: called with a line of text on what is being done.
    """
    pace = racers[_PACE]
    while True:
        running = {
            name: racer
            for name, racer in racers.items()
            if racer is pace or racer.num_iterations < _ROOM * num_iterations
        }
        name = min(running, key=lambda name: (running[name].seconds or [-1.0])[-1])
        if racers[name] is pace and pace.num_iterations == num_iterations:
            return
        racers[name].iterate()
        seconds, k = racers[name].seconds[-1], racers[name].num_iterations
        tell(f"{name}: {k} iterations in {seconds:.1f} s")


def last_within(racer: Any, budget: float) -> int:
    """Number of iterations that were done within `budget` seconds."""
    return int(np.searchsorted(racer.seconds, budget, side="right")) - 1


def exact_states(game: Any, num_agents: int, key: PRNGKeyArray) -> np.ndarray:
    """(T + 1, N) sorted states of many agents who play the exact equilibrium."""
    policy = game.equilibrium().policy
    crowd: Any = rollout_flow(game, policy, num_agents=num_agents, key=key)
    return np.sort(np.asarray(crowd.laws.states)[..., 0], -1)


def grid_states(game: Any, box: Mapping[str, Any], step: float, num_iterations: int) -> np.ndarray:
    """(T + 1, N) quantiles of the equilibrium on a fine grid, for a game on the line.

    Of `LocalEntropy` with its floor, which moves the equilibrium: exact numbers are those without.

    Args:
        game: the game.
        box: of the grid.
        step: of mirror descent.
        num_iterations: likewise.
    """
    grid = discretise(game, num_cells=_NUM_CELLS, num_actions=_NUM_ACTIONS, **box)
    solver = OnlineMirrorDescent(learning_rate=step)
    found = solve(grid, solver, num_iterations=num_iterations, key=jax.random.key(0))
    centres, width = (np.asarray(x)[..., 0] for x in (grid.cells.centres, grid.cells.width))
    edges = np.append(centres - width / 2, centres[-1] + width / 2)
    shares = np.cumsum(np.asarray(found.flow.states, np.float64), -1)
    places = (np.arange(_NUM_QUANTILES) + 0.5) / _NUM_QUANTILES
    return np.stack([np.interp(places, np.append(0, row / row[-1]), edges) for row in shares])


def distances(draws: np.ndarray, exact: np.ndarray) -> Any:
    """Wasserstein distance of order 1 between draws and the exact law, mean over t = 1..T.

    Args:
        draws: (*batch, T + 1, n), in any order.
        exact: (T + 1, N) sorted, N far more than n.
    """
    n = draws.shape[-1]
    places = ((np.arange(n) + 0.5) / n * exact.shape[-1]).astype(int)
    return np.abs(np.sort(draws, -1) - exact[:, places]).mean(-1)[..., 1:].mean(-1)


def _draws_in_time(racers: Mapping[str, Racer], sizes: Sizes, key: PRNGKeyArray) -> dict[str, int]:
    """How many states each algorithm draws while DEDA-FP draws `num_trajectories` at all times."""
    n, seconds = sizes.num_trajectories, {}
    for name, racer in racers.items():
        one = jax.tree.map(lambda leaf: leaf[0], racer.state)
        seconds[name] = median_seconds(
            lambda state, key, racer=racer: racer.draw(state, key, n), one, key, sizes.repeats
        )
    most = min(n, _NUM_DRAWS)
    return {
        name: int(np.clip(n * seconds[_PACE] / took, 1, most)) for name, took in seconds.items()
    }


def _rows(
    name: str,
    racers: Mapping[str, Any],
    exact: np.ndarray,
    shorter: Mapping[str, int],
    *,
    full: bool,
) -> list[Row]:
    budget = racers[_PACE].seconds[-1]
    last = {way: last_within(racer, budget) for way, racer in racers.items()}
    rows = [
        Row(f"{name}, {way}: iterations in the {budget:.0f} s of {_PACE}", None, float(k))
        for way, k in last.items()
    ]
    rng = np.random.default_rng(0)
    draws = {way: racer.draws[last[way]] for way, racer in racers.items()}
    for text, sample in (
        (f"{_NUM_DRAWS} draws", {way: distances(x, exact) for way, x in draws.items()}),
        (
            "draws of equal time",
            {way: _short(x, shorter[way], exact, rng) for way, x in draws.items()},
        ),
    ):
        what = f"{name}, {{}}: Wasserstein distance from the exact flow, {text}"
        least = min(float(sample[way].mean()) for way in sample)
        for way, values in sample.items():
            most = _MOST[name] * least if full and way == _PACE else None
            counted = what if text[0].isdigit() else f"{what} ({shorter[way]})"
            rows.append(Row.mean(counted.format(way), None, values, most))
    return rows


def _short(draws: np.ndarray, n: int, exact: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(M,) distances of n of the draws, mean over several choices."""
    found = []
    for _ in range(_REPEATS):
        # In no order: agents are grouped by what they play.
        chosen = rng.choice(draws.shape[-1], n, replace=False)
        found.append(distances(draws[..., chosen], exact))
    return np.mean(found, 0)


def picture(curves: Mapping[str, Mapping[str, tuple[list[float], np.ndarray]]]) -> Figure:
    """Distances (M, K + 1) against seconds (K + 1,): a panel a game, a line an algorithm."""
    figure, axes = new_figure(1, len(curves), 5.5 * len(curves), 4.0)
    for ax, (name, ways) in zip(axes[0], curves.items(), strict=True):
        for (way, (seconds, values)), colour in zip(ways.items(), PALETTE, strict=False):
            mean, spread = values.mean(0), values.std(0)
            ax.plot(seconds, mean, color=colour, label=way, marker="o", markersize=3)
            low = np.maximum(mean - spread, 0.1 * mean)
            ax.fill_between(seconds, low, mean + spread, color=colour, alpha=0.2, linewidth=0)
        ax.set(yscale="log", xlabel="seconds of learning", title=name)
        ax.set(ylabel="Wasserstein distance from the exact flow")
        ax.grid(True, which="major", color="0.9")
        ax.legend(frameon=False, fontsize="small")
    return figure
