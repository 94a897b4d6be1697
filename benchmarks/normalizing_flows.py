"""Fitting of time-conditioned normalizing flows: seconds of nashfield and of zuko.

Both fit neural spline flows by Adam to the same states of agents at 21 times, with the same number
of layers, bins, hidden units, states in a step, and steps, in single precision, and are measured in
turn. On the line a crowd starts uniform and gathers; in the plane the second coordinate follows the
first.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

import nashfield as nf
from _link import Peer
from nashfield.mean_fields.normalizing_flow import scaled_time

HERE = Path(__file__).parent
NUM_TIMES, NUM_AGENTS, NUM_HELD = 21, 20_000, 1000
CASES = {
    "line, 1 layer": {"dim": 1, "num_layers": 1, "num_bins": 16},
    "plane, 1 layer": {"dim": 2, "num_layers": 1, "num_bins": 16},
    "plane, 4 layers": {"dim": 2, "num_layers": 4, "num_bins": 8},
}
SHARED = {"width": 64, "depth": 2, "batch_size": 1024, "learning_rate": 3e-3}
TARGET = 2


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, default=HERE / ".peers")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    load, num_cpus = os.getloadavg()[0], len(os.sched_getaffinity(0))
    peer = Peer(options.peers / "bin" / "python", HERE / "_peer_zuko.py")
    versions = peer.ask("hello")
    print(f"zuko {versions['zuko']}, torch {versions['torch']}; {num_cpus} CPUs", end="; ")
    print(f"load before the start {load:.1f}; medians of {options.repeats}")
    print(f"seconds of {options.steps} steps of {SHARED['batch_size']} states")
    print(
        f"{'case':16} {'zuko':>8} {'ours':>8} {'ratio':>6} {'cpu ratio':>9} {'compile':>8} "
        f"{'loss: zuko':>11} ours"
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, case in CASES.items():
            case = {**case, **SHARED, "num_steps": options.steps}
            row = {"case": name, **measure(peer, case, options.repeats, num_cpus, Path(folder))}
            rows.append(row)
            print(f"{name:16} {row['zuko']:8.2f} {row['ours']:8.2f} {row['ratio']:5.1f}x", end=" ")
            print(f"{row['cpu_ratio']:8.1f}x {row['compile']:8.1f}", end=" ")
            print(f"{row['zuko_loss']:11.3f} {row['our_loss']:.3f}")
    peer.close()
    worst = min(row["ratio"] for row in rows)
    print(f"at least {worst:.1f} times as fast (target {TARGET})")
    if options.json:
        results = {"load": load, "versions": versions, "rows": rows, "worst_ratio": worst}
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def measure(peer: Peer, case: dict, repeats: int, num_cpus: int, folder: Path) -> dict:
    """Medians of seconds, measured in turn; theirs with the number of threads that suits it."""
    states = crowd(case.pop("dim"))
    train, held = states[:, NUM_HELD:], states[:, :NUM_HELD]
    file = str(folder / "states.npz")
    np.savez(
        file, train=train, held=held, times=np.asarray(scaled_time(np.arange(NUM_TIMES), NUM_TIMES))
    )
    peer.ask("prepare", file=file, case=case)
    threads = sorted({1, num_cpus})
    first = {n: peer.ask("measure", seed=0, num_threads=n)["seconds"] for n in threads}
    num_threads = min(first, key=lambda n: first[n])
    # One look at held-out states at the end, and no early stop: every step is taken.
    options = {**case, "look_every": case["num_steps"], "held_out": 1e-3}
    train = jax.numpy.asarray(train)
    compile_seconds = fit(train, held, options, 0)["seconds"]
    samples: dict[str, list[dict]] = {"zuko": [], "ours": []}
    for seed in range(1, repeats + 1):
        samples["zuko"].append(peer.ask("measure", seed=seed, num_threads=num_threads))
        samples["ours"].append(fit(train, held, options, seed))

    def median(side: str, what: str) -> float:
        return statistics.median(sample[what] for sample in samples[side])

    return {
        "zuko": median("zuko", "seconds"),
        "ours": median("ours", "seconds"),
        "ratio": median("zuko", "seconds") / median("ours", "seconds"),
        "cpu_ratio": median("zuko", "cpu") / median("ours", "cpu"),
        "compile": compile_seconds - median("ours", "seconds"),
        "zuko_loss": median("zuko", "loss"),
        "our_loss": median("ours", "loss"),
        "num_threads": num_threads,
        "samples": samples,
    }


def fit(train, held: np.ndarray, options: dict, seed: int) -> dict[str, float]:
    """Wall and CPU seconds of a fit, and the held-out loss after it."""
    begin, cpu = time.perf_counter(), time.process_time()
    flow = nf.fit_normalizing_flow(train, key=jax.random.key(seed), **options)
    jax.block_until_ready(flow.means)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    losses = [-float(np.mean(law.log_density(held[t]))) for t, law in enumerate(flow)]
    return {"seconds": seconds, "cpu": cpu, "loss": statistics.mean(losses)}


def crowd(dim: int) -> np.ndarray:
    """States (21, N, D) of a crowd that starts uniform on [-1, 1] and gathers at one half."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, NUM_AGENTS)
    states = []
    for _ in range(NUM_TIMES):
        y = 0.5 * np.sin(3 * x) + 0.1 * rng.standard_normal(NUM_AGENTS)
        states.append(np.stack([x, y], -1)[:, :dim])
        x = 0.75 * x + 0.125 + 0.05 * rng.standard_normal(NUM_AGENTS)
    return np.stack(states).astype(np.float32)


if __name__ == "__main__":
    main()
