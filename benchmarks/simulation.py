"""Simulation of many agents: agent-steps a second of nashfield and of vectorised NumPy.

Malware spread on 101 cells, a threshold and a table as policies, two jobs: `returns`, single agents
against a frozen mean field, discounted rewards summed, and `crowd`, the moves of n agents and the
law that they end in. By default 100 runs of 1000 agents and 200 steps, the sizes of Subramanian and
Mahajan (2019); nashfield runs them as one program, NumPy as one array in blocks of the size that
suits it best. Both draw in single precision. Their means are compared before anything is timed.
"""

import argparse
import json
import os
import time
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import numpy as np

import nashfield as nf
from nashfield.dynamics.agents import agents_of
from nashfield.dynamics.draws import draws_of
from nashfield.dynamics.rollout import play_returns, play_snapshots

THETA = 0.3
BLOCKS = (4_000, 16_000, 100_000)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    game = nf.games.MalwareSpread()
    policies = {
        "threshold": nf.policies.Threshold(theta=THETA),
        "table": nf.policies.SoftThreshold(theta=THETA, temperature=0.05).table(game),
    }
    print(f"{options.runs} runs of {options.agents} agents, {options.steps} steps", end="; ")
    print(f"{len(os.sched_getaffinity(0))} CPUs, load before the start {load:.1f}")
    print("millions of agent-steps a second (times NumPy; times NumPy per CPU second)")
    print(f"{'policy':10} {'job':8} {'numpy':>7} {'hash':>21} {'jax':>21}")
    rows = []
    for name, policy in policies.items():
        mean_field = nf.stationary_mean_field(game, policy)
        for job in ("returns", "crowd"):
            row = {"policy": name, "job": job, **measure(game, policy, mean_field, job, options)}
            rows.append(row)
            cells = [
                f"{row[g]:7.0f} ({row[g + '_ratio']:4.1f}x; {row[g + '_cpu_ratio']:4.1f}x)"
                for g in ("hash", "jax")
            ]
            print(f"{name:10} {job:8} {row['numpy']:7.0f} {cells[0]:>21} {cells[1]:>21}")
    worst = min(row["hash_ratio"] for row in rows)
    print(f"hash against NumPy: at least {worst:.1f} times by wall clock (target 5)")
    if options.json:
        results = {"load": load, "millions_a_second": rows, "worst_ratio": worst}
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def measure(game, policy, mean_field, job: str, options: argparse.Namespace) -> dict[str, float]:
    """Millions of agent-steps a second, of each side its best of `--repeats`, in turn.

    NumPy uses one CPU. On a busy machine wall clocks measure the others; CPU seconds less so.
    """
    num_agents = options.agents * options.runs
    tables = Tables(game, policy, mean_field)
    sides = {"hash": play(game, policy, mean_field, job, "hash", options)}
    sides["jax"] = play(game, policy, mean_field, job, "jax", options)
    for block in sorted({min(block, num_agents) for block in BLOCKS}):
        sides[f"numpy {block}"] = partial(tables.play, job, num_agents, options.steps, block)
    means = {side: float(np.mean(run(0))) for side, run in sides.items()}  # compiles as well
    assert np.ptp(list(means.values())) < 0.02 * abs(means["hash"]), means
    wall, cpu = (dict.fromkeys(sides, np.inf) for _ in range(2))
    for repeat in range(options.repeats):
        for side, run in sides.items():
            begin, begin_cpu = time.perf_counter(), time.process_time()
            run(repeat)
            wall[side] = min(wall[side], time.perf_counter() - begin)
            cpu[side] = min(cpu[side], time.process_time() - begin_cpu)
    numpy, numpy_cpu = (
        min(clock[side] for side in sides if side.startswith("numpy")) for clock in (wall, cpu)
    )
    work = num_agents * options.steps / 1e6
    row = {"numpy": work / numpy}
    for side in ("hash", "jax"):
        row |= {side: work / wall[side], f"{side}_ratio": numpy / wall[side]}
        row[f"{side}_cpu_ratio"] = numpy_cpu / cpu[side]
    return row


def play(game, policy, mean_field, job: str, generator: str, options: argparse.Namespace):
    """Our side: all runs in one program, as a function of a seed."""

    @eqx.filter_jit
    def program(game, policy, mean_field, key):
        agents = agents_of(game, policy)

        def one(key):
            draws = draws_of(key, generator)
            if job == "crowd":
                sizes = {"num_agents": options.agents, "num_steps": options.steps}
                crowd = agents.mean_field(play_snapshots(agents, draws, **sizes)[1])
                return crowd.expect(np.arange(game.num_states))
            sizes = {"num_trajectories": options.agents, "num_steps": options.steps}
            return play_returns(agents, mean_field, draws, **sizes)

        return jax.vmap(one)(jax.random.split(key, options.runs))

    return lambda seed: jax.block_until_ready(
        program(game, policy, mean_field, jax.random.key(seed))
    )


class Tables:
    """NumPy's side: everything looked up in small tables, everything written in place.

    A cell stands for state and action. What follows cell c is first[c] + floor(level * span[c]); a
    policy that is certain has one cell a state and needs no level for its action.
    """

    def __init__(self, game, policy, mean_field):
        """Fills the tables."""
        table = policy.table(game) if hasattr(policy, "table") else policy
        table = np.asarray(table, np.float32)
        states = np.arange(game.num_states)
        reward = np.asarray(game.reward(mean_field), np.float32)
        above = np.maximum(game.num_states - 1 - states, 1)
        first = np.stack([np.minimum(states + 1, game.num_states - 1), 0 * states], -1)
        span = np.stack([above, 0 * states], -1)
        self.certain = bool(np.isin(table, (0, 1)).all())
        self.neglect = np.ascontiguousarray(table[:, 0])
        pick = np.arange(game.num_states), table.argmax(-1)
        tables = [x[pick] if self.certain else x.ravel() for x in (first, span, reward)]
        self.first, self.span, self.reward = (x.astype(np.float32) for x in tables)
        self.discount = np.float32(game.discount)
        self.num_states = game.num_states

    def play(self, job: str, num_agents: int, num_steps: int, block: int, seed: int) -> np.ndarray:
        """Returns of all agents, or their last states."""
        rng = np.random.default_rng(seed)
        sizes = [min(block, num_agents - start) for start in range(0, num_agents, block)]
        return np.concatenate([self._block(job == "returns", n, num_steps, rng) for n in sizes])

    def _block(self, paid: bool, size: int, num_steps: int, rng) -> np.ndarray:
        cells = rng.integers(0, self.num_states, size)
        level, entry = np.empty(size, np.float32), np.empty(size, np.float32)
        acts = np.empty(size, bool)
        total, weight = np.zeros(size, np.float32), np.float32(1)
        for _ in range(num_steps):
            if not self.certain:
                rng.random(dtype=np.float32, out=level)
                np.take(self.neglect, cells, out=entry, mode="clip")
                np.greater_equal(level, entry, out=acts)
                cells += cells
                cells += acts
            if paid:
                np.take(self.reward, cells, out=entry, mode="clip")
                entry *= weight
                total += entry
                weight *= self.discount
            rng.random(dtype=np.float32, out=level)
            np.take(self.span, cells, out=entry, mode="clip")
            level *= entry
            np.floor(level, out=level)
            np.take(self.first, cells, out=entry, mode="clip")
            level += entry
            np.copyto(cells, level, casting="unsafe")
        return total if paid else cells


if __name__ == "__main__":
    main()
