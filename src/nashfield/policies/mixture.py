"""Mixtures of policies."""

import jax.numpy as jnp
from jaxtyping import Float

from nashfield.typing import Array, ScalarLike


def occupation_mixture(
    policy: Float[Array, "T S A"],
    states: Float[Array, "T S"],
    other: Float[Array, "T S A"],
    other_states: Float[Array, "T S"],
    share: ScalarLike,
) -> Float[Array, "T S A"]:
    """What a crowd does of which the share `share` plays `other` and the rest `policy`.

    ((1 - w) mu_t(x) pi_t(a|x) + w nu_t(x) sigma_t(a|x)) / ((1 - w) mu_t(x) + w nu_t(x)), the
    averaged policy of fictitious play (Perrin et al. 2020, section 3).

    Args:
        policy: pi.
        states: mu, where those who play `policy` are at t = 0..T-1.
        other: sigma.
        other_states: nu, where those who play `other` are.
        share: w in [0, 1].

    Returns:
        The policy; where nobody is, its rows are (1 - w) pi + w sigma.
    """
    share = jnp.asarray(share, policy.dtype)
    arrived = share * other_states
    total = (1 - share) * states + arrived
    occupied = total > 0
    weight = jnp.where(occupied, arrived / jnp.where(occupied, total, 1), share)
    return policy + weight[..., None] * (other - policy)
