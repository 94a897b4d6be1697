"""What a paper's reproduction returns: rows of numbers, and pictures."""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Row:
    """One number of a paper beside ours.

    Attributes:
        name: what it is.
        paper: the paper's number; None where it gives none.
        ours: our number.
        interval: our spread over the seeds, as `Report.intervals` says; None where nothing is
            drawn, or by one seed.
        agrees: whether ours keeps the bar that the reproduction sets; None where it sets none.
        bar: that bar in words.
    """

    name: str
    paper: float | None
    ours: float
    interval: tuple[float, float] | None = None
    agrees: bool | None = None
    bar: str = ""

    def as_json(self) -> dict[str, Any]:
        """The row as JSON can hold it; numbers that are not finite become None."""
        interval = None if self.interval is None else [_finite(x) for x in self.interval]
        return {
            "name": self.name,
            "paper": self.paper,
            "ours": _finite(self.ours),
            "interval": interval,
            "agrees": self.agrees,
        }

    @classmethod
    def within(cls, name: str, paper: float, ours: float, bounds: tuple[float, float], **more):
        """A row whose bar is bounds, inclusive, on our number rounded to 4 decimals."""
        low, high = bounds
        agrees = low <= round(ours, 4) <= high
        return cls(name, paper, ours, agrees=agrees, bar=f"in [{low:g}, {high:g}]", **more)

    @classmethod
    def near(cls, name: str, paper: float, ours: float, tolerance: float, **more) -> "Row":
        """A row whose bar is a distance."""
        agrees = abs(ours - paper) <= tolerance
        return cls(name, paper, ours, agrees=agrees, bar=f"within {tolerance:g}", **more)

    @classmethod
    def mean(cls, name: str, paper: float | None, values: Any, most: float | None = None) -> "Row":
        """The mean over seeds, with one standard deviation to either side.

        Args:
            name: what it is.
            paper: the paper's number.
            values: one number a seed.
            most: the bar, an upper bound of the mean; None for none.
        """
        numbers = np.asarray(values, np.float64).ravel()
        ours, spread = float(numbers.mean()), float(numbers.std())
        interval = (ours - spread, ours + spread) if numbers.size > 1 else None
        if most is None:
            return cls(name, paper, ours, interval)
        return cls(name, paper, ours, interval, bool(ours <= most), f"at most {most:g}")


@dataclass(frozen=True)
class Report:
    """A paper run again.

    Attributes:
        title: authors, title, year.
        rows: the numbers.
        pictures: per file name a function that draws and returns a matplotlib figure.
        intervals: what the intervals of the rows are.
    """

    title: str
    rows: tuple[Row, ...]
    pictures: dict[str, Callable[[], Any]]
    intervals: str = "quartiles over seeds"

    def table(self) -> str:
        """The rows as text."""
        header = ("", "paper", "ours", self.intervals, "agrees", "bar")
        lines = [header, *(_cells(row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        texts = (
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )
        return "\n".join(texts)

    def save(self, folder: Path) -> list[Path]:
        """Writes rows.json, rows.csv and the pictures into `folder`; their paths."""
        rows = [row.as_json() for row in self.rows]
        header = {"title": self.title, "intervals": self.intervals}
        paths = [folder / "rows.json", folder / "rows.csv"]
        paths[0].write_text(json.dumps(header | {"rows": rows}, indent=2) + "\n")
        with paths[1].open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["name", "paper", "ours", "low", "high", "agrees"])
            for row in self.rows:
                low, high = row.interval or ("", "")
                paper = "" if row.paper is None else row.paper
                agrees = "" if row.agrees is None else row.agrees
                writer.writerow([row.name, paper, row.ours, low, high, agrees])
        for name, draw in self.pictures.items():
            paths.append(folder / name)
            draw().savefig(paths[-1], dpi=150)
        return paths


def _cells(row: Row) -> tuple[str, ...]:
    interval = "" if row.interval is None else "({:.6g}, {:.6g})".format(*row.interval)
    return (
        row.name,
        "" if row.paper is None else f"{row.paper:.6g}",
        f"{row.ours:.6g}",
        interval,
        {True: "yes", False: "NO", None: ""}[row.agrees],
        row.bar,
    )


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
