"""Networks before they have learnt anything."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.checks import check_size
from nashfield.games.differential import DifferentialGame
from nashfield.policies.network import Network
from nashfield.results import ParameterError
from nashfield.typing import Array


def first_network(
    name: str,
    given: tuple[int, ...] | Network | None,
    sizes: tuple[int, int],
    key: PRNGKeyArray,
    bias: float = 0.0,
) -> Network | None:
    """A network that gives almost `bias`, or the one that is given.

    Args:
        name: what it is for.
        given: widths of hidden layers, a network, or None for none.
        sizes: how many features it takes, and how many numbers it gives.
        key: for the weights.
        bias: of the last layer.

    Raises:
        ParameterError: a width is no size, or a network has other sizes.
        TypeError: it is neither.
    """
    if given is None:
        return None
    if isinstance(given, Network):
        found = np.shape(given.weights[0])[0], np.shape(given.biases[-1])[0]
        if found != sizes:
            raise ParameterError(
                f"{name} must take {sizes[0]} features and give {sizes[1]} numbers, but takes "
                f"{found[0]} and gives {found[1]}"
            )
        return given
    if not isinstance(given, tuple | list):
        raise TypeError(
            f"{name} must be the widths of hidden layers, such as (32, 32), a Network, or None, "
            f"not {given!r}"
        )
    for width in given:
        check_size(name, width)
    network = Network.draw((sizes[0], *given, sizes[1]), last_scale=0.01, key=key)
    last = jnp.full(sizes[1], bias, jnp.float32)
    return eqx.tree_at(lambda n: n.biases[-1], network, last)


def first_diffusion(game: DifferentialGame) -> tuple[Float[Array, ""], float]:
    """A unit, and the number whose softplus times the unit is the diffusion at first.

    That is the game's sigma; where it has none, a tenth of what would carry an agent across the
    first crowd, as none at all could not be learnt from.
    """
    law = game.initial()
    mean = law.mean()
    sigma = jnp.mean(game.diffusion(jnp.zeros_like(mean[0]), mean, game.statistic(law)))
    spread = jnp.sqrt(jnp.mean(law.expect(lambda x: (x - mean) ** 2)))
    if float(sigma) > 0:
        return sigma.astype(jnp.float32), _inverse_softplus(1.0)
    crossing = jnp.where(spread > 0, spread, 1) / jnp.sqrt(jnp.asarray(game.duration, spread.dtype))
    return crossing.astype(jnp.float32), _inverse_softplus(0.1)


def _inverse_softplus(value: float) -> float:
    return math.log(math.expm1(value))
