"""The host's side of a run: compiled chunks, their log, and their checkpoints."""

import dataclasses
import hashlib
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from nashfield import record, storage
from nashfield.progress import ProgressReport
from nashfield.results import Result
from nashfield.solution import Solution
from nashfield.solve import Progress, finish, iterate, start, stop_target
from nashfield.solvers.base import StepInfo
from nashfield.storage import RunFolderError
from nashfield.typing import Array

# A call of the compiled chunk aims at so many seconds, so that Ctrl-C and the bar answer soon.
_CALL_SECONDS = 0.25
# A save writes the whole state: tiny games would spend all their time there.
_SAVE_SECONDS = 1.0


class Loop:
    """One run on the host: what is known so far, and how to get one chunk further.

    `rows` may run ahead of `progress` when an interrupt falls between the two, never behind:
    every reader takes the first `num_steps` rows.
    """

    def __init__(self, game, solver, key, chunk_size: int, folder: Path | None):
        """Of `game` by `solver`, kept in `folder` if there is one."""
        self.game, self.solver, self.key = game, solver, key
        self.chunk_size, self.folder = chunk_size, folder
        self.rows: list[np.ndarray] = []  # pieces (K, number of columns)
        self.columns: tuple[str, ...] = ()  # what a step finds out
        self.rows_written = 0
        self.compiled = set()
        self.seconds = self.compile_seconds = 0.0
        self.progress: Any = None
        self.good: Any = None  # the last progress whose exploitability is known to be finite
        self.initial = float("nan")  # exploitability of the start
        self.target: Any = None  # the one to stop at
        self.trouble = ""  # what went wrong, where something says so

    @property
    def num_steps(self) -> int:
        """Iterations done."""
        return int(self.progress.num_steps)

    def call(self, function: Any, *args: Any) -> Any:
        """Calls a jitted function, and counts its compilation apart."""
        begin = time.perf_counter()
        program = (function, *(arg for arg in args if isinstance(arg, str)))
        if program not in self.compiled:
            function.lower(*args).compile()  # jit remembers the outcome
            self.compiled.add(program)
        middle = time.perf_counter()
        outcome = jax.block_until_ready(function(*args))
        self.compile_seconds += middle - begin
        self.seconds += time.perf_counter() - middle
        return outcome

    def describe(self, policy: Any, **settings: Any) -> dict[str, Any]:
        """What config.json will say."""
        start = hashlib.sha256()
        for leaf in jax.tree.leaves(policy):
            start.update(np.asarray(leaf).tobytes())
        return record.make_config(
            self.game,
            self.solver,
            key=np.asarray(jax.random.key_data(self.key)).tolist(),
            initial_policy=None if policy is None else start.hexdigest(),
            **settings,
        )

    def begin(self, policy: Any, atol: Any, rtol: Any) -> None:
        """Goes to the start."""
        args = (policy, np.asarray(atol, float), np.asarray(rtol, float), self.key)
        begun = self.call(_start, self.game, self.solver, *args)
        self.progress, info, self.target = begun
        self.columns = info.names
        self.initial = float(info.exploitability)

    def restore(self) -> None:
        """Goes to the last checkpoint, if there is one."""
        assert self.folder is not None
        path = self.folder / storage.CHECKPOINT
        if not path.exists():
            return  # ended before the first one
        arrays = storage.read_arrays(path, "leave resume out")
        state = storage.restore_state(self.progress.state, arrays, path)
        try:
            num_steps, self.seconds = int(arrays["num_steps"]), float(arrays["seconds"])
        except (KeyError, TypeError, ValueError) as error:
            raise RunFolderError(f"{path}: not a checkpoint ({error})") from error
        table = storage.read_history(self.folder / storage.HISTORY, num_steps, self.columns)
        storage.write_history(self.folder / storage.HISTORY, table, self.columns)
        self.rows, self.rows_written = [table], num_steps
        count = np.asarray(num_steps, self.progress.num_steps.dtype)
        self.progress = Progress(state, count, self.progress.result_code)

    def go(self, num_iterations: int, report: ProgressReport) -> None:
        """Chunk after chunk, until all is done or a step says stop."""
        length, first, begin = 1, self.num_steps, self.seconds
        last_save = time.perf_counter()
        while self.num_steps < num_iterations:
            before, seconds = self.num_steps, self.seconds
            limit = np.asarray(min(before + length, num_iterations))
            moved, infos = self.call(
                _chunk,
                *(self.game, self.solver, self.progress, self.target, limit, self.key),
                self.chunk_size,
            )
            done = int(moved.num_steps) - before
            self.rows.append(table_of(infos)[:done])
            if done:
                self.good = self.progress  # now evaluated, which `moved` is not yet
            self.progress = moved
            if int(moved.result_code) != Result.MAX_ITERATIONS:
                return
            rate = done / max(self.seconds - seconds, 1e-9)
            length = int(np.clip(_CALL_SECONDS * rate, 1, self.chunk_size))
            rate = (self.num_steps - first) / max(self.seconds - begin, 1e-9)
            report.update(self.num_steps, float(self.rows[-1][-1, 0]), rate)
            if time.perf_counter() - last_save > _SAVE_SECONDS:
                self.save()
                last_save = time.perf_counter()

    def table(self) -> np.ndarray:
        """What is known of the first `num_steps` iterates, a row for each."""
        return np.concatenate([np.zeros((0, len(self.columns))), *self.rows])[: self.num_steps]

    def save(self, *, anew: bool = False) -> None:
        """Writes log and checkpoint, in this order: the log may be ahead, never behind.

        Args:
            anew: write the whole log, in case an interrupt tore its last lines.
        """
        if self.folder is None:
            return
        begin = 0 if anew else self.rows_written
        table = self.table()
        path = self.folder / storage.HISTORY
        storage.write_history(path, table[begin:], self.columns, start=begin)
        self.rows_written = len(table)
        arrays = storage.state_arrays(self.progress.state)
        counts = {"num_steps": self.num_steps, "seconds": self.seconds}
        storage.write_arrays(self.folder / storage.CHECKPOINT, {**arrays, **counts})

    def evaluate(self) -> Solution:
        """The last policy, judged."""
        return self.call(_finish, self.game, self.solver, self.progress, self.key)

    def finish(self) -> Solution:
        """Evaluates the last policy and writes what is left to write."""
        found = self.evaluate()
        last = np.array([[found.history[name][-1] for name in self.columns]])
        table = np.concatenate([self.table(), last])
        solution = dataclasses.replace(
            found,
            history={
                name: column.astype(found.history[name].dtype)
                for name, column in zip(self.columns, table.T, strict=True)
            },
            state=self.progress.state,
            game=self.game,
            solver=self.solver,
            trouble=self.trouble,
            stats={
                "seconds": self.seconds,
                "compile_seconds": self.compile_seconds,
                "initial_exploitability": self.initial,
            },
        )
        if self.folder is not None:
            if solution.result.ok:
                self.save()
                storage.write_arrays(self.folder / storage.SOLUTION, solution.arrays())
            elif self.good is not None:
                self.progress = self.good
                self.save(anew=True)
            path, begin = self.folder / storage.HISTORY, self.rows_written
            storage.write_history(path, table[begin:], self.columns, start=begin)
        return solution


@eqx.filter_jit
def _start(game, solver, policy, atol, rtol, key) -> tuple[Progress, StepInfo, Array]:
    progress = start(game, solver, policy, key=key)  # first: it looks at the game
    info, target = stop_target(game, solver, progress, atol, rtol, key=key)
    return strong(progress), info, target


@eqx.filter_jit
def _chunk(game, solver, progress, target, limit, key, length: int) -> tuple[Progress, StepInfo]:
    progress, infos = iterate(
        game, solver, progress, length=length, target=target, limit=limit, key=key
    )
    return strong(progress), infos


@eqx.filter_jit
def _finish(game, solver, progress, key) -> Solution:
    solution = finish(game, solver, progress, None, key=key)
    return dataclasses.replace(solution, state=None, game=None, solver=None)


def strong(progress: Any) -> Any:
    """Gives every array a dtype of its own, so that first, later and resumed chunks are one."""
    return jax.tree.map(lambda x: jax.lax.convert_element_type(x, x.dtype), progress)


def table_of(infos: StepInfo) -> np.ndarray:
    """One row a step."""
    return np.stack(list(infos.columns().values()), axis=1).astype(float)
