"""What `nashfield fit epidemic` says and keeps of a fit."""

import csv
import io
import json
import math
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nashfield.cli.fit_warnings import share_off
from nashfield.datasets.cache import write_whole
from nashfield.neural.epidemics.counts import Counts

# A peak stands out by this share of the largest count.
_PROMINENCE = 0.1
_WEEK = 7
_ACTIVE_AS_REPORTED = "active cases enter as reported, not smoothed"
_NEW_AS_REPORTED = (
    "active and new cases enter as reported, not smoothed; the rhythm of the week in new ones is "
    "part of the fit"
)


def assumptions(
    fit: Any, counts: Counts, inputs: Any, days_ahead: int, attribution: str | None
) -> list[str]:
    """What the numbers rest on, one sentence or two each."""
    as_reported = _ACTIVE_AS_REPORTED if counts.new is None else _NEW_AS_REPORTED
    notes = [*counts.notes, as_reported, *fit.assumptions]
    if inputs is not None:
        notes.append(f"Inputs ({', '.join(inputs.names)}) are from: {inputs.source}")
        notes.append(_ahead(inputs, days_ahead))
    if attribution is not None:
        notes.append(attribution)
    return [f"{note[0].upper()}{note[1:].removesuffix('.')}." for note in notes]


def _ahead(inputs: Any, days_ahead: int) -> str:
    """What is assumed of every input on the days of a forecast."""
    found, last, changes = [], inputs.dates[-1], False
    for name, values in zip(inputs.names, inputs.ahead(days_ahead).T, strict=True):
        turns = np.flatnonzero(np.diff(values)) + 1
        told = "".join(f" and {values[k]:g} from {last + k}" for k in turns[:2])
        found.append(f"{name} = {values[0]:g}{told}{' and so on' if len(turns) > 2 else ''}")
        changes |= len(turns) > 0
    way = "keep their last value"
    if changes:
        way += (
            " but where the file announces another (the drift was learnt from forecasts that held "
            "it)"
        )
    return f"on the days ahead inputs {way}: {', '.join(found)}"


def summary(
    fit: Any, counts: Counts, forecast: Any, notes: Sequence[str], *, outbreak: bool
) -> dict[str, Any]:
    """The object that is kept in fit.json and printed by --json."""
    fitted = np.asarray(fit.active_fitted, float)
    days = [str(day) for day in counts.dates]
    span = min(_WEEK, len(days) - 1)
    growth = math.log(fitted[-1] / fitted[-1 - span]) / span
    ahead = [str(counts.dates[-1] + k) for k in range(1, len(forecast.median) + 1)]
    path = {name: np.asarray(getattr(forecast, name), float) for name in ("median", "low", "high")}
    top = int(np.argmax(path["median"]))
    return {
        "data": counts.name,
        "first_day": days[0],
        "last_day": days[-1],
        "num_days": len(days),
        "population": counts.population,
        "gamma": _number(fit.gamma[-1]),
        "gamma_given": _number(fit.settings.gamma),
        "outbreak": outbreak,
        "fit_error": _number(np.sqrt(np.nanmean((fitted - counts.active) ** 2))),
        "mean_active": _number(np.nanmean(counts.active)),
        "fit_error_share": _number(share_off(fit, counts)),
        "effective_parameters": _number(fit.num_parameters),
        "past_forecast_error": _number(fit.loss),
        "past_forecast_days": fit.settings.training_days,
        "first_reproduction_number": _number(fit.reproduction_number[0]),
        "first_reproduction_number_low": _number(fit.reproduction_number_low[0]),
        "first_reproduction_number_high": _number(fit.reproduction_number_high[0]),
        "removed_share": _number(fit.shares[-1][-1]),
        "reproduction_number": _number(fit.reproduction_number[-1]),
        "reproduction_number_low": _number(fit.reproduction_number_low[-1]),
        "reproduction_number_high": _number(fit.reproduction_number_high[-1]),
        "growth_rate": _number(growth),
        "doubling_days": _number(math.log(2) / growth) if growth else None,
        "peaks": [{"day": days[k], "active": _number(fitted[k])} for k in _peaks(fitted)],
        "forecast": {
            "day": ahead,
            **{name: list(map(_number, values)) for name, values in path.items()},
            "highest_day": ahead[top],
        },
        "contact_level": _number(fit.contact_level[-1]),
        "best_contact_level": _number(fit.best_contact_level[-1]),
        "exploitability": _number(fit.exploitability),
        "avoidance_cost": _number(fit.avoidance_cost),
        "c_I": _number(fit.c_I),
        "c_a": _number(fit.c_a),
        "diverged_at": fit.diverged_at,
        "assumptions": list(notes),
    }


def print_lines(found: dict[str, Any]) -> None:
    """Prints the summary."""
    first, last = found["first_day"], found["last_day"]
    print(f"{found['data']}: {found['num_days']} days, {first} to {last}")
    for text in found["warnings"]:
        _print("warning", text)
    _print(
        "fit",
        f"off by {_or_none(found['fit_error'], ',.4g')} cases (root mean square), "
        f"{_or_none(found['fit_error_share'], '.2%')} of the mean; "
        f"{_or_none(found['effective_parameters'], '.3g')} effective parameters (how many numbers "
        "the counts really decide)",
    )
    missed, days = found["past_forecast_error"], found["past_forecast_days"]
    if missed is not None:
        _print(
            "past",
            f"forecasts from days of the past, {days} days ahead, off by {missed:.3g} in "
            f"logarithms, about {math.expm1(missed):.0%}; the drift was learnt from them, so that "
            "new ones may be worse",
        )
    growth, doubling = found["growth_rate"], found["doubling_days"]
    pace = ""
    if doubling is not None and abs(doubling) < 365:
        pace = f", {'doubles' if doubling > 0 else 'halves'} in {abs(doubling):.1f} days"
    if found["outbreak"]:
        print(f"R_0            {_banded(found, 'first_reproduction_number')} on {first}")
        print(f"final size     {found['removed_share']:.1%} of all persons removed by {last}")
    print(f"R_t            {_banded(found, 'reproduction_number')} on {last}, given the recovery")
    print(f"recovery       {found['gamma']:.3g} a day on {last} ({found['gamma_given']:.3g} given)")
    print(f"growth         {math.expm1(growth):+.1%} a day{pace}")
    for k, peak in enumerate(found["peaks"]):
        print(f"{'peaks' if not k else '':14} {peak['day']}  {peak['active']:,.0f}")
    forecast = found["forecast"]
    for k in sorted({min(_WEEK, len(forecast["day"])) - 1, len(forecast["day"]) - 1}):
        print(
            f"{'forecast':14} {forecast['day'][k]}  {forecast['median'][k]:,.0f} "
            f"(90%: {forecast['low'][k]:,.0f} to {forecast['high'][k]:,.0f})"
        )
    top = forecast["day"].index(forecast["highest_day"])
    print(f"highest        forecast {forecast['median'][top]:,.0f} on {forecast['highest_day']}")
    print(
        f"contact level  {found['contact_level']:.2f} learnt, "
        f"{found['best_contact_level']:.2f} best response at the assumed costs, on {last}"
    )
    _print(
        "exploitability",
        f"{found['exploitability']:.6g}: what one person would save over these "
        f"{found['num_days']} days by the best contact level if everybody else behaved as learnt, "
        f"in the units of the assumed costs, c_I = {found['c_I']:g} for a day of illness "
        f"(--cost-illness) and c_a = {found['c_a']:g} for avoidance (--cost-avoidance); the "
        f"avoidance itself costs {found['avoidance_cost']:.6g}",
    )
    print("what was assumed")
    for note in found["assumptions"]:
        print(textwrap.fill(note, 96, initial_indent="  - ", subsequent_indent="    "))
    print(f"folder         {found['out']}", flush=True)


def _print(label: str, text: str) -> None:
    """A line with its label, wrapped."""
    head = f"{label:14} "
    print(
        textwrap.fill(
            text, 96, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
        )
    )


def _banded(found: dict[str, Any], name: str) -> str:
    low, high = found[f"{name}_low"], found[f"{name}_high"]
    return f"{found[name]:.2f} (90%: {low:.2f} to {high:.2f})"


def _or_none(value: float | None, form: str) -> str:
    return "?" if value is None else format(value, form)


def save(folder: Path, fit: Any, counts: Counts, forecast: Any, found: dict[str, Any]) -> None:
    """Writes fit.json, fit.csv and forecast.csv, each in one stroke."""
    columns = {"active": counts.active} | {
        name: np.asarray(getattr(fit, name), float)
        for name in (
            "active_fitted",
            "reproduction_number",
            "reproduction_number_low",
            "reproduction_number_high",
            "gamma",
            "contact_level",
            "best_contact_level",
            "transmission",
        )
    }
    write_whole(folder / "fit.csv", _csv(counts.dates, columns))
    ahead = counts.dates[-1] + np.arange(1, len(forecast.median) + 1)
    columns = {name: np.asarray(getattr(forecast, name)) for name in ("median", "low", "high")}
    write_whole(folder / "forecast.csv", _csv(ahead, columns, lambda x: f"{x:.2f}"))
    text = json.dumps(found, indent=2, allow_nan=False) + "\n"
    write_whole(folder / "fit.json", text.encode())


def save_picture(ax: Any, folder: Path) -> Path:
    """Writes epidemic.png in one stroke."""
    buffer, path = io.BytesIO(), folder / "epidemic.png"
    ax.figure.savefig(buffer, dpi=150, format="png")
    write_whole(path, buffer.getvalue())
    return path


def _csv(
    days: np.ndarray, columns: dict[str, np.ndarray], form: Callable[[float], str] = repr
) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["date", *columns])
    for day, *row in zip(days, *columns.values(), strict=True):
        writer.writerow([str(day), *("" if np.isnan(x) else form(float(x)) for x in row)])
    return text.getvalue().encode()


def _peaks(fitted: np.ndarray) -> list[int]:
    from scipy.signal import find_peaks

    places, _ = find_peaks(fitted, prominence=_PROMINENCE * np.nanmax(fitted))
    return [int(place) for place in places]


def _number(value: Any) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None  # JSON knows no NaN
