"""Loops over the horizon, unrolled where the steps are too small to pay for a loop."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from nashfield.games.base import FiniteGame

Carry = TypeVar("Carry")

# Up to so many table entries over the whole horizon a loop's own cost exceeds its body's. Beyond,
# XLA merges unrolled steps into expressions that it computes over and over, forty times slower.
_UNROLL_ENTRIES = 100
_UNROLL_STEPS = 8


def scan_times(
    step: Callable, carry: Carry, slices: object, game: FiniteGame, *, reverse: bool = False
) -> tuple[Carry, Any]:
    """Runs `step(carry, (t, slices_t)) -> (carry, outputs_t)` over t = 0..T-1.

    Args:
        step: one step in time.
        carry: what the first step is given.
        slices: pytree of arrays with leading axis T.
        game: gives the horizon and the size of one step.
        reverse: from T - 1 down to 0.

    Returns:
        The last carry, and the outputs stacked along a leading axis T.
    """
    horizon = game.horizon
    entries = horizon * game.num_states * game.num_actions
    unroll = horizon <= _UNROLL_STEPS and entries <= _UNROLL_ENTRIES
    times = jnp.arange(horizon)
    return jax.lax.scan(
        step, carry, (times, slices), horizon, reverse=reverse, unroll=horizon if unroll else 1
    )
