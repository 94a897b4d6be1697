"""Deep mirror descent: one policy that improves a little against its own crowd, again and again."""

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Int, PRNGKeyArray

from nashfield.checks import check_number, check_size
from nashfield.dynamics.episodes import rollout_flow
from nashfield.learners.base import AbstractLearner
from nashfield.learners.ppo import PPO
from nashfield.learners.response import Response
from nashfield.mean_fields.fitting import MaximumLikelihood
from nashfield.policies.gaussian_network import check_sd
from nashfield.solvers.deep_play import AbstractDeepPlay, PlayInfo, PlayState
from nashfield.typing import Array, Scalar, scalar

# An iteration is one round of play and learning, many agents wide; noise is never lifted back.
_ONE_STEP: dict[str, Any] = {
    "num_updates": 1,
    "num_envs": 512,
    "step_size": 0.5,
    "log_sd": -0.5,
    "restart_log_sd": -6.0,
}


class DescentState(PlayState):
    """See `PlayState`.

    Attributes:
        num_steps: iterations done.
    """

    num_steps: Int[Array, ""]


class DeepMirrorDescent(AbstractDeepPlay):
    """A few updates of one policy against its crowd, then the crowd anew.

    Each iteration solves, roughly, pi_{k+1} = argmax eta <Q_k, pi> - KL(pi, pi_k): a step of mirror
    descent. There is no average over past best responses to wait for, so the error does not fall
    like 1 / k. Learning slows down, learning rate / (1 + k / decay), as it must where the policy's
    answer moves the crowd. Noise begins large and goes by itself where it costs, but not fast: the
    policy's mean action may be better than itself, and is judged beside it. Sources: Perolat et al.
    (2022), "Scaling mean field games by online mirror descent"; Tomar et al. (2022), "Mirror
    descent policy optimization"; the learnt crowd is that of Magnino et al. (2025).

    Attributes:
        learner: of one improvement; its updates are those of one iteration. A `PPO` needs a
            step_size: with clipped ratios it oscillates where rewards read the density.
        normalizing_flow: how the crowd is learnt; None for particles.
        decay: iterations after which steps are half as long as at first.
        mean_action: see `AbstractDeepPlay`.
        judging_updates: updates of the best response that the answer is judged by, in games where
            it must be learnt; on the way only the gain of one improvement is known there.
        num_agents: of a roll-out, and of the episodes that judge.
        initial_sd: see `AbstractDeepPlay`.
    """

    usual_iterations: ClassVar[int | None] = 100

    learner: AbstractLearner = eqx.field(default_factory=lambda: PPO(**_ONE_STEP))
    normalizing_flow: MaximumLikelihood | None = eqx.field(
        default_factory=lambda: MaximumLikelihood(num_steps=100)
    )
    decay: Scalar = eqx.field(converter=scalar, default=50.0)
    mean_action: bool | None = eqx.field(static=True, default=None)
    judging_updates: int = eqx.field(static=True, default=200)
    num_agents: int = eqx.field(static=True, default=10_000)
    initial_sd: Scalar = eqx.field(converter=scalar, default=0.3)

    def __check_init__(self):
        check_size("judging_updates", self.judging_updates)
        check_size("num_agents", self.num_agents)
        check_number("decay", self.decay, above=0.0)
        check_sd("initial_sd", self.initial_sd)

    @property
    def phases(self) -> tuple[str, ...]:
        """See `AbstractDeepPlay.phases`."""
        learnt = () if self.normalizing_flow is None else ("normalizing flow",)
        return ("policy improvement", "roll-out", *learnt)

    def phase(self, name: str, game: Any, state: Any, *, key: PRNGKeyArray) -> Any:
        """See `AbstractDeepPlay.phase`."""
        if name == "policy improvement":
            return self._improve(game, state, key=key)
        if name == "roll-out":
            policy = self.policy(game, state)
            crowd = rollout_flow(game, policy, num_agents=self.num_agents, key=key)
            return dataclasses.replace(state, crowd=crowd)
        flow = self.fit(game, state.crowd, state.flow, key=key)
        return dataclasses.replace(state, flow=flow)

    def begin(self, game: Any, first: PlayState, *, key: PRNGKeyArray) -> DescentState:
        """See `AbstractDeepPlay.begin`."""
        return DescentState(first.response, first.crowd, first.flow, jnp.asarray(0))

    def policy(self, game: Any, state: DescentState) -> Any:
        """What was improved last."""
        return self.learnt(game, state.response)

    def judge(
        self, game: Any, state: DescentState, response: Response, *, key: PRNGKeyArray
    ) -> PlayInfo:
        """See `AbstractDeepPlay.judge`."""
        judge_key, key = jax.random.split(key)
        policy = self.policy(game, state)
        value, gap = self.exploitability(game, policy, state.crowd, response, key=judge_key)
        mean_action = eps_cnf = None
        if policy.stochastic and self.knows_exploitability(game):
            certain, roll_key, key = policy.certain(), *jax.random.split(key)
            crowd = rollout_flow(game, certain, num_agents=self.num_agents, key=roll_key)
            _, mean_action = self.exploitability(game, certain, crowd, response, key=judge_key)
        if state.flow is not None:
            eps_cnf = self.distance(state.flow, state.crowd, key=key)
        return PlayInfo(gap, value, mean_action_exploitability=mean_action, eps_cnf=eps_cnf)

    def best_response(self, game: Any, state: DescentState, *, key: PRNGKeyArray) -> Response:
        """See `AbstractDeepPlay.best_response`: a long training that starts from the policy."""
        learner = dataclasses.replace(self.learner, num_updates=self.judging_updates)
        start = state.response.policy
        return learner.best_response(game, self.flow(game, state), key=key, start=start)

    def _improve(self, game: Any, state: DescentState, *, key: PRNGKeyArray) -> DescentState:
        rate: Any = self.learner.learning_rate
        slower = rate / (1 + state.num_steps / self.decay)
        learner = eqx.tree_at(lambda l: l.learning_rate, self.learner, slower)
        response = learner.best_response(
            game, self.flow(game, state), key=key, start=state.response
        )
        return dataclasses.replace(state, response=response, num_steps=state.num_steps + 1)
