"""Thöni, Bachrach and Kachman (2025): neural mean-field games, from meetings to an epidemic."""

from collections.abc import Callable

import jax
from jaxtyping import PRNGKeyArray

from nashfield.papers.report import Report
from nashfield.papers.thoni2025 import calibration, earlier, epidemics, exact, school, sound
from nashfield.papers.thoni2025.sizes import QUICK, Sizes

TITLE = (
    'A. C. M. Thöni, Y. Bachrach, T. Kachman, "Neural Mean-Field Games: Extending Mean-Field Game '
    'Theory with Neural Stochastic Differential Equations", arXiv 2504.13228 (2025)'
)


def reproduce(*, quick: bool, key: PRNGKeyArray, tell: Callable[[str], None]) -> Report:
    """Exact references, the earlier version, the sound one, calibration, and epidemics.

    Args:
        quick: few seeds.
        key: of all random numbers.
        tell: called with a line of text on what is being done.
    """
    return run(QUICK if quick else Sizes(), key=key, tell=tell)


def run(sizes: Sizes, *, key: PRNGKeyArray, tell: Callable[[str], None]) -> Report:
    """All experiments with these sizes."""
    keys = jax.random.split(key, 6)
    rows = exact.play(key=keys[0], tell=tell)
    rows += earlier.play(sizes, key=keys[1], tell=tell)
    more, pictures = sound.play(sizes, key=keys[2], tell=tell)
    rows += more
    rows += calibration.play(sizes, key=keys[3], tell=tell)
    more, drawn = epidemics.play(sizes, key=keys[4], tell=tell)
    rows, pictures = rows + more, pictures | drawn
    more, drawn = school.play(key=keys[5], tell=tell)
    rows, pictures = rows + more, pictures | drawn
    return Report(TITLE, tuple(rows), pictures, "mean -/+ deviation over seeds")
