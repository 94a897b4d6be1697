"""From the files that are published to tidy tables, and from a table to the text that is hashed."""

from collections.abc import Mapping, Sequence

import numpy as np

from nashfield.datasets.table import DataError, Table, parse_date, parse_rows, parse_table

_CARE = "Requiring inpatient care"
_DISCHARGED = "Discharged from hospital or released from treatment"


def japan_national(parts: Mapping[str, str]) -> Table:
    """Japan's national series, from the three files of the ministry's open data.

    Both forms of the files are read: one row a day with a column a prefecture (ALL is the country),
    and one row a day and prefecture.

    Args:
        parts: texts of the files "new" (newly confirmed by day), "care" (in care, discharged) and
            "deaths" (their running sum).

    Returns:
        One row a day from the first to the last day of any of them, NaN where one has none.

    Raises:
        DataError: a file has another form.
    """
    series = {
        "new_confirmed": _national(parts["new"], "newly confirmed", "ALL"),
        "active_inpatient": _national(parts["care"], "in care", f"(ALL) {_CARE}", _CARE),
        "discharged_cum": _national(parts["care"], "in care", f"(ALL) {_DISCHARGED}", _DISCHARGED),
        "deaths_cum": _national(parts["deaths"], "deaths", "ALL"),
    }
    days = [day for found in series.values() for day in found]
    dates = np.arange(min(days), max(days) + 1)
    columns = {
        name: np.array([found.get(day, np.nan) for day in dates], float)
        for name, found in series.items()
    }
    return Table(dates, columns, "MHLW open data")


def boarding_school(parts: Mapping[str, str]) -> Table:
    """The boarding school's series: the file is a table of days already.

    Args:
        parts: text of the file "school".

    Raises:
        DataError: the file has another form.
    """
    return parse_table(parts["school"], "boarding school")


def canonical(table: Table, columns: Sequence[str]) -> str:
    """The values as text that does not depend on how a file writes them.

    A header, then a line a day: the date, and the shortest form of every number, nothing for NaN.

    Args:
        table: holds the columns.
        columns: which, in this order.

    Raises:
        DataError: a column is missing.
    """
    values = [table[name] for name in columns]
    lines = [",".join(("date", *columns))]
    for day, *row in zip(table.dates, *values, strict=True):
        lines.append(",".join((str(day), *map(_shortest, row))))
    return "\n".join(lines) + "\n"


def _national(text: str, name: str, wide: str, long: str | None = None) -> dict:
    """The country's number of every day, from either form of a file."""
    header, rows = parse_rows(text, f"MHLW, {name}")
    header = [label.strip() for label in header]
    if "Date" not in header:
        raise DataError(f"MHLW, {name}: there is no column Date; there are {_some(header)}")
    day = header.index("Date")
    if "Prefecture" in header:
        place = header.index("Prefecture")
        rows = [(line, row) for line, row in rows if row[place].strip() == "ALL"]
        # The files of a single number name it after themselves: it is the last column.
        wide = long or header[-1]
    if wide not in header:
        raise DataError(f"MHLW, {name}: there is no column {wide}; there are {_some(header)}")
    value = header.index(wide)
    found = {}
    for line, row in rows:
        try:
            found[parse_date(row[day], f"MHLW, {name}", line)] = float(row[value] or "nan")
        except ValueError as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"MHLW, {name}: line {line}: {row[value]!r} is no number") from error
    if not found:
        raise DataError(f"MHLW, {name}: there is no row for the country (ALL)")
    return found


def _some(header: Sequence[str]) -> str:
    return ", ".join(header[:6]) + (", ..." if len(header) > 6 else "")


def _shortest(value: float) -> str:
    if np.isnan(value):
        return ""
    return str(int(value)) if value == int(value) else repr(float(value))
