"""What a game is: the protocols that every solver and every game of the zoo agree on."""

import abc
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.games.kernels import Kernel
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Time


@dataclass(frozen=True)
class Display:
    """How a game's states and actions are shown; every field may stay empty.

    Attributes:
        states: S names of states.
        actions: A names of actions.
        cells: (S, 2) or (S, 3) integer coordinates (row, column) or (floor, row, column) of each
            state on a grid; cells that no state owns are walls.
        shape: extent of that grid.
        walls: (S,) which states are walls, where nobody ever is.
    """

    states: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None
    cells: np.ndarray | None = None
    shape: tuple[int, ...] | None = None
    walls: np.ndarray | None = None


class AbstractGame(eqx.Module):
    """What finite-horizon and stationary games on finitely many states share.

    Array attributes of a game are its parameters: they are traced, vmapped and differentiated.

    Attributes:
        num_states: S.
        num_actions: A.
    """

    num_states: eqx.AbstractVar[int]
    num_actions: eqx.AbstractVar[int]

    @abc.abstractmethod
    def initial(self) -> Float[Array, "S"]:
        """Law of the population at time 0; sums to 1."""

    @property
    def display(self) -> Display:
        """Names and places of states and actions, for pictures."""
        return Display()


class FiniteGame(AbstractGame):
    """A game of T decisions on S states with A actions.

    One agent in state x plays a, collects reward(t, mean_field)[x, a] and moves by
    transition(t, mean_field); after the last decision it collects terminal_reward. Rewards are
    maximised. Every argument `mean_field` has `states` (S,) and `joint` (S, A), so that rewards
    and transitions may depend on what the crowd does and not only on where it is.

    Attributes:
        horizon: T, the number of decisions, taken at t = 0..T-1.
    """

    horizon: eqx.AbstractVar[int]

    @abc.abstractmethod
    def transition(self, t: Time, mean_field: FiniteMeanField) -> Kernel:
        """Kernel of one agent's move at time t among the crowd `mean_field`."""

    @abc.abstractmethod
    def reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """Reward of each state-action pair at time t among the crowd `mean_field`."""

    def terminal_reward(self, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Reward of each state after the last decision; zero unless a game says otherwise."""
        return jnp.zeros_like(mean_field.states)


class SeparableGame(FiniteGame):
    """A FiniteGame whose crowd enters only through a reward of the state.

    Transitions do not depend on the mean field, and the reward is
    state_reward(t, mean_field)[x] + action_reward(t)[x, a]. Solvers use this: where the kernel is a
    `GridWalk`, mirror descent keeps (T, S) numbers in place of (T, S, A) (see
    `solvers.value_form`).
    """

    @abc.abstractmethod
    def kernel(self, t: Time) -> Kernel:
        """Kernel of one agent's move at time t, whatever the crowd does."""

    @abc.abstractmethod
    def state_reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """The part of the reward that depends on the crowd."""

    @abc.abstractmethod
    def action_reward(self, t: Time) -> Float[Array, "S A"]:
        """The part of the reward that depends on the action."""

    def transition(self, t: Time, mean_field: FiniteMeanField) -> Kernel:
        """`kernel(t)`."""
        return self.kernel(t)

    def reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """`state_reward + action_reward`."""
        return self.state_reward(t, mean_field)[:, None] + self.action_reward(t)


class StationaryGame(AbstractGame):
    """A game without time: discounted, infinite horizon, one policy and one mean field for ever.

    Source: Subramanian and Mahajan (2019), section 2: the mean field z solves z = Phi(z, pi), and
    performance is the discounted value with z frozen from t = 0.

    Attributes:
        discount: gamma in [0, 1).
        settling_steps: at most so many moves of the crowd lead from the initial law to the
            stationary mean field, where its way has to be followed step by step (transitions that
            depend on the mean field, or very many states); a game may set its own.
    """

    discount: eqx.AbstractVar[Array | float]
    settling_steps: ClassVar[Any] = 10_000

    @abc.abstractmethod
    def transition(self, mean_field: FiniteMeanField) -> Kernel:
        """Kernel of one agent's move among the crowd `mean_field`."""

    @abc.abstractmethod
    def reward(self, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """Expected reward of each state-action pair among the crowd `mean_field`."""

    def features(self) -> Float[Array, "S D"]:
        """What a policy that is a function of the state sees of each state.

        The state's number, scaled to [0, 1], unless a game says otherwise.
        """
        return np.linspace(0.0, 1.0, self.num_states)[:, None]


Game = FiniteGame | StationaryGame
"""A game on finitely many states, with a horizon or without time."""
