"""Pools of policies, of which every agent keeps one for the whole episode."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.typing import Array, Time

# Agents of one team play one member of a pool: so many teams, and more for large pools.
_NUM_TEAMS = 128


class Pool(eqx.Module):
    """A mixture of past policies: an agent draws one of them when an episode begins.

    The averaged policy of fictitious play (with equal weights).

    Attributes:
        members: policies of one kind, whose arrays have a leading axis K.
        count: the first `count` of them are in the pool; K unless some places are still empty.
    """

    members: Any
    count: Int[Array, ""]

    @classmethod
    def of(cls, members: Any) -> "Pool":
        """A pool of all `members`, whose arrays have a leading axis K."""
        return cls(members, jnp.asarray(jax.tree.leaves(members)[0].shape[0]))

    @property
    def capacity(self) -> int:
        """K."""
        return jax.tree.leaves(self.members)[0].shape[0]

    def member(self, index: Any) -> Any:
        """The policy at `index`, which may be traced."""
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], self.members)

    def put(self, member: Any) -> "Pool":
        """The pool with one policy more; a full pool stays as it is."""
        members = jax.tree.map(
            lambda old, new: jnp.asarray(old).at[self.count].set(new, mode="drop"),
            self.members,
            member,
        )
        return Pool(members, jnp.minimum(self.count + 1, self.capacity))

    def sample(self, key: PRNGKeyArray, t: Time, x: Float[Array, "*N D"]) -> Float[Array, "*N C"]:
        """Draws what agents in the states `x` do at time t, by one member or another.

        For one moment: over an episode agents keep their members (`rollout_flow`, `simulate`).
        """
        x = jnp.asarray(x)
        team_key, key = jax.random.split(key)
        states = x.reshape(-1, x.shape[-1])
        noise = jax.random.normal(key, (len(states), self.members.control_dim), x.dtype)
        actions = Teams.of(self, len(states), key=team_key).act(t, states, noise)
        return actions.reshape(*x.shape[:-1], -1)

    def certain(self) -> "Pool":
        """The pool of the policies that play their mean actions."""
        return Pool(self.members.certain(), self.count)


class Teams(eqx.Module):
    """N agents in teams; those of one team play one and the same policy.

    Attributes:
        policies: one a team, whose arrays have a leading axis G; None for one team.
        policy: the policy, where all play the same; else None.
    """

    policies: Any
    policy: Any

    @classmethod
    def of(cls, policy: Any, num_agents: int, *, key: PRNGKeyArray) -> "Teams":
        """Draws what each agent plays.

        Of a pool, members are drawn systematically: each gets its share of the agents, up to two
        teams more or less, and every agent plays each of them with probability 1 / count.
        """
        if not isinstance(policy, Pool):
            return cls(None, policy)
        num_teams = min(num_agents, max(_NUM_TEAMS, 4 * policy.capacity))
        size = -(-num_agents // num_teams)
        first = jnp.arange(0, num_agents, size)
        within, turn = jax.random.uniform(key, (2,))
        place = (first + within * jnp.minimum(size, num_agents - first)) / num_agents
        index = jnp.floor((place + turn) % 1 * policy.count).astype(int)
        return cls(policy.member(jnp.minimum(index, policy.count - 1)), None)

    def act(
        self, t: Time, states: Float[Array, "N D"], noise: Float[Array, "N C"]
    ) -> Float[Array, "N C"]:
        """What the agents do."""
        if self.policy is not None:
            return jax.vmap(self.policy.action, in_axes=(None, 0, 0))(t, states, noise)
        num_agents = states.shape[0]
        num_teams = jax.tree.leaves(self.policies)[0].shape[0]
        size = -(-num_agents // num_teams)
        padding = ((0, size * num_teams - num_agents), (0, 0))

        def split(values: Float[Array, "N K"]) -> Float[Array, "G n K"]:
            return jnp.pad(values, padding).reshape(num_teams, size, -1)

        def act(policy: Any, states: Array, noise: Array) -> Array:
            return jax.vmap(policy.action, in_axes=(None, 0, 0))(t, states, noise)

        actions = jax.vmap(act)(self.policies, split(states), split(noise))
        return actions.reshape(num_teams * size, -1)[:num_agents]
