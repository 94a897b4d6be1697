"""Conformance of a game on points with a horizon, beyond its protocol."""

import equinox as eqx
import jax
import numpy as np

from nashfield.dynamics.episodes import play_among
from nashfield.games.continuous import ContinuousGame
from nashfield.policies import Affine
from nashfield.testing.common import CheckError, check_traces, copy_of, name_of

_NUM_AGENTS = 64


def check_played(game: ContinuousGame) -> float:
    """Plays the game among some agents, twice.

    Raises:
        CheckError: states or rewards are not finite, the same key gives other agents, or an equal
            game compiles anew.

    Returns:
        The mean return, with every action as near to zero as the bounds allow.
    """
    num_traces = 0

    @eqx.filter_jit
    def run(game, policy):
        nonlocal num_traces
        num_traces += 1
        return play_among(game, policy, num_agents=_NUM_AGENTS, key=jax.random.key(0))

    still = np.clip(np.zeros(game.control_dim), *map(np.asarray, game.control_bounds))
    gain = np.zeros((game.horizon, game.control_dim, game.state_dim))
    policy = Affine(gain, np.broadcast_to(still, gain.shape[:2]))
    found, again = run(game, policy), run(copy_of(game), policy)
    check_traces(game, num_traces)
    for name in ("states", "rewards"):
        one, other = (np.asarray(getattr(x, name)) for x in (found, again))
        if not np.isfinite(one).all():
            t, agent = np.argwhere(~np.isfinite(one))[0][:2]
            raise CheckError(f"{name_of(game)}: {name} of agent {agent} at t = {t} are not finite")
        if not np.array_equal(one, other):
            raise CheckError(f"{name_of(game)}: the same key gives other {name} the second time")
    return float(np.mean(np.asarray(found.returns, np.float64)))
