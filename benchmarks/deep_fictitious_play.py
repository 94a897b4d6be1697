"""Deep fictitious play: nashfield beside the same algorithm on stable-baselines3.

Learnt best responses to the crowd of all best responses so far, in the linear-quadratic game; equal
networks, updates and crowds, both sides measured in turn in one run. See README.md beside this
file.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import _report
from _link import Peer

HERE = Path(__file__).parent
NUM_SEEDS, FIRST_UPDATES, LATER_UPDATES = 4, 200, 50
SETTINGS: dict[str, Any] = {
    "num_envs": 128,
    "num_epochs": 4,
    "num_minibatches": 8,
    "batch_size": 320,  # 128 environments of 20 decisions in 8 parts
    "hidden": [64, 64],
    "learning_rate": 2e-3,
    "trace": 0.95,
    "log_sd": -2.0,
    "num_agents": 10_000,
}
TARGET = 4.0
# States at which policies are written down to be judged; agents hardly ever are beyond.
POINTS = np.linspace(-4, 4, 801)
NUM_JUDGES = 20_000


def main() -> None:
    """Plays, measures, judges, and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, default=HERE / ".peers", help="their environment")
    parser.add_argument("--iterations", type=int, default=4, help="the first one is not timed")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        results = play(options.peers / "bin" / "python", options.iterations, Path(folder))
    results["load"] = load, os.getloadavg()[0]
    print_results(results, options.iterations)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def play(python: Path, num_iterations: int, folder: Path) -> dict[str, Any]:
    """All iterations of all sides, one side after the other in each."""
    file, num_cpus = str(folder / "game.npz"), os.cpu_count() or 1
    ours = Peer(sys.executable, HERE / "_nashfield_play.py")
    ours.ask("constants", file=file)
    updates = [FIRST_UPDATES] + [LATER_UPDATES] * (num_iterations - 1)
    compilation = ours.ask(
        "begin",
        settings=SETTINGS,
        num_seeds=NUM_SEEDS,
        first=FIRST_UPDATES,
        later=LATER_UPDATES,
        capacity=num_iterations,
    )
    settings = {"file": file, "settings": SETTINGS}
    trial = Peer(python, HERE / "_peer_sb3_play.py")
    trials = {n: trial.ask("trial", num_threads=n, **settings) for n in sorted({1, num_cpus})}
    trial.close()
    num_threads = min(trials, key=lambda n: trials[n])
    print(f"theirs, seconds of a short training by threads: {trials}", flush=True)
    # Processes of theirs, and threads of each.
    shares = {"1 process": (1, num_threads), f"{num_cpus} processes": (num_cpus, 1)}
    sides = {}
    for name, (num_processes, threads) in shares.items():
        sides[name] = [Peer(python, HERE / "_peer_sb3_play.py") for _ in range(num_processes)]
        for index, worker in enumerate(sides[name]):
            seeds = list(range(NUM_SEEDS))[index::num_processes]
            torch = worker.ask("begin", seeds=seeds, num_threads=threads, **settings)
    sides["ours"] = [ours]
    seconds: dict[str, list[dict]] = {name: [] for name in sides}
    for num_updates in updates:
        for name, workers in sides.items():
            seconds[name].append(together(workers, num_updates))
        print({name: round(found[-1]["wall"], 2) for name, found in seconds.items()}, flush=True)
    constants = dict(np.load(file))
    gaps = {
        "theirs": judged(sides["1 process"], constants, folder),
        "ours": judged([ours], constants, folder),
    }
    for worker in (worker for workers in sides.values() for worker in workers):
        worker.close()
    return {
        "torch": torch,
        "threads": num_threads,
        "seconds": seconds,
        "compilation": compilation,
        "gaps": gaps,
    }


def together(workers: list[Peer], num_updates: int) -> dict[str, float]:
    """Wall and CPU seconds of one iteration of processes that work at the same time."""

    def ask(worker: Peer) -> float:
        return worker.ask("iterate", num_updates=num_updates)

    start = time.perf_counter()
    with ThreadPoolExecutor(len(workers)) as pool:
        cpu = sum(pool.map(ask, workers))
    return {"wall": time.perf_counter() - start, "cpu": cpu}


def judged(workers: list[Peer], constants: dict, folder: Path) -> list[float]:
    """Exploitability of the mixture of each seed."""
    found = []
    for worker in workers:
        file = str(folder / "actions.npz")
        worker.ask("tables", file=file, points=POINTS.tolist())
        with np.load(file) as arrays:
            numbers = {name: value.item() for name, value in constants.items()}
            found += [exploitability(numbers, members) for members in arrays["actions"]]
    return found


def exploitability(c: dict[str, float], members: np.ndarray) -> float:
    """What an exact best response gains on a mixture of policies; both meet the same chance.

    Args:
        c: the game's numbers.
        members: (K, T, points) actions of each policy at `POINTS`.
    """
    rng, horizon = np.random.default_rng(0), members.shape[1]
    start = c["initial_variance"] ** 0.5 * rng.standard_normal(NUM_JUDGES)
    noise = rng.standard_normal((horizon, NUM_JUDGES))
    groups = np.array_split(np.arange(NUM_JUDGES), len(members))

    def mixture(t: int, x: np.ndarray) -> np.ndarray:
        parts = zip(members[:, t], groups, strict=True)
        return np.concatenate([np.interp(x[group], POINTS, member) for member, group in parts])

    cost, means = lived(c, mixture, start, noise, None)
    gains = best_response(c, means)
    best, _ = lived(c, lambda t, x: -gains[t][0] * x - gains[t][1], start, noise, means)
    return float(np.mean(cost - best))


def lived(
    c: dict[str, float], act: Any, x: np.ndarray, noise: np.ndarray, means: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Cost of each agent, and the means (T,) of the crowd: their own, where none is given."""
    cost, seen = np.zeros_like(x), []
    for t in range(len(noise)):
        m, a = x.mean() if means is None else means[t], act(t, x)
        seen.append(m)
        cost += c["c_x"] * (x - c["target"]) ** 2 + c["c_a"] * a**2 + c["c_m"] * (x - m) ** 2
        x = c["A"] * x + c["B"] * a + c["A_bar"] * m + c["sigma"] * noise[t]
    return cost, np.array(seen)


def best_response(c: dict[str, float], means: np.ndarray) -> list[tuple[float, float]]:
    """K and k of a = -K x - k at each time, by Riccati's recursion."""
    P = s = 0.0
    found = []
    for m in means[::-1]:
        drift, scale = c["A_bar"] * m, c["c_a"] + c["B"] ** 2 * P
        K, k = c["B"] * P * c["A"] / scale, c["B"] * (P * drift + s) / scale
        loop = c["A"] - c["B"] * K
        s = loop * (P * drift + s) - c["c_x"] * c["target"] - c["c_m"] * m
        P = c["c_x"] + c["c_m"] + c["A"] * P * loop
        found.append((K, k))
    return found[::-1]


def print_results(results: dict[str, Any], num_iterations: int) -> None:
    """Seconds, ratios, and what was learnt."""
    rows, later = [], {}
    for name, found in results["seconds"].items():
        later[name] = {
            unit: statistics.median(row[unit] for row in found[1:]) for unit in ("wall", "cpu")
        }
        numbers = found[0]["wall"], *later[name].values()
        rows.append((name, *(f"{number:.2f}" for number in numbers)))
    title = f"Seconds of an iteration of {NUM_SEEDS} seeds (medians of {num_iterations - 1})"
    header = "", f"first, {FIRST_UPDATES} updates", f"later, {LATER_UPDATES} updates", "CPU, later"
    _report.table(title, header, rows)
    print(f"ours compiles in {results['compilation']:.0f} s")
    after = num_iterations
    for side, gaps in results["gaps"].items():
        text = f"exploitability after {after} iterations, {side}: {statistics.mean(gaps):.4f}"
        print(f"{text} ({min(gaps):.4f} to {max(gaps):.4f})")
    for name in later.keys() - {"ours", "1 process"}:
        print(f"{later[name]['wall'] / later['ours']['wall']:.1f} times as fast as {name}")
    ratio, cpu = (later["1 process"][unit] / later["ours"][unit] for unit in ("wall", "cpu"))
    print(f"{ratio:.1f} times as fast as one process (target {TARGET:g})", end="; ")
    print(f"{cpu:.1f} times by CPU time", end="; ")
    print(f"load {results['load'][0]:.1f} before, {results['load'][1]:.1f} after")


if __name__ == "__main__":
    main()
