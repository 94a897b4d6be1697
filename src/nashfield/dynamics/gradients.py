"""Exact gradients of what a parametric policy is worth: with the crowd frozen, and with it moving.

J(theta, z) is the value of pi_theta against the frozen mean field z, and z_theta the stationary
mean field of pi_theta. Where the partial gradient vanishes no agent gains to first order by leaving
the crowd (a local equilibrium); where the total one does, nothing is gained if all leave together
(a local social optimum). Source: Subramanian and Mahajan (2019), definitions 4 and 5.
"""

from typing import Any

import equinox as eqx

from nashfield.dynamics.stationary import settle
from nashfield.dynamics.stationary_values import policy_values
from nashfield.games.base import StationaryGame
from nashfield.mean_fields import FiniteMeanField
from nashfield.policies import AbstractPolicy, check_differentiable


def partial_gradient(
    game: StationaryGame, policy: AbstractPolicy, mean_field: FiniteMeanField | None = None
) -> Any:
    """dJ(theta, z)/dtheta with the crowd z frozen.

    Args:
        game: the game.
        policy: pi_theta.
        mean_field: the crowd; the stationary one of `policy` if None.

    Returns:
        The gradient, shaped like the policy: `.theta` of it belongs to the policy's `.theta`.

    Raises:
        ParameterError: the policy has no parameters, or none that it depends on smoothly.
    """
    check_differentiable(policy)
    return _partial(game, policy, mean_field)


def total_gradient(game: StationaryGame, policy: AbstractPolicy) -> Any:
    """dJ(theta, z_theta)/dtheta, the crowd following the policy.

    By implicit differentiation of z = Phi(z, pi_theta): dz = (I - dPhi/dz)^-1 dPhi/dtheta.
    Where transitions bend with the crowd and it ends in several classes of states, the derivative
    takes the transitions on the way for those at rest: exact only if they no longer change.

    Args:
        game: the game.
        policy: pi_theta.

    Returns:
        The gradient, shaped like the policy.

    Raises:
        ParameterError: the policy has no parameters, or none that it depends on smoothly.
    """
    check_differentiable(policy)
    return _total(game, policy)


@eqx.filter_jit
def _partial(game, policy, mean_field):
    if mean_field is None:
        mean_field, _ = settle(game, policy.table(game))
    parameters, rest = policy.split()

    def value(parameters):
        table = eqx.combine(parameters, rest).table(game)
        return policy_values(game, table, mean_field).value

    return eqx.filter_grad(value)(parameters)


@eqx.filter_jit
def _total(game, policy):
    parameters, rest = policy.split()

    def value(parameters):
        table = eqx.combine(parameters, rest).table(game)
        mean_field, _ = settle(game, table)
        return policy_values(game, table, mean_field).value

    return eqx.filter_grad(value)(parameters)
