"""Stationary games: nashfield beside bench-mfg-suite.

Mirror descent with the exploitability of every iterate, on four rooms and on the mean-field Garnet.
Both sides are measured in turn in one run, after what they compute has been compared. See README.md
beside this file.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import _report
from _link import Peer

HERE = Path(__file__).parent
# Per case: the peer's configuration, states and actions, iterations of theirs and of ours that are
# timed at once, and the residual that counts as settled.
CASES = {
    "rooms": ("four_rooms_obstacles", (121, 5), 100, 100, 1e-6),
    "smooth": ("mf_garnet", (100, 6), 2, 8, 1e-5),
    "quantised": ("mf_garnet", (100, 6), 2, 4, None),
}
RATE, TEMPERATURE = 0.005, 0.2  # the peer's defaults; together a learning rate of .025
SHIPPED_PUSHES = 20 + 50  # of its crowd in one iteration
CLOSE = 1e-6


def main() -> None:
    """Compares, measures, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, default=HERE / ".peers", help="their environment")
    parser.add_argument("--repeats", type=int, default=3, help="medians are over so many")
    parser.add_argument("--json", type=Path, help="write all numbers here")
    options = parser.parse_args()
    one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    python = options.peers / "bin" / "python"
    results: dict[str, Any] = {"load before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        workers = {}
        for name, script, runs in (
            ("theirs", "_peer_benchmfg.py", python),
            ("ours", "_nashfield_stationary.py", sys.executable),
        ):
            for bits, flag in (("64", "1"), ("32", "0")):
                variables = {**one, "JAX_ENABLE_X64": flag}
                workers[name + bits] = Peer(runs, HERE / script, variables)
        results["versions"] = workers["theirs32"].ask("hello")
        print(results["versions"], f"load {results['load before']:.1f}", flush=True)
        results["rows"] = [row for name in CASES for row in case(workers, name, options, folder)]
        for worker in workers.values():
            worker.close()
    results["load after"] = os.getloadavg()[0]
    print_rows(results["rows"])
    print(f"load {results['load after']:.1f}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def case(workers: dict[str, Peer], name: str, options: Any, folder: str) -> list[dict]:
    """Compares and measures one case."""
    config, shape, their_length, our_length, settled = CASES[name]
    start, constants = f"{folder}/start.npz", f"{folder}/constants.npz"
    # Away from the uniform policy, which is the equilibrium of the rooms.
    weights = np.exp(np.random.default_rng(0).uniform(-1, 1, shape))
    np.savez(start, policy=weights / weights.sum(-1, keepdims=True))
    theirs = [workers[k] for k in ("theirs64", "theirs32")]
    ours = {k: workers[k] for k in ("ours64", "ours32")}
    ask = {"name": config, "start": start, "learning_rate": RATE, "temperature": TEMPERATURE}
    size, _ = (worker.ask("load", **ask, file=constants) for worker in theirs)
    ask = {"name": name, "file": constants, "policy": start, "settling_steps": SHIPPED_PUSHES}
    for worker in ours.values():
        worker.ask("load", **ask, learning_rate=RATE / TEMPERATURE)
    differences = agreement(theirs[0], workers["ours64"], name, folder)
    print(f"{name}: differences", {k: f"{v:.1e}" for k, v in differences.items()}, flush=True)
    about = {k: w.ask("prepare", length=our_length) for k, w in ours.items()}
    # As shipped; and, on the rooms, with as many pushes as settle its crowd like ours.
    amounts: list[int | None] = [None]
    peer = theirs[1]
    if name == "rooms":
        amounts.append(enough_pushes(peer, size["backups"] + 1, their_length, settled))
    rows = []
    for num_pushes in amounts:
        peer.ask("tune", num_pushes=num_pushes, horizon=size["backups"] + 1)
        peer.ask("cost", length=1)  # compiles
        samples: dict[str, list] = {"theirs": [], **{k: [] for k in ours}}
        for _ in range(options.repeats):
            samples["theirs"].append(peer.ask("cost", length=their_length))
            for key, worker in ours.items():
                samples[key].append(worker.ask("cost"))
        cost = {
            key: {kind: statistics.median(s[kind] for s in sample) for kind in ("cpu", "wall")}
            for key, sample in samples.items()
        }
        rows.append(
            {
                "case": name,
                "pushes": "20 + 50" if num_pushes is None else f"{num_pushes} + {num_pushes}",
                "their residual": peer.ask("residual", length=their_length),
                "differences": differences,
                "agrees": max(differences.values()) <= CLOSE,
                "ours": about,
                "cost": cost,
                "samples": samples,
            }
        )
    return rows


def agreement(theirs: Peer, ours: Peer, name: str, folder: str) -> dict[str, float]:
    """Largest differences in double precision, with the peer's crowd settled and values complete.

    The smooth Garnet cannot be run by the peer: transitions are compared with the distribution
    that its quantised ones are drawn from. The quantised crowd does not settle; compared is what
    comes of its first 70 pushes.
    """
    mine, his = f"{folder}/ours.npz", f"{folder}/theirs.npz"
    length = 3 if name == "rooms" else 1
    theirs.ask("tune", num_pushes=4000 if name == "rooms" else None, horizon=400)
    theirs.ask("facts", length=length, file=his)
    ours.ask("facts", at=his, length=length, file=mine)
    with np.load(mine) as a, np.load(his) as b:
        a, b = dict(a), dict(b)
    if name == "smooth":
        return {
            "table": float(np.abs(a["table"] - b["smooth"]).max()),
            "reward": float(np.abs(a["reward"] - b["reward"]).max()),
        }
    found = {k: float(np.abs(a[k] - b[k]).max()) for k in ("table", "reward", "values")}
    if name == "rooms":
        for key in ("policies", "mean_fields"):
            found[key] = float(np.abs(a[key] - b[key])[:, _free(a["mean_fields"])].max())
        found["exploitability"] = float(np.abs(a["exploitability"] - b["exploitability"]).max())
    else:
        found["exploitability"] = float(abs(a["exploitability"][0] - b["exploitability"][0]))
    return found


def _free(mean_fields: np.ndarray) -> np.ndarray:
    """Where anybody is."""
    return mean_fields.max(0) > 0


def enough_pushes(peer: Peer, horizon: int, length: int, settled: float) -> int:
    """How many pushes, to the next fifty, settle the peer's crowd."""
    for num_pushes in range(150, 2000, 50):
        peer.ask("tune", num_pushes=num_pushes, horizon=horizon)
        if peer.ask("residual", length=length) <= settled:
            return num_pushes
    raise RuntimeError("the peer's crowd does not settle")


def print_rows(rows: list[dict]) -> None:
    """One line for each case and each of our precisions."""
    table = []
    for row in rows:
        theirs = row["cost"]["theirs"]
        for key in ("ours64", "ours32"):
            cost, about = row["cost"][key], row["ours"][key]
            table.append(
                (
                    row["case"],
                    row["pushes"],
                    "float" + key[-2:],
                    "yes" if row["agrees"] else "NO",
                    f"{theirs['cpu'] * 1e6:.0f}",
                    f"{cost['cpu'] * 1e6:.0f}",
                    f"{theirs['cpu'] / cost['cpu']:.1f}",
                    f"{theirs['wall'] / cost['wall']:.1f}",
                    f"{row['their residual']:.0e}",
                    f"{about['residual']:.0e}",
                    about["result"],
                )
            )
    header = ("case", "their pushes", "ours in", "agrees", "theirs CPU us", "ours CPU us", "ratio",
              "wall ratio", "their residual", "our residual", "our result")  # fmt: skip
    _report.table("Mirror descent beside bench-mfg-suite, one iteration", header, table)


if __name__ == "__main__":
    main()
