"""The synthetic crowds of the paper: groups whose means and variances are drawn."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.typing import Array

# Nodes of the integral over a group's variance.
_NUM_VARIANCES = 400


class Groups(eqx.Module):
    """Agents in groups: means N(mean, deviation^2), variances Gamma(2, scale), clipped to bounds.

    Attributes:
        num_groups: how many groups a game has.
        size: agents in each.
        mean: of the groups' means.
        deviation: their standard deviation.
        scale: of the Gamma law of the groups' variances, of shape 2.
        bounds: states are clipped to these.
    """

    num_groups: int
    size: int
    mean: float
    deviation: float
    scale: float
    bounds: tuple[float, float] = (-np.inf, np.inf)

    @property
    def num_agents(self) -> int:
        """N of a game."""
        return self.num_groups * self.size

    def draw(self, key: PRNGKeyArray, num_games: int) -> Float[Array, "G N"]:
        """Games, drawn in single precision."""
        mean_key, variance_key, key = jax.random.split(key, 3)
        groups = (num_games, self.num_groups, 1)
        means = self.mean + self.deviation * jax.random.normal(mean_key, groups, jnp.float32)
        variances = self.scale * jax.random.gamma(variance_key, 2.0, groups, jnp.float32)
        shape = (num_games, self.num_groups, self.size)
        normal = jax.random.normal(key, shape, jnp.float32)
        states = jnp.clip(means + jnp.sqrt(variances) * normal, *self.bounds)
        return states.reshape(num_games, -1)

    def quantiles(self, levels: Float[np.ndarray, "Q"]) -> Float[np.ndarray, "Q"]:
        """Of one agent's law: its distribution function, integrated over variances, inverted."""
        from scipy.stats import gamma, norm

        nodes = (np.arange(_NUM_VARIANCES) + 0.5) / _NUM_VARIANCES
        spread = np.sqrt(self.deviation**2 + gamma(2, scale=self.scale).ppf(nodes))
        far = 8 * spread.max()
        x = np.linspace(self.mean - far, self.mean + far, 20001)
        below = np.zeros_like(x)
        for deviation in spread:
            below += norm.cdf(x, self.mean, deviation) / len(spread)
        return np.clip(np.interp(levels, below, x), *self.bounds)


MEETING = Groups(6, 7, 15.0, 0.5, 0.2)
EL_FAROL = Groups(10, 10, 0.2, 0.01, 0.01, (0.0, 1.0))


def distance(x: Any, y: Any, num_levels: int = 20001) -> float:
    """W1 between two laws on the line; each is an array of agents or a `Groups`."""
    levels = (np.arange(num_levels) + 0.5) / num_levels
    a, b = (
        z.quantiles(levels) if isinstance(z, Groups) else np.quantile(z, levels) for z in (x, y)
    )
    return float(np.mean(np.abs(a - b)))
