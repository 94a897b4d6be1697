"""A start that is neither uniform nor symmetric, so that best responses are unique."""

import numpy as np
import pytest


def skewed(game):
    """Weights 1 + (t + 2 x + 3 a) mod 5, normalised over actions."""
    t, x, a = np.ogrid[: game.horizon, : game.num_states, : game.num_actions]
    weights = 1.0 + (t + 2 * x + 3 * a) % 5
    return weights / weights.sum(-1, keepdims=True)


@pytest.fixture
def skewed_policy():
    return skewed
