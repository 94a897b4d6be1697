"""How good the learnt contact level is for those who keep it, against the learnt epidemic."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.games.base import Display
from nashfield.games.rate_equations import best_actions, optimal_values, policy_values
from nashfield.games.rates import RateGame
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Scalar, ScalarLike, array, scalar


class LearntContact(RateGame):
    """`games.SIRContact` with a learnt epidemic: K stages of the illness, and a learnt removal.

    The susceptible choose their contact level a, are infected at the rate beta a I with I the
    infected of all stages, and pay c_a (1 - a)^2 / 2 per day; the infected pay c_I per day,
    after the last one as well until they are well.

    Attributes:
        beta: rate of infection at full contact, per day.
        gamma: (D,) rate of removal, day by day.
        c_a: cost of giving up all contact for a day is half of it.
        c_I: cost of a day of illness.
        law: (K + 2,) shares of the susceptible, of the stages of the ill, and of the removed.
        duration: days from the first to the last.
        num_states: K + 2.
    """

    beta: Scalar = eqx.field(converter=scalar)
    gamma: Float[Array, "D"] = eqx.field(converter=array)
    c_a: Scalar = eqx.field(converter=scalar)
    c_I: Scalar = eqx.field(converter=scalar)
    law: Float[Array, "S"] = eqx.field(converter=array)
    duration: Scalar = eqx.field(converter=scalar)
    num_states: int

    def initial(self) -> Float[Array, "S"]:
        """Shares on the first day."""
        return jnp.asarray(self.law)

    def rates(
        self, t: ScalarLike, mean_field: FiniteMeanField, action: Float[Array, "S"]
    ) -> Float[Array, "S S"]:
        """Infection, and from stage to stage."""
        num_stages = self.num_states - 2
        gamma = jnp.interp(t, jnp.arange(self.gamma.shape[0]), jnp.asarray(self.gamma))
        infection = self.beta * action[0] * jnp.sum(mean_field.states[1:-1])
        stages = jnp.arange(1, num_stages + 1)
        rates = jnp.zeros((self.num_states,) * 2, infection.dtype)
        return rates.at[0, 1].set(infection).at[stages, stages + 1].set(num_stages * gamma)

    def reward(
        self, t: ScalarLike, mean_field: FiniteMeanField, action: Float[Array, "S"]
    ) -> Float[Array, "S"]:
        """Minus the cost of avoidance, or of the illness."""
        ill = jnp.full(self.num_states, self.c_I, mean_field.states.dtype)
        avoidance = self.c_a * (1 - action[0]) ** 2 / 2
        return -ill.at[0].set(avoidance).at[-1].set(0)

    def best_action(
        self, t: ScalarLike, mean_field: FiniteMeanField, gains: Float[Array, "S S"]
    ) -> Float[Array, "S"]:
        """1 + (beta I / c_a) (V_1 - V_S) within [0, 1]; 1 where nothing depends on it."""
        infected = jnp.sum(mean_field.states[1:-1])
        level = 1 + self.beta * infected / self.c_a * gains[0, 1]
        return jnp.ones(self.num_states, level.dtype).at[0].set(jnp.clip(level, 0, 1))

    def terminal_reward(self, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Minus the cost of the rest of an illness, which does not end with the days.

        Each stage that is left lasts 1 / (K gamma) on average, at the last gamma. Without this,
        an infection on the last day would be free.
        """
        num_stages = self.num_states - 2
        left = jnp.arange(num_stages, 0, -1) / (num_stages * self.gamma[-1])
        rest = jnp.zeros(self.num_states, mean_field.states.dtype)
        return rest.at[1:-1].set(-self.c_I * left)

    @property
    def display(self) -> Display:
        """Names of the states."""
        stages = tuple(f"infected {k + 1}" for k in range(self.num_states - 2))
        return Display(states=("susceptible", *stages, "removed"))


class Behaviour(eqx.Module):
    """A contact level, judged. Costs are those of one agent of the first day, on average.

    Attributes:
        contact_level: (D,) that is kept.
        best_contact_level: (D,) of a best response to the frozen epidemic.
        exploitability: what one agent gains by it.
        avoidance_cost: what one agent pays for avoidance, the integral of S c_a (1 - a)^2 / 2:
            most that could be gained if infections were free.
    """

    contact_level: Float[Array, "D"]
    best_contact_level: Float[Array, "D"]
    exploitability: Float[Array, ""]
    avoidance_cost: Float[Array, ""]


def judge_contact(
    transmission: Float[Array, "D"],
    gamma: Float[Array, "D"],
    flow: Float[Array, "D S"],
    *,
    c_I: ScalarLike,
    c_a: ScalarLike = 1.0,
    full: ScalarLike | None = None,
) -> Behaviour:
    """The learnt contact level and a best response to it, the epidemic frozen as it was learnt.

    Counts tell only the product of the rate of infection and the contact level: `full` splits it,
    and what the costs are has to be said.

    Args:
        transmission: b = beta a, per day.
        gamma: rate of removal.
        flow: shares, as `LearntContact` has them.
        c_I: cost of a day of illness.
        c_a: see `LearntContact`.
        full: beta, the rate at full contact; the highest of `transmission` if None.
    """
    highest = jnp.max(transmission)
    beta = highest if full is None else jnp.asarray(full, transmission.dtype)
    game = LearntContact(
        beta=beta,
        gamma=gamma,
        c_a=c_a,
        c_I=c_I,
        law=flow[0],
        duration=flow.shape[0] - 1.0,
        num_states=flow.shape[1],
    )
    level = jnp.clip(transmission / beta, 0, 1)
    policy = jnp.ones(flow.shape, level.dtype).at[:, 0].set(level)
    best = optimal_values(game, flow)
    kept = policy_values(game, policy, flow)
    return Behaviour(
        contact_level=level,
        best_contact_level=best_actions(game, best, flow)[:, 0],
        exploitability=flow[0] @ (best[0] - kept[0]),
        avoidance_cost=jnp.trapezoid(flow[:, 0] * c_a * (1 - level) ** 2 / 2),
    )
