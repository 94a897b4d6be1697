"""Arguments of `nashfield fit`."""

import argparse

from nashfield.cli.values import count, positive, rate, tolerance
from nashfield.registry import suggest

_KINDS = ("epidemic",)


def add_fit_arguments(parser: argparse.ArgumentParser) -> None:
    """What `nashfield fit` takes."""
    add = parser.add_argument
    add("kind", type=_kind, metavar="epidemic", help="what the data are of")
    add(
        "data",
        metavar="CASES",
        help="a CSV file with a column date and one of active (or new) cases, or the name of a "
        "dataset (see `nashfield datasets`)",
    )
    add("--population", type=positive, metavar="N", help="number of persons")
    add("--from", dest="start", metavar="DATE", help="first day (default: the first in the file)")
    add("--to", dest="end", metavar="DATE", help="last day (default: the last in the file)")
    add("--column", metavar="NAME", help="the column of active cases, where it has another name")
    add("--inputs", metavar="CSV", help="events: rows start,end,name, or a column a day")
    add("--inputs-source", metavar="TEXT", help="who the inputs are from, if the file does not say")
    add(
        "--forecast",
        type=positive,
        metavar="DAYS",
        help="days to forecast (default 14, and 3 with --outbreak)",
    )
    add(
        "--gamma",
        type=rate,
        metavar="X",
        help="share of the active cases that recovers a day: active cases alone do not tell it "
        "(default 0.1, and 0.5 with --outbreak)",
    )
    for what, kind, text in (
        ("illness", tolerance, "a day of illness, c_I"),
        ("avoidance", rate, "avoidance, c_a: a day without contact costs half of it"),
    ):
        add(
            f"--cost-{what}",
            type=kind,
            default=1.0,
            metavar="X",
            help=f"assumed cost of {text}; for best response and exploitability alone (default 1)",
        )
    add(
        "--outbreak",
        action="store_true",
        help="one outbreak of some weeks in a closed place, where all who are ill are counted",
    )
    add("--seed", type=count, default=0, metavar="N", help="of all random numbers")
    add("--out", metavar="DIR", help="folder, new or empty (default runs/epidemic-NUMBER)")
    add("--no-plots", action="store_true", help="draw no picture")
    add("--json", action="store_true", help="the last line of standard output is one object")


def _kind(text: str) -> str:
    if text not in _KINDS:
        raise argparse.ArgumentTypeError(
            f"nothing to fit by the name {text!r}; {suggest(text, _KINDS)}"
        )
    return text
