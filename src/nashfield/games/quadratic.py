"""Games whose moves are linear and whose costs are quadratic, among a frozen crowd."""

import abc
from importlib import import_module
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.games.continuous import ContinuousGame
from nashfield.games.riccati import Response, Stage, StateCost, respond, solve_general, spread
from nashfield.mean_fields import Flow, Gaussian, Uniform
from nashfield.results import GameError
from nashfield.typing import Array, Time


class Equilibrium(eqx.Module):
    """An exact equilibrium of a game.

    Attributes:
        policy: what everyone plays, an affine policy.
        flow: the crowd, with its mean actions.
        value: what everyone gets, in the sign of the reward.
    """

    policy: Any
    flow: Flow
    value: Float[Array, "*batch"]


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

    def respond(self, flow: Any) -> Response:
        """The best response to a crowd, and what it costs.

        Args:
            flow: the crowd at t = 0..T, with its mean actions where `stage` reads them.
        """
        stages = jax.vmap(lambda t: self.stage(t, flow[t]))(jnp.arange(self.horizon))
        return respond(stages, self.terminal(flow[self.horizon]))

    def starting_policy(self) -> Any:
        """Where iterations begin: the best response to a crowd that stays at its initial law."""
        mean, covariance = self.initial_moments()
        times = self.horizon + 1
        laws = Gaussian(jnp.tile(mean, (times, 1)), jnp.tile(covariance, (times, 1, 1)))
        nothing = jnp.zeros((self.horizon, self.control_dim), mean.dtype)
        response = self.respond(Flow(laws, action_mean=nothing))
        return affine(response.gain, response.offset)

    def equilibrium(self) -> Equilibrium:
        """The exact equilibrium.

        The mean of the crowd and the costate of the mean agent, Pi_t m_t + p_t, solve a linear
        boundary value problem; its elimination from the last time on costs O(T). Gains follow from
        Riccati's recursion, covariances from the gains. Where the initial law is not Gaussian the
        laws of the flow are Gaussians of the exact means and covariances.

        Raises:
            GameError: there is none, or more than one: a linear system that has to have one
                solution is singular, or a best response is unbounded.
        """
        found = _equilibrium(self)
        if not isinstance(found.value, jax.core.Tracer) and not np.isfinite(found.value).all():
            raise GameError(
                f"{type(self).__name__}: no equilibrium, or more than one: against some crowd the "
                "best response is unbounded, or the equation of the crowd's mean is singular"
            )
        return found


@eqx.filter_jit
@jax.default_matmul_precision("highest")
def _equilibrium(game: QuadraticGame) -> Equilibrium:
    mean, covariance = game.initial_moments()
    covariances = jnp.broadcast_to(covariance, (game.horizon + 1, *covariance.shape))
    means, action_means = mean_equilibrium(game, covariances)
    flow = Flow(Gaussian(means, covariances), action_mean=action_means)
    response = game.respond(flow)
    stages = jax.vmap(lambda t: game.stage(t, flow[t]))(jnp.arange(game.horizon))
    covariances = spread(stages, response.gain, covariance)
    flow = Flow(Gaussian(means, covariances), action_mean=action_means)
    return Equilibrium(
        affine(response.gain, response.offset), flow, -response.cost.expected(mean, covariance)
    )


def mean_equilibrium(
    game: QuadraticGame, covariances: Float[Array, "T1 D D"]
) -> tuple[Float[Array, "T1 D"], Float[Array, "T C"]]:
    """Means of states and actions at equilibrium, for a crowd of given covariances.

    With d, q and r linearised in the crowd's (m, a), the mean agent's costate Pi m + p and

        R a + S m + r(m, a) + B'(Pi' m' + p') = 0,  m' = A m + B a + d(m, a)

    give a = F m + f, from the last time to the first.

    Args:
        game: the game.
        covariances: what stages that read a covariance read.
    """
    D, C = game.state_dim, game.control_dim
    zeros = jnp.zeros(D + C, covariances.dtype)

    def backward(ahead: tuple[Array, Array], slices: tuple[Array, Array]):
        t, covariance = slices
        Pi, p = ahead

        def parts(crowd: Float[Array, "DC"]) -> Stage:
            law = Gaussian(crowd[:D], covariance, action_mean=crowd[D:])
            return game.stage(t, law)

        stage, slopes = parts(zeros), jax.jacfwd(parts)(zeros)
        A, B = stage.A + slopes.d[:, :D], stage.B + slopes.d[:, D:]
        onward = stage.B.T @ Pi
        matrix = stage.R + slopes.r[:, D:] + onward @ B
        of_mean = stage.S + slopes.r[:, :D] + onward @ A
        known = stage.r + stage.B.T @ (Pi @ stage.d + p)
        answer = -solve_general(matrix, jnp.column_stack([of_mean, known]))
        F, f = answer[:, :-1], answer[:, -1]
        A, d = A + B @ F, stage.d + B @ f  # of the crowd that plays so
        cross = stage.S.T + slopes.q[:, D:]
        p = stage.q + cross @ f + stage.A.T @ (Pi @ d + p)
        Pi = stage.Q + slopes.q[:, :D] + cross @ F + stage.A.T @ Pi @ A
        return (Pi, p), (A, d, F, f)

    def end(mean: Float[Array, "D"]) -> StateCost:
        return game.terminal(Gaussian(mean, covariances[-1]))

    last, slopes = end(zeros[:D]), jax.jacfwd(end)(zeros[:D])
    start = (last.Q + slopes.q, last.q)
    slices = (jnp.arange(game.horizon), covariances[:-1])
    _, (A, d, F, f) = jax.lax.scan(backward, start, slices, reverse=True)

    def forward(mean: Array, slices: tuple[Array, ...]) -> tuple[Array, tuple[Array, Array]]:
        A, d, F, f = slices
        return A @ mean + d, (mean, F @ mean + f)

    final, (means, actions) = jax.lax.scan(forward, game.initial_moments()[0], (A, d, F, f))
    return jnp.concatenate([means, final[None]]), actions


def affine(gain: Float[Array, "T C D"], offset: Float[Array, "T C"]) -> Any:
    """The affine policy; the room of policies lies above this one."""
    return import_module("nashfield.policies.control").Affine(gain, offset)


def _floats(value: Array) -> Array:
    return jnp.asarray(value, jnp.result_type(float))
