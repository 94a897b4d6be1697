"""Exploitability in games on points: a number, how far it may be off, and how it was found."""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.controls import Pool
from nashfield.dynamics.affine import check_affine
from nashfield.dynamics.episodes import play_against, rollout_flow
from nashfield.games.continuous import ContinuousGame
from nashfield.games.continuous_checks import check_control
from nashfield.learners.riccati import affine_sweep
from nashfield.mean_fields import AbstractFlow
from nashfield.metrics.grid_certificate import GridOptions, grid_gain
from nashfield.results import GameError
from nashfield.typing import Array


class Certificate(eqx.Module):
    """An exploitability, and what is known of it; `float(certificate)` is its value.

    Attributes:
        value: what one agent gains by a best response to the flow of the policy.
        error: of "grid" what half the number of cells changes, of "learned" the standard error of
            the simulated gain, of "exact" 0 (up to rounding).
        method: "exact", "grid" or "learned".
    """

    value: Float[Array, "*batch"]
    error: Float[Array, "*batch"]
    method: str = eqx.field(static=True)

    @property
    def is_lower_bound(self) -> bool:
        """Whether a better response may gain more: so it is where the response was learnt."""
        return self.method == "learned"

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        sign = ">= " if self.is_lower_bound else ""
        error = "" if self.method == "exact" else f" +- {float(self.error):.2g}"
        return f"{sign}{float(self.value):.6g}{error} ({self.method})"


def certify(
    game: ContinuousGame,
    policy: Any,
    method: str | None,
    *,
    flow: AbstractFlow | None,
    grid: GridOptions,
    learner: Any,
    num_seeds: int,
    num_agents: int,
    key: PRNGKeyArray | None,
) -> Certificate:
    """See `metrics.exploitability`, which names these arguments and errors."""
    check_control(game, policy)
    if method is None and learner is not None:
        method = "learned"
    method = _method(game, policy, method, flow)
    key = jax.random.key(0) if key is None else key
    if method == "exact":
        gain = affine_sweep(game, policy).exploitability  # type: ignore[arg-type]
        return Certificate(gain, jnp.zeros_like(gain), "exact")
    policy = _without_empty_places(policy)
    if method == "grid":
        value, error = grid_gain(game, policy, flow, grid, key=key)
        return Certificate(value, error, "grid")
    return _learned(game, policy, flow, learner, num_seeds, num_agents, key)


def _without_empty_places(policy: Any) -> Any:
    """A pool cut to the policies that are in it: nothing is computed for the others."""
    if not isinstance(policy, Pool) or isinstance(policy.count, jax.core.Tracer):
        return policy
    if np.ndim(policy.count) or int(policy.count) == policy.capacity:
        return policy
    count = max(int(policy.count), 1)
    members = jax.tree.map(lambda leaf: leaf[:count], policy.members)
    return Pool(members, policy.count)


def _method(game: ContinuousGame, policy: Any, method: str | None, flow: Any) -> str:
    if method not in (None, "exact", "grid", "learned"):
        raise ValueError(f"method must be 'exact', 'grid', 'learned' or None, not {method!r}")
    if method == "grid" and game.state_dim > 2:
        raise ValueError(
            f"method 'grid' needs states on the line or in the plane, and {type(game).__name__} "
            f"has state_dim {game.state_dim}: take method='learned'"
        )
    if method == "exact" and flow is not None:
        raise ValueError("method 'exact' computes the flow itself: leave flow out")
    if method not in (None, "exact"):
        return str(method)
    try:
        check_affine(game, policy)
    except (GameError, TypeError) as error:
        if method == "exact":
            other = "grid" if game.state_dim <= 2 else "learned"
            raise ValueError(f"no exact exploitability: {error}; try method={other!r}") from error
    else:
        if flow is None:
            return "exact"
    return "grid" if game.state_dim <= 2 else "learned"


@eqx.filter_jit
def _train(learner: Any, game: Any, flow: Any, keys: Any) -> Any:
    return jax.vmap(lambda key: learner.best_response(game, flow, key=key))(keys)


def _learned(
    game: ContinuousGame,
    policy: Any,
    flow: AbstractFlow | None,
    learner: Any,
    num_seeds: int,
    num_agents: int,
    key: PRNGKeyArray,
) -> Certificate:
    """The gain of the best of some freshly trained policies, in fresh episodes by common chance."""
    if num_seeds < 1:
        raise ValueError(f"num_seeds must be at least 1, not {num_seeds}")
    if learner is None:
        from nashfield.learners.ppo import PPO

        learner = PPO()
    flow_key, train_key, choose_key, judge_key = jax.random.split(key, 4)
    if flow is None:
        flow = rollout_flow(game, policy, num_agents=num_agents, key=flow_key)
    flow = flow.prepare()
    keys = jax.random.split(train_key, num_seeds)
    found = _train(learner, game, flow, keys)
    for seed in range(num_seeds):
        jax.tree.map(lambda leaf, seed=seed: leaf[seed], found.fault).check(game)
    gains = _gains(game, policy, found.policy.certain(), flow, num_agents, choose_key)
    best = jax.tree.map(lambda leaf: leaf[jnp.argmax(jnp.mean(gains, 1))][None], found.policy)
    gain = _gains(game, policy, best.certain(), flow, num_agents, judge_key)[0]
    error = jnp.std(gain) / np.sqrt(num_agents)
    return Certificate(jnp.mean(gain), error, "learned")


@eqx.filter_jit
def _gains(
    game: Any, policy: Any, others: Any, flow: AbstractFlow, num_agents: int, key: PRNGKeyArray
) -> Float[Array, "n N"]:
    """What every agent gains by playing one of the others in the same episode."""

    def returns(policy: Any) -> Float[Array, "N"]:
        return play_against(game, policy, flow, num_agents=num_agents, key=key).returns

    return jax.lax.map(returns, others) - returns(policy)
