"""Days and counts as users give them: what is wrong with them, by name, and the way out."""

import numpy as np

from nashfield.datasets.table import DataError, Table


def as_day(value: object, what: str) -> np.datetime64:
    """A day from whatever a user writes; DataError where it is none."""
    try:
        day = np.datetime64(str(value), "D")
    except ValueError as error:
        raise DataError(f"{what} {str(value)!r} is not a date such as 2021-08-31") from error
    if np.isnat(day):
        raise DataError(f"{what} {str(value)!r} is not a date such as 2021-08-31")
    return day


def span_of(
    start: object, end: object, span: np.ndarray, name: str
) -> tuple[np.datetime64, np.datetime64]:
    """First and last day; raises DataError where they are not there."""
    first = span[0] if start is None else as_day(start, "the first day")
    last = span[1] if end is None else as_day(end, "the last day")
    if span[0] == span[1]:
        raise DataError(f"{name}: {span[0]} is the only day with a count")
    for day, what in ((first, "first"), (last, "last")):
        if day < span[0]:
            raise DataError(f"{name}: the data begin on {span[0]}; {day} cannot be the {what} day")
        if day > span[1]:
            raise DataError(f"{name}: the data end on {span[1]}; {day} cannot be the {what} day")
    if last <= first:
        raise DataError(f"the last day {last} must come after the first day {first}")
    return first, last


def check_days(table: Table) -> None:
    """Raises DataError where a day is there twice, or days are not in order."""
    steps = np.diff(table.dates).astype(int)
    for k in np.flatnonzero(steps <= 0)[:1]:
        day, following = table.dates[k : k + 2]
        if day == following:
            raise DataError(f"{table.name}: {day} is there twice; keep one row a day")
        raise DataError(f"{table.name}: {following} comes after {day}; sort the rows by date")


def check_gaps(dates: np.ndarray, first: np.datetime64, last: np.datetime64, name: str) -> None:
    """Raises DataError where a day between the first and the last one has no row."""
    missing = np.setdiff1d(np.arange(first, last + 1), dates)
    if missing.size:
        more = f" and {missing.size - 1} more" if missing.size > 1 else ""
        raise DataError(
            f"{name}: there is no row for {missing[0]}{more}; {_way_out(missing, first, last)}"
        )


def _way_out(bad: np.ndarray, first: np.datetime64, last: np.datetime64) -> str:
    """What to do about days without a usable count: the longer of the sides is kept."""
    side = f"--to {bad[0] - 1}" if bad[0] - first > last - bad[-1] else f"--from {bad[-1] + 1}"
    return f"every day needs a count: fill it in, or leave such days out with {side}"


def check_counts(dates: np.ndarray, values: np.ndarray, column: str, name: str) -> None:
    """Raises DataError where a count is missing or negative."""
    for wrong, what in ((~np.isfinite(values), "is missing"), (values < 0, "is negative")):
        days = dates[wrong]
        if days.size:
            more = f" (and on {days.size - 1} more days)" if days.size > 1 else ""
            way_out = _way_out(days, dates[0], dates[-1])
            raise DataError(f"{name}: {column} {what} on {days[0]}{more}; {way_out}")


def optional_series(
    dates: np.ndarray,
    values: np.ndarray | None,
    kept: np.ndarray,
    column: str,
    name: str,
    notes: list[str],
) -> np.ndarray | None:
    """A series that a fit can do without: NaN is let through and told, a negative count is not."""
    if values is None:
        return None
    values = values[kept]
    missing = ~np.isfinite(values)
    if missing.all():
        return None
    check_counts(dates[~missing], values[~missing], column, name)
    if missing.any():
        notes.append(f"{column} is missing on {missing.sum()} days, first on {dates[missing][0]}")
    return values
