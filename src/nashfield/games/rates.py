"""Games on finitely many states in continuous time."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.games.base import Display
from nashfield.games.rate_equilibria import (
    DIVERGED,
    FOUND,
    RateEquilibrium,
    find_rate_equilibrium,
)
from nashfield.mean_fields import FiniteMeanField
from nashfield.results import GameError
from nashfield.typing import Array, Scalar, ScalarLike, scalar

# Halvings of the interval of actions: to the last digit of float64.
_NUM_HALVINGS = 53


class RateGame(eqx.Module):
    """A game on finitely many states in continuous time [0, duration].

    An agent in state i takes an action, one number between bounds, jumps to state j at the rate
    `rates[i, j]` and collects `reward[i]` per unit of time. Against a frozen flow mu its values
    solve the Hamilton-Jacobi-Bellman equation

        -dV_i/dt = max_a reward_i(t, mu_t, a) + sum_j rates_ij(t, mu_t, a) (V_j - V_i),

    and the crowd that plays the actions a_t moves by Kolmogorov's, dmu_j/dt = sum_i mu_i rates_ij -
    mu_j sum_i rates_ji. Source: Guéant (2015), "Existence and uniqueness result for mean field
    games with congestion effect on graphs"; Gomes, Mohr and Souza (2013), "Continuous
    time finite state mean field games".

    A subclass gives `num_states`, `duration`, `initial`, `rates` and `reward`. What it says of
    state i may depend on the action in that state alone.

    Attributes:
        num_states: S.
        duration: how long the game lasts.
        identifiable: numbers that its crowds tell; `neural.calibrate` finds them if none are
            named.
    """

    num_states: eqx.AbstractVar[int]
    duration: eqx.AbstractVar[Scalar]
    identifiable: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def initial(self) -> Float[Array, "S"]:
        """Law of the population at time 0."""

    @abc.abstractmethod
    def rates(
        self, t: ScalarLike, mean_field: FiniteMeanField, action: Float[Array, "S"]
    ) -> Float[Array, "S S"]:
        """Rates of jumps from every state (rows) to every other; the diagonal is not read.

        Args:
            t: the time.
            mean_field: the crowd; `mean_field.states` is (S,).
            action: what an agent does in each state.
        """

    @abc.abstractmethod
    def reward(
        self, t: ScalarLike, mean_field: FiniteMeanField, action: Float[Array, "S"]
    ) -> Float[Array, "S"]:
        """Reward per unit of time in each state; a cost game returns -cost. Arguments: `rates`."""

    def terminal_reward(self, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Reward at the end; zero unless a game says otherwise."""
        return jnp.zeros(self.num_states, mean_field.states.dtype)

    @property
    def display(self) -> Display:
        """Names of the states, for pictures."""
        return Display()

    @property
    def action_bounds(self) -> tuple[Float[Array, "S"], Float[Array, "S"]]:
        """Least and greatest action in each state; 0 and 1 unless a game says otherwise."""
        dtype = jnp.result_type(float)
        return jnp.zeros(self.num_states, dtype), jnp.ones(self.num_states, dtype)

    def best_action(
        self, t: ScalarLike, mean_field: FiniteMeanField, gains: Float[Array, "S S"]
    ) -> Float[Array, "S"]:
        """The action that maximises reward_i + sum_j rates_ij gains_ij in each state i.

        A game that knows a closed form gives it. Here the slope in the action is halved down to its
        root, which is right where the sum is concave in the action; where it is flat, the least
        action is taken. Derivatives follow from the implicit function theorem.

        Args:
            t: the time.
            mean_field: the crowd.
            gains: V_j - V_i.
        """
        dtype = jnp.result_type(float, gains)
        low, high = (jnp.asarray(bound, dtype) for bound in self.action_bounds)

        def slope(action: Array) -> Array:
            def total(action: Array) -> Array:
                reward = self.reward(t, mean_field, action)
                return reward + jnp.sum(self.rates(t, mean_field, action) * gains, -1)

            # Row i depends on the action in state i alone: one direction gives all slopes.
            return jax.jvp(total, (action,), (jnp.ones_like(action),))[1]

        def halve(_: Any, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bounds
            middle = (low + high) / 2
            rises = slope(middle) > 0
            return jnp.where(rises, middle, low), jnp.where(rises, high, middle)

        bounds = jax.lax.stop_gradient((low, high))
        left, right = jax.lax.fori_loop(0, _NUM_HALVINGS, halve, bounds)
        root = jax.lax.stop_gradient((left + right) / 2)
        at_root, bend = jax.jvp(slope, (root,), (jnp.ones_like(root),))
        bends = bend < 0
        step = at_root / jax.lax.stop_gradient(jnp.where(bends, bend, 1))
        inside = jnp.where(bends, root - step, root)
        found = jnp.where(slope(high) >= 0, high, jnp.where(slope(low) <= 0, low, inside))
        flat = (slope(low) <= 0) & (slope(high) <= 0)
        return jnp.where(flat, low, jnp.clip(found, low, high))

    def equilibrium(
        self,
        *,
        num_steps: int = 400,
        damping: ScalarLike = 0.5,
        max_iterations: int = 1000,
    ) -> RateEquilibrium:
        """The exact equilibrium, on a grid of times.

        Values backward, the crowd forward (Runge-Kutta of order 4), and a part of the way towards
        the new crowd, until it moves no more. Derivatives with respect to the game's numbers follow
        from the implicit function theorem, forward and in reverse, at a memory that does not depend
        on the number of iterations.

        Args:
            num_steps: time steps, at least 4.
            damping: share of the old crowd kept, in [0, 1); more where the iteration demands it.
            max_iterations: of the crowd.

        Raises:
            GameError: the iteration does not end. Under jit `residual` tells.
            ParameterError: a number is out of range.
        """
        found, code = find_rate_equilibrium(self, num_steps, scalar(damping), max_iterations)
        if not isinstance(code, jax.core.Tracer) and int(code) != FOUND:
            name = type(self).__name__
            if int(code) == DIVERGED:
                raise GameError(
                    f"{name}: values or shares are not finite: raise num_steps (now {num_steps}), "
                    "or look for rates that are too high or negative"
                )
            raise GameError(
                f"{name}: after {max_iterations} iterations the crowd still moves by "
                f"{float(found.residual):.2g}: raise damping or max_iterations"
            )
        return found
