"""Counts of an epidemic by day, from a user's file, with every doubt raised by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nashfield.datasets.table import DataError, Table, plain, read_table
from nashfield.neural.epidemics.count_checks import (
    check_counts,
    check_days,
    check_gaps,
    optional_series,
    span_of,
)
from nashfield.registry import suggest

ACTIVE = ("active", "active_inpatient", "active_cases", "in_bed", "infectious", "infected")
NEW = ("new", "new_confirmed", "new_cases", "cases", "incidence")
REMOVED = ("removed", "removed_cum")
RECOVERED = ("recovered", "recovered_cum", "cum_recovered", "discharged", "discharged_cum")
DEAD = ("deaths", "deaths_cum", "cum_deaths", "dead")

WINDOW = 10
"""Days for which a case counts as active where a file has new cases only."""

LEAST_DAYS = 5
"""Days with active cases that a fit takes."""


@dataclass(frozen=True, eq=False)
class Counts:
    """An epidemic by day; NaN where a number was not observed.

    Counts are those of confirmed cases, not of infections: what share of the infections is found
    (the ascertainment) is not known, and changes from wave to wave.

    Attributes:
        dates: (D,) datetime64[D], without a gap.
        active: (D,) cases that are active on the day (I).
        population: number of persons (N).
        new: (D,) cases confirmed on the day, or None.
        removed: (D,) recoveries and deaths up to the day (R), or None.
        notes: what was done to the numbers, and what they lack.
        name: where they come from.
    """

    dates: np.ndarray
    active: np.ndarray
    population: float
    new: np.ndarray | None = None
    removed: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    name: str = "counts"

    def __len__(self) -> int:
        return self.dates.size

    def between(self, start: object = None, end: object = None) -> "Counts":
        """The days from `start` to `end`, both included.

        Args:
            start: a day, such as "2020-10-01"; the first one if None.
            end: a day; the last one if None.

        Raises:
            DataError: the days are not there.
        """
        span = self.dates[[0, -1]]
        first, last = span_of(start, end, span, self.name)
        kept = slice(int((first - span[0]).astype(int)), int((last - span[0]).astype(int)) + 1)
        cut = {
            name: value[kept]
            for name in ("dates", "active", "new", "removed")
            if (value := getattr(self, name)) is not None
        }
        return replace(self, **cut)


def read_counts(
    path: str | Path,
    *,
    population: float | int,
    start: object = None,
    end: object = None,
    column: str | None = None,
) -> Counts:
    """Reads counts by day from a CSV file with a column `date`.

    Active cases are looked for under the names active, active_inpatient, active_cases, in_bed,
    infectious or infected; new ones under new, new_confirmed, new_cases, cases or incidence; those
    removed so far under removed, or as recovered, discharged (also ..._cum) plus deaths (also
    ..._cum). Where there are only new cases, a case counts as active for 10 days, and `notes` says
    so.

    Args:
        path: the file.
        population: number of persons.
        start: first day, such as "2020-10-01"; the first one with a count if None.
        end: last day; the last one with a count if None.
        column: name of the column of active cases, if it has another one.

    Raises:
        DataError: the file is not readable as such; days are missing, double or out of order; a
            count is missing or negative; no column fits; or the population is smaller than the
            cases.
    """
    return counts_of(read_table(path), population, start=start, end=end, column=column)


def counts_of(
    table: Table,
    population: float | int,
    *,
    start: object = None,
    end: object = None,
    column: str | None = None,
) -> Counts:
    """Like `read_counts`, from a table, such as one of `nashfield.datasets`."""
    check_days(table)
    known = {plain(name): name for name in table.columns}
    new_name = _first(NEW, known)
    active_name = _first(ACTIVE, known) if column is None else known.get(plain(column), "")
    notes: list[str] = []
    new = table[new_name] if new_name else None
    read = [f"new cases from {new_name}"] if new_name else []
    if active_name:
        active = table[active_name]
        read.insert(0, f"active cases from {active_name}")
        removed = _removed(table, known, read, notes)
    elif new is not None and column is None:
        active_name = f"new cases ({new_name})"
        active, removed = _from_new(new, table, new_name or "")
        notes.append(
            f"no column of active cases: each case of {new_name} counts as active for {WINDOW} "
            "days, and as removed afterwards"
        )
    else:
        wanted = f"{column!r}" if column else f"active or new cases ({ACTIVE[0]}, {NEW[0]}, ...)"
        hint = f"; {suggest(column, table.columns)}" if column and table.columns else ""
        if "did you mean" not in hint:
            hint = f"; there are {', '.join(table.columns) or 'none'}"
        raise DataError(f"{table.name}: there is no column {wanted} with numbers{hint}")
    notes.insert(0, f"columns: {', '.join(read)}")
    seen = np.flatnonzero(np.isfinite(active))
    if not seen.size:
        raise DataError(f"{table.name}: {active_name} has no count that can be used")
    span = table.dates[seen[[0, -1]]]
    first, last = span_of(start, end, span, table.name)
    kept = (table.dates >= first) & (table.dates <= last)
    dates, active = table.dates[kept], active[kept]
    check_gaps(dates, first, last, table.name)
    check_counts(dates, active, active_name, table.name)
    new = optional_series(dates, new, kept, new_name or "", table.name, notes)
    removed = optional_series(dates, removed, kept, "removed", table.name, notes)
    found = Counts(dates, active, float(population), new, removed, tuple(notes), table.name)
    _check_population(found)
    return found


def check_cases(counts: Counts) -> None:
    """Raises DataError where there is nothing to fit: too few days, or not one case."""
    observed = int(np.isfinite(counts.active).sum())
    if observed < LEAST_DAYS:
        raise DataError(
            f"{counts.name}: a fit takes active cases of at least {LEAST_DAYS} days, not {observed}"
        )
    if not np.nanmax(counts.active) > 0:
        raise DataError(
            f"{counts.name}: there is no active case on any day from {counts.dates[0]} to "
            f"{counts.dates[-1]}, nothing to fit; take other days (--from, --to) or another "
            "column (--column)"
        )


def _from_new(new: np.ndarray, table: Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Active and removed from new cases; the first window, which is not full, is left out."""
    seen = np.flatnonzero(np.isfinite(new))
    if seen.size <= WINDOW:
        raise DataError(
            f"{table.name}: {name} has {seen.size} counts; active cases take more than {WINDOW}"
        )
    cumulated = np.cumsum(np.nan_to_num(new))
    before = np.concatenate([np.zeros(WINDOW), cumulated[:-WINDOW]])
    active = cumulated - before
    # A gap spoils every window that it falls into; check_counts then names the day.
    holes = np.concatenate([np.zeros(1), np.cumsum(~np.isfinite(new))])
    days = np.arange(new.size)
    spoilt = holes[days + 1] > holes[np.maximum(days - WINDOW + 1, 0)]
    return np.where(spoilt | (days < WINDOW - 1), np.nan, active), before


def _removed(
    table: Table, known: Mapping[str, str], read: list[str], notes: list[str]
) -> np.ndarray | None:
    """Those removed so far, as far as the columns give them."""
    names = [_first(REMOVED, known)]
    if names[0] is None:
        names = [name for group in (RECOVERED, DEAD) if (name := _first(group, known))]
        if not names or plain(names[0]) in DEAD:  # deaths alone are not the outflow
            return None
    removed = np.sum([table[name or ""] for name in names], axis=0)
    steps = np.diff(removed[np.isfinite(removed)])
    if np.mean(steps < 0) > 0.1:
        notes.append(f"{' + '.join(map(str, names))} falls too often for a running sum: not used")
        return None
    read.append(f"removed so far from {' + '.join(map(str, names))}")
    return removed


def _first(names: Sequence[str], known: Mapping[str, str]) -> str | None:
    return next((known[name] for name in names if name in known), None)


def _check_population(counts: Counts) -> None:
    if not np.isfinite(counts.population) or counts.population <= 0:
        raise DataError(f"the population must be a positive number, not {counts.population:g}")
    removed = 0.0 if counts.removed is None else np.nan_to_num(counts.removed)
    cases = counts.active + removed
    most = int(np.argmax(cases))
    if cases[most] > counts.population:
        what = "active cases" if counts.removed is None else "active and removed cases"
        raise DataError(
            f"{counts.name}: the population {counts.population:.0f} is smaller than the "
            f"{cases[most]:.0f} {what} of {counts.dates[most]}"
        )
    total = 0.0 if counts.new is None else float(np.nansum(counts.new))
    if total > counts.population:
        raise DataError(
            f"{counts.name}: the population {counts.population:.0f} is smaller than the sum of "
            f"all new cases, {total:.0f}"
        )
