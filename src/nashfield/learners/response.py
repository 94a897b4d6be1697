"""What a learner found: a policy, what it is worth, and what the next training starts from."""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.games.continuous import ContinuousGame
from nashfield.learners.environment import Environment, play
from nashfield.learners.faults import Fault
from nashfield.policies.gaussian_network import GaussianNetwork
from nashfield.results import ParameterError
from nashfield.typing import Array

_NUM_AGENTS = 4096


class Response(eqx.Module):
    """A learnt best response to a frozen flow.

    Attributes:
        policy: as it was trained, with its noise; `policy.certain()` plays the mean action, and is
            what should be judged.
        value: mean return of the mean action in 4096 fresh episodes.
        stochastic_value: that of the policy with its noise, by the same chance.
        history: (K,) mean return of the agents in each round of training; NaN after a fault.
        memory: what a warm start takes over beside the policy: critics and the like.
        fault: what stopped the training, if something did, or else went wrong in the episodes that
            `value` and `stochastic_value` are measured in.
    """

    policy: GaussianNetwork
    value: Float[Array, "*batch"]
    stochastic_value: Float[Array, "*batch"]
    history: Float[Array, "*batch K"]
    memory: Any
    fault: Fault


def judge(
    env: Environment, policy: GaussianNetwork, *, key: PRNGKeyArray
) -> tuple[Float[Array, ""], Float[Array, ""], Fault]:
    """Mean return of the mean action, and of the policy with its noise, by the same chance.

    And the first fault in those episodes.
    """

    def worth(policy: GaussianNetwork) -> tuple[Float[Array, ""], Fault]:
        record = play(env, policy, num_agents=_NUM_AGENTS, key=key)
        return jnp.mean(record.returns), Fault.during(record)

    (value, fault), (stochastic_value, other) = worth(policy.certain()), worth(policy)
    return value, stochastic_value, fault.otherwise(other)


def check_start(game: ContinuousGame, start: Any) -> None:
    """Whether a training in `game` can go on from `start`; None always can.

    Raises:
        ParameterError: it is of another type, or its policy was made for another horizon, another
            number of features or actions, or other bounds; says which.
    """
    if start is None:
        return
    policy = start.policy if isinstance(start, Response) else start
    if not isinstance(policy, GaussianNetwork):
        raise ParameterError(
            f"start must be a Response or a GaussianNetwork, not {type(start).__name__}"
        )
    if jnp.ndim(policy.location) != 1:
        raise ParameterError(
            f"start is a batch of policies, with leading axes {policy.location.shape[:-1]}: take "
            "one of them, or map over start with jax.vmap"
        )
    name = type(game).__name__
    point = jax.ShapeDtypeStruct((game.state_dim,), jnp.float32)
    (num_features,) = eqx.filter_eval_shape(lambda x: game.observe(x), point).shape
    for what, its, wanted in (
        ("a game of horizon", policy.horizon, game.horizon),
        ("this many observed numbers:", policy.location.shape[0], num_features),
        ("this many controls:", policy.low.shape[0], game.control_dim),
    ):
        if its != wanted:
            raise ParameterError(
                f"start was made for {what} {its}, but {name} has {wanted}: take start from a "
                "training in a game of the same sizes, or leave it out"
            )
    pairs = tuple(zip((policy.low, policy.high), game.control_bounds, strict=True))
    if any(isinstance(x, jax.core.Tracer) for pair in pairs for x in pair):
        return
    if not all(np.array_equal(its, np.asarray(wanted, np.float32)) for its, wanted in pairs):
        low, high = (np.asarray(bound).tolist() for bound in game.control_bounds)
        raise ParameterError(
            f"start was made for actions in {np.asarray(policy.low).tolist()}.."
            f"{np.asarray(policy.high).tolist()}, but those of {name} are in {low}..{high}: take "
            "start from a training in a game with the same control_bounds, or leave it out"
        )


def begin_policy(
    env: Environment, start: Any, *, hidden: tuple[int, ...], key: PRNGKeyArray, **spread: Any
) -> GaussianNetwork:
    """The policy that a training starts from: that of `start`, or a fresh one.

    Args:
        env: game and crowd.
        start: a `Response`, a `GaussianNetwork`, or None for a fresh policy.
        hidden: of a fresh one, the widths of its hidden layers.
        key: for its weights.
        spread: of a fresh one, `log_sd` or `sd`; see `GaussianNetwork.begin`.
    """
    policy = start.policy if isinstance(start, Response) else start
    if policy is not None:
        return jax.tree.map(jnp.asarray, policy)
    location, scale = env.standardisation()
    return GaussianNetwork.begin(env.game, location, scale, hidden=hidden, key=key, **spread)
