"""`auto` untuned: the zoo at its defaults, susceptible-infected at six horizons, random classes.

Prints for every game the relative exploitability (to the uniform policy's) that `auto` reached, and
the seconds after compilation that it took to 1e-3 and to 1e-4; for each random class and coupling
how many of the seeds reached their target in time.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import equinox as eqx
import jax
import numpy as np

import nashfield as nf
from nashfield.registry import GAMES, find
from nashfield.solve import iterate, start

CHUNK = 25
EPIDEMICS = (20, 30, 40, 50, 60, 100)
CLASSES = (
    # class, couplings, target, seconds
    ("random-monotone", (5.0, 20.0, 100.0), 1e-3, 5.0),
    ("random-potential", (5.0, 20.0, 100.0), 1e-3, 5.0),
    ("random-coupled", (5.0, 20.0, 100.0), 1e-3, 5.0),
    ("random-cyclic", (50.0,), 1e-2, 10.0),
    ("random-cyclic", (50.0,), 1e-3, 10.0),
)


@eqx.filter_jit
def _begin(game):
    return start(game, nf.Auto(), None, key=jax.random.key(0))


@eqx.filter_jit
def _advance(game, progress, target):
    key = jax.random.key(0)
    return iterate(game, nf.Auto(), progress, length=CHUNK, target=target, key=key)[0]


def race(game, target: float, seconds: float) -> tuple[float, float]:
    """Relative exploitability reached and seconds taken, compilation not counted."""
    progress = _begin(game)
    uniform = float(progress.state.best.exploitability)
    goal = np.asarray(max(target * uniform, 1e-13))  # traced: a float would compile anew
    jax.block_until_ready(_advance(game, progress, goal))
    begin = time.perf_counter()
    while not progress.result_code and time.perf_counter() - begin < seconds:
        progress = jax.block_until_ready(_advance(game, progress, goal))
    taken = time.perf_counter() - begin
    reached = float(progress.state.best.exploitability)
    return (reached / uniform if uniform > 1e-13 else 0.0), taken


def zoo(seconds: float) -> list[dict]:
    """Every game at its defaults, and the epidemics."""
    games = [(name, {}) for name in GAMES]
    games += [("susceptible-infected", {"horizon": num + 1}) for num in EPIDEMICS]
    rows = []
    for name, parameters in games:
        game = find(GAMES, name, "game")(**parameters)
        row = {"game": name, **parameters}
        for target in (1e-3, 1e-4):
            row[f"{target:g}"], row[f"seconds {target:g}"] = race(game, target, seconds)
        label = " ".join([name, *(f"{k}={v}" for k, v in parameters.items())])
        coarse, fine = (f"{row[t]:8.1e} {row['seconds ' + t]:6.2f} s" for t in ("0.001", "0.0001"))
        print(f"{label:36} {coarse}   {fine}", flush=True)
        rows.append(row)
    return rows


def random_classes(num_seeds: int) -> list[dict]:
    """How many seeds of each class reach the target in time."""
    rows = []
    for name, couplings, target, seconds in CLASSES:
        for coupling in couplings:
            make = find(GAMES, name, "game")
            results = [
                race(make(coupling=coupling, seed=seed), target, seconds)
                for seed in range(num_seeds)
            ]
            reached, taken = np.array(results).T
            row = {
                "class": name,
                "coupling": coupling,
                "target": target,
                "seconds": seconds,
                "solved": int((reached <= target).sum()),
                "seeds": num_seeds,
                "worst": float(reached.max()),
                "median seconds": float(np.median(taken)),
            }
            print(
                f"{name:18} coupling {coupling:5g}: {row['solved']:3} of {num_seeds} to {target:g} "
                f"within {seconds:g} s, median {row['median seconds']:.2f} s, "
                f"worst {row['worst']:.1e}",
                flush=True,
            )
            rows.append(row)
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100, help="games of each random class")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    warnings.simplefilter("ignore")
    results = {"zoo": zoo(10.0), "random": random_classes(options.seeds)}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
