"""`nashfield fit`: a game fitted to data, in a folder with its numbers and a picture."""

import argparse
import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nashfield.cli import prepare
from nashfield.cli.parser import UsageError

# Forecast where --forecast is not given.
_DAYS, _DAYS_OF_OUTBREAK = 14, 3


def main(args: argparse.Namespace) -> int:
    """Fits an epidemic, says what it found and what it assumed, and keeps it."""
    from nashfield.cli import fit_report, fit_warnings
    from nashfield.neural.epidemics.counts import check_cases

    counts, attribution = _read(args)
    inputs = _inputs(args, counts)
    prepare()
    import jax

    from nashfield.neural.epidemics import EpidemicSettings, fit_epidemic, outbreak

    check_cases(counts)
    out = Path(args.out) if args.out else _fresh_folder()
    with _folder(out):
        for note in (*counts.notes, *fit_warnings.idle_inputs(inputs)):
            print(note, file=sys.stderr, flush=True)
        print("compiling, then fitting ...", file=sys.stderr, flush=True)
        fit_key, forecast_key = jax.random.split(jax.random.key(args.seed))
        start = time.perf_counter()
        settings = outbreak() if args.outbreak else EpidemicSettings()
        fit = fit_epidemic(
            counts,
            gamma=args.gamma,
            inputs=inputs,
            settings=settings,
            c_I=args.cost_illness,
            c_a=args.cost_avoidance,
            key=fit_key,
            progress=True,
        )
        days_ahead = args.forecast or (_DAYS_OF_OUTBREAK if args.outbreak else _DAYS)
        known = None if inputs is None else inputs.ahead(days_ahead)
        forecast = fit.forecast(days_ahead, inputs=known, key=forecast_key)
        seconds = time.perf_counter() - start
        notes = fit_report.assumptions(fit, counts, inputs, days_ahead, attribution)
        warnings = fit_warnings.warnings(fit, counts, inputs, outbreak=args.outbreak)
        found = fit_report.summary(fit, counts, forecast, notes, outbreak=args.outbreak)
        found |= {"warnings": warnings, "seed": args.seed, "seconds": seconds, "out": str(out)}
        fit_report.save(out, fit, counts, forecast, found)
    if not args.json:
        fit_report.print_lines(found)
    for text in warnings if args.json else ():
        print(f"nashfield: warning: {text}", file=sys.stderr)
    if not args.no_plots:
        path = _draw(out, fit, counts, forecast=forecast, inputs=inputs, notes=notes)
        if not args.json:
            print(f"picture        {path}")
    if args.json:
        print(json.dumps(found))
    return 0


@contextlib.contextmanager
def _folder(out: Path) -> Iterator[None]:
    """A new folder, which goes again if nothing comes to be in it."""
    from nashfield import storage

    fresh = not out.exists()
    storage.new_folder(out)
    try:
        yield
    except BaseException:
        if fresh:
            with contextlib.suppress(OSError):
                out.rmdir()
        raise


def _draw(out: Path, fit: Any, counts: Any, **shown: Any) -> Path:
    """The picture; where the user has no patience for it, the numbers are there."""
    from nashfield.cli import fit_report

    try:
        from nashfield.plotting.epidemic import plot_epidemic

        return fit_report.save_picture(plot_epidemic(fit, counts, **shown), out)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted: no picture; fit.json, fit.csv and forecast.csv are kept in {out}"
        ) from None


def _read(args: argparse.Namespace) -> tuple[Any, str | None]:
    """The counts, and the words that their licence asks for."""
    from nashfield.datasets import DATASETS, load
    from nashfield.neural.epidemics.counts import counts_of, read_counts
    from nashfield.registry import suggest

    chosen = {"start": args.start, "end": args.end, "column": args.column}
    if args.data in DATASETS and not Path(args.data).exists():
        dataset = DATASETS[args.data]
        population = args.population or dataset.population
        return counts_of(load(args.data), population, **chosen), dataset.attribution
    path = Path(args.data)
    if path.name == args.data and not path.suffix and not path.exists():
        raise UsageError(
            f"{args.data}: there is no such file, and no dataset of this name; "
            f"{suggest(args.data, DATASETS)}"
        )
    if args.population is None:
        raise UsageError("--population N: say how many persons live where the cases were counted")
    return read_counts(args.data, population=args.population, **chosen), None


def _inputs(args: argparse.Namespace, counts: Any) -> Any:
    if args.inputs is None:
        if args.inputs_source is not None:
            raise UsageError("--inputs-source names the source of --inputs CSV: say which")
        return None
    from nashfield.neural.epidemics.inputs import read_inputs

    inputs = read_inputs(args.inputs, counts.dates, source=args.inputs_source)
    # Where counts are cut, the file may know what nobody knew on the last day.
    return inputs if args.end is None else dataclasses.replace(inputs, announced=None)


def _fresh_folder() -> Path:
    """The first of runs/epidemic-1, -2, ... that does not exist."""
    number = 1
    while (path := Path("runs") / f"epidemic-{number}").exists():
        number += 1
    return path
