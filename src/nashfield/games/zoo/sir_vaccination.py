"""When to be vaccinated while an epidemic passes."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.checks import check_law, check_number, check_size
from nashfield.games.base import Display
from nashfield.games.rate_equations import runge_kutta
from nashfield.games.rates import RateGame
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Scalar, ScalarLike, array, scalar

_STATES = ("susceptible", "infected", "recovered")
# Of the interval of times: to the last digit of float64.
_NUM_HALVINGS = 53


class Threshold(eqx.Module):
    """A policy that vaccinates at the greatest rate up to a time, if everyone plays it.

    Attributes:
        threshold: that time.
        value: what everyone gets, in the sign of the reward.
    """

    threshold: Float[Array, "*batch"]
    value: Float[Array, "*batch"]


class SIRVaccination(RateGame):
    """Susceptible agents choose when to be vaccinated while an epidemic passes.

    The susceptible are infected at the rate beta mu_I, and immune at the rate a in [0, max_rate]
    that they choose, at the price c_V of a vaccination; the infected pay c_I per unit of time and
    recover at the rate gamma. Costs are linear in the rate: agents go for the greatest as long as
    being susceptible costs more than c_V, in equilibrium up to a time, the threshold. `equilibrium`
    switches at times of its grid, and converges with its first power; `threshold_equilibrium`
    finds the exact time. Source: Doncel, Gast and Gaujal (2022), "A mean field game analysis of SIR
    dynamics with vaccination".

    Attributes:
        beta: rate of infection.
        gamma: rate of recovery, positive.
        max_rate: greatest rate of vaccination.
        c_V: cost of a vaccination.
        c_I: cost of being infected, per unit of time.
        initial_law: shares of the susceptible, infected, recovered or immune.
        duration: how long the game lasts.
    """

    beta: Scalar = eqx.field(converter=scalar, default=73.0)
    gamma: Scalar = eqx.field(converter=scalar, default=36.5)
    max_rate: Scalar = eqx.field(converter=scalar, default=10.0)
    c_V: Scalar = eqx.field(converter=scalar, default=0.5)
    c_I: Scalar = eqx.field(converter=scalar, default=36.5)
    initial_law: Float[Array, "3"] = eqx.field(converter=array, default=(0.4, 0.4, 0.2))
    duration: Scalar = eqx.field(converter=scalar, default=1.0)

    num_states: int = eqx.field(init=False, default=3)

    def __check_init__(self):
        for name in ("beta", "c_V", "c_I"):
            check_number(name, getattr(self, name), least=0.0)
        for name in ("gamma", "max_rate", "duration"):
            check_number(name, getattr(self, name), above=0.0)
        check_law("initial_law", self.initial_law)

    def initial(self) -> Float[Array, "S"]:
        """See the class."""
        return self.initial_law

    @property
    def action_bounds(self) -> tuple[Float[Array, "S"], Float[Array, "S"]]:
        """Rates of vaccination."""
        none = jnp.zeros(3, jnp.result_type(float))
        return none, none + self.max_rate

    def rates(
        self, t: ScalarLike, mean_field: FiniteMeanField, action: Float[Array, "S"]
    ) -> Float[Array, "S S"]:
        """Infection, vaccination and recovery."""
        infected = mean_field.states[1]
        rates = jnp.zeros((3, 3), infected.dtype).at[0, 1].set(self.beta * infected)
        return rates.at[0, 2].set(action[0]).at[1, 2].set(self.gamma)

    def reward(
        self, t: ScalarLike, mean_field: FiniteMeanField, action: Float[Array, "S"]
    ) -> Float[Array, "S"]:
        """Minus the cost of the vaccination, or of the illness."""
        paid = self.c_V * action[0]
        return -jnp.stack([paid, jnp.asarray(self.c_I, paid.dtype), 0 * paid])

    def best_action(
        self, t: ScalarLike, mean_field: FiniteMeanField, gains: Float[Array, "S S"]
    ) -> Float[Array, "S"]:
        """The greatest rate where immunity is worth more than c_V, else none."""
        rate = jnp.where(gains[0, 2] > self.c_V, jnp.asarray(self.max_rate, gains.dtype), 0)
        return jnp.zeros(3, gains.dtype).at[0].set(rate)

    @property
    def display(self) -> Display:
        """Names of the states."""
        return Display(states=_STATES)

    def threshold_equilibrium(self, *, num_steps: int = 400) -> Threshold:
        """The equilibrium among policies that vaccinate up to a time: there immunity is worth c_V.

        Args:
            num_steps: of Runge-Kutta's method of order 4, before the threshold and after it.
        """
        check_size("num_steps", num_steps)
        return _switch(self, _worth_at_threshold, num_steps)

    def threshold_optimum(self, *, num_steps: int = 400) -> Threshold:
        """The social optimum among policies that vaccinate up to a time. Arguments as above."""
        check_size("num_steps", num_steps)
        return _switch(self, _saved_by_waiting, num_steps)


def _course(
    game: SIRVaccination, threshold: Array, num_steps: int
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The crowd's cost, and that of a susceptible who is never vaccinated, from the threshold on.

    The latter is the integral of beta I e^-L V_I with L' = beta I: no equation runs backward.
    """
    end = jnp.asarray(game.duration, jnp.result_type(float))

    def speed(t: Array, x: Array, rate: Array) -> Array:
        susceptible, infected, exposure = x[0], x[1], x[2]
        force = game.beta * infected
        until_healthy = game.c_I / game.gamma * -jnp.expm1(-game.gamma * (end - t))
        return jnp.stack(
            [
                -(force + rate) * susceptible,
                force * susceptible - game.gamma * infected,
                force,
                force * jnp.exp(-exposure) * until_healthy,
                game.c_I * infected + game.c_V * rate * susceptible,
            ]
        )

    def run(x: Array, start: Array, length: Array, rate: Array) -> Array:
        h = length / num_steps

        def step(x: Array, k: Array) -> tuple[Array, None]:
            return runge_kutta(speed, h, x, start + k * h, rate, rate, rate), None

        return jax.lax.scan(step, x, jnp.arange(num_steps))[0]

    zero = jnp.zeros((), end.dtype)
    first = jnp.concatenate([jnp.asarray(game.initial_law, end.dtype)[:2], jnp.zeros(3, end.dtype)])
    there = run(first, zero, threshold, jnp.asarray(game.max_rate, end.dtype))
    unexposed = jnp.concatenate([there[:2], jnp.zeros(2, end.dtype), there[4:]])
    last = run(unexposed, threshold, end - threshold, zero)
    return last[4], last[3]


def _worth_at_threshold(game: SIRVaccination, threshold: Array, num_steps: int) -> Array:
    return _course(game, threshold, num_steps)[1] - game.c_V


def _saved_by_waiting(game: SIRVaccination, threshold: Array, num_steps: int) -> Array:
    return -jax.jacfwd(lambda time: _course(game, time, num_steps)[0])(threshold)


@eqx.filter_jit
def _switch(game: SIRVaccination, urge: Callable, num_steps: int) -> Threshold:
    """The time up to which `urge` is positive; its last step carries the derivatives."""
    arrays, rest = eqx.partition(game, eqx.is_array)
    held = eqx.combine(jax.lax.stop_gradient(arrays), rest)

    def halve(_: Any, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        early, late = bounds
        middle = (early + late) / 2
        wait = urge(held, middle, num_steps) > 0
        return jnp.where(wait, middle, early), jnp.where(wait, late, middle)

    end = jnp.asarray(held.duration, jnp.result_type(float))
    early, late = jax.lax.fori_loop(0, _NUM_HALVINGS, halve, (jnp.zeros_like(end), end))
    root = jax.lax.stop_gradient((early + late) / 2)
    slope = jax.lax.stop_gradient(jax.jacfwd(lambda time: urge(held, time, num_steps))(root))
    moved = root - urge(game, root, num_steps) / slope
    inside = (late < end) & (early > 0)
    threshold = jnp.where(inside, moved, jnp.where(early > 0, end, 0))
    return Threshold(threshold, -_course(game, threshold, num_steps)[0])
