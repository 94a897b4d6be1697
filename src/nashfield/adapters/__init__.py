"""Games on points as environments that libraries of reinforcement learning train on.

Gymnasium and PettingZoo are imported when an environment is made.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nashfield.games.continuous import ContinuousGame
from nashfield.mean_fields import AbstractFlow

if TYPE_CHECKING:
    from nashfield.adapters.parallel import ParallelGame
    from nashfield.adapters.single import SingleAgent, SingleAgents

__all__ = ["gymnasium_env", "gymnasium_vector_env", "pettingzoo_env"]

Bounds = tuple[Any, Any] | None


def gymnasium_env(
    game: ContinuousGame, flow: AbstractFlow, *, action_bounds: Bounds = None
) -> "SingleAgent":
    """One agent against a frozen crowd, as a `gymnasium.Env`.

    An observation is (t / T, observe(x)) in single precision, the action a point of the game. The
    episode terminates with the T-th decision, whose reward the terminal reward is added to. What
    an episode's seed fixes is its start and every move.

    Actions are clipped into the action space. Learners like it to be [-1, 1]:
    `gymnasium.wrappers.RescaleAction` brings any other there.

    Args:
        game: the game.
        flow: the crowd, at t = 0..T.
        action_bounds: least and greatest actions, numbers or (C,); None for the bounds of the
            game, and where it has none for [-1, 1] (above a lone lower bound the first 2 units,
            below a lone upper bound the last 2).

    Raises:
        ImportError: Gymnasium is missing.
        ParameterError: the flow does not fit the game, or the bounds do not.
    """
    return _module("single", "gymnasium").SingleAgent(game, flow, action_bounds)


def gymnasium_vector_env(
    game: ContinuousGame, flow: AbstractFlow, *, num_envs: int, action_bounds: Bounds = None
) -> "SingleAgents":
    """Many agents, each alone against a frozen crowd, as a `gymnasium.vector.VectorEnv`.

    All of them move in one compiled program. Their episodes end together, and the next ones
    begin in the same step (`AutoresetMode.SAME_STEP`: the last observations are in
    `infos["final_obs"]`).

    Args:
        game: the game.
        flow: the crowd, at t = 0..T.
        num_envs: how many agents.
        action_bounds: see `gymnasium_env`.

    Raises:
        ImportError: Gymnasium is missing.
        ParameterError: the flow does not fit the game, the bounds do not, or there is no agent.
    """
    return _module("single", "gymnasium").SingleAgents(game, flow, num_envs, action_bounds)


def pettingzoo_env(
    game: ContinuousGame, *, num_agents: int = 50, action_bounds: Bounds = None
) -> "ParallelGame":
    """The game of N agents itself, as a `pettingzoo.ParallelEnv`.

    Each agent meets the empirical law of all N, oneself included, and sees (t / T, observe(x)) of
    itself in single precision. All terminate with the T-th decision.

    Args:
        game: the game.
        num_agents: N.
        action_bounds: see `gymnasium_env`.

    Raises:
        ImportError: PettingZoo is missing.
        ParameterError: the bounds do not fit the game, or there is no agent.
    """
    return _module("parallel", "pettingzoo").ParallelGame(game, num_agents, action_bounds)


def _module(name: str, needs: str) -> ModuleType:
    try:
        import_module(needs)
    except ImportError as error:
        raise ImportError(
            f'{needs} is not installed; pip install "nashfield[adapters]" brings it'
        ) from error
    return import_module(f"nashfield.adapters.{name}")
