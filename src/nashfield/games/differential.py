"""Games of agents that follow the gradient of their own cost, and noise."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.games.continuous import ContinuousGame
from nashfield.results import GameError
from nashfield.typing import Array, Scalar, ScalarLike, Time


class DifferentialGame(ContinuousGame):
    """A game in continuous time [0, duration], known by what an agent pays and what it looks at.

    An agent in x moves by dX = a dt + sigma dW and pays c(t, x, s_t) + |a|^2 / 2 per unit of time,
    where s_t is a statistic of the crowd: a quantile, a share, a moment. Those who look no further
    than the present follow the gradient of what they pay,

        dX = -grad_x c(t, X, s_t) dt + sigma dW + sigma_0 dW_0,

    with the statistic frozen in the gradient, as one agent among many does not move it. Source:
    Thöni, Bachrach and Kachman (2025), "Neural mean-field games", where sigma = sqrt(2 nu). `drift`
    is that gradient; what they could gain by looking ahead is their exploitability.

    A subclass gives `cost`, `statistic`, `initial` and the attributes; agents choose how fast they
    go in every direction, so control_dim is state_dim. All else of a
    ContinuousGame follows, in T = horizon steps of Euler's method: every solver, grid and
    certificate for games on points serves this one as well (those with common noise excepted).

    Attributes:
        duration: how long the game lasts, in the units of the game.
        nu: of the noise of each agent, sigma = sqrt(2 nu).
        common_noise: sigma_0, of the noise that all agents share.
        horizon: T, the number of steps.
    """

    duration: eqx.AbstractVar[Scalar]
    nu: eqx.AbstractVar[Scalar]
    common_noise: eqx.AbstractVar[Scalar]

    @property
    def dt(self) -> ScalarLike:
        """Length of a step."""
        return self.duration / self.horizon

    @abc.abstractmethod
    def cost(self, t: ScalarLike, x: Float[Array, "D"], statistic: Any) -> Float[Array, ""]:
        """What an agent in x pays per unit of time, its moves aside.

        Args:
            t: the time, in [0, duration].
            x: where the agent is.
            statistic: of the crowd, as `statistic` gives it.
        """

    @abc.abstractmethod
    def statistic(self, mean_field: Any) -> Any:
        """What agents see of the crowd: an array, or a tree of them."""

    def diffusion(self, t: ScalarLike, x: Float[Array, "D"], statistic: Any) -> Float[Array, "D"]:
        """Standard deviation of an agent's own noise after a unit of time; sqrt(2 nu)."""
        return jnp.sqrt(jnp.full(self.state_dim, 2 * self.nu, x.dtype))

    def drift(self, t: ScalarLike, x: Float[Array, "D"], statistic: Any) -> Float[Array, "D"]:
        """Minus the gradient of the cost in x, the statistic held constant.

        Raises:
            GameError: the cost is no number.
        """

        def cost(x: Array) -> Array:
            paid = self.cost(t, x, statistic)
            if jnp.shape(paid) != ():
                raise GameError(
                    f"{type(self).__name__}.cost must give one number, not an array of shape "
                    f"{jnp.shape(paid)}: on the line take x[0]"
                )
            return paid

        return -jax.grad(cost)(x)

    def inside(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        """The nearest states of the domain."""
        low, high = (jnp.asarray(bound, x.dtype) for bound in self.domain)
        return jnp.clip(x, low, high)

    def step(
        self,
        t: Time,
        x: Float[Array, "D"],
        a: Float[Array, "C"],
        mean_field: Any,
        noise: Float[Array, "W"],
    ) -> Float[Array, "D"]:
        """Euler's x + a dt + sigma sqrt(dt) z, kept within the domain."""
        time = t * jnp.asarray(self.dt, x.dtype)
        return self.moved(x, a, self.diffusion(time, x, self.statistic(mean_field)), noise)

    def reward(
        self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"], mean_field: Any
    ) -> Float[Array, ""]:
        """-(c + |a|^2 / 2) dt."""
        return self.earned(t, x, a, self.statistic(mean_field))

    def moved(
        self, x: Float[Array, "D"], a: Float[Array, "C"], sigma: Array, noise: Float[Array, "W"]
    ) -> Float[Array, "D"]:
        """A step with this diffusion."""
        dt = jnp.asarray(self.dt, x.dtype)
        return self.inside(x + a * dt + sigma * jnp.sqrt(dt) * noise)

    def earned(
        self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"], statistic: Any
    ) -> Float[Array, ""]:
        """The reward of a step while the crowd has this statistic."""
        dt = jnp.asarray(self.dt, x.dtype)
        return -(self.cost(t * dt, x, statistic) + jnp.sum(a**2) / 2) * dt


def check_no_common_noise(game: Any) -> None:
    """Raises GameError if agents share a noise: the crowd then has no one flow to respond to."""
    noise = game.common_noise if isinstance(game, DifferentialGame) else 0.0
    if not isinstance(noise, jax.core.Tracer) and float(noise) != 0:
        raise GameError(
            f"{type(game).__name__} has common noise: its crowd takes another way every time, and "
            "there is no one flow to respond to or to compare with; set common_noise to 0, or "
            "simulate it with neural.NeuralMeanFieldGame"
        )
