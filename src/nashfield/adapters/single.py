"""Agents alone against a frozen crowd, for Gymnasium."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from nashfield.adapters.moves import Moves, box, check_flow, check_game, clipped
from nashfield.checks import check_size

_MOST = np.finfo(np.float32).max


def observation_space(num_features: int) -> spaces.Box:
    """(t / T, what is seen of the state), any number that single precision holds."""
    low = np.full(num_features, -_MOST, np.float32)
    high = np.full(num_features, _MOST, np.float32)
    low[0], high[0] = 0, 1
    return spaces.Box(low, high)


class SingleAgent(gymnasium.Env):
    """One agent against a frozen flow; see `nashfield.adapters.gymnasium_env`."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012, as Gymnasium declares it

    def __init__(self, game: Any, flow: Any, action_bounds: Any = None):
        """See `nashfield.adapters.gymnasium_env`."""
        check_game(game)
        check_flow(game, flow)
        self._low, self._high = box(game, action_bounds)
        self._moves = Moves(game, flow)
        self._time = game.horizon
        self._states: Any = None
        self.action_space = spaces.Box(self._low, self._high)
        self.observation_space = observation_space(self._moves.observation_size)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins an episode: its first observation (1 + F,), and nothing else to know."""
        super().reset(seed=seed)
        start = int(self.np_random.integers(2**32))
        self._states, seen = self._moves.start(start, 1)
        self._time = 0
        return np.array(seen[0]), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Plays `action` (C,): observation, reward, terminated, truncated (never), info (empty).

        Raises:
            RuntimeError: no episode is going on.
            ValueError: the action has another shape, or is not a number.
        """
        game = self._moves.game
        if self._time == game.horizon:
            raise RuntimeError("no episode is going on: call reset() first")
        actions = clipped(action, self._low, self._high, game.control_dim)[None]
        noise = self.np_random.standard_normal((1, game.noise_dim))
        self._states, seen, rewards = self._moves.move(self._time, self._states, actions, noise)
        self._time += 1
        return np.array(seen)[0], float(rewards[0]), self._time == game.horizon, False, {}


class SingleAgents(gymnasium.vector.VectorEnv):
    """Agents alone against a frozen flow; see `nashfield.adapters.gymnasium_vector_env`."""

    metadata: dict[str, Any] = {  # noqa: RUF012, as Gymnasium declares it
        "render_modes": [],
        "autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP,
    }

    def __init__(self, game: Any, flow: Any, num_envs: int, action_bounds: Any = None):
        """See `nashfield.adapters.gymnasium_vector_env`."""
        check_game(game)
        check_flow(game, flow)
        check_size("num_envs", num_envs)
        self._low, self._high = box(game, action_bounds)
        self._moves = Moves(game, flow)
        self._time = game.horizon
        self._states: Any = None
        self.num_envs = num_envs
        self.single_action_space = spaces.Box(self._low, self._high)
        self.single_observation_space = observation_space(self._moves.observation_size)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begins an episode of each agent: first observations (N, 1 + F)."""
        super().reset(seed=seed)
        start = int(self.np_random.integers(2**32))
        self._states, seen = self._moves.start(start, self.num_envs)
        self._time = 0
        return np.array(seen), {}

    def step(
        self, actions: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Plays `actions` (N, C): observations, rewards, terminations, truncations, infos.

        Raises:
            RuntimeError: reset() was never called.
            ValueError: the actions have another shape, or one is not a number.
        """
        game = self._moves.game
        if self._states is None:
            raise RuntimeError("no episode is going on: call reset() first")
        actions = clipped(actions, self._low, self._high, self.num_envs, game.control_dim)
        noise = self.np_random.standard_normal((self.num_envs, game.noise_dim))
        self._states, seen, rewards = self._moves.move(self._time, self._states, actions, noise)
        self._time += 1
        ended = np.full(self.num_envs, self._time == game.horizon)
        seen, infos = np.array(seen), {}
        if ended[0]:
            final = np.empty(self.num_envs, object)
            final[:] = list(seen)
            infos = {"final_obs": final, "_final_obs": ended.copy()}
            seen, _ = self.reset()
        return seen, np.array(rewards, np.float64), ended, np.zeros_like(ended), infos
