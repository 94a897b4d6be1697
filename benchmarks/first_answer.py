"""First answer: seconds from the shell to a solved game, beside a fresh mfglib process.

Ours: `nashfield solve rock-paper-scissors --no-plots` with a warm compilation cache. Theirs: the
example of mfglib's README without its picture, in a fresh interpreter. Both alternate; medians.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
GAME = "rock-paper-scissors"
# What the README of mfglib 0.3.0 shows, up to where it draws.
THEIRS = """
from mfglib.alg import MFOMO
from mfglib.env import Environment
from mfglib.scoring import exploitability_score
game = Environment.rock_paper_scissors()
policies, _, _ = MFOMO().solve(game, max_iter=300, verbose=True)
exploitability_score(game, policies)
"""


def main() -> None:
    """Times both and prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, default=HERE / ".peers", help="their environment")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    command = [str(Path(sys.executable).parent / "nashfield"), "solve", GAME, "--no-plots"]
    theirs = [str(options.peers / "bin" / "python"), "-c", THEIRS]
    seconds(command), seconds(theirs)  # fills our compilation cache, and both file caches
    ours_seconds, their_seconds = [], []
    for _ in range(options.repeats):
        ours_seconds.append(seconds(command))
        their_seconds.append(seconds(theirs))
    ours, other = statistics.median(ours_seconds), statistics.median(their_seconds)
    print(f"nashfield solve {GAME} --no-plots: {ours:.2f} s (target 1.5)")
    print(f"mfglib's README example: {other:.2f} s")
    print(f"ratio theirs / ours: {other / ours:.2f} (target 2)")
    if options.json:
        numbers = {"ours": ours_seconds, "theirs": their_seconds, "ratio": other / ours}
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")


def seconds(command: list[str]) -> float:
    """Wall seconds of a process, in an empty folder.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        elapsed = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stderr}")
    return elapsed


if __name__ == "__main__":
    main()
