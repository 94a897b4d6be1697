"""A peak that was hidden is found again."""

import sys
from pathlib import Path

import jax
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from simulated import epidemic, settings

from nashfield.neural.epidemics import fill_peaks

KEY = jax.random.key(0)


def test_a_hidden_peak_is_found():
    counts, _ = epidemic(noise=0.3)
    top = int(np.argmax(counts.active[:60]))
    options = {"drift": "prescribed", "settings": settings(), "key": KEY}
    found = fill_peaks(counts, [counts.dates[top]], reach=7, **options)
    assert abs(found.shifts[0]) <= 3 and abs(found.height_errors[0]) < 0.1
    assert found.filled.shape == (1, 90)
    # What was hidden is not seen.
    hidden = slice(top - 7, top + 8)
    changed = counts.active.copy()
    changed[hidden] = 1.0
    other = type(counts)(counts.dates, changed, counts.population, counts.new)
    again = fill_peaks(other, [counts.dates[top]], reach=7, truth=counts.active, **options)
    np.testing.assert_array_equal(again.filled, found.filled)


def test_a_peak_at_the_edge_cannot_be_filled():
    counts, _ = epidemic()
    with pytest.raises(ValueError, match="the peak of 2020-01-05 lies less than 15 days from an"):
        fill_peaks(counts, ["2020-01-05"], key=KEY)
