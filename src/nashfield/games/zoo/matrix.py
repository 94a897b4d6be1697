"""Small games that show what a solver can and cannot do: left-right, rock-paper-scissors."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_size
from nashfield.games.base import Display, SeparableGame
from nashfield.games.kernels import Dense, Kernel
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Time


class _Choose(SeparableGame):
    """From a first state on, the action names the next state (numbered from 1)."""

    def __check_init__(self):
        check_size("horizon", self.horizon)

    def initial(self) -> Float[Array, "S"]:
        """Everyone in state 0."""
        return np.eye(self.num_states)[0]

    def kernel(self, t: Time) -> Kernel:
        """Action a leads to state a + 1 from everywhere."""
        return Dense(np.tile(np.eye(self.num_states)[1:], (self.num_states, 1, 1)))

    def action_reward(self, t: Time) -> Float[Array, "S A"]:
        """Nothing: only the state pays."""
        return np.zeros((self.num_states, self.num_actions))


class LeftRight(_Choose):
    """Go left or right; the crowd is punished on either side, on the right twice as much.

    Source: Cui and Koeppl (2021), "Approximately solving mean field games via entropy-regularized
    deep reinforcement learning", section 6 (problem LR): r = -mu(L) in L, -2 mu(R) in R, 0 in C.
    Equilibrium: P(left) = 2/3.

    Attributes:
        horizon: T; with 2 the choice is made once and paid once.
    """

    horizon: int = 2
    num_states: int = eqx.field(init=False, default=3)
    num_actions: int = eqx.field(init=False, default=2)

    def state_reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Minus the crowd, on the right twice."""
        return np.array([0.0, -1.0, -2.0]) * mean_field.states

    @property
    def display(self) -> Display:
        """Names."""
        return Display(states=("C", "L", "R"), actions=("left", "right"))


class RockPaperScissors(_Choose):
    """Rock, paper, scissors against the crowd: cycles for fictitious play and mirror descent.

    Source: Cui and Koeppl (2021), section 6 (problem RPS), after Shapley (1964):
    r(R) = 2 mu_S - mu_P, r(P) = 4 mu_R - 2 mu_S, r(S) = 6 mu_P - 3 mu_R.
    Equilibrium: (26, 20, 31) / 77, worth 6/11 a turn.

    Attributes:
        horizon: T; the start state pays nothing, so T - 1 turns are paid.
    """

    horizon: int = 2
    num_states: int = eqx.field(init=False, default=4)
    num_actions: int = eqx.field(init=False, default=3)

    def state_reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Linear in the crowd."""
        payoff = np.array([[0, 0, 0, 0], [0, 0, -1, 2], [0, 4, 0, -2], [0, -3, 6, 0]])
        return jnp.dot(payoff.astype(float), mean_field.states, precision="highest")

    @property
    def display(self) -> Display:
        """Names."""
        return Display(
            states=("start", "rock", "paper", "scissors"), actions=("rock", "paper", "scissors")
        )
