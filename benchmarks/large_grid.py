"""Scale: mirror descent on a grid of 300 x 300 cells over a horizon of 100, in single precision.

Prints CPU milliseconds an iteration (its exploitability included), the peak memory of the process,
and the share of the machine's memory bandwidth that the iteration uses. The bandwidth is that of a
triad a = b + s * c on arrays far larger than the caches, measured in the same run on all CPUs.
"""

import argparse
import json
import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

import nashfield as nf
from nashfield.solve import solve

# The least that an iteration has to move, in arrays of (T, S) numbers: the forward pass reads the
# summed values that stand for the policy and writes the flow (2); the backward pass reads the flow,
# the sums and their compensation, and writes the last two anew (5). What stays within one time step
# stays in cache.
ARRAYS_MOVED = 7


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--horizon", type=int, default=100)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    bandwidth = triad_bandwidth()
    base = peak_bytes()
    game = nf.games.GridNavigation(options.size, options.size, horizon=options.horizon)
    solver = nf.OnlineMirrorDescent(learning_rate=0.1)
    clock, compile_seconds = {}, {}
    for length in (options.iterations, 2 * options.iterations):
        begin = time.perf_counter()
        jax.block_until_ready(solve(game, solver, num_iterations=length).history)
        compile_seconds[length] = time.perf_counter() - begin
        cpu, wall = time.process_time(), time.perf_counter()
        # Only the history is kept: two solutions at once would count twice in the peak.
        history = jax.block_until_ready(solve(game, solver, num_iterations=length).history)
        clock[length] = np.array([time.process_time() - cpu, time.perf_counter() - wall])
    cpu, wall = (clock[2 * options.iterations] - clock[options.iterations]) / options.iterations
    compiling = compile_seconds[options.iterations] - clock[options.iterations][1]
    moved = ARRAYS_MOVED * options.horizon * game.num_states * 4
    results = {
        "states": game.num_states,
        "actions": game.num_actions,
        "horizon": options.horizon,
        "cpu_ms": 1e3 * cpu,
        "wall_ms": 1e3 * wall,
        "compile_seconds": compiling,
        "peak_bytes": peak_bytes(),
        "peak_bytes_before": base,
        "bandwidth_bytes": bandwidth,
        "moved_bytes": moved,
        "bandwidth_share": moved / wall / bandwidth,
        "exploitability": np.asarray(history["exploitability"], float).tolist(),
    }
    print(f"{game.num_states} states, {game.num_actions} actions, horizon {options.horizon}")
    print(f"{1e3 * cpu:.0f} CPU ms an iteration (target 250), {1e3 * wall:.0f} ms wall")
    print(f"compilation {compiling:.1f} s")
    print(f"peak memory {results['peak_bytes'] / 1e9:.2f} GB (target 1), {base / 1e9:.2f} before")
    share = f"{100 * results['bandwidth_share']:.1f}% of the triad's {bandwidth / 1e9:.1f} GB/s"
    print(f"at least {moved / 1e6:.0f} MB moved an iteration: {share}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def peak_bytes() -> int:
    """Largest resident memory of the process so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def triad_bandwidth(num_entries: int = 8_000_000, repeats: int = 5) -> float:
    """Bytes a second of a = b + s * c, three arrays touched, the best of `repeats`.

    NumPy does it in two operations on blocks that fit the cache, one thread a CPU.
    """
    b, c = np.ones(num_entries, np.float32), np.ones(num_entries, np.float32)
    a = np.empty_like(b)
    num_cpus = len(os.sched_getaffinity(0))
    edges = np.linspace(0, num_entries, num_cpus + 1).astype(int)

    def work(k: int) -> None:
        for start in range(edges[k], edges[k + 1], 16_384):
            block = slice(start, min(start + 16_384, edges[k + 1]))
            np.multiply(c[block], np.float32(3), out=a[block])
            np.add(a[block], b[block], out=a[block])

    best = 0.0
    with ThreadPoolExecutor(num_cpus) as pool:
        for _ in range(repeats):
            begin = time.perf_counter()
            list(pool.map(work, range(num_cpus)))
            best = max(best, 3 * a.nbytes / (time.perf_counter() - begin))
    return best


if __name__ == "__main__":
    main()
