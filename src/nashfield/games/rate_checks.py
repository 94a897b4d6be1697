"""Does a game in continuous time keep its protocol?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from nashfield.games.rates import RateGame
from nashfield.games.tracing import call, check_output, check_sizes
from nashfield.mean_fields import FiniteMeanField
from nashfield.results import GameError

_NUM_TIMES = 5


def check_rate_form(game: RateGame) -> None:
    """The part of `check_rate_game` that costs no compilation.

    Raises:
        GameError: sizes, shapes, bounds or the initial law are wrong; the message names the method.
    """
    check_sizes(game, "num_states")
    states = (game.num_states,)
    float_type = jnp.result_type(float)
    t = jax.ShapeDtypeStruct((), float_type)
    vector = jax.ShapeDtypeStruct(states, float_type)
    crowd = eqx.filter_eval_shape(FiniteMeanField, vector)
    square = jax.ShapeDtypeStruct(states * 2, float_type)
    check_output(game, "initial", states, "(num_states,)")
    check_output(game, "rates", states * 2, "(num_states, num_states)", t, crowd, vector)
    check_output(game, "reward", states, "(num_states,)", t, crowd, vector)
    check_output(game, "terminal_reward", states, "(num_states,)", crowd)
    check_output(game, "best_action", states, "(num_states,)", t, crowd, square)


def check_rate_game(game: RateGame) -> None:
    """Checks the form, the initial law, the bounds, and rates and rewards of some crowds.

    Looks at five times, at crowds spread out, random and in one state, and at the least, the
    greatest and mean actions.

    Raises:
        GameError: what is wrong, and where.
    """
    check_rate_form(game)
    name = type(game).__name__
    duration = float(game.duration)
    if not (np.isfinite(duration) and duration > 0):
        raise GameError(f"{name}.duration must be finite and greater than 0, not {duration:g}")
    initial = np.asarray(call(game, "initial", game.initial), float)
    if not (np.all(initial >= -1e-6) and abs(initial.sum() - 1) < 1e-5):
        raise GameError(f"{name}.initial() must be shares that sum to 1, not {initial}")
    low, high = (np.asarray(bound, float) for bound in game.action_bounds)
    if not (low.shape == high.shape == initial.shape and np.all(np.isfinite(high - low))):
        raise GameError(f"{name}.action_bounds must be two finite arrays of shape (num_states,)")
    if not np.all(low <= high):
        raise GameError(f"{name}.action_bounds: the least action exceeds the greatest")
    uniform = np.full_like(initial, 1 / len(initial))
    drawn = np.random.default_rng(0).dirichlet(np.ones(len(initial)))
    crowds = np.stack([initial, uniform, drawn, np.eye(len(initial))[-1]])

    @eqx.filter_jit
    def look(game, t, states, action):
        crowd = FiniteMeanField(states)
        return game.rates(t, crowd, action), game.reward(t, crowd, action)

    for t in np.linspace(0, duration, _NUM_TIMES):
        for states in crowds:
            for action in (low, high, (low + high) / 2):
                given = (jnp.asarray(x, float) for x in (t, states, action))
                rates, reward = call(game, "rates or reward", lambda g=tuple(given): look(game, *g))
                _check_values(name, t, np.asarray(rates), np.asarray(reward))


def _check_values(name: str, t: float, rates: np.ndarray, reward: np.ndarray) -> None:
    jumps = np.where(np.eye(len(rates), dtype=bool), 0, rates)
    wrong = ~(np.isfinite(jumps) & (jumps >= 0))
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        raise GameError(
            f"{name}.rates: at t = {t:.4g}, from state {i} to state {j}, a rate must be finite and "
            f"at least 0, not {jumps[i, j]:.6g}"
        )
    if not np.isfinite(reward).all():
        i = int(np.argmin(np.isfinite(reward)))
        raise GameError(f"{name}.reward: at t = {t:.4g}, in state {i}, the reward is {reward[i]}")
