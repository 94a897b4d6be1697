"""Simultaneous perturbation: a gradient from what a policy is worth at two parameters."""

from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.checks import check_number, check_size
from nashfield.dynamics.agents import agents_of
from nashfield.dynamics.draws import check_generator, draws_of
from nashfield.dynamics.rollout import play_returns
from nashfield.learners.critic import AbstractCritic
from nashfield.learners.crowds import AbstractCrowd
from nashfield.learners.gradients import AbstractGradient
from nashfield.policies import AbstractPolicy, check_parameters
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, scalar


class SimultaneousPerturbation(AbstractGradient):
    """eta / (2 c) [J(theta + c eta, z+) - J(theta - c eta, z-)], for policies that jump too.

    Both sides are projected on Theta. The partial gradient takes the same crowd z on both sides,
    the total one lets each side make its own, z+ and z-. Both sides see the same chance (the same
    levels and, with a critic, the same starts), so that what they share drops out of the
    difference. In the mean this is the gradient of a smoothed J: of one parameter and with
    Rademacher eta it is (J(theta + c) - J(theta - c)) / 2c exactly; near the edge of Theta the
    projection shortens it. Sources: Spall (1992), "Multivariate stochastic approximation using a
    simultaneous perturbation gradient approximation" (Rademacher, SPSA); Katkovnik and Kulchitsky
    (1972), "Convergence of a class of random search algorithms" (Gaussian, SFSA); Subramanian and
    Mahajan (2019).

    Attributes:
        size: c.
        distribution: of eta, independent for each parameter: "rademacher" (+-1, evenly) or
            "gaussian" (standard).
        num_trajectories: how many the sampled J is the mean of.
        num_steps: length of each; what would come later is left out of J.
        critic: gives J in place of trajectories played here; None for those.
        generator: "jax", or "hash", which is several times faster; see `dynamics.draws`.
    """

    smooth: ClassVar[bool] = False

    size: Scalar = eqx.field(converter=scalar, default=0.1)
    distribution: Literal["rademacher", "gaussian"] = eqx.field(static=True, default="rademacher")
    num_trajectories: int = eqx.field(static=True, default=1000)
    num_steps: int = eqx.field(static=True, default=200)
    critic: AbstractCritic | None = None
    generator: str = eqx.field(static=True, default="jax")

    def __check_init__(self):
        check_generator(self.generator)
        check_number("size", self.size, above=0.0)
        if self.distribution not in ("rademacher", "gaussian"):
            raise ParameterError(
                f"distribution must be 'rademacher' or 'gaussian', not {self.distribution!r}"
            )
        check_size("num_trajectories", self.num_trajectories)
        check_size("num_steps", self.num_steps)

    def partial(
        self, game: Any, policy: AbstractPolicy, mean_field: Any, *, key: PRNGKeyArray
    ) -> Any:
        """See `AbstractGradient.partial`.

        Raises:
            ParameterError: the policy has no parameters.
        """
        check_parameters(policy)
        return _estimate(self, game, policy, mean_field, None, key)

    def total(
        self, game: Any, policy: AbstractPolicy, crowd: AbstractCrowd, *, key: PRNGKeyArray
    ) -> Any:
        """See `AbstractGradient.total`.

        Raises:
            ParameterError: the policy has no parameters.
        """
        check_parameters(policy)
        return _estimate(self, game, policy, None, crowd, key)


@eqx.filter_jit
def _estimate(
    rule: SimultaneousPerturbation,
    game: Any,
    policy: AbstractPolicy,
    mean_field: Any,
    crowd: AbstractCrowd | None,
    key: PRNGKeyArray,
) -> Any:
    eta_key, crowd_key, value_key = jax.random.split(key, 3)
    parameters, rest = policy.split()
    parameters = jax.tree.map(jnp.asarray, parameters)
    eta = _directions(parameters, rule.distribution, eta_key)

    def value(sign: Float[Array, ""]) -> Float[Array, ""]:
        moved = jax.tree.map(
            lambda p, e: p + jnp.asarray(sign * rule.size, p.dtype) * e, parameters, eta
        )
        side = eqx.combine(moved, rest).project()
        z = mean_field if crowd is None else crowd(game, side, key=crowd_key)
        return _value(rule, game, side, z, value_key)

    # One batch of two: the levels are drawn once and serve both sides.
    plus, minus = jax.vmap(value)(jnp.array([1.0, -1.0]))
    slope = (plus - minus) / (2 * jnp.asarray(rule.size, plus.dtype))
    return jax.tree.map(lambda e: e * slope.astype(e.dtype), eta)


def _value(
    rule: SimultaneousPerturbation, game: Any, policy: AbstractPolicy, mean_field: Any, key
) -> Float[Array, ""]:
    """J of `policy` against `mean_field`."""
    if rule.critic is not None:
        return rule.critic.values(game, policy, mean_field, key=key).value
    sizes = {"num_trajectories": rule.num_trajectories, "num_steps": rule.num_steps}
    draws = draws_of(key, rule.generator)
    returns = play_returns(agents_of(game, policy), mean_field, draws, **sizes)
    return jnp.mean(jnp.asarray(returns, float))


def _directions(parameters: Any, distribution: str, key: PRNGKeyArray) -> Any:
    """eta, shaped like the parameters."""
    leaves, structure = jax.tree.flatten(parameters)
    draw = jax.random.rademacher if distribution == "rademacher" else jax.random.normal
    keys = jax.random.split(key, len(leaves))
    drawn = [draw(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)
