"""What a policy of a stationary game is worth, by plain iteration: no linear system is solved."""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from nashfield.games.base import StationaryGame
from nashfield.mean_fields import FiniteMeanField

_NUM_DOUBLINGS = 70
_MAX_BACKUPS = 1_000_000


class Reference(NamedTuple):
    """A policy of a stationary game, judged.

    Attributes:
        mean_field: (S,), where the crowd comes to rest.
        residual: sum of |Phi(z, pi) - z|.
        value: J of the policy.
        best: J of a best response.
        scale: largest |V(x)| of the policy.
    """

    mean_field: np.ndarray
    residual: float
    value: float
    best: float
    scale: float


def reference(game: StationaryGame, policy: Any) -> Reference:
    """Judges a policy in NumPy.

    The crowd: the average of the first 2^70 laws of the chain where it does not depend on the
    crowd, else the law after at most `settling_steps` moves. Values: by backups until nothing
    changes.

    Args:
        game: the game.
        policy: (S, A).
    """

    @eqx.filter_jit
    def stage(game, states, policy):
        crowd = FiniteMeanField(states, policy)
        return game.transition(crowd).dense(), game.reward(crowd)

    def at(states):
        table, reward = stage(game, jnp.asarray(states, float), jnp.asarray(policy, float))
        return np.asarray(table, np.float64), np.asarray(reward, np.float64)

    def chain(states):
        return np.einsum("xa,xay->xy", plays, at(states)[0])

    plays = np.asarray(policy, np.float64)
    start = np.asarray(game.initial(), np.float64)
    matrix, elsewhere = chain(start), np.random.default_rng(0).dirichlet(np.ones(start.size))
    if np.array_equal(matrix, chain(elsewhere)):
        states = start @ _average(matrix)
    else:
        states = _follow(chain, start, int(game.settling_steps))
    residual = float(np.abs(states @ chain(states) - states).sum())
    table, reward = at(states)
    discount = float(game.discount)
    values = _iterate(lambda v: np.sum(plays * (reward + discount * table @ v), -1), start.size)
    best = _iterate(lambda v: np.max(reward + discount * table @ v, -1), start.size)
    scale = float(np.abs(values).max())
    return Reference(states, residual, float(start @ values), float(start @ best), scale)


def _average(matrix: np.ndarray) -> np.ndarray:
    """Average of the powers 0, 1, .., 2^70 - 1."""
    average = np.eye(len(matrix))
    for _ in range(_NUM_DOUBLINGS):
        average = (average + average @ matrix) / 2
        matrix = matrix @ matrix
        matrix /= matrix.sum(-1, keepdims=True)
    return average


def _follow(chain: Any, states: np.ndarray, num_moves: int) -> np.ndarray:
    for _ in range(num_moves):
        moved = states @ chain(states)
        moved /= moved.sum()
        change, states = np.abs(moved - states).sum(), moved
        if change < 1e-14:
            break
    return states


def _iterate(backup: Any, num_states: int) -> np.ndarray:
    values = np.zeros(num_states)
    for _ in range(_MAX_BACKUPS):
        moved = backup(values)
        change, values = np.abs(moved - values).max(), moved
        if change <= 1e-15 * (1 + np.abs(values).max()):
            break
    return values
