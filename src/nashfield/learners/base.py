"""What a learner of best responses on points is."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.games.continuous import ContinuousGame
from nashfield.learners.environment import Environment, check_environment
from nashfield.learners.faults import Fault
from nashfield.learners.response import Response, check_start, judge
from nashfield.mean_fields import AbstractFlow
from nashfield.policies.gaussian_network import GaussianNetwork
from nashfield.typing import Array, Scalar


class AbstractLearner(eqx.Module):
    """Trains one agent's policy against a frozen flow, a whole training in one compiled program.

    Attributes:
        num_updates: how many rounds of play and learning a training has, and at most can have.
        learning_rate: of the optimiser at first.
    """

    num_updates: eqx.AbstractVar[int]
    learning_rate: eqx.AbstractVar[Scalar]

    def best_response(
        self,
        game: ContinuousGame,
        flow: AbstractFlow,
        *,
        key: PRNGKeyArray,
        start: Response | GaussianNetwork | None = None,
        num_updates: Any = None,
    ) -> Response:
        """Trains a policy against the frozen `flow`; maps over keys under `jax.vmap`.

        Args:
            game: the game.
            flow: the crowd.
            key: for weights, starts, actions, moves and batches.
            start: what to go on from; of a `Response` of this learner what it remembers beside the
                policy (critics and the like) is taken over as well. The optimiser begins afresh.
            num_updates: how many of the learner's updates are done, which may be traced; all of
                them if None.

        Raises:
            GameError: game and flow do not fit together, or a reward or state became NaN,
                infinite or unbounded during training. Inside jit and vmap the training stops as
                well, and `response.fault.check(game)` raises outside.
            ParameterError: `start` was made for another game, or the learner cannot train in this
                one; says why.
        """
        check_environment(game, flow)
        check_start(game, start)
        self.check_game(game)
        response = _learn(self, game, flow, start, num_updates, key)
        response.fault.check(game)
        return response

    def untrained(self, game: ContinuousGame, flow: AbstractFlow, *, key: PRNGKeyArray) -> Response:
        """What a first training would start from; of the shapes of every later response.

        Args:
            game: the game.
            flow: the crowd, whose states observations are standardised by.
            key: for weights.
        """
        policy, memory, fault = self.begin(Environment.of(game, flow), None, key)
        unknown = jnp.asarray(jnp.nan, jnp.float32)
        history = jnp.full(self.num_updates, jnp.nan, jnp.float32)
        return Response(policy, unknown, unknown, history, memory, fault)

    def check_game(self, game: ContinuousGame) -> None:
        """Raises ParameterError where the learner cannot train in `game`."""

    @abc.abstractmethod
    def begin(
        self, env: Environment, start: Any, key: PRNGKeyArray
    ) -> tuple[GaussianNetwork, Any, Fault]:
        """Policy and memory to train from, and what went wrong on the way.

        Args:
            env: game and crowd.
            start: a `Response`, a policy, or None.
            key: for weights.
        """

    @abc.abstractmethod
    def train(
        self,
        env: Environment,
        policy: GaussianNetwork,
        memory: Any,
        fault: Fault,
        num_updates: Any,
        key: PRNGKeyArray,
    ) -> tuple[GaussianNetwork, Any, Float[Array, "K"], Fault]:
        """Policy, memory, the mean return of each round, and the first fault.

        Args:
            env: game and crowd.
            policy: to go on from.
            memory: likewise.
            fault: nothing is trained after one.
            num_updates: how many rounds, at most as many as the attribute says.
            key: for starts, actions, moves and batches.
        """


def falling(rate: Any, last: float, num_updates: Any) -> Any:
    """A learning rate that falls linearly to the share `last` of it, as a function of the round."""
    rate, last_round = jnp.asarray(rate, jnp.float32), jnp.maximum(num_updates - 1, 1)
    return lambda index: rate * (1 - (1 - last) * (index / last_round).astype(jnp.float32))


@eqx.filter_jit
def _learn(
    learner: AbstractLearner, game: Any, flow: Any, start: Any, num_updates: Any, key: PRNGKeyArray
) -> Response:
    env = Environment.of(game, flow)
    begin_key, judge_key, key = jax.random.split(key, 3)
    policy, memory, fault = learner.begin(env, start, begin_key)
    limit = learner.num_updates if num_updates is None else num_updates
    limit = jnp.minimum(limit, learner.num_updates)
    policy, memory, history, fault = learner.train(env, policy, memory, fault, limit, key)
    value, stochastic_value, later = judge(env, policy, key=judge_key)
    return Response(policy, value, stochastic_value, history, memory, fault.otherwise(later))
