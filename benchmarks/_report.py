"""Tables on standard output."""

import math
from collections.abc import Sequence

CROSS = "-"


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints aligned columns, the first to the left."""
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]
    print(f"\n{title}")
    for row in (header, ["-" * width for width in widths], *rows):
        first, *rest = row
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        print("  ".join(cells), flush=True)


def micro(seconds: float | None) -> str:
    """Microseconds."""
    return CROSS if seconds is None else f"{seconds * 1e6:,.1f}"


def number(value: float | None, digits: int = 3) -> str:
    """A few significant digits."""
    if value is None or not math.isfinite(value):
        return CROSS
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"


def summary(ratios: Sequence[float], mean_target: float, least_target: float | None) -> dict:
    """Prints and returns geometric mean and minimum beside what they should be."""
    if not ratios:
        print("no ratio to sum up")
        return {}
    mean = math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))
    least = min(ratios)
    wanted = f"(target {mean_target:g})"
    bound = "" if least_target is None else f" (target {least_target:g})"
    print(f"{len(ratios)} games: geometric mean {number(mean)} {wanted}", end="")
    print(f", minimum {number(least)}{bound}")
    return {"geometric_mean": mean, "minimum": least, "num_games": len(ratios)}
