"""What a reader of a fit has to be warned of: that it does not fit, or that something is idle."""

from typing import Any

import numpy as np

from nashfield.neural.epidemics.counts import Counts

# Off by more than this share of the mean, a fit is none.
_OFF = 0.2
# So few days are one outbreak.
_FEW_DAYS = 40
# The rate of recovery may be off the counted one by this factor.
_FACTOR = 2.0


def warnings(fit: Any, counts: Counts, inputs: Any, *, outbreak: bool) -> list[str]:
    """One sentence or two each.

    Args:
        fit: what `nashfield.neural.epidemics.fit_epidemic` found.
        counts: that were fitted.
        inputs: `DailyInputs`, or None.
        outbreak: whether the settings of an outbreak were used.
    """
    found = [_diverged(fit), _misfit(fit, counts, outbreak), _recovery(fit, counts)]
    return [text for text in found if text] + idle_inputs(inputs)


def share_off(fit: Any, counts: Counts) -> float:
    """Root mean square error of the active cases over their mean."""
    off = np.asarray(fit.active_fitted, float) - counts.active
    return float(np.sqrt(np.nanmean(off**2)) / np.nanmean(counts.active))


def idle_inputs(inputs: Any) -> list[str]:
    """Inputs that never change on the fitted days, such as events before or after them."""
    if inputs is None:
        return []
    span = f"these days ({inputs.dates[0]} to {inputs.dates[-1]})"
    return [
        f"the input {name} is {column[0]:g} on every day: it changes nothing within {span}"
        for name, column in zip(inputs.names, inputs.values.T, strict=True)
        if np.all(column == column[0])
    ]


def _diverged(fit: Any) -> str:
    if fit.diverged_at is None:
        return ""
    return (
        f"the fit diverged at step {fit.diverged_at}; the last good numbers are kept: try another "
        "--gamma or --seed, or --outbreak for a few weeks in a closed place"
    )


def _misfit(fit: Any, counts: Counts, outbreak: bool) -> str:
    off, short = share_off(fit, counts), len(counts) < _FEW_DAYS and not outbreak
    cures = "another --gamma" if outbreak else "--outbreak (one short outbreak) or another --gamma"
    # A number that is none is no fit either.
    if not off <= _OFF:
        return f"the model does not fit: it is off by {off:.0%} of the mean; try {cures}"
    if short:
        return f"{len(counts)} days are few for this model, which may not fit them; try {cures}"
    return ""


def _recovery(fit: Any, counts: Counts) -> str:
    """The given rate beside the share of the active cases that leaves on a day, where counted."""
    counted, given = _outflow(counts), float(fit.settings.gamma)
    if counted is None or 1 / _FACTOR <= given / counted <= _FACTOR:
        return ""
    return (
        f"the rate of recovery does not fit the counts: {given:.3g} a day, but by the "
        f"counts {counted:.1%} of the active cases leave in a day; try --gamma {counted:.2g}"
    )


def _outflow(counts: Counts) -> float | None:
    """Share of the active cases that leaves on a day: of new ones less growth, or of removed."""
    leaving: np.ndarray | None = None
    if counts.new is not None:
        leaving = counts.new[1:] - np.diff(counts.active)
    elif counts.removed is not None:
        leaving = np.diff(counts.removed)
    if leaving is None:
        return None
    known = np.isfinite(leaving) & np.isfinite(counts.active[:-1])
    there = float(np.sum(counts.active[:-1][known]))
    gone = float(np.sum(leaving[known]))
    return gone / there if there > 0 and gone > 0 else None
