"""Crowds of N agents that move by stochastic differential equations, one another in view."""

import abc
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.games.differential import DifferentialGame
from nashfield.typing import Array


class Speeds(eqx.Module):
    """How a crowd moves at one moment.

    Attributes:
        drift: (N, D), per unit of time.
        diffusion: (N, D), standard deviation of each agent's own noise after a unit of time.
        common: standard deviation of the noise that all agents share.
    """

    drift: Float[Array, "N D"]
    diffusion: Float[Array, "N D"]
    common: Float[Array, ""]


class AbstractDiffusion(eqx.Module):
    """dX_i = drift_i dt + diffusion_i dW_i + common dW_0, where all may depend on the crowd."""

    @abc.abstractmethod
    def speeds(self, t: Float[Array, ""], states: Float[Array, "N D"]) -> Speeds:
        """How the crowd moves at time t from these states."""

    @abc.abstractmethod
    def inside(self, states: Float[Array, "N D"]) -> Float[Array, "N D"]:
        """The nearest states where agents may be."""


class GradientPlay(AbstractDiffusion):
    """Agents of a game who follow the gradient of what they pay."""

    game: DifferentialGame

    def speeds(self, t: Float[Array, ""], states: Float[Array, "N D"]) -> Speeds:
        """See `AbstractDiffusion.speeds`."""
        game = self.game
        statistic = game.statistic(game.crowd_of(states))
        drift = jax.vmap(lambda x: game.drift(t, x, statistic))(states)
        diffusion = jax.vmap(lambda x: game.diffusion(t, x, statistic))(states)
        return Speeds(drift, diffusion, jnp.asarray(game.common_noise, states.dtype))

    def inside(self, states: Float[Array, "N D"]) -> Float[Array, "N D"]:
        """See `AbstractDiffusion.inside`."""
        return self.game.inside(states)


def roll_crowd(
    crowd: AbstractDiffusion,
    start: Float[Array, "N D"],
    times: Float[Array, "M"],
    *,
    duration: Any,
    num_steps: int,
    key: PRNGKeyArray,
) -> Float[Array, "M N D"]:
    """Where the agents are at `times`, by Euler and Maruyama's method; differentiable.

    Fresh noise for every step and agent, drawn from the key and the number of the step, so that
    no path is kept, and backward passes draw it again.

    Args:
        crowd: how the agents move.
        start: where they are at time 0.
        times: increasing, in [0, duration]; between steps states are interpolated linearly.
        duration: of the whole.
        num_steps: number of steps in it.
        key: of the noise.
    """
    dtype = start.dtype
    dt = jnp.asarray(duration, dtype) / num_steps
    # The solver's clock counts steps: sums of whole numbers are exact in any precision.
    solution = diffrax.diffeqsolve(
        _Agents(key, dt, start.shape),
        _EulerInside(),
        t0=jnp.zeros((), dtype),
        t1=jnp.asarray(num_steps, dtype),
        dt0=jnp.ones((), dtype),
        y0=start,
        args=crowd,
        saveat=diffrax.SaveAt(ts=jnp.clip(jnp.asarray(times, dtype) / dt, 0, num_steps)),
        stepsize_controller=diffrax.ConstantStepSize(),
        adjoint=diffrax.RecursiveCheckpointAdjoint(checkpoints=num_steps),
        max_steps=num_steps,
    )
    return solution.ys  # type: ignore[return-value]


class _Agents(diffrax.AbstractTerm):
    """All noises in one term: drift and diffusion are computed together."""

    key: PRNGKeyArray
    dt: Float[Array, ""]
    shape: tuple[int, ...] = eqx.field(static=True)

    def vf(self, t: Any, y: Any, args: Any) -> Speeds:
        return args.speeds(jnp.asarray(t * self.dt, y.dtype), y)

    def contr(self, t0: Any, t1: Any, **kwargs: Any) -> tuple[Array, Array, Array]:
        key = jax.random.fold_in(self.key, jnp.round(t0).astype(jnp.int32))
        own_key, common_key = jax.random.split(key)
        root = jnp.sqrt(self.dt)
        own = root * jax.random.normal(own_key, self.shape, self.dt.dtype)
        return self.dt, own, root * jax.random.normal(common_key, self.shape[1:], self.dt.dtype)

    def prod(self, vf: Speeds, control: tuple[Array, Array, Array]) -> Array:
        dt, own, common = control
        return vf.drift * dt + vf.diffusion * own + vf.common * common


class _EulerInside(diffrax.Euler):
    """Euler's method; after every step agents are brought back to where they may be."""

    def step(
        self,
        terms: Any,
        t0: Any,
        t1: Any,
        y0: Any,
        args: Any,
        solver_state: Any,
        made_jump: Any,
    ) -> Any:
        y1, error, _, state, result = super().step(terms, t0, t1, y0, args, solver_state, made_jump)
        y1 = args.inside(y1)
        return y1, error, {"y0": y0, "y1": y1}, state, result
