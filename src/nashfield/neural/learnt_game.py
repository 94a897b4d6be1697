"""How far what was learnt is from Nash: a best response against the frozen learnt crowd."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.controls import AbstractControl
from nashfield.games.continuous import ContinuousGame
from nashfield.games.differential import check_no_common_noise
from nashfield.games.views import AbstractView
from nashfield.mean_fields import AbstractMeanField, Flow
from nashfield.metrics.certificates import Certificate
from nashfield.metrics.exploitability import exploitability
from nashfield.neural.networks import crowd_moments
from nashfield.neural.observations import Inputs
from nashfield.typing import Array, Time


class FrozenCrowd(AbstractView):
    """A model whose crowd no longer moves: what agents saw of it at every step.

    Attributes:
        statistic: of the crowd, each leaf (T + 1, ...).
        moments: (T + 1, 2 D).
        inputs: (T + 1, I), exogenous ones.
    """

    statistic: Any
    moments: Float[Array, "T1 M"]
    inputs: Float[Array, "T1 I"]

    @classmethod
    def among(
        cls,
        model: Any,
        states: Float[Array, "T1 N D"],
        inputs: Inputs | None,
    ) -> "FrozenCrowd":
        """That of a simulated crowd."""
        game, times = model.game, model.times()
        statistic = jax.vmap(lambda x: game.statistic(game.crowd_of(x)))(states)
        values = jnp.zeros((len(times), 0), states.dtype)
        if inputs is not None:
            values = jax.vmap(inputs.at)(times).astype(states.dtype)
        parts = eqx.partition(model, eqx.is_array)
        return cls(*parts, statistic, jax.vmap(crowd_moments)(states), values)

    def speeds(self, t: Time, x: Float[Array, "D"]) -> tuple[Array, Array]:
        """Drift and diffusion of an agent in x at step t."""
        model = self.game
        statistic = jax.tree.map(lambda leaf: jnp.asarray(leaf)[t], self.statistic)
        frozen = statistic, jnp.asarray(self.moments)[t]
        time = jnp.asarray(t * model.game.dt, x.dtype)
        speeds = model.speeds(time, x[None], jnp.asarray(self.inputs)[t], frozen)
        return speeds.drift[0], speeds.diffusion[0]


class LearntDrift(AbstractControl):
    """What agents of a model do among the frozen crowd: their drift, the game's and the learnt."""

    crowd: FrozenCrowd
    num_decisions: int = eqx.field(static=True)
    dim: int = eqx.field(static=True)

    @property
    def horizon(self) -> int:
        """T."""
        return self.num_decisions

    @property
    def control_dim(self) -> int:
        """D."""
        return self.dim

    def action(self, t: Time, x: Float[Array, "D"], noise: Float[Array, "C"]) -> Float[Array, "C"]:
        """See `AbstractControl.action`; without chance."""
        return self.crowd.speeds(t, x)[0]

    def log_density(self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"]) -> Float[Array, ""]:
        """See `AbstractControl.log_density`."""
        return jnp.where(jnp.all(a == self.crowd.speeds(t, x)[0]), jnp.inf, -jnp.inf)

    def certain(self) -> "LearntDrift":
        """The same."""
        return self


class LearntGame(ContinuousGame):
    """The game of a model with the learnt diffusion: agents choose their drift anew.

    Rewards are those of the DifferentialGame, -(c + |a|^2 / 2) per unit of time.
    """

    crowd: FrozenCrowd
    horizon: int
    state_dim: int
    control_dim: int

    @classmethod
    def of(cls, crowd: FrozenCrowd) -> "LearntGame":
        """That of a frozen crowd."""
        game = crowd.game.game
        return cls(
            crowd=crowd, horizon=game.horizon, state_dim=game.state_dim, control_dim=game.state_dim
        )

    @property
    def domain(self) -> tuple[Float[Array, "D"], Float[Array, "D"]]:
        """As in the game."""
        return self.crowd.game.game.domain

    def initial(self) -> AbstractMeanField:
        """As in the game."""
        return self.crowd.game.game.initial()

    def step(
        self,
        t: Time,
        x: Float[Array, "D"],
        a: Float[Array, "C"],
        mean_field: Any,
        noise: Float[Array, "W"],
    ) -> Float[Array, "D"]:
        """Euler's step with the learnt diffusion."""
        _, diffusion = self.crowd.speeds(t, x)
        return self.crowd.game.game.moved(x, a, diffusion, noise)

    def reward(
        self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"], mean_field: Any
    ) -> Float[Array, ""]:
        """As in the game, against the frozen statistic."""
        statistic = jax.tree.map(lambda leaf: jnp.asarray(leaf)[t], self.crowd.statistic)
        return self.crowd.game.game.earned(t, x, a, statistic)


def learnt_exploitability(
    model: Any,
    *,
    inputs: Inputs | None = None,
    num_agents: int = 2000,
    num_cells: int | None = None,
    key: PRNGKeyArray,
) -> Certificate:
    """See `NeuralMeanFieldGame.exploitability`, whose model this is.

    Raises:
        GameError: agents share a common noise.
    """
    check_no_common_noise(model.game)
    crowd_key, key = jax.random.split(key)
    states = model.simulate(crowd_key, num_agents=num_agents, inputs=inputs)
    crowd = eqx.filter_jit(FrozenCrowd.among)(model, states, inputs)
    game = LearntGame.of(crowd)
    policy = LearntDrift(crowd, game.horizon, game.state_dim)
    flow = Flow(model.game.crowd_of(states))
    return exploitability(game, policy, flow=flow, num_cells=num_cells, key=key)
