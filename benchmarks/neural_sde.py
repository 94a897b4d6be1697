"""Training of a neural mean-field game: steps a second of nashfield and of torchsde.

Both train the same networks of drift and diffusion through the same Euler steps of the same crowds,
with noise of every agent, in single precision, and are measured in turn. See README.md beside this
file.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import _report
from _link import Peer, PeerError

HERE = Path(__file__).parent
SETTINGS: dict[str, Any] = {
    "num_crowds": 10,
    "num_agents": 42,
    "num_steps": 30,  # of Euler's method
    "hidden": [32, 32],
    "learning_rate": 1e-2,
    "length": 50,  # steps of training that are measured at a time
    "total": 10_000,
}
FORMS: dict[str, dict[str, Any]] = {
    "sdeint": {"noise": "interval"},
    "sdeint, dt known to the noise": {"noise": "hinted"},
    "sdeint_adjoint": {"noise": "interval", "adjoint": True},
    "sdeint, noise as one array": {"noise": "rows"},
    "sdeint, compiled": {"noise": "interval", "compiled": True},
    "sdeint, compiled, noise as one array": {"noise": "rows", "compiled": True},
}
# Forms that are torchsde alone: its solver, its gradients, its noise.
SHIPPED = list(FORMS)[:3]
TARGET = 3
CLOSE = 1e-3


def main() -> None:
    """Compares, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, default=HERE / ".peers", help="their environment")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write all numbers here")
    options = parser.parse_args()
    num_cpus, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        results = compare(
            options.peers / "bin" / "python", options.repeats, num_cpus, Path(folder) / "first.npz"
        )
    results |= {"settings": SETTINGS, "load": (load, os.getloadavg()[0]), "num_cpus": num_cpus}
    print_results(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def compare(python: Path, repeats: int, num_cpus: int, file: Path) -> dict[str, Any]:
    """Agreement, numbers of threads, and all samples."""
    threads = sorted({1, num_cpus})
    # XLA asks the environment how many threads it may have.
    sides = {
        n: Peer(sys.executable, HERE / "_nashfield_sde.py", {"NPROC": str(n)}) for n in threads
    }
    game = {n: side.ask("prepare", settings=SETTINGS) for n, side in sides.items()}
    trials = {n: side.ask("measure")["wall"] for n, side in sides.items()}
    ours = sides[fastest(trials)]
    compile_seconds = game[fastest(trials)].pop("compile")
    print(f"ours, ms a step by threads: {milli(trials)}", flush=True)
    ours.ask("first_step", file=str(file))
    peer = Peer(python, HERE / "_peer_torchsde.py")
    versions = peer.ask("hello")
    peer.ask("prepare", file=str(file), settings=SETTINGS, game=game[fastest(trials)])
    agreement = peer.ask("agreement")
    print("differences of the first step of training:", agreement, flush=True)
    if max(agreement.values()) > CLOSE:
        raise SystemExit("the two sides do not compute the same")
    length, first, chosen = SETTINGS["length"], {}, {}
    for name, form in list(FORMS.items()):
        try:
            found = {n: peer.ask("measure", form=form, num_threads=n, length=5) for n in threads}
        except PeerError as error:
            print(f"{name}: n/a, {error}".splitlines()[0])
            continue
        walls = {n: found[n]["wall"] for n in threads}
        # What is compiled for one number of threads serves the other.
        chosen[name], first[name] = fastest(walls), max(row["first"] for row in found.values())
        print(f"{name}, ms a step by threads: {milli(walls)}", flush=True)
    samples: dict[str, list[dict]] = {name: [] for name in (*chosen, "ours")}
    for _ in range(repeats):
        for name, num_threads in chosen.items():
            ask = {"form": FORMS[name], "num_threads": num_threads, "length": length}
            samples[name].append(peer.ask("measure", **ask))
            samples["ours"].append(ours.ask("measure"))
    for worker in (peer, *sides.values()):
        worker.close()
    return {
        "versions": versions,
        "agreement": agreement,
        "threads": {**chosen, "ours": fastest(trials)},
        "first": {**first, "ours": compile_seconds},
        "samples": samples,
    }


def fastest(seconds: dict[int, float]) -> int:
    """The number of threads with the fewest seconds."""
    return min(seconds, key=lambda n: seconds[n])


def milli(seconds: dict[int, float]) -> dict[int, float]:
    """Milliseconds, to be read."""
    return {n: round(1e3 * value, 1) for n, value in seconds.items()}


def print_results(results: dict[str, Any]) -> None:
    """Medians, ratios, and what they should be."""
    median = {
        name: {what: statistics.median(row[what] for row in found) for what in ("wall", "cpu")}
        for name, found in results["samples"].items()
    }
    ours, rows, ratios = median["ours"], [], {}
    for name, found in median.items():
        ratios[name] = {what: found[what] / ours[what] for what in found}
        rows.append(
            (
                name,
                str(results["threads"][name]),
                f"{1 / found['wall']:.1f}",
                f"{1e3 * found['wall']:.1f}",
                f"{1e3 * found['cpu']:.1f}",
                f"{results['first'][name]:.1f}",
                *(f"{ratios[name][what]:.2f}x" for what in ("wall", "cpu")),
            )
        )
    header = ("", "threads", "steps/s", "ms", "CPU ms", "first s", "ratio", "CPU ratio")
    versions, load = results["versions"], results["load"]
    title = f"torchsde {versions['torchsde']}, torch {versions['torch']}: a step of training"
    _report.table(f"{title}, medians", header, rows)
    for what, names in {
        "torchsde as it is": [name for name in SHIPPED if name in ratios],
        "its fastest form": [name for name in ratios if name != "ours"],
    }.items():
        name = min(names, key=lambda name: ratios[name]["wall"])
        print(f"{ratios[name]['wall']:.1f} times as fast as {what} ({name};", end=" ")
        print(f"{ratios[name]['cpu']:.1f} by CPU time; target {TARGET})")
    print(f"{results['num_cpus']} CPUs; load {load[0]:.1f} before, {load[1]:.1f} after")
    results["ratios"] = ratios


if __name__ == "__main__":
    main()
