"""What a long run tells its user: a bar on a terminal, lines of text elsewhere."""

import sys
import time
from typing import Any

# A run that is over sooner needs no bar, and does not pay for importing one.
_PATIENCE = 0.4
_SECONDS_BETWEEN_LINES = 2.0


class ProgressReport:
    """Shows iteration, exploitability or another number, and rate on standard error.

    Args:
        num_iterations: at most so many.
        show: True: a bar on a terminal, else lines; False: nothing; None: a bar on a terminal.
        work: what is done.
        number: what the number is.
    """

    def __init__(
        self,
        num_iterations: int,
        show: bool | None,
        *,
        work: str = "solving",
        number: str = "exploitability",
    ):
        """See the class."""
        terminal = sys.stderr.isatty()
        self._active = terminal if show is None else show
        self._terminal = terminal
        self._num_iterations = num_iterations
        self._begin = self._last = 0.0
        self._work, self._number = work, number
        self._bar: Any = None
        if self._active:
            print(f"compiling, then {work} ...", file=sys.stderr, flush=True)

    def update(self, iteration: int, number: float, rate: float) -> None:
        """Reports an iteration.

        Args:
            iteration: iterations done.
            number: the last exploitability known, or whatever else is shown.
            rate: iterations a second.
        """
        now = time.perf_counter()
        # Counted from the first iteration on: compiling says nothing of how long a run will take.
        self._begin = self._begin or now
        if not self._active or now - self._begin < _PATIENCE:
            return
        numbers = f"{self._number} {number:.3e}, {rate:.3g} it/s"
        if self._terminal:
            self._bar = self._bar or _bar(self._num_iterations, self._work)
            self._bar.update(self._bar.task_ids[0], completed=iteration, numbers=f"{numbers} ")
        elif now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            line = f"iteration {iteration}/{self._num_iterations}, {numbers}"
            print(line, file=sys.stderr, flush=True)

    def phase(self, iteration: int, name: str) -> None:
        """Reports what a long iteration is doing.

        Args:
            iteration: iterations done.
            name: of the phase.
        """
        if not self._active:
            return
        if self._terminal:
            self._bar = self._bar or _bar(self._num_iterations, self._work)
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=iteration, phase=f"{name} ...")
        elif not iteration:  # the first time each phase is compiled: say what takes so long
            print(f"iteration 1/{self._num_iterations}: {name}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()


def _bar(num_iterations: int, work: str) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    bar = Progress(
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[numbers]}{task.fields[phase]}"),
        Remaining(),
        console=Console(stderr=True),
    )
    bar.add_task(work, total=num_iterations, numbers="", phase="")
    bar.start()
    return bar
