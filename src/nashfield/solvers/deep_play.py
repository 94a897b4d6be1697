"""What solvers share that learn best responses to a crowd on points, phase by phase."""

import abc
import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float, PRNGKeyArray

from nashfield.dynamics.episodes import rollout_flow
from nashfield.games.continuous import ContinuousGame
from nashfield.games.grids import check_density, reads_density
from nashfield.games.quadratic import QuadraticGame
from nashfield.games.views import Free
from nashfield.learners.base import AbstractLearner
from nashfield.learners.response import Response
from nashfield.mean_fields import AbstractFlow, Flow, KnownStart, Walled
from nashfield.mean_fields.fitting import MaximumLikelihood
from nashfield.mean_fields.normalizing_flow import NormalizingFlow
from nashfield.metrics.responders import (
    gain,
    reference_of,
    reference_response,
    sliced_wasserstein,
)
from nashfield.policies import GaussianNetwork
from nashfield.results import GameError, ParameterError
from nashfield.solvers.base import AbstractSolver, Outcome, StepInfo
from nashfield.typing import Array, Scalar

# Fewer agents than this have no density to speak of.
_LEAST_AGENTS = 100
# Distances between crowds are those of at most so many agents: sorting takes most of the time.
_MOST_COMPARED = 4096
# What a phase makes, and what to change where that went wrong.
_PARTS = {
    "average policy": (lambda state: state.average.split()[0], "lower its learning_rate"),
    "roll-out": (lambda state: state.crowd, "bound actions or cap states in the game"),
    "normalizing flow": (lambda state: state.flow.bijection, "lower its learning_rate"),
}


class PlayInfo(StepInfo):
    """What is known of an iterate of deep play; values and gains are those of agents in episodes.

    Attributes:
        mean_action_exploitability: of the policy that always plays the mean action (of a mixture
            the median); None where that is not looked at.
        mixture_exploitability: of the mixture of all best responses so far, which a cloned policy
            stands for; likewise.
        eps_br: what the last best response missed, beside the reference, against the crowd that it
            was trained against.
        eps_sl: distance (`metrics.responders.sliced_wasserstein`, mean over time) between the
            crowds of the cloned policy and of the mixture.
        eps_cnf: the same between samples of the normalizing flow and the crowd.
    """

    mean_action_exploitability: Float[Array, "*K"] | None = None
    mixture_exploitability: Float[Array, "*K"] | None = None
    eps_br: Float[Array, "*K"] | None = None
    eps_sl: Float[Array, "*K"] | None = None
    eps_cnf: Float[Array, "*K"] | None = None


class PlayState(eqx.Module):
    """What every such solver keeps; subclasses keep more.

    Attributes:
        response: the last best response.
        crowd: a roll-out of the present policy.
        flow: a normalizing flow fitted to it; None for solvers without one.
    """

    response: Response
    crowd: Flow
    flow: NormalizingFlow | None


class AbstractDeepPlay(AbstractSolver):
    """Iterations in phases: learn against the frozen crowd, change the policy, find its crowd.

    `step` does all phases at once; `run` calls them one by one, reports which one it is in, and
    stops after a phase that fails.

    Attributes:
        learner: of best responses.
        normalizing_flow: how the crowd is learnt; None for particles.
        mean_action: whether learnt policies play their mean actions; else their noise is part of
            them, as it must be where a crowd has to spread. None leaves it to the game: mean
            actions where it is quadratic, as nothing random is a best response there.
        num_agents: of a roll-out, and of the episodes that judge.
        initial_sd: iterations begin with the crowd of agents whose actions are noise of this
            deviation (in half widths of the interval of an action; where it is unbounded, in its
            own units).
    """

    games: ClassVar[tuple[type, ...]] = (ContinuousGame,)
    starts_itself: ClassVar[bool] = True

    learner: eqx.AbstractVar[AbstractLearner]
    normalizing_flow: eqx.AbstractVar[MaximumLikelihood | None]
    mean_action: eqx.AbstractVar[bool | None]
    num_agents: eqx.AbstractVar[int]
    initial_sd: eqx.AbstractVar[Scalar]

    @property
    @abc.abstractmethod
    def phases(self) -> tuple[str, ...]:
        """Names of the phases of an iteration, in order; the first one trains `response`."""

    @abc.abstractmethod
    def phase(self, name: str, game: Any, state: Any, *, key: PRNGKeyArray) -> Any:
        """The state after the phase `name`."""

    @abc.abstractmethod
    def begin(self, game: Any, first: PlayState, *, key: PRNGKeyArray) -> Any:
        """The state before the first iteration.

        Args:
            game: the game.
            first: what all such solvers keep.
            key: for solvers that draw.
        """

    @abc.abstractmethod
    def judge(self, game: Any, state: Any, response: Response, *, key: PRNGKeyArray) -> PlayInfo:
        """What is known of the policy of `state`.

        Args:
            game: the game.
            state: the state.
            response: a best response to its crowd, for games without a better reference.
            key: for episodes.
        """

    def check_iterations(self, game: Any, num_iterations: int) -> None:
        """See `AbstractSolver.check_iterations`."""
        name = type(self).__name__
        if num_iterations < 1:
            raise ParameterError(
                f"{name} needs at least one iteration, not {num_iterations}: before the first one "
                "there is nothing learnt to return"
            )
        if self.num_agents < _LEAST_AGENTS and reads_density(game):
            raise ParameterError(
                f"{type(game).__name__} reads the density of the crowd, which num_agents = "
                f"{self.num_agents} agents do not show: take at least {_LEAST_AGENTS}"
            )
        if self.num_agents < _LEAST_AGENTS and self.normalizing_flow is not None:
            raise ParameterError(
                f"a normalizing flow is not fitted to num_agents = {self.num_agents} agents: take "
                f"at least {_LEAST_AGENTS}"
            )
        check_density(game)
        self.learner.check_game(game)

    def knows_exploitability(self, game: Any) -> bool:
        """See `AbstractSolver.knows_exploitability`: not where a reference is learnt."""
        return reference_of(game) != "learned"

    def init(self, game: Any, policy: Any, *, key: PRNGKeyArray) -> Any:
        """Refuses: these solvers start themselves."""
        raise ValueError(f"{type(self).__name__} starts from its own policy")

    def init_uniform(self, game: Any, *, key: PRNGKeyArray) -> Any:
        """See `AbstractSolver.init_uniform`: agents whose actions are noise."""
        keys = jax.random.split(key, 4)
        point = jax.ShapeDtypeStruct((game.state_dim,), jnp.float32)
        (num_features,) = eqx.filter_eval_shape(lambda x: game.observe(x), point).shape
        blank = jnp.zeros(num_features), jnp.ones(num_features)
        noise = GaussianNetwork.begin(game, *blank, hidden=(), sd=self.initial_sd, key=keys[0])
        crowd = rollout_flow(game, noise, num_agents=self.num_agents, key=keys[0])
        response = self.learner.untrained(game, crowd, key=keys[1])
        flow = None
        if self.normalizing_flow is not None:
            flow = self.fit(game, crowd, None, key=keys[2])
        state = PlayState(response, crowd, flow)
        return self.begin(game, state, key=keys[3])

    def step(self, game: Any, state: Any, *, key: PRNGKeyArray) -> tuple[Any, StepInfo]:
        """All phases; NaN for the exploitability where the best response failed."""
        moved = self.phase(self.phases[0], game, state, key=self.phase_key(key, 0))
        info = self.judge(game, state, moved.response, key=self.phase_key(key, len(self.phases)))
        info = _unless(moved.response.fault.found, info)
        for index, name in enumerate(self.phases[1:], 1):
            moved = self.phase(name, game, moved, key=self.phase_key(key, index))
        return moved, info

    @staticmethod
    def phase_key(key: PRNGKeyArray, index: int) -> PRNGKeyArray:
        """The key of a phase; that of judging comes after all phases."""
        return jax.random.fold_in(key, index)

    def outcome(self, game: Any, state: Any, *, key: PRNGKeyArray) -> Outcome:
        """See `AbstractSolver.outcome`; where a reference is learnt, by one more training."""
        response = state.response
        if not self.knows_exploitability(game):
            key, respond_key = jax.random.split(key)
            response = self.best_response(game, state, key=respond_key)
        info = _unless(response.fault.found, self.judge(game, state, response, key=key))
        return Outcome(self.policy(game, state), self.flow(game, state), info, jnp.asarray(True))

    def best_response(self, game: Any, state: Any, *, key: PRNGKeyArray) -> Response:
        """One more best response, which the answer is judged by where a reference is learnt."""
        return self.phase(self.phases[0], game, state, key=key).response

    def flow(self, game: Any, state: Any) -> AbstractFlow:
        """The crowd that best responses are trained against."""
        if state.flow is None:
            return state.crowd
        learnt = state.flow
        if type(game).free is not ContinuousGame.free:
            learnt = Walled.of(learnt, Free.of(game))
        return KnownStart(game.initial(), learnt, action_mean=learnt.action_mean)

    def learnt(self, game: Any, response: Response) -> Any:
        """The policy of a best response, as it is played."""
        certain = self.mean_action
        if certain is None:
            certain = isinstance(game, QuadraticGame)
        return response.policy.certain() if certain else response.policy

    def trouble(self, game: Any, name: str, state: Any) -> str:
        """What is wrong with the state after the phase `name`; empty where nothing is."""
        if name == self.phases[0]:
            try:
                state.response.fault.check(game)
            except GameError as error:
                return str(error)
            return ""
        part, way_out = _PARTS[name]
        leaves = jax.tree.leaves(eqx.filter(part(state), eqx.is_inexact_array))
        if all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in leaves):
            return ""
        return f"what it made is not finite; {way_out}"

    def fit(self, game: Any, crowd: Flow, start: Any, *, key: PRNGKeyArray) -> NormalizingFlow:
        """The phase "normalizing flow": one that is fitted to `crowd`, going on from `start`."""
        assert self.normalizing_flow is not None
        with jax.ensure_compile_time_eval():
            domain: Any = game.domain
        sides = [side for side in domain if not isinstance(side, Tracer)]
        if not all(np.isfinite(side).all() for side in sides):
            domain = None
        states = states_of(crowd)
        flow = self.normalizing_flow.fit(states, domain=domain, start=start, key=key)
        return dataclasses.replace(flow, action_mean=crowd.action_mean)

    def exploitability(
        self, game: Any, policy: Any, crowd: Flow, response: Response, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Value of `policy` against its own `crowd`, and what a best response gains."""
        reference = reference_response(game, crowd, states_of(crowd))
        if reference is None:
            reference = self.learnt(game, response)
        return gain(game, policy, reference, crowd, num_agents=self.num_agents, key=key)

    def distance(self, flow: AbstractFlow, crowd: Flow, *, key: PRNGKeyArray) -> Float[Array, ""]:
        """Mean over t = 1..T of the distance between a flow and a crowd."""
        # Not the first ones: agents are grouped by what they play.
        stride = -(-self.num_agents // _MOST_COMPARED)
        states = states_of(crowd)[1:, ::stride]
        if isinstance(flow, Flow):
            other = states_of(flow)[1:, ::stride]
        else:
            other = flow.sample_from(1, key, states.shape[1])
        return jnp.mean(sliced_wasserstein(other, states, num_slices=4))


def _unless(failed: Any, info: PlayInfo) -> PlayInfo:
    found = jnp.where(failed, jnp.nan, info.exploitability)
    return dataclasses.replace(info, exploitability=found)


def states_of(crowd: Any) -> Float[Array, "T1 N D"]:
    """States of all agents of a roll-out."""
    return crowd.laws.states
