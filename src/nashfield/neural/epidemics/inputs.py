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

# Announcements of later days than this many ahead are left out.
_FAR = 366
_SOURCE = re.compile(r"^#\s*source:\s*(\S.*)$", re.M | re.I)


@dataclass(frozen=True, eq=False)
class DailyInputs:
    """What was known from outside, by day.

    Attributes:
        dates: (D,) datetime64[D].
        names: of the inputs.
        values: (D, K) one column an input; 0 or 1 for events.
        source: who says so.
        announced: (L, K) what is said of the days after the last one, for a year at most; None
            where nothing is.
    """

    dates: np.ndarray
    names: tuple[str, ...]
    values: np.ndarray
    source: str
    announced: np.ndarray | None = None

    def ahead(self, num_days: int) -> np.ndarray:
        """Values of the last day and those ahead but the very last, as a forecast takes them.

        As announced, and held at the last value beyond: (num_days, K). What never changed by the
        last day is held altogether: nobody knows what its change would do.
        """
        last = self.values[-1:]
        if self.announced is None:
            return np.repeat(last, num_days, axis=0)
        known = np.concatenate([last, self.announced])
        known = np.where(np.ptp(self.values, axis=0) > 0, known, last)
        return known[np.minimum(np.arange(num_days), len(known) - 1)]


def read_inputs(path: str | Path, dates: np.ndarray, *, source: str | None = None) -> DailyInputs:
    """Reads inputs from a CSV file of one of two forms.

    Either a column `date` and one column an input, with a number on every day of `dates`; or rows
    `start,end,name`, events that are 1 from their first to their last day and else 0 (an empty end:
    it goes on). What events do after the last of `dates` counts as announced. Nothing is taken on
    trust: where the file has no line `# source: ...`, `source` has to say who the events are from.

    Args:
        path: the file.
        dates: (D,) the days of the counts, without a gap.
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
    if np.any(np.diff(dates).astype(int) != 1):
        raise DataError("the days that inputs are read for must follow one another")
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
    later = values[dates.size :]
    return DailyInputs(dates, names, values[: dates.size], source, later if len(later) else None)


def _events(
    labels: list[str], rows: list[tuple[int, list[str]]], dates: np.ndarray, name: str
) -> tuple[tuple[str, ...], np.ndarray]:
    place = {label: labels.index(label) for label in ("start", "end", "name")}
    spans: list[tuple[str, np.datetime64, np.datetime64 | None]] = []
    for line, row in rows:
        label = row[place["name"]].strip()
        if not label:
            raise DataError(f"{name}: line {line}: the event has no name")
        first, last = parse_date(row[place["start"]], name, line), None
        if row[place["end"]].strip():
            last = parse_date(row[place["end"]], name, line)
            if last < first:
                raise DataError(f"{name}: line {line}: {label} ends on {last}, before its start")
        spans.append((label, first, last))
    changes = [day for _, first, last in spans for day in (first, last) if day is not None]
    end = min(max([dates[-1], *(day + 1 for day in changes)]), dates[-1] + _FAR)
    days = np.arange(dates[0], end + 1)
    active: dict[str, np.ndarray] = {}
    for label, first, last in spans:
        now = (days >= first) & (True if last is None else days <= last)
        active[label] = active.get(label, np.zeros(days.size, bool)) | now
    return tuple(active), np.stack(list(active.values()), axis=1).astype(float)


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
