"""What acts on an epidemic from outside: measures, holidays, vaccination; from a named source."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nashfield.datasets.table import (
    DataError,
    parse_date,
    parse_rows,
    parse_table,
    plain,
    read_text,
)

_SOURCE = re.compile(r"^#\s*source:\s*(\S.*)$", re.M | re.I)


@dataclass(frozen=True, eq=False)
class DailyInputs:
    """DailyInputs by day.

    Attributes:
        dates: (D,) datetime64[D].
        names: of the inputs.
        values: (D, K) one column an input; 0 or 1 for events.
        source: who says so.
    """

    dates: np.ndarray
    names: tuple[str, ...]
    values: np.ndarray
    source: str

    def held(self, num_days: int) -> np.ndarray:
        """The last known values for days to come: (num_days, K)."""
        return np.repeat(self.values[-1:], num_days, axis=0)


def read_inputs(path: str | Path, dates: np.ndarray, *, source: str | None = None) -> DailyInputs:
    """Reads inputs from a CSV file of one of two forms.

    Either a column `date` and one column an input, with a number on every day of `dates`; or rows
    `start,end,name`, events that are 1 from their first to their last day and else 0 (an empty end:
    it goes on). Nothing is taken on trust: where the file has no line `# source: ...`, `source` has
    to say who the events are from.

    Args:
        path: the file.
        dates: (D,) the days of the counts.
        source: where the numbers come from; the file's own line if None.

    Raises:
        DataError: no source, another form, or a day without a number.
    """
    name, text = str(path), read_text(path)
    line = _SOURCE.search(text)
    source = source or (line[1].strip() if line else None)
    if not source:
        raise DataError(
            f"{name}: inputs need a named source: begin the file with a line '# source: ...'"
        )
    dates = np.asarray(dates, "datetime64[D]")
    header, rows = parse_rows(text, name)
    labels = [plain(label) for label in header]
    if {"start", "end", "name"} <= set(labels):
        names, values = _events(labels, rows, dates, name)
    elif "date" in labels:
        names, values = _columns(text, dates, name)
    else:
        raise DataError(
            f"{name}: inputs have columns start,end,name, or date and one column an input; there "
            f"are {', '.join(header)}"
        )
    return DailyInputs(dates, names, values, source)


def _events(
    labels: list[str], rows: list[tuple[int, list[str]]], dates: np.ndarray, name: str
) -> tuple[tuple[str, ...], np.ndarray]:
    place = {label: labels.index(label) for label in ("start", "end", "name")}
    active: dict[str, np.ndarray] = {}
    for line, row in rows:
        label = row[place["name"]].strip()
        if not label:
            raise DataError(f"{name}: line {line}: the event has no name")
        first = parse_date(row[place["start"]], name, line)
        last = dates[-1]
        if row[place["end"]].strip():
            last = parse_date(row[place["end"]], name, line)
            if last < first:
                raise DataError(f"{name}: line {line}: {label} ends on {last}, before its start")
        now = (dates >= first) & (dates <= last)
        active[label] = active.get(label, np.zeros(dates.size, bool)) | now
    values = np.stack(list(active.values()), axis=1).astype(float)
    return tuple(active), values


def _columns(text: str, dates: np.ndarray, name: str) -> tuple[tuple[str, ...], np.ndarray]:
    table = parse_table(text, name)
    if not table.columns:
        raise DataError(f"{name}: there is no column with numbers beside the date")
    where = {day: k for k, day in enumerate(table.dates)}
    for day in dates:
        if day not in where:
            raise DataError(
                f"{name}: there is no row for {day}; the counts go from {dates[0]} to {dates[-1]}"
            )
    rows = [where[day] for day in dates]
    values = np.stack([column[rows] for column in table.columns.values()], axis=1)
    for k, label in enumerate(table.columns):
        missing = dates[~np.isfinite(values[:, k])]
        if missing.size:
            raise DataError(f"{name}: {label} is missing on {missing[0]}")
    return tuple(table.columns), values
