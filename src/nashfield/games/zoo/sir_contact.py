"""How much contact to have while an epidemic passes."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.checks import check_law, check_number
from nashfield.games.base import Display
from nashfield.games.rates import RateGame
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Scalar, ScalarLike, array, scalar

_STATES = ("susceptible", "infected", "recovered")


class SIRContact(RateGame):
    """Susceptible agents choose how much contact they have while an epidemic passes.

    At a contact level a in [0, 1] the susceptible are infected at the rate beta a mu_I and pay
    c_a (1 - a)^2 / 2 per unit of time; the infected pay c_I and recover at the rate gamma. Source:
    "Neural parameter calibration for finite-state mean field games" (2026), arXiv 2606.23155, the
    SIR game.

    Populations tell beta, gamma and the ratio c_I / c_a, no more: the costs' scale changes no
    action.

    Attributes:
        beta: rate of infection at full contact.
        gamma: rate of recovery, positive.
        c_a: cost of avoiding contact, positive.
        c_I: cost of being infected, per unit of time.
        initial_law: shares of the susceptible, infected, recovered.
        duration: how long the game lasts.
    """

    identifiable: ClassVar[tuple[str, ...]] = ("beta", "gamma", "c_I")

    beta: Scalar = eqx.field(converter=scalar, default=0.4)
    gamma: Scalar = eqx.field(converter=scalar, default=0.125)
    c_a: Scalar = eqx.field(converter=scalar, default=1.0)
    c_I: Scalar = eqx.field(converter=scalar, default=0.1)
    initial_law: Float[Array, "3"] = eqx.field(converter=array, default=(0.9, 0.1, 0.0))
    duration: Scalar = eqx.field(converter=scalar, default=40.0)

    num_states: int = eqx.field(init=False, default=3)

    def __check_init__(self):
        for name in ("beta", "c_I"):
            check_number(name, getattr(self, name), least=0.0)
        for name in ("gamma", "c_a", "duration"):
            check_number(name, getattr(self, name), above=0.0)
        check_law("initial_law", self.initial_law)

    def initial(self) -> Float[Array, "S"]:
        """See the class."""
        return self.initial_law

    def rates(
        self, t: ScalarLike, mean_field: FiniteMeanField, action: Float[Array, "S"]
    ) -> Float[Array, "S S"]:
        """Infection and recovery."""
        infected = mean_field.states[1]
        rates = jnp.zeros((3, 3), infected.dtype)
        return rates.at[0, 1].set(self.beta * action[0] * infected).at[1, 2].set(self.gamma)

    def reward(
        self, t: ScalarLike, mean_field: FiniteMeanField, action: Float[Array, "S"]
    ) -> Float[Array, "S"]:
        """Minus the cost of avoidance, or of the illness."""
        avoidance = self.c_a * (1 - action[0]) ** 2 / 2
        return -jnp.stack([avoidance, jnp.asarray(self.c_I, avoidance.dtype), 0 * avoidance])

    def best_action(
        self, t: ScalarLike, mean_field: FiniteMeanField, gains: Float[Array, "S S"]
    ) -> Float[Array, "S"]:
        """1 + (beta mu_I / c_a) (V_I - V_S) within [0, 1]; 1 where nothing depends on it."""
        level = 1 + self.beta * mean_field.states[1] / self.c_a * gains[0, 1]
        ones = jnp.ones(3, level.dtype)
        return ones.at[0].set(jnp.clip(level, 0, 1))

    @property
    def display(self) -> Display:
        """Names of the states."""
        return Display(states=_STATES)
