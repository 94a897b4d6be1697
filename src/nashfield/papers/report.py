"""What a paper's reproduction returns: rows of numbers, and pictures."""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
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
        reference: a number to compare with that the paper does not print: derived apart, or
            counted; None for none.
    """

    name: str
    paper: float | None
    ours: float
    interval: tuple[float, float] | None = None
    agrees: bool | None = None
    bar: str = ""
    reference: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The row as JSON can hold it; numbers that are not finite become None."""
        interval = None if self.interval is None else [_finite(x) for x in self.interval]
        return {
            "name": self.name,
            "paper": self.paper,
            "reference": self.reference,
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
        """A row whose bar is a distance from the paper's number."""
        agrees = abs(ours - paper) <= tolerance
        return cls(name, paper, ours, agrees=agrees, bar=f"within {tolerance:g}", **more)

    @classmethod
    def near_reference(cls, name: str, reference: float, ours: float, tolerance: float) -> "Row":
        """A row whose bar is a distance from a number that the paper does not print."""
        row = cls.near(name, reference, ours, tolerance)
        return replace(row, paper=None, reference=reference)

    @classmethod
    def most(cls, name: str, ours: float, most: float, *, judged: bool = True, **more) -> "Row":
        """A row whose bar, where it is judged, is an upper bound."""
        if not judged:
            return cls(name, None, ours, **more)
        return cls(name, None, ours, agrees=bool(ours <= most), bar=f"at most {most:g}", **more)

    @classmethod
    def mean(
        cls, name: str, paper: float | None, values: Any, most: float | None = None, **more
    ) -> "Row":
        """The mean over seeds, with one standard deviation to either side.

        Args:
            name: what it is.
            paper: the paper's number.
            values: one number a seed.
            most: the bar, an upper bound of the mean; None for none.
            **more: further fields of the row.
        """
        numbers = np.asarray(values, np.float64).ravel()
        ours, spread = float(numbers.mean()), float(numbers.std())
        interval = (ours - spread, ours + spread) if numbers.size > 1 else None
        if most is None:
            return cls(name, paper, ours, interval, **more)
        return cls(name, paper, ours, interval, bool(ours <= most), f"at most {most:g}", **more)


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
        header = ("", "paper", "reference", "ours", self.intervals, "agrees", "bar")
        lines = [header, *(_cells(row) for row in self.rows)]
        if all(row.reference is None for row in self.rows):
            lines = [(*line[:2], *line[3:]) for line in lines]
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
            writer.writerow(["name", "paper", "reference", "ours", "low", "high", "agrees"])
            for row in self.rows:
                low, high = row.interval or ("", "")
                cells = [row.paper, row.reference, row.ours, low, high, row.agrees]
                writer.writerow([row.name, *("" if cell is None else cell for cell in cells)])
        for name, draw in self.pictures.items():
            paths.append(folder / name)
            draw().savefig(paths[-1], dpi=150)
        return paths


def _cells(row: Row) -> tuple[str, ...]:
    interval = "" if row.interval is None else "({:.6g}, {:.6g})".format(*row.interval)
    return (
        row.name,
        *("" if known is None else f"{known:.6g}" for known in (row.paper, row.reference)),
        f"{row.ours:.6g}",
        interval,
        {True: "yes", False: "NO", None: ""}[row.agrees],
        row.bar,
    )


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
