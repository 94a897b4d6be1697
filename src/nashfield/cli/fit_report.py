"""What `nashfield fit epidemic` says and keeps of a fit."""

import csv
import io
import json
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nashfield.datasets.cache import write_whole
from nashfield.neural.epidemics.counts import Counts

# A peak stands out by this share of the largest count.
_PROMINENCE = 0.1
_WEEK = 7
_AS_REPORTED = (
    "active and new cases enter as reported, not smoothed; the rhythm of the week in new ones is "
    "part of the fit"
)


def assumptions(fit: Any, counts: Counts, inputs: Any, attribution: str | None) -> list[str]:
    """What the numbers rest on, one sentence or two each."""
    notes = [*counts.notes, _AS_REPORTED, *fit.assumptions]
    if inputs is not None:
        notes.append(f"Inputs ({', '.join(inputs.names)}) are from: {inputs.source}")
    if attribution is not None:
        notes.append(attribution)
    return [f"{note[0].upper()}{note[1:].removesuffix('.')}." for note in notes]


def summary(fit: Any, counts: Counts, forecast: Any, notes: Sequence[str]) -> dict[str, Any]:
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
        "fit_error": _number(np.sqrt(np.nanmean((fitted - counts.active) ** 2))),
        "mean_active": _number(np.nanmean(counts.active)),
        "effective_parameters": _number(fit.num_parameters),
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
        "c_I": _number(fit.c_I),
        "c_a": _number(fit.c_a),
        "diverged_at": fit.diverged_at,
        "assumptions": list(notes),
    }


def print_lines(found: dict[str, Any]) -> None:
    """Prints the summary."""
    first, last = found["first_day"], found["last_day"]
    print(f"{found['data']}: {found['num_days']} days, {first} to {last}")
    print(
        f"fit            off by {found['fit_error']:,.4g} cases (root mean square), "
        f"{found['fit_error'] / found['mean_active']:.2%} of the mean; "
        f"{found['effective_parameters']:.3g} effective parameters"
    )
    growth, doubling = found["growth_rate"], found["doubling_days"]
    pace = ""
    if doubling is not None and abs(doubling) < 365:
        pace = f", {'doubles' if doubling > 0 else 'halves'} in {abs(doubling):.1f} days"
    low, high = found["reproduction_number_low"], found["reproduction_number_high"]
    number = found["reproduction_number"]
    print(f"R_t            {number:.2f} on {last} (90%: {low:.2f} to {high:.2f})")
    print(f"growth         {math.expm1(growth):+.1%} a day{pace}")
    for k, peak in enumerate(found["peaks"]):
        print(f"{'peaks' if not k else '':14} {peak['day']}  {peak['active']:,.0f}")
    forecast = found["forecast"]
    for k in sorted({min(_WEEK, len(forecast["day"])) - 1, len(forecast["day"]) - 1}):
        print(
            f"{'forecast':14} {forecast['day'][k]}  {forecast['median'][k]:,.0f} "
            f"(90%: {forecast['low'][k]:,.0f} to {forecast['high'][k]:,.0f})"
        )
    print(f"{'highest':14} {forecast['highest_day']}, of the days ahead")
    print(
        f"contact level  {found['contact_level']:.2f} learnt, "
        f"{found['best_contact_level']:.2f} best response, on {last}"
    )
    print(f"exploitability {found['exploitability']:.6g} (a day of illness costs {found['c_I']:g})")
    print("what was assumed")
    for note in found["assumptions"]:
        print(textwrap.fill(note, 96, initial_indent="  - ", subsequent_indent="    "))
    print(f"run folder     {found['out']}", flush=True)


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
    write_whole(folder / "forecast.csv", _csv(ahead, columns))
    text = json.dumps(found, indent=2, allow_nan=False) + "\n"
    write_whole(folder / "fit.json", text.encode())


def save_picture(ax: Any, folder: Path) -> Path:
    """Writes epidemic.png in one stroke."""
    buffer, path = io.BytesIO(), folder / "epidemic.png"
    ax.figure.savefig(buffer, dpi=150, format="png")
    write_whole(path, buffer.getvalue())
    return path


def _csv(days: np.ndarray, columns: dict[str, np.ndarray]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["date", *columns])
    for day, *row in zip(days, *columns.values(), strict=True):
        writer.writerow([str(day), *("" if np.isnan(x) else repr(float(x)) for x in row)])
    return text.getvalue().encode()


def _peaks(fitted: np.ndarray) -> list[int]:
    from scipy.signal import find_peaks

    places, _ = find_peaks(fitted, prominence=_PROMINENCE * np.nanmax(fitted))
    return [int(place) for place in places]


def _number(value: Any) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None  # JSON knows no NaN
