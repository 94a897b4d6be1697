"""Magnino et al. (2025): DEDA-FP and its two predecessors, their figures and sampling times."""

from collections.abc import Callable

import jax
from jaxtyping import PRNGKeyArray

from nashfield.papers.magnino2025 import budget, density, quadratic, rooms, sampling
from nashfield.papers.magnino2025.sizes import QUICK, Sizes
from nashfield.papers.report import Report

TITLE = (
    'L. Magnino, K. Shao, Z. Wu, J. Shen, M. Laurière, "Solving Continuous Mean Field Games: Deep '
    'Reinforcement Learning for Non-Stationary Dynamics", NeurIPS 2025'
)


def reproduce(*, quick: bool, key: PRNGKeyArray, tell: Callable[[str], None]) -> Report:
    """Runs the paper again; its environments' constants are not published, ours stand in.

    Two cores need about three quarters of an hour, and about five minutes for `quick`, most of them
    for compilation: less where programs are kept from an earlier run.

    Args:
        quick: two seeds and few iterations in place of four seeds and twenty.
        key: of all random numbers.
        tell: called with a line of text on what is being done.
    """
    return run(QUICK if quick else Sizes(), key=key, tell=tell)


def run(sizes: Sizes, *, key: PRNGKeyArray, tell: Callable[[str], None]) -> Report:
    """All experiments with these sizes."""
    keys = jax.random.split(key, 4)
    rows, drawn, game, line = quadratic.play(sizes, key=keys[0], tell=tell)
    more, pictures = density.play(sizes, key=keys[1], tell=tell)
    rows, drawn = rows + more, drawn | pictures
    more, pictures = budget.play(sizes, key=jax.random.fold_in(key, 4), tell=tell)
    rows, drawn = rows + more, drawn | pictures
    more, pictures, building, plane = rooms.play(sizes, key=keys[2], tell=tell)
    rows, drawn = rows + more, drawn | pictures
    for name, where, learnt in (("on the line", game, line), ("in the plane", building, plane)):
        rows += sampling.measure(name, where, learnt, sizes, key=keys[3], tell=tell)
    return Report(TITLE, tuple(rows), drawn, "mean -/+ deviation over seeds")
