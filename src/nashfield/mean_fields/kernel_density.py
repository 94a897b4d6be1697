"""Kernel density estimates of crowds known by samples: summed in blocks, or read from a table.

The kernel is Gaussian and a product over coordinates. The bandwidth of a coordinate is Silverman's,

    h_d = sd_d (4 / ((D + 2) N))^{1 / (D + 4)}

(B. W. Silverman, "Density estimation for statistics and data analysis", 1986, 4.3.2). On a bounded
domain every agent is seen with its mirror images beyond both walls, so that no mass is lost there
and all of it lies inside; on a periodic one with its copies one period away.
"""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.typing import Array

# Agents in one step of the sum: memory is so many numbers for each state that is asked.
_BLOCK = 256
# Points of a table in each coordinate, by D; beyond these D there is no table.
TABLE_POINTS = {1: 512, 2: 128}
# A table reaches so many bandwidths beyond the outermost agents.
_REACH = 4.0
# Below such a density, in units of the kernel's peak, single precision holds no sum of kernels.
_TINY = 1e-30


class Space(eqx.Module):
    """Where a crowd lives.

    Attributes:
        low: (D,) least states, -inf where there is no wall; None without any wall.
        high: (D,) greatest states.
        periodic: whether a state that leaves at one side comes in at the other.
    """

    low: Float[Array, "*batch D"] | None
    high: Float[Array, "*batch D"] | None
    periodic: bool = eqx.field(static=True, default=False)

    def log_kernel(
        self, x: Float[Array, "*#a D"], y: Float[Array, "*#a D"], width: Float[Array, "D"]
    ) -> Array:
        """Log of exp(-(x - y)^2 / (2 width^2)) a coordinate, summed over the images of `y`."""

        def bump(gap: Array) -> Array:
            return -0.5 * (gap / width) ** 2

        if self.low is None or self.high is None:
            return bump(x - y)
        if self.periodic:
            period = self.high - self.low
            return _log_add([bump(x - y + shift * period) for shift in (-1, 0, 1)])
        logs = [bump(x - y)]
        for wall in (self.low, self.high):
            there = jnp.isfinite(wall)
            gap = jnp.where(there, x - (2 * jnp.where(there, wall, 0) - y), 0)
            logs.append(jnp.where(there, bump(gap), -jnp.inf))
        return _log_add(logs)

    def wrap(self, x: Float[Array, "*a D"]) -> Float[Array, "*a D"]:
        """The same states, brought into a periodic domain."""
        if not self.periodic or self.low is None or self.high is None:
            return x
        return self.low + jnp.mod(x - self.low, self.high - self.low)

    def inside(self, x: Float[Array, "*a D"]) -> Array:
        """Whether states can be."""
        if self.low is None or self.high is None or self.periodic:
            return jnp.ones(x.shape[:-1], bool)
        return jnp.all((x >= self.low) & (x <= self.high), -1)


def bandwidth(states: Float[Array, "N D"], space: Space) -> Float[Array, "D"]:
    """Silverman's rule; on a periodic domain with the circular standard deviation.

    Zero where all agents agree in a coordinate: such a crowd has no density.
    """
    num_agents, dim = states.shape
    factor = (4 / ((dim + 2) * num_agents)) ** (1 / (dim + 4))
    if space.periodic and space.low is not None and space.high is not None:
        period = space.high - space.low
        angle = 2 * math.pi * (states - states[0]) / period
        length = jnp.hypot(jnp.mean(jnp.cos(angle), 0), jnp.mean(jnp.sin(angle), 0))
        length = jnp.clip(length, jnp.finfo(states.dtype).tiny, 1)
        spread = jnp.sqrt(-2 * jnp.log(length)) / (2 * math.pi)
        deviation = period * jnp.minimum(spread, math.sqrt(1 / 12))
        return factor * jnp.where(jnp.all(states == states[0], 0), 0, deviation)
    # From the first agent: equal states give 0 to the last bit.
    return factor * jnp.std(states - states[0], 0)


def summed_log_density(
    x: Float[Array, "*batch D"], states: Float[Array, "N D"], space: Space
) -> Float[Array, "*batch"]:
    """The estimate itself, agents in blocks: memory does not grow with their number.

    Args:
        x: where it is asked.
        states: the agents.
        space: where they live.
    """
    num_agents, dim = states.shape
    width = bandwidth(states, space)
    size = min(_BLOCK, num_agents)
    missing = -num_agents % size
    there = jnp.arange(num_agents + missing).reshape(-1, size) < num_agents
    blocks = jnp.pad(states, ((0, missing), (0, 0)), mode="edge").reshape(-1, size, dim)
    x = space.wrap(x)

    @jax.checkpoint  # a gradient would keep every pair
    def add(carry, block):
        agents, mask = block
        logs = jnp.sum(space.log_kernel(x[..., None, :], agents, width), -1)
        logs = jnp.where(mask, logs, -jnp.inf)
        return jnp.logaddexp(carry, jax.nn.logsumexp(logs, -1)), None

    start = jnp.full(x.shape[:-1], -jnp.inf, jnp.result_type(x, states))
    total, _ = jax.lax.scan(add, start, (blocks, there))
    total = total - jnp.log(num_agents) - jnp.sum(jnp.log(width)) - dim / 2 * math.log(2 * math.pi)
    total = jnp.where(jnp.all(width > 0), total, jnp.nan)
    return jnp.where(space.inside(x), total, -jnp.inf)


class Table(eqx.Module):
    """A kernel density estimate on a regular grid in one or two dimensions.

    Agents are shared out linearly among the grid points around them; the kernel is narrowed by the
    variance that this adds on average, a sixth of a squared cell. Between grid points the log
    density is interpolated by cubics. Beyond the grid it falls as the kernel of the outermost
    agents does. Where a cell is wider than the bandwidth, half a cell takes the bandwidth's place.

    Attributes:
        logs: log density at the grid points.
        first: (D,) the first grid point.
        cell: (D,) distance of grid points.
        width: (D,) bandwidth of the kernel.
        margin: (D,) how far the grid reaches beyond the outermost agents.
        space: where the crowd lives.
    """

    logs: Array
    first: Float[Array, "*batch D"]
    cell: Float[Array, "*batch D"]
    width: Float[Array, "*batch D"]
    margin: Float[Array, "*batch D"]
    space: Space

    @classmethod
    def of(cls, states: Float[Array, "N D"], space: Space) -> "Table":
        """Tabulates the estimate of these agents (D = 1 or 2)."""
        num_agents, dim = states.shape
        num_points = TABLE_POINTS[dim]
        states = space.wrap(states)
        ideal = bandwidth(states, space)
        if space.periodic and space.low is not None and space.high is not None:
            first, last = space.low, space.high
        else:
            first = jnp.min(states, 0) - _REACH * ideal
            last = jnp.max(states, 0) + _REACH * ideal
            if space.low is not None and space.high is not None:
                first, last = jnp.maximum(first, space.low), jnp.minimum(last, space.high)
        cell = (last - first) / (num_points - 1)
        width = jnp.sqrt(jnp.maximum(ideal**2 - cell**2 / 6, cell**2 / 4))
        shares = _share_out((states - first) / cell, num_points) / num_agents
        grid = first + cell * jnp.arange(num_points)[:, None]
        kernels = space.log_kernel(grid[:, None], grid[None], width)
        logs = _convolve(shares, [kernels[..., d] for d in range(dim)])
        logs = logs - jnp.sum(jnp.log(width)) - dim / 2 * math.log(2 * math.pi)
        return cls(logs, first, cell, width, _REACH * ideal, space)

    def log_density(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Log density at the states `x`: a few looks for each."""
        dim, num_points = self.first.shape[-1], self.logs.shape[-1]
        x = self.space.wrap(x)
        place = (x - self.first) / self.cell
        on_grid = jnp.clip(place, 0, num_points - 1)
        start = jnp.clip(jnp.floor(on_grid).astype(int) - 1, 0, num_points - 4)
        weights = _cubic(on_grid - start)
        corners = start[..., None] + jnp.arange(4)
        if dim == 1:
            logs = jnp.sum(self.logs[corners[..., 0, :]] * weights[..., 0, :], -1)
        else:
            near = self.logs[corners[..., 0, :, None], corners[..., 1, None, :]]
            logs = jnp.sum(near * weights[..., 0, :, None] * weights[..., 1, None, :], (-1, -2))
        beyond = jnp.abs(place - on_grid) * self.cell
        fall = (beyond**2 + 2 * beyond * self.margin) / (2 * self.width**2)
        return jnp.where(self.space.inside(x), logs - jnp.sum(fall, -1), -jnp.inf)


def _log_add(logs: list[Array]) -> Array:
    return functools.reduce(jnp.logaddexp, logs)


def _share_out(places: Float[Array, "N D"], num_points: int) -> Array:
    """Agents per grid point; each is shared by the 2^D points around it, linearly."""
    dim = places.shape[-1]
    start = jnp.clip(jnp.floor(places).astype(int), 0, num_points - 2)
    part = jnp.clip(places - start, 0, 1)
    total = jnp.zeros(num_points**dim, places.dtype)
    for corner in np.ndindex(*(2,) * dim):
        index = jnp.zeros(len(places), int)
        weight = jnp.ones(len(places), places.dtype)
        for d, side in enumerate(corner):
            index = index * num_points + start[:, d] + side
            weight = weight * (part[:, d] if side else 1 - part[:, d])
        total = total.at[index].add(weight)
    return total.reshape((num_points,) * dim)


def _convolve(shares: Array, kernels: list[Array]) -> Array:
    """Log of the sum of kernels; where it underflows, the log of its largest term."""
    total = shares
    largest = jnp.where(shares > 0, jnp.log(jnp.where(shares > 0, shares, 1)), -jnp.inf)
    for kernel in kernels:  # the coordinate in front goes to the back
        total = jnp.tensordot(total, jnp.exp(kernel), [[0], [1]], precision="highest")
        rest = largest.reshape(len(kernel), -1)
        best = jax.lax.map(lambda row: jnp.max(row[:, None] + rest, 0), kernel)  # noqa: B023
        largest = jnp.moveaxis(best.reshape(len(kernel), *largest.shape[1:]), 0, -1)
    summed = jnp.log(jnp.maximum(total, _TINY))
    return jnp.where(total > _TINY, summed, jnp.minimum(largest, math.log(_TINY)))


def _cubic(place: Array) -> Array:
    """(..., 4) weights of the cubic through points at 0, 1, 2, 3."""
    u = place[..., None]
    a, b, c, d = u, u - 1, u - 2, u - 3
    return jnp.concatenate([-b * c * d / 6, a * c * d / 2, -a * b * d / 2, a * b * c / 6], -1)
