"""Reinforcement learning: nashfield's PPO and SAC beside those of stable-baselines3.

One agent against the exact equilibrium flow of the linear-quadratic game; equal networks,
minibatches and epochs, both sides measured in turn in one run. See README.md beside this file.
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
from _link import Peer

HERE = Path(__file__).parent
ENVS, HORIZON = 128, 20
# Of PPO: as many epochs and minibatches on both sides. Theirs counts rows of a minibatch.
EPOCHS, MINIBATCHES = 4, 8
BATCH = 256  # of SAC
PPO = {
    "n_steps": HORIZON,
    "n_epochs": EPOCHS,
    "batch_size": ENVS * HORIZON // MINIBATCHES,
    "gamma": 1.0,
    "learning_rate": 1e-3,
}
SAC = {"gradient_steps": ENVS, "batch_size": BATCH, "gamma": 1.0, "learning_starts": ENVS}
# Name, learner, widths, their environments (None: one, the adapter), their options, decisions that
# a measurement of theirs takes, rounds of ours, and how many times as fast ours should be.
CASES = (
    ("PPO 64 x 64", "PPO", [64, 64], ENVS, PPO, 20, 200, 4.0),
    ("PPO 2 x 256", "PPO", [256, 256], ENVS, PPO, 6, 20, 1.5),
    ("PPO as shipped, on the adapter", "PPO", [64, 64], None, {}, 2, 200, 20.0),
    ("SAC 64 x 64", "SAC", [64, 64], ENVS, SAC, 6, 2, 5.0),
    ("SAC 2 x 256", "SAC", [256, 256], ENVS, SAC, 4, 1, 1.8),
)


def main() -> None:
    """Compares, measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, default=HERE / ".peers", help="their environment")
    parser.add_argument("--repeats", type=int, default=3, help="medians are over so many")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    options = parser.parse_args()
    results: dict[str, Any] = {"load before": os.getloadavg()[0]}
    source = str(HERE.parent / "src")
    theirs = Peer(options.peers / "bin" / "python", HERE / "_peer_sb3.py", {"PYTHONPATH": source})
    ours = Peer(sys.executable, HERE / "_nashfield_learners.py")
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/game.npz"
        ours.ask("constants", file=file)
        results["peer"] = theirs.ask("load", file=file)
    print(results["peer"], f"load {results['load before']:.1f}", flush=True)
    results["rows"] = []
    for case in CASES:
        results["rows"].append(measured(ours, theirs, case, options.repeats))
        print(results["rows"][-1], flush=True)
    ours.close()
    theirs.close()
    results["load after"] = os.getloadavg()[0]
    print_rows(results["rows"])
    print(f"load {results['load before']:.1f} before, {results['load after']:.1f} after")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def measured(ours: Peer, theirs: Peer, case: tuple, repeats: int) -> dict[str, Any]:
    """Both sides of one case in turn; theirs with one thread and with all, the faster counts."""
    name, learner, hidden, num_envs, settings, their_rounds, our_rounds, target = case
    mine: dict[str, Any] = {"num_updates": our_rounds, "num_envs": ENVS, "hidden": hidden}
    if learner == "PPO":
        mine |= {"num_epochs": EPOCHS, "num_minibatches": MINIBATCHES}
    else:
        # One step of Adam for each decision, as theirs.
        mine |= {"num_steps": ENVS * HORIZON, "batch_size": BATCH}
    unit = "steps" if learner == "PPO" else "updates"
    amount = their_rounds * (
        2048 if num_envs is None else ENVS * (HORIZON if learner == "PPO" else 1)
    )
    ours.ask("prepare", learner=learner, options=mine, amount=unit)
    threads = sorted({1, os.cpu_count() or 1})
    samples: dict[str, list[float]] = {"ours": [], **{f"theirs, {n}": [] for n in threads}}
    for repeat in range(repeats):
        for n in threads:
            theirs.ask(
                "prepare",
                algorithm=learner,
                num_envs=num_envs,
                hidden=hidden,
                options=settings,
                amount=amount,
                num_threads=n,
            )
            samples[f"theirs, {n}"].append(theirs.ask("measure"))
        samples["ours"].append(ours.ask("measure", seed=repeat))
    medians = {key: statistics.median(values) for key, values in samples.items()}
    best = max(value for key, value in medians.items() if key != "ours")
    row = {"case": name, "unit": unit, "target": target, "medians": medians, "samples": samples}
    return {**row, "ratio": medians["ours"] / best}


def print_rows(rows: list[dict]) -> None:
    """One line a case."""
    table = [
        (
            row["case"],
            row["unit"],
            *(f"{value:,.0f}" for value in row["medians"].values()),
            f"{row['ratio']:.1f}",
            f"{row['target']:g}",
        )
        for row in rows
    ]
    peers = [f"{key} threads" for key in rows[0]["medians"] if key != "ours"]
    header = ("case", "a second", "ours", *peers, "ratio", "target")
    _report.table("nashfield beside stable-baselines3", header, table)


if __name__ == "__main__":
    main()
