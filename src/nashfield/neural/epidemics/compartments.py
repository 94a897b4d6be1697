"""An epidemic by shares of the population, which stay shares whatever the rates.

The susceptible are infected at the rate b I, with I the infected of all stages together; each of K
stages of the illness is left at the rate K gamma, and who leaves the last is removed. An illness
then lasts 1 / gamma on average, in an Erlang law; K = 1 is the classical S, I, R.

Infection alone and recovery alone have exact solutions. They are taken in turn: half a step of
recovery, one of infection, half a step of recovery (Strang), which is right to second order and,
other than a Runge-Kutta step, can leave the simplex at no rate.
"""

import jax.numpy as jnp
from jaxtyping import Float

from nashfield.typing import Array, ScalarLike


def infect(
    susceptible: Float[Array, ""],
    infected: Float[Array, "K"],
    transmission: Float[Array, ""],
    duration: ScalarLike,
) -> tuple[Float[Array, ""], Float[Array, "K"], Float[Array, ""]]:
    """Infection alone: S' = -b S I, into the first stage; the logistic curve.

    Args:
        susceptible: share S.
        infected: shares of the stages.
        transmission: b, per day.
        duration: days.

    Returns:
        The susceptible, the infected, and how many were infected.
    """
    ill = jnp.sum(infected)
    together = susceptible + ill
    fade = jnp.exp(-transmission * together * duration)
    tiny = jnp.finfo(fade.dtype).tiny
    share = susceptible / jnp.maximum(susceptible * fade + ill, tiny)
    # Small differences of shares near 1 would be lost: the infected have a formula of their own.
    new = share * ill * -jnp.expm1(-transmission * together * duration)
    # Where nobody is ill nothing happens, and the quotient may be 0 / 0.
    left = jnp.where(ill > 0, share * together * fade, susceptible)
    return left, jnp.asarray(infected).at[0].add(new), new


def recover(
    infected: Float[Array, "K"], gamma: Float[Array, ""], duration: ScalarLike
) -> Float[Array, "K"]:
    """Recovery alone: every stage is left at the rate K gamma.

    The number of stages passed in a given time is Poisson's.

    Args:
        infected: shares of the stages.
        gamma: one over the mean length of the illness, per day.
        duration: days.
    """
    num_stages = infected.shape[0]
    passed = num_stages * gamma * duration
    weight = jnp.exp(-passed)
    found = weight * infected
    for k in range(1, num_stages):
        weight = weight * passed / k
        found = found.at[k:].add(weight * infected[:-k])
    return found


def growth(
    susceptible: Float[Array, ""],
    infected: Float[Array, "K"],
    transmission: Float[Array, ""],
    gamma: Float[Array, ""],
) -> Float[Array, ""]:
    """Growth rate of the infected, d log I / dt = b S minus the share that leaves.

    Args:
        susceptible: share S.
        infected: shares of the stages, whose sum is I.
        transmission: b, per day.
        gamma: see `recover`.
    """
    leaving = gamma * infected.shape[0] * infected[-1] / jnp.sum(infected)
    return transmission * susceptible - leaving
