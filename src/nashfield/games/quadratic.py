"""Games whose moves are linear and whose costs are quadratic, among a frozen crowd."""

import abc
from typing import Any, ClassVar

import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.controls import Affine
from nashfield.games.continuous import ContinuousGame
from nashfield.games.equilibria import (
    FOUND,
    NOT_FOUND,
    NOT_LINEAR,
    SINGULAR,
    UNBOUNDED,
    Equilibrium,
    find_equilibrium,
)
from nashfield.games.riccati import Stage, StateCost, respond
from nashfield.mean_fields import Flow, Gaussian, Uniform
from nashfield.results import GameError
from nashfield.typing import Array, Time


class QuadraticGame(ContinuousGame):
    """A ContinuousGame with x' = A x + B a + d + noise and quadratic costs, against a frozen crowd.

    A game gives `stage` and `terminal` for a crowd; moves and rewards follow from them, and so do
    exact best responses (`learners.riccati`) and the exact crowd of an affine policy
    (`dynamics.affine`). For `equilibrium` only d, q and r may depend on the crowd's mean and on its
    mean action, and at most to the first power; the constants c may in any way. No state or action
    may be bounded.

    Attributes:
        reads_covariance: whether coefficients depend on `mean_field.covariance`: such a game (a
            density in the reward, say) is quadratic only among Gaussian crowds.
    """

    reads_covariance: ClassVar[bool] = False

    @abc.abstractmethod
    def stage(self, t: Time, mean_field: Any) -> Stage:
        """The move and its cost (the reward's negative) at time t among the crowd `mean_field`.

        Args:
            t: the time.
            mean_field: has `mean()` (D,) and `mean_action()` (C,), and `covariance` (D, D) where
                the game `reads_covariance`.
        """

    def terminal(self, mean_field: Any) -> StateCost:
        """The cost after the last decision; zero unless a game says otherwise."""
        size, dtype = self.state_dim, jnp.result_type(float)
        return StateCost(
            jnp.zeros((size, size), dtype), jnp.zeros(size, dtype), jnp.zeros((), dtype)
        )

    def step(
        self,
        t: Time,
        x: Float[Array, "D"],
        a: Float[Array, "C"],
        mean_field: Any,
        noise: Float[Array, "W"],
    ) -> Float[Array, "D"]:
        """See `ContinuousGame.step`."""
        return self.stage(t, mean_field).move(x, a, noise)

    def reward(
        self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"], mean_field: Any
    ) -> Float[Array, ""]:
        """See `ContinuousGame.reward`."""
        return -self.stage(t, mean_field).cost(x, a)

    @jax.default_matmul_precision("highest")
    def terminal_reward(self, x: Float[Array, "D"], mean_field: Any) -> Float[Array, ""]:
        """See `ContinuousGame.terminal_reward`."""
        cost = self.terminal(mean_field)
        return -(x @ (cost.Q @ x + 2 * cost.q) + cost.c)

    def initial_moments(self) -> tuple[Float[Array, "D"], Float[Array, "D D"]]:
        """Mean and covariance of the initial law."""
        law = self.initial()
        if isinstance(law, Gaussian):
            return _floats(law.location), _floats(law.covariance)
        if isinstance(law, Uniform):
            return _floats(law.mean()), jnp.diag((_floats(law.high) - law.low) ** 2) / 12
        raise GameError(
            f"{type(self).__name__}.initial() gives a {type(law).__name__}, whose covariance "
            "is not known: give initial_moments() too"
        )

    def stages(self, flow: Any) -> tuple[Stage, StateCost]:
        """The stages at t = 0..T-1 among the crowd `flow`, stacked, and the terminal cost."""
        running = jax.vmap(lambda t: self.stage(t, flow[t]))(jnp.arange(self.horizon))
        return running, self.terminal(flow[self.horizon])

    def starting_policy(self) -> Any:
        """Where iterations begin: the best response to a crowd that stays at its initial law."""
        mean, covariance = self.initial_moments()
        times = self.horizon + 1
        laws = Gaussian(jnp.tile(mean, (times, 1)), jnp.tile(covariance, (times, 1, 1)))
        nothing = jnp.zeros((self.horizon, self.control_dim), mean.dtype)
        response = respond(*self.stages(Flow(laws, action_mean=nothing)))
        return Affine(response.gain, response.offset)

    def equilibrium(self) -> Equilibrium:
        """The exact equilibrium.

        The mean of the crowd and the costate of the mean agent, Pi_t m_t + p_t, solve a linear
        boundary value problem; its elimination from the last time on costs O(T). Gains follow from
        Riccati's recursion, covariances from the gains; where the game `reads_covariance` both are
        found together, by Newton's method from the crowd of `starting_policy`. Where the initial
        law is not Gaussian the laws of the flow are Gaussians of the exact means and covariances.

        Raises:
            GameError: there is none, or more than one: a linear system that has to have one
                solution is singular, or a best response is unbounded; or none was found; or the
                game is not linear in the crowd. Under jit all numbers are NaN then.
        """
        found, code = find_equilibrium(self)
        if not isinstance(code, jax.core.Tracer) and int(code) != FOUND:
            raise GameError(f"{type(self).__name__}: {_FAILURES[int(code)]}")
        return found


_FAILURES = {
    NOT_LINEAR: (
        "its coefficients are not linear in the crowd: for equilibrium() d, q and r may depend on "
        "the crowd's mean and mean action to the first power, c in any way, and the others not at "
        "all; solve it with FixedPoint or FictitiousPlay"
    ),
    NOT_FOUND: (
        "no equilibrium was found: the iteration for the crowd's covariances does not end; whether "
        "there is one is not known"
    ),
    SINGULAR: (
        "no equilibrium, or more than one: the equation of the crowd's mean is singular, or its "
        "solution too great for the precision"
    ),
    UNBOUNDED: ("no equilibrium: the best response to the only crowd there could be is unbounded"),
}


def _floats(value: Array) -> Array:
    return jnp.asarray(value, jnp.result_type(float))
