"""The El Farol bar: go out, unless too many others do."""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.games.base import Display
from nashfield.games.zoo._one_shot import OneShot
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, scalar

# Of the interval of probabilities; a step of Newton's method follows.
_NUM_HALVINGS = 40


class ElFarolBar(OneShot):
    """Go to the bar, which is fun unless it is too full, or stay at home.

    Each of `num_agents` agents goes with the same probability p. Who goes gets `good` if at most
    `capacity` are there, himself included, else `bad`; who stays gets `home`, which lies between.
    Going is thus worth bad + (good - bad) P(Bin(num_agents - 1, p) <= capacity - 1), and where this
    is `home` all are indifferent: the only symmetric equilibrium. Source: Arthur (1994), "Inductive
    reasoning and bounded rationality" (of 100 agents up to 60 have fun); payoffs and the
    equilibrium in mixed strategies are those of a single evening.

    Attributes:
        num_agents: how many decide.
        capacity: how many the bar has room for, less than num_agents.
        good: payoff of going if it is not too full.
        bad: payoff of going if it is.
        home: payoff of staying.
    """

    num_agents: int = 100
    capacity: int = 60
    good: Scalar = eqx.field(converter=scalar, default=2.0)
    bad: Scalar = eqx.field(converter=scalar, default=0.0)
    home: Scalar = eqx.field(converter=scalar, default=1.0)

    num_states: int = eqx.field(init=False, default=3)
    num_actions: int = eqx.field(init=False, default=2)

    def __check_init__(self):
        check_size("num_agents", self.num_agents, 2)
        check_size("capacity", self.capacity)
        if self.capacity >= self.num_agents:
            raise ParameterError(
                f"capacity must be less than num_agents = {self.num_agents}, not {self.capacity}: "
                "else the bar is never too full"
            )
        payoffs = (self.bad, self.home, self.good)
        for name, value in zip(("bad", "home", "good"), payoffs, strict=True):
            check_number(name, value)
        if any(isinstance(x, jax.core.Tracer) for x in payoffs):
            return
        bad, home, good = map(float, payoffs)
        if not bad < home < good:
            raise ParameterError(
                f"payoffs must be bad < home < good, not {bad:g}, {home:g}, {good:g}: else one "
                "action is always the better one"
            )

    def room(self, going: Float[Array, ""]) -> Float[Array, ""]:
        """Probability that the bar has room for one who goes, if the others go with `going`."""
        free = jnp.asarray(self.num_agents - self.capacity, jnp.result_type(float))
        # A sum of binomial probabilities is an incomplete beta function.
        return jax.scipy.special.betainc(free, float(self.capacity), 1 - going)

    def payoffs(self, shares: Float[Array, "A"]) -> Float[Array, "A"]:
        """Of staying and going."""
        going = self.bad + (self.good - self.bad) * self.room(jnp.clip(shares[1], 0, 1))
        return jnp.stack([jnp.asarray(self.home, going.dtype), going])

    def equilibrium(self) -> Float[Array, ""]:
        """The probability of going at which everyone is indifferent.

        By bisection; derivatives follow from the implicit function theorem.
        """
        return _indifferent(self)

    @property
    def display(self) -> Display:
        """Names."""
        return Display(states=("undecided", "home", "bar"), actions=("stay", "go"))


@eqx.filter_jit
def _indifferent(game: ElFarolBar) -> Float[Array, ""]:
    wanted = (game.home - game.bad) / (game.good - game.bad)
    wanted = jnp.asarray(wanted, jnp.result_type(float))

    def halve(_: Any, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) / 2
        room = game.room(middle) > wanted
        return jnp.where(room, middle, low), jnp.where(room, high, middle)

    bounds = jnp.zeros_like(wanted), jnp.ones_like(wanted)
    low, high = jax.lax.stop_gradient(jax.lax.fori_loop(0, _NUM_HALVINGS, halve, bounds))
    root = (low + high) / 2
    room, slope = jax.value_and_grad(game.room)(root)
    return root - (room - wanted) / jax.lax.stop_gradient(slope)
