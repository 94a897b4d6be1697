"""Neural mean-field games: a game's own dynamics, and what is learnt beside them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.checks import check_size
from nashfield.dynamics.diffusions import AbstractDiffusion, Speeds, roll_crowd
from nashfield.games.differential import DifferentialGame
from nashfield.neural.first_networks import first_diffusion, first_network
from nashfield.neural.gradient_play import brought_inside, gradient_play
from nashfield.neural.learnt_game import learnt_exploitability
from nashfield.neural.networks import Look, raw_features
from nashfield.neural.observations import Inputs
from nashfield.policies.network import Network
from nashfield.results import ParameterError
from nashfield.typing import Array


class NeuralMeanFieldGame(AbstractDiffusion):
    """Agents that follow the gradient of their cost, and what a network has learnt of them.

        dX = [-grad c(t, X, s) + f(t, X, mu, u)] dt + g(t, X, mu, u) dW + sigma_0 dW_0

    f and g are networks of the time, the agent's state, the crowd (the game's statistic, mean and
    standard deviation) and exogenous inputs u: the same for every agent, so that any number of
    agents can play, and nobody's number matters. Every agent has noise of its own. Source: Thöni,
    Bachrach and Kachman (2025), "Neural mean-field games", whose g is added to sigma = sqrt(2 nu);
    here g is all of the diffusion: positive, sigma before it has learnt anything, and free to fall
    below it.

    Attributes:
        game: the known part.
        drift: f, or None for none.
        diffusion: log(exp(g / unit) - 1), or None where g is the game's own sigma.
        look: what networks see; `fit` sets its scales.
        unit: what the outputs of `diffusion` are measured in.
        num_inputs: I, how many exogenous inputs there are.
    """

    game: DifferentialGame
    drift: Network | None
    diffusion: Network | None
    look: Look
    unit: Float[Array, ""]
    num_inputs: int = eqx.field(static=True)

    def __init__(
        self,
        game: DifferentialGame,
        *,
        drift: tuple[int, ...] | Network | None = (32, 32),
        diffusion: tuple[int, ...] | Network | None = (32, 32),
        num_inputs: int = 0,
        key: PRNGKeyArray,
    ):
        """A model that has learnt nothing yet: its drift is almost the game's.

        Args:
            game: the known part.
            drift: widths of the hidden layers of f; None for no f.
            diffusion: widths of the hidden layers of g's network; None for the game's own sigma.
            num_inputs: I.
            key: for the weights.

        Raises:
            TypeError: the game is no DifferentialGame, or drift or diffusion no network.
            ParameterError: a width or num_inputs is no size, or a network does not fit.
        """
        if not isinstance(game, DifferentialGame):
            raise TypeError(
                f"NeuralMeanFieldGame takes a DifferentialGame, not {type(game).__name__}"
            )
        check_size("num_inputs", num_inputs, 0)
        self.game, self.num_inputs = game, num_inputs
        self.look = Look.plain(game, num_inputs)
        drift_key, diffusion_key = jax.random.split(key)
        sizes = self.look.scale.shape[0], game.state_dim
        self.drift = first_network("drift", drift, sizes, drift_key)
        self.unit, start = first_diffusion(game)
        self.diffusion = first_network("diffusion", diffusion, sizes, diffusion_key, start)

    def speeds(
        self,
        t: Float[Array, ""],
        states: Float[Array, "N D"],
        inputs: Float[Array, "I"] | None = None,
        frozen: tuple[Any, Any] | None = None,
    ) -> Speeds:
        """How agents move at time t.

        Args:
            t: the time.
            states: of the agents.
            inputs: exogenous ones; None where there are none.
            frozen: statistic and moments of a crowd that these agents are not; None if they are it.
        """
        game = self.game
        inputs = jnp.zeros(0, states.dtype) if inputs is None else inputs
        if frozen is None:
            statistic, moments = game.statistic(game.crowd_of(states)), None
        else:
            statistic, moments = frozen
        own = jax.vmap(lambda x: game.diffusion(t, x, statistic))(states)
        seen = self.look(raw_features(game, t, states, inputs, statistic, moments))
        if self.diffusion is not None:
            own = self.unit * jax.nn.softplus(self.diffusion(seen)).astype(states.dtype)
        known = gradient_play(game, t, states, statistic, own)
        if self.drift is not None:
            known = known + self.drift(seen).astype(states.dtype)
        return Speeds(known, own, jnp.asarray(game.common_noise, states.dtype))

    def inside(self, states: Float[Array, "N D"]) -> Float[Array, "N D"]:
        """See `AbstractDiffusion.inside`; slopes are those of agents without walls."""
        return brought_inside(self.game, states)

    def simulate(
        self,
        key: PRNGKeyArray,
        *,
        num_agents: int,
        times: Any = None,
        start: Float[Array, "N D"] | None = None,
        inputs: Inputs | None = None,
    ) -> Float[Array, "M N D"]:
        """A crowd of any number of agents.

        Args:
            key: for starts and noise.
            num_agents: N.
            times: (M,) increasing, in [0, duration]; all T + 1 steps of the game if None.
            start: (N, D), where they begin; drawn from the game's initial law if None.
            inputs: exogenous ones of one game, where the model takes any.

        Raises:
            ParameterError: a size is none, times lie outside, a start has another shape, or inputs
                are missing, too many, or not expected.
        """
        check_size("num_agents", num_agents)
        game = self.game
        times = self.times() if times is None else _checked_times(game, times)
        check_inputs(self, inputs)
        if inputs is not None and np.ndim(inputs.values) == 3:
            raise ParameterError(
                "a simulation has the inputs of one game, with values (L, I), not "
                f"{np.shape(inputs.values)}: pass Inputs(inputs.times, inputs.values[game])"
            )
        if start is not None and np.shape(start) != (num_agents, game.state_dim):
            raise ParameterError(
                f"start must have shape (num_agents, state_dim) = {(num_agents, game.state_dim)}, "
                f"not {np.shape(start)}"
            )
        return _simulate(self, key, num_agents, times, start, inputs)

    def exploitability(
        self,
        *,
        inputs: Inputs | None = None,
        num_agents: int = 2000,
        num_cells: int | None = None,
        key: PRNGKeyArray,
    ) -> Any:
        """What an agent of the learnt crowd would gain by an optimal drift while the crowd stays.

        The crowd is simulated once and frozen. An agent keeps its learnt diffusion, pays what the
        game says, c + |a|^2 / 2 per unit of time, and chooses its drift a; on a grid of states,
        against the drift of the model.

        Args:
            inputs: exogenous ones.
            num_agents: of the frozen crowd.
            num_cells: of the grid, along each dimension; see `nashfield.exploitability`.
            key: of the crowd.

        Returns:
            A `Certificate`, with value, error and method.

        Raises:
            GameError: agents share a common noise (no crowd is frozen then), or what
                `nashfield.exploitability` raises.
            ParameterError: num_agents is no size, or inputs do not fit.
        """
        return learnt_exploitability(
            self, inputs=inputs, num_agents=num_agents, num_cells=num_cells, key=key
        )

    def times(self) -> Float[Array, "T1"]:
        """The times of the game's steps."""
        return jnp.linspace(0, 1, self.game.horizon + 1) * self.game.duration

    def roll(
        self,
        start: Float[Array, "N D"],
        times: Float[Array, "M"],
        inputs: Inputs | None,
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, "M N D"]:
        """`simulate` without its checks, for jitted callers."""
        crowd = self if inputs is None else _WithInputs(self, inputs)
        return roll_crowd(
            crowd,
            start,
            times,
            duration=self.game.duration,
            num_steps=self.game.horizon,
            key=key,
        )


class _WithInputs(AbstractDiffusion):
    """A model whose inputs are known for all times."""

    model: NeuralMeanFieldGame
    inputs: Inputs

    def speeds(self, t: Float[Array, ""], states: Float[Array, "N D"]) -> Speeds:
        return self.model.speeds(t, states, self.inputs.at(t).astype(states.dtype))

    def inside(self, states: Float[Array, "N D"]) -> Float[Array, "N D"]:
        return self.model.inside(states)


def check_inputs(model: NeuralMeanFieldGame, inputs: Inputs | None) -> None:
    """Raises ParameterError unless the model can take these exogenous inputs."""
    given = 0 if inputs is None else np.shape(inputs.values)[-1]
    if given != model.num_inputs:
        raise ParameterError(
            f"the model takes {model.num_inputs} exogenous inputs, but {given} are given: pass "
            "inputs=Inputs(times, values), or build the model with num_inputs"
        )


@eqx.filter_jit
def _simulate(
    model: NeuralMeanFieldGame,
    key: PRNGKeyArray,
    num_agents: int,
    times: Array,
    start: Array | None,
    inputs: Inputs | None,
) -> Float[Array, "M N D"]:
    start_key, key = jax.random.split(key)
    if start is None:
        start = model.game.initial().sample(start_key, num_agents)
    return model.roll(jnp.asarray(start, jnp.result_type(float)), times, inputs, key=key)


def _checked_times(game: DifferentialGame, times: Any) -> Array:
    known = np.asarray(times, float)
    duration = float(game.duration)
    if known.ndim != 1 or not len(known) or not np.isfinite(known).all():
        raise ParameterError(f"times must be a list of finite numbers, not {times!r}")
    if known.min() < 0 or known.max() > duration * (1 + 1e-6) or np.any(np.diff(known) <= 0):
        raise ParameterError(
            f"times must increase within [0, {duration:g}], the duration of "
            f"{type(game).__name__}, not run from {known[0]:g} to {known[-1]:g}"
        )
    return jnp.asarray(known)
