"""Peaks that were hidden, and are found again from what was counted before and after."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.checks import check_size
from nashfield.neural.epidemics.fitting import fit_epidemic
from nashfield.typing import Array

# The top is looked for so many days beyond what is hidden.
_MARGIN = 5


class Peaks(eqx.Module):
    """P peaks, each hidden in turn and filled in.

    Attributes:
        shifts: (P,) days from the true top to the filled one.
        height_errors: (P,) filled height over the true one, minus 1.
        filled: (P, D) active cases of the fit that did not see the peak.
    """

    shifts: Int[Array, "P"]
    height_errors: Float[Array, "P"]
    filled: Float[Array, "P D"]


def fill_peaks(
    counts: Any,
    peaks: Sequence[Any],
    *,
    reach: int = 10,
    truth: Any = None,
    key: PRNGKeyArray,
    **options: Any,
) -> Peaks:
    """Hides each peak in turn and fits the rest.

    New cases and removals around the peak are hidden as well.

    Args:
        counts: `Counts`; a mean over days must not carry what is hidden across its border.
        peaks: days, such as "2021-01-18".
        reach: so many days before and after each are hidden.
        truth: (D,) what the height is compared with; the active cases of `counts` if None.
        key: of the fits.
        **options: of `fit_epidemic`.

    Raises:
        ValueError: a peak is too near to an end of the counts.
    """
    check_size("reach", reach)
    truth = np.asarray(counts.active if truth is None else truth, float)
    shifts, errors, paths = [], [], []
    for peak in peaks:
        day = int((np.datetime64(peak, "D") - counts.dates[0]).astype(int))
        edge = reach + _MARGIN
        if not edge <= day < len(counts) - edge:
            raise ValueError(
                f"{counts.name}: the peak of {peak} lies less than {edge} days from an end of the "
                f"counts, {counts.dates[0]} to {counts.dates[-1]}"
            )
        gone = np.abs(np.arange(len(counts)) - day) <= reach
        hidden = {
            name: np.where(gone, np.nan, value)
            for name in ("active", "new", "removed")
            if (value := getattr(counts, name)) is not None
        }
        fit = fit_epidemic(dataclasses.replace(counts, **hidden), key=key, **options)
        filled = np.asarray(fit.active_fitted)
        top = day - edge + int(np.argmax(filled[day - edge : day + edge + 1]))
        shifts.append(top - day)
        errors.append(filled[top] / truth[day] - 1)
        paths.append(filled)
    return Peaks(np.asarray(shifts), np.asarray(errors), np.stack(paths))
