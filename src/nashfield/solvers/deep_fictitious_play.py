"""Deep fictitious play: learnt best responses, their mixture, an average policy, a learnt crowd."""

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.checks import check_size
from nashfield.dynamics.episodes import play_against, rollout_flow
from nashfield.learners.base import AbstractLearner
from nashfield.learners.cloning import Buffer, Cloning
from nashfield.learners.environment import Environment
from nashfield.learners.ppo import PPO
from nashfield.learners.response import Response
from nashfield.mean_fields.fitting import MaximumLikelihood
from nashfield.metrics.responders import gain, reference_response
from nashfield.policies import Pool
from nashfield.policies.gaussian_network import check_sd
from nashfield.results import ParameterError
from nashfield.solvers.deep_play import AbstractDeepPlay, PlayInfo, PlayState, states_of
from nashfield.typing import Array, Scalar, scalar


class FictitiousState(PlayState):
    """See `PlayState`.

    Attributes:
        eps_br: see `PlayInfo`; NaN before the first best response.
        pool: all best responses; before the first one, what a training starts from.
        num_responses: how many there are.
        buffer: what they did; None for solvers without an average policy.
        average: the average policy; None likewise.
    """

    eps_br: Float[Array, ""]
    pool: Pool
    num_responses: Int[Array, ""]
    buffer: Buffer | None
    average: Any


class AbstractDeepFictitiousPlay(AbstractDeepPlay):
    """Best responses to the crowd of all best responses so far.

    Attributes:
        learner: of best responses; the first one takes all of its updates.
        later_updates: updates of every later one, which goes on from the one before; at most
            those of the learner.
        average_policy: how one policy is made of all; None for the mixture itself, of which every
            agent keeps one member for the whole episode.
        num_cloned: agents of each best response whose decisions the average policy is fitted to.
        capacity: for how many best responses there is room: at most so many iterations.
    """

    usual_iterations: ClassVar[int | None] = 20

    learner: eqx.AbstractVar[AbstractLearner]
    later_updates: eqx.AbstractVar[int]
    average_policy: eqx.AbstractVar[Cloning | None]
    num_cloned: eqx.AbstractVar[int]
    capacity: eqx.AbstractVar[int]

    def __check_init__(self):
        for name in ("later_updates", "num_cloned", "capacity", "num_agents"):
            check_size(name, getattr(self, name))
        check_sd("initial_sd", self.initial_sd)

    @property
    def phases(self) -> tuple[str, ...]:
        """See `AbstractDeepPlay.phases`."""
        average = () if self.average_policy is None else ("average policy",)
        learnt = () if self.normalizing_flow is None else ("normalizing flow",)
        return ("best response", *average, "roll-out", *learnt)

    def phase(self, name: str, game: Any, state: Any, *, key: PRNGKeyArray) -> Any:
        """See `AbstractDeepPlay.phase`."""
        if name == "best response":
            return self._respond(game, state, key=key)
        if name == "average policy":
            return self._average(game, state, key=key)
        if name == "roll-out":
            policy = self.policy(game, state)
            crowd = rollout_flow(game, policy, num_agents=self.num_agents, key=key)
            return dataclasses.replace(state, crowd=crowd)
        flow = self.fit(game, state.crowd, state.flow, key=key)
        return dataclasses.replace(state, flow=flow)

    def most_iterations(self, game: Any) -> int | None:
        """See `AbstractSolver.most_iterations`."""
        return self.capacity

    def check_iterations(self, game: Any, num_iterations: int) -> None:
        """See `AbstractSolver.check_iterations`."""
        super().check_iterations(game, num_iterations)
        if num_iterations > self.capacity:
            raise ParameterError(
                f"{type(self).__name__} keeps the best response of every iteration: "
                f"{num_iterations} iterations need capacity={num_iterations}, not {self.capacity}"
            )

    def begin(self, game: Any, first: PlayState, *, key: PRNGKeyArray) -> FictitiousState:
        """See `AbstractDeepPlay.begin`."""
        start = self.learnt(game, first.response)
        members = jax.tree.map(lambda x: jnp.tile(x, (self.capacity,) + (1,) * x.ndim), start)
        buffer = average = None
        if self.average_policy is not None:
            sizes = {"capacity": self.capacity, "num_agents": self.num_cloned}
            buffer = Buffer.empty(game, **sizes)
            env = Environment.of(game, first.crowd)
            average = self.average_policy.begin(
                game, *env.standardisation(), sd=self.initial_sd, key=key
            )
        return FictitiousState(
            first.response,
            first.crowd,
            first.flow,
            jnp.asarray(jnp.nan),
            Pool(members, jnp.asarray(1)),
            jnp.asarray(0),
            buffer,
            average,
        )

    def policy(self, game: Any, state: FictitiousState) -> Any:
        """The average policy, or the mixture of all best responses."""
        return state.pool if state.average is None else state.average

    def judge(
        self, game: Any, state: FictitiousState, response: Response, *, key: PRNGKeyArray
    ) -> PlayInfo:
        """See `AbstractDeepPlay.judge`."""
        keys = jax.random.split(key, 6)

        def gap(policy: Any, crowd: Any, key: PRNGKeyArray) -> Any:
            return self.exploitability(game, policy, crowd, response, key=key)

        def crowd_of(policy: Any, key: PRNGKeyArray) -> Any:
            return rollout_flow(game, policy, num_agents=self.num_agents, key=key)

        value, exploitability = gap(self.policy(game, state), state.crowd, keys[0])
        judged = self.knows_exploitability(game)
        mean_action = mixture = eps_sl = eps_cnf = None
        if state.average is not None:
            crowd = crowd_of(state.pool, keys[1])
            # Before the first best response there is nothing that was cloned.
            known = jnp.where(state.num_responses > 0, 0, jnp.nan)
            eps_sl = known + self.distance(crowd, state.crowd, key=keys[2])
            if judged:
                mixture = known + gap(state.pool, crowd, keys[3])[1]
                certain = state.average.certain()
                mean_action = gap(certain, crowd_of(certain, keys[4]), keys[3])[1]
        if state.flow is not None:
            eps_cnf = self.distance(state.flow, state.crowd, key=keys[5])
        return PlayInfo(
            exploitability,
            value,
            None,
            mean_action,
            mixture,
            state.eps_br if judged else None,
            eps_sl,
            eps_cnf,
        )

    def _respond(self, game: Any, state: FictitiousState, *, key: PRNGKeyArray) -> Any:
        updates = jnp.where(state.num_responses == 0, self.learner.num_updates, self.later_updates)
        flow = self.flow(game, state)
        train_key, judge_key = jax.random.split(key)
        response = self.learner.best_response(
            game, flow, key=train_key, start=state.response, num_updates=updates
        )
        member, eps_br = self.learnt(game, response), state.eps_br
        reference = reference_response(game, flow, states_of(state.crowd))
        if reference is not None:
            sizes = {"num_agents": self.num_agents, "key": judge_key}
            eps_br = gain(game, member, reference, flow, **sizes)[1].astype(eps_br.dtype)
        # The first one takes the place of what its training started from.
        pool = Pool(state.pool.members, state.num_responses).put(member)
        return dataclasses.replace(
            state,
            response=response,
            eps_br=eps_br,
            pool=pool,
            num_responses=state.num_responses + 1,
        )

    def _average(self, game: Any, state: FictitiousState, *, key: PRNGKeyArray) -> Any:
        assert self.average_policy is not None and state.buffer is not None
        play_key, fit_key = jax.random.split(key)
        best, flow = self.learnt(game, state.response), self.flow(game, state).prepare()
        done = play_against(game, best, flow, num_agents=self.num_cloned, key=play_key)
        buffer = state.buffer.put(done.states[:-1], done.actions)
        cloned = self.average_policy.fit(game, buffer, start=state.average, key=fit_key)
        return dataclasses.replace(state, buffer=buffer, average=cloned.policy)


class DeepFictitiousPlay(AbstractDeepFictitiousPlay):
    """Fictitious play with learnt best responses; the crowd is particles.

    Every agent of the crowd keeps one of the best responses so far for a whole episode; the next
    best response is trained against their empirical law, its density a kernel estimate. The answer
    is the `Pool` of all. Source: Magnino et al. (2025), "Solving continuous mean field games: deep
    reinforcement learning for non-stationary dynamics", algorithm 1; after Perrin et al. (2020).

    Attributes:
        learner: of best responses; the first one takes all of its updates.
        later_updates: updates of every later one, which goes on from the one before; at most
            those of the learner.
        mean_action: see `AbstractDeepPlay`.
        num_agents: of a roll-out, and of the episodes that judge.
        initial_sd: see `AbstractDeepPlay`.
        capacity: for how many best responses there is room: at most so many iterations.
    """

    learner: AbstractLearner = eqx.field(default_factory=lambda: PPO(num_updates=200))
    later_updates: int = eqx.field(static=True, default=50)
    mean_action: bool | None = eqx.field(static=True, default=None)
    num_agents: int = eqx.field(static=True, default=10_000)
    initial_sd: Scalar = eqx.field(converter=scalar, default=0.3)
    capacity: int = eqx.field(static=True, default=100)

    average_policy: Cloning | None = eqx.field(init=False, default=None)
    normalizing_flow: MaximumLikelihood | None = eqx.field(init=False, default=None)
    num_cloned: int = eqx.field(static=True, init=False, default=1)


class AveragePolicyFictitiousPlay(AbstractDeepFictitiousPlay):
    """Deep fictitious play whose mixture is cloned into one average policy.

    What every best response did goes into a buffer, in equal shares, and one policy is fitted to
    it; the crowd is particles of that policy. Source: Magnino et al. (2025), algorithm 2; after
    Heinrich and Silver (2016).

    Attributes:
        learner: of best responses; the first one takes all of its updates.
        average_policy: how the average policy is fitted.
        later_updates: updates of every later best response, which goes on from the one before; at
            most those of the learner.
        num_cloned: agents of each best response whose decisions the average policy is fitted to.
        mean_action: see `AbstractDeepPlay`.
        num_agents: of a roll-out, and of the episodes that judge.
        initial_sd: see `AbstractDeepPlay`.
        capacity: for how many best responses there is room: at most so many iterations.
    """

    learner: AbstractLearner = eqx.field(default_factory=lambda: PPO(num_updates=200))
    average_policy: Cloning | None = eqx.field(default_factory=lambda: Cloning(num_steps=300))
    later_updates: int = eqx.field(static=True, default=50)
    mean_action: bool | None = eqx.field(static=True, default=None)
    num_cloned: int = eqx.field(static=True, default=500)
    num_agents: int = eqx.field(static=True, default=10_000)
    initial_sd: Scalar = eqx.field(converter=scalar, default=0.3)
    capacity: int = eqx.field(static=True, default=100)

    normalizing_flow: MaximumLikelihood | None = eqx.field(init=False, default=None)


class DEDAFP(AbstractDeepFictitiousPlay):
    """Deep fictitious play with an average policy and a learnt crowd.

    As `AveragePolicyFictitiousPlay`, and to the crowd of the average policy a normalizing flow is
    fitted, against which the next best response is trained; at time 0 it is replaced by the game's
    initial law. The last average policy and flow are the answer: the flow is sampled at any time
    without playing, and knows its density. Source: Magnino et al. (2025), "Solving continuous mean
    field games: deep reinforcement learning for non-stationary dynamics", algorithm 3 (density-
    enhanced deep-average fictitious play).

    Attributes:
        learner: of best responses; the first one takes all of its updates.
        average_policy: how the average policy is fitted.
        normalizing_flow: how the crowd is fitted, going on from the one before.
        later_updates: updates of every later best response, which goes on from the one before; at
            most those of the learner.
        num_cloned: agents of each best response whose decisions the average policy is fitted to.
        mean_action: see `AbstractDeepPlay`.
        num_agents: of a roll-out, and of the episodes that judge.
        initial_sd: see `AbstractDeepPlay`.
        capacity: for how many best responses there is room: at most so many iterations.
    """

    learner: AbstractLearner = eqx.field(default_factory=lambda: PPO(num_updates=200))
    average_policy: Cloning | None = eqx.field(default_factory=lambda: Cloning(num_steps=300))
    normalizing_flow: MaximumLikelihood | None = eqx.field(
        default_factory=lambda: MaximumLikelihood(num_steps=500)
    )
    later_updates: int = eqx.field(static=True, default=50)
    mean_action: bool | None = eqx.field(static=True, default=None)
    num_cloned: int = eqx.field(static=True, default=500)
    num_agents: int = eqx.field(static=True, default=10_000)
    initial_sd: Scalar = eqx.field(converter=scalar, default=0.3)
    capacity: int = eqx.field(static=True, default=100)
