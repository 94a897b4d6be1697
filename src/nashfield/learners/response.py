"""What a learner found: a policy, what it is worth, and what the next training starts from."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.learners.environment import Environment, play
from nashfield.learners.faults import Fault
from nashfield.policies.gaussian_network import GaussianNetwork
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
        fault: what stopped the training, if something did.
    """

    policy: GaussianNetwork
    value: Float[Array, "*batch"]
    stochastic_value: Float[Array, "*batch"]
    history: Float[Array, "*batch K"]
    memory: Any
    fault: Fault


def judge(
    env: Environment, policy: GaussianNetwork, *, key: PRNGKeyArray
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Mean return of the mean action, and of the policy with its noise, by the same chance."""

    def worth(policy: GaussianNetwork) -> Float[Array, ""]:
        return jnp.mean(play(env, policy, num_agents=_NUM_AGENTS, key=key).returns)

    return worth(policy.certain()), worth(policy)


def begin_policy(
    env: Environment,
    start: Any,
    *,
    hidden: tuple[int, ...],
    log_sd: Any,
    activation: Any,
    key: PRNGKeyArray,
) -> GaussianNetwork:
    """The policy that a training starts from: that of `start`, or a fresh one.

    Args:
        env: game and crowd.
        start: a `Response`, a `GaussianNetwork`, or None for a fresh policy.
        hidden: of a fresh one, the widths of its hidden layers.
        log_sd: of a fresh one; see `GaussianNetwork.begin`.
        activation: of a fresh one.
        key: for its weights.
    """
    policy = start.policy if isinstance(start, Response) else start
    if policy is not None:
        return jax.tree.map(jnp.asarray, policy)
    location, scale = env.standardisation()
    return GaussianNetwork.begin(
        env.game, location, scale, hidden=hidden, log_sd=log_sd, activation=activation, key=key
    )
