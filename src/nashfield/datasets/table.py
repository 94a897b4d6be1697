"""A table of daily numbers, read from CSV text: dates, and columns of floats by name."""

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nashfield.results import NashfieldError

# 5,328 or 5'328: a number to a person, but not to a program.
_GROUPED = re.compile(r"[+-]?\d{1,3}([,.' \u00a0\u202f]\d{3})+")
_DATE = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})")


class DataError(NashfieldError, ValueError):
    """Data that cannot be used; the message names file, line or day, and the way out."""


@dataclass(frozen=True, eq=False)
class Table:
    """A series of days.

    Attributes:
        dates: (D,) datetime64[D], in the order of the file.
        columns: (D,) float64 each, by name; NaN where the file is empty.
        name: where it comes from, for messages.
    """

    dates: np.ndarray
    columns: Mapping[str, np.ndarray]
    name: str

    def __len__(self) -> int:
        return self.dates.size

    def __getitem__(self, column: str) -> np.ndarray:
        if column not in self.columns:
            raise DataError(
                f"{self.name}: there is no column {column!r}; there are {', '.join(self.columns)}"
            )
        return self.columns[column]


def read_text(path: str | Path) -> str:
    """The text of a file.

    Args:
        path: the file.

    Raises:
        DataError: there is no such file, it cannot be read, it is empty, or it is not text.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return decode(data, str(path))


def decode(data: bytes, name: str) -> str:
    """Bytes as UTF-8 text; raises DataError where they are none, or where there are none."""
    if not data.strip():
        raise DataError(f"{name}: the file is empty")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: not a text file in UTF-8; save it as CSV") from error
    if "\0" in text:
        raise DataError(f"{name}: a binary file, not CSV; save it as CSV")
    return text


def read_table(path: str | Path) -> Table:
    """Reads a CSV file with a column `date`, and numbers or nothing in some of the others.

    Lines that begin with # are skipped. Columns that hold words are left out.

    Args:
        path: the file.

    Raises:
        DataError: it is not such a file; the message names the line.
    """
    return parse_table(read_text(path), str(path))


def parse_table(text: str, name: str) -> Table:
    """Like `read_table`, from the text itself.

    Args:
        text: of the file.
        name: of the file, for messages.

    Raises:
        DataError: see `read_table`.
    """
    header, rows = parse_rows(text, name)
    labels = [plain(label) for label in header]
    if "date" not in labels:
        raise DataError(f"{name}: there is no column 'date'; there are {', '.join(header)}")
    day = labels.index("date")
    dates = np.array([parse_date(row[day], name, line) for line, row in rows])
    columns = {}
    for k, label in enumerate(header):
        cells = [(line, row[k].strip()) for line, row in rows]
        if k != day and label.strip() and _has_number(cells):
            columns[label.strip()] = _numbers(cells, label.strip(), name)
    return Table(dates, columns, name)


def parse_rows(text: str, name: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header and rows of CSV text, each row with the number of its line.

    Args:
        text: of the file; lines that begin with # and empty ones are skipped. Entries are separated
            by commas, semicolons or tabs.
        name: of the file, for messages.

    Raises:
        DataError: no header, no rows, or a row with another number of entries than the header.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_mark(text))
    lines = [
        (number, row)
        for number, row in enumerate(reader, 1)
        if any(cell.strip() for cell in row) and not row[0].startswith("#")
    ]
    if not lines:
        raise DataError(f"{name}: there is no header, a line such as date,active")
    header, rows = lines[0][1], lines[1:]
    if not rows:
        raise DataError(f"{name}: there are no rows below the header {','.join(header)}")
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(
                f"{name}: line {line} has {len(row)} entries, but the header has {len(header)}"
            )
    return header, rows


def _mark(text: str) -> str:
    """What stands between the entries: a comma, or where the header has none a semicolon or tab."""
    header = next((line for line in text.splitlines() if line.strip() and line[0] != "#"), "")
    return next((mark for mark in (",", ";", "\t") if mark in header), ",")


def parse_date(cell: str, name: str, line: int) -> np.datetime64:
    """A day written as 2021-08-31 or 2021/8/31.

    Args:
        cell: what is written.
        name: of the file.
        line: where.

    Raises:
        DataError: it is no day.
    """
    match = _DATE.fullmatch(cell.strip())
    try:
        if match is None:
            raise ValueError
        return np.datetime64(f"{match[1]}-{match[2]:0>2}-{match[3]:0>2}", "D")
    except ValueError as error:
        raise DataError(
            f"{name}: line {line}: {cell.strip()!r} is not a date such as 2021-08-31"
        ) from error


def plain(label: str) -> str:
    """A column's name as it is compared: small letters, underscores between words."""
    return re.sub(r"[\s\-]+", "_", label.strip().lower())


def _has_number(cells: list[tuple[int, str]]) -> bool:
    return any(_number(cell) is not None or _GROUPED.fullmatch(cell) for _, cell in cells)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _numbers(cells: list[tuple[int, str]], label: str, name: str) -> np.ndarray:
    """The column; words among numbers are an error, for a typing mistake must not become a gap."""
    values = np.full(len(cells), np.nan)
    for k, (line, cell) in enumerate(cells):
        if cell.lower() in ("", "na", "nan"):
            continue
        value = _number(cell)
        if value is None or not np.isfinite(value):
            bare = re.sub(r"[^\d+-]", "", cell)
            hint = f"; write {bare}, without separators" if _GROUPED.fullmatch(cell) else ""
            raise DataError(f"{name}: line {line}, column {label}: {cell!r} is not a number{hint}")
        values[k] = value
    return values
