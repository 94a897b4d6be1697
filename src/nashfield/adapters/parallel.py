"""Agents among one another, for PettingZoo."""

from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from nashfield.adapters.moves import Moves, box, check_game, clipped
from nashfield.adapters.single import observation_space
from nashfield.checks import check_size


class ParallelGame(ParallelEnv):
    """The game of N agents; see `nashfield.adapters.pettingzoo_env`.

    Attributes:
        possible_agents: "agent_0" to "agent_{N - 1}".
        agents: the same while an episode goes on, then none.
    """

    def __init__(self, game: Any, num_agents: int, action_bounds: Any = None):
        """See `nashfield.adapters.pettingzoo_env`."""
        check_game(game)
        check_size("num_agents", num_agents)
        self._low, self._high = box(game, action_bounds)
        self._moves = Moves(game, None)
        self._time = game.horizon
        self._states: Any = None
        self._generator = np.random.default_rng()
        self.metadata = {"name": type(game).__name__, "render_modes": []}
        self.render_mode = None
        self.possible_agents = [f"agent_{index}" for index in range(num_agents)]
        self.agents = []
        size = self._moves.observation_size
        self.observation_spaces = {agent: observation_space(size) for agent in self.possible_agents}
        self.action_spaces = {
            agent: spaces.Box(self._low, self._high) for agent in self.possible_agents
        }

    def observation_space(self, agent: str) -> spaces.Space:
        """What `agent` sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        """What `agent` may do."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """Begins an episode: first observations (1 + F,), and infos, which are empty."""
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        start = int(self._generator.integers(2**32))
        self._states, seen = self._moves.start(start, len(self.possible_agents))
        self._time = 0
        self.agents = list(self.possible_agents)
        return self._each(np.array(seen)), {agent: {} for agent in self.agents}

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[
        dict[str, np.ndarray],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Plays one action (C,) an agent: observations, rewards, terminations, truncations, infos.

        Raises:
            RuntimeError: no episode is going on.
            ValueError: an agent has no action, or one of another shape or that is not a number.
        """
        game = self._moves.game
        if not self.agents:
            raise RuntimeError("no episode is going on: call reset() first")
        missing = [agent for agent in self.agents if agent not in actions]
        if missing:
            raise ValueError(f"{len(missing)} agents have no action, among them {missing[0]}")
        sizes = (game.control_dim,)
        played = np.stack(
            [clipped(actions[agent], self._low, self._high, *sizes) for agent in self.agents]
        )
        noise = self._generator.standard_normal((len(self.agents), game.noise_dim))
        self._states, seen, rewards = self._moves.move(self._time, self._states, played, noise)
        self._time += 1
        over = self._time == game.horizon
        results = (
            self._each(np.array(seen)),
            self._each(np.asarray(rewards, np.float64).tolist()),
            dict.fromkeys(self.agents, over),
            dict.fromkeys(self.agents, False),
            {agent: {} for agent in self.agents},
        )
        if over:
            self.agents = []
        return results

    def _each(self, values: Any) -> dict[str, Any]:
        return dict(zip(self.agents, values, strict=True))
