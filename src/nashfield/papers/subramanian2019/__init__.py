"""Subramanian and Mahajan (2019): every exact line and every learnt curve of the paper."""

from collections.abc import Callable

import jax
from jaxtyping import PRNGKeyArray

from nashfield.papers.report import Report
from nashfield.papers.subramanian2019 import investments, malware, neural

TITLE = (
    'J. Subramanian, A. Mahajan, "Reinforcement Learning in Stationary Mean-field Games", '
    "AAMAS 2019"
)
NUM_SEEDS = 100
QUICK_NUM_SEEDS = 10


def reproduce(*, quick: bool, key: PRNGKeyArray, tell: Callable[[str], None]) -> Report:
    """Runs the paper again with its settings.

    Args:
        quick: 10 seeds in place of 100.
        key: of all random numbers.
        tell: called with a line of text on what is being done.
    """
    num_seeds = QUICK_NUM_SEEDS if quick else NUM_SEEDS
    rows, pictures = list(malware.exact_rows()), {}
    for index, part in enumerate((malware.learn_thresholds, neural.learn, investments.learn)):
        more, drawn = part(num_seeds, key=jax.random.fold_in(key, index), tell=tell)
        rows += more
        pictures |= drawn
    return Report(TITLE, tuple(rows), pictures)
