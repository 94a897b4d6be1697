"""The earlier version's numbers, and its fault."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from nashfield.papers.report import Row
from nashfield.papers.thoni2025 import paired
from nashfield.papers.thoni2025.sizes import Sizes


def play(sizes: Sizes, *, key: PRNGKeyArray, tell: Callable[[str], None]) -> list[Row]:
    """Meeting with many games, and El Farol as it was."""
    tell("the earlier version: one noise for all, paired losses ...")
    meetings, bars = (
        [
            paired.train(
                setting,
                num_games=games,
                num_validation=fresh,
                batch_size=batch,
                num_steps=steps,
                key=key,
            )
            for key in jax.random.split(key, seeds)
        ]
        for setting, seeds, games, fresh, batch, steps in (
            (paired.meeting(), sizes.paired_seeds, 1000, 1000, 32, 500),
            (paired.el_farol(), sizes.bar_seeds, 10, 100, 4, 300),
        )
    )
    valid = [float(m.validation_loss) for m in meetings]
    others = float(np.mean([np.mean(m.other_losses) for m in meetings]))
    training = [float(b.training_loss) for b in bars]
    return [
        _median("earlier version, meeting: validation MSE", 0.741, valid, (0.63, 0.90)),
        Row(
            "earlier version, meeting: the same with another noise",
            None,
            others,
            agrees=bool(others > 5),
            bar="more than 5",
        ),
        _median("earlier version, El Farol: training MSE", 0.0720, training, (0.067, 0.077)),
    ]


def _median(name: str, paper: float, values: list[float], bounds: tuple[float, float]) -> Row:
    spread = (float(np.min(values)), float(np.max(values)))
    return Row.within(
        f"{name}, median (least, greatest)",
        paper,
        float(np.median(values)),
        bounds,
        interval=spread if len(values) > 1 else None,
    )
