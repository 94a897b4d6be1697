"""What the sections of finite_games.py share: options, workers, alternation."""

import argparse
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from _cases import Arrays, Case, Setting
from _link import Peer
from nashfield.games.base import FiniteGame

HERE = Path(__file__).parent


class Bench:
    """What one run shares: its options, the workers, a folder for arrays."""

    def __init__(self, options: argparse.Namespace, folder: Path):
        """Starts the workers."""
        self.options, self.folder = options, folder
        self.num_cpus = os.cpu_count() or 1
        python = options.peers / "bin" / "python"
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.num_cpus))
        self.mfglib = Peer(python, HERE / "_peer_mfglib.py", threads)
        self.open_spiel = Peer(python, HERE / "_peer_open_spiel.py", threads)
        self.ours = {
            precision: Peer(sys.executable, HERE / "_nashfield.py", {"JAX_ENABLE_X64": flag})
            for precision, flag in (("float64", "1"), ("float32", "0"))
        }
        self.repeats = 1 if options.quick else options.repeats
        self.scale = 0.1 if options.quick else 1.0
        self.budget = 0.2 if options.quick else 1.0
        self.length = 3 if options.quick else 10

    def load_mfglib(self, case: Case, precision: str) -> tuple[FiniteGame, Arrays]:
        """The game on both sides, and what mfglib drew at random for it."""
        file = str(self.folder / "game.npz")
        self.mfglib.ask(
            "load", name=case.peer_name, options=case.options, precision=precision, file=file
        )
        with np.load(file) as arrays:
            draws = dict(arrays)
        return case.make(draws), draws

    def load_open_spiel(self, case: Case) -> tuple[FiniteGame, Arrays]:
        """The game on both sides, and the tables read off open_spiel's states."""
        file = str(self.folder / "spiel.npz")
        self.open_spiel.ask("load", name=case.peer_name, options=case.options, file=file)
        with np.load(file) as arrays:
            tables = dict(arrays)
        return case.make(tables), tables

    def chosen(self, cases: tuple[Case, ...]) -> list[Case]:
        """The games that the options ask for."""
        names = self.options.games
        return [c for c in cases if not names or any(c.label.startswith(n) for n in names)]

    def versions(self) -> dict:
        """Of the peers, and how many CPUs there are."""
        return {**self.mfglib.ask("hello"), **self.open_spiel.ask("hello")}

    def close(self) -> None:
        """Ends the workers."""
        self.mfglib.close()
        self.open_spiel.close()
        for worker in self.ours.values():
            worker.close()

    def alternate(
        self, case: Case, solver: Setting, arrays: Arrays, theirs: Callable[[], float]
    ) -> dict:
        """Medians of CPU seconds an iteration, measured in turn, with their ratio.

        Args:
            case: the game.
            solver: ours.
            arrays: what our game is built from, and the "policy" to start from, if not uniform.
            theirs: measures the peer.
        """
        file = str(self.folder / "ours.npz")
        np.savez(file, **arrays)
        ask = {"label": case.label, "algorithm": solver.algorithm, "options": solver.options}
        ready = [
            worker.ask("prepare", **ask, file=file, scale=self.scale)
            for worker in self.ours.values()
        ]
        samples: dict[str, list[float]] = {"theirs": [], "float64": [], "float32": []}
        for _ in range(self.repeats):
            samples["theirs"].append(theirs())
            for precision, worker in self.ours.items():
                samples[precision].append(worker.ask("measure"))
        cost = {name: statistics.median(sample) for name, sample in samples.items()}
        ratio = cost["theirs"] / max(cost["float64"], cost["float32"])
        return {**cost, "ratio": ratio, "compile": ready[0]["compile"], "samples": samples}
