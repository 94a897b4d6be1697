"""Susceptible, infected: keep away from the others, or hope that they do."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number, check_probability, check_size
from nashfield.games.base import Display, FiniteGame
from nashfield.games.kernels import Dense, Kernel
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Scalar, Time, scalar


class SusceptibleInfected(FiniteGame):
    """An epidemic: go out and risk infection, or keep a costly distance.

    Source: Cui and Koeppl (2021), "Approximately solving mean field games via entropy-regularized
    deep reinforcement learning", section 6 (problem SIS). The susceptible who goes out is infected
    with probability infection * mu(I), who keeps distance never; the infected recovers with
    probability `recovery` whatever he does; reward
    -infected_cost * [x = I] - distancing_cost * [a = distance].

    Attributes:
        horizon: T.
        infection: probability of infection for who goes out if everyone is infected.
        recovery: probability that an infected agent recovers.
        infected_cost: paid by the infected at every time.
        distancing_cost: paid for keeping distance, by the infected too.
        initial_infected: mu_0(I).
    """

    horizon: int = 51
    infection: Scalar = eqx.field(converter=scalar, default=0.81)
    recovery: Scalar = eqx.field(converter=scalar, default=0.3)
    infected_cost: Scalar = eqx.field(converter=scalar, default=1.0)
    distancing_cost: Scalar = eqx.field(converter=scalar, default=0.5)
    initial_infected: Scalar = eqx.field(converter=scalar, default=0.6)
    num_states: int = eqx.field(init=False, default=2)
    num_actions: int = eqx.field(init=False, default=2)

    def __check_init__(self):
        check_size("horizon", self.horizon)
        for name in ("infection", "recovery", "initial_infected"):
            check_probability(name, getattr(self, name))
        for name in ("infected_cost", "distancing_cost"):
            check_number(name, getattr(self, name))

    def initial(self) -> Float[Array, "S"]:
        """Some are infected."""
        return jnp.stack([1 - self.initial_infected, self.initial_infected])

    def transition(self, t: Time, mean_field: FiniteMeanField) -> Kernel:
        """Infection in proportion to the infected, and recovery."""
        caught = self.infection * mean_field.states[1]
        to_infected = jnp.array([[caught, 0.0], [1 - self.recovery, 1 - self.recovery]])
        return Dense(jnp.stack([1 - to_infected, to_infected], -1))

    def reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """Minus the two costs."""
        infected = np.array([[0.0], [1.0]])
        distancing = np.array([[0.0, 1.0]])
        return -(self.infected_cost * infected + self.distancing_cost * distancing)

    @property
    def display(self) -> Display:
        """Names."""
        return Display(states=("susceptible", "infected"), actions=("go out", "keep distance"))
