"""Time-conditioned normalizing flows: a whole mean-field flow as one learnt change of variables."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from flowjax.bijections import AbstractBijection
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.mean_fields import noise
from nashfield.mean_fields.base import AbstractFlow, AbstractMeanField, one_by_one
from nashfield.mean_fields.nodes import average, sobol_pairs
from nashfield.mean_fields.points import check_states
from nashfield.mean_fields.spline_bijections import towards_base, towards_states
from nashfield.typing import Array, Time

# Base points at which means are taken: in one dimension a regular grid, else quasi-random ones.
_NUM_POINTS = 2048
_REACH = 8.0
# Draws outside of the domain are drawn anew so many times; then they are moved to its boundary.
_MAX_DRAWS = 100


class FitReport(eqx.Module):
    """How a fit went.

    Attributes:
        losses: (E,) mean negative log likelihood of the states since the last look, in nats; NaN
            after the stop.
        held_out_losses: (E,) that of states that the fit does not see, at every look.
        num_steps: gradient steps that were taken.
    """

    losses: Float[Array, "*batch E"]
    held_out_losses: Float[Array, "*batch E"]
    num_steps: Int[Array, "*batch"]


class NormalizingFlow(AbstractFlow):
    """q(x | t): a base law, moved by a bijection that depends on time.

    log q(x | t) = log p_0(g(u, t)) + log |det d g(u, t) / d u| - log |det d x / d u|, where u are
    the standardised states. `fit_normalizing_flow` makes these. The networks are in single
    precision, whatever the states are in. Source: Papamakarios, Nalisnick, Rezende, Mohamed and
    Lakshminarayanan, "Normalizing flows for probabilistic modeling and inference" (2021).

    Attributes:
        bijection: g, from u to the base, conditioned on 2 t / T - 1.
        centre: (D,) of the standardisation u = (x - centre) / scale.
        scale: (D,).
        low: (D,) least states of the domain, outside of which there is no mass; None for R^D.
        high: (D,) greatest states.
        log_mass: (T + 1,) log of the mass that the bijection puts into the domain; densities are
            divided by it.
        means: (T + 1, D) mean states.
        base: "normal", or "uniform" on the box [0, 1]^D.
        report: how the fit went; None where there was none.
    """

    bijection: AbstractBijection
    centre: Float[Array, "*batch D"]
    scale: Float[Array, "*batch D"]
    low: Float[Array, "*batch D"] | None
    high: Float[Array, "*batch D"] | None
    log_mass: Float[Array, "*batch T1"]
    means: Float[Array, "*batch T1 D"]
    base: str = eqx.field(static=True, default="normal")
    report: FitReport | None = None

    @classmethod
    def of(
        cls,
        bijection: AbstractBijection,
        centre: Float[Array, "D"],
        scale: Float[Array, "D"],
        *,
        size: int,
        base: str = "normal",
        domain: tuple[Any, Any] | None = None,
        action_mean: Float[Array, "T C"] | None = None,
        report: FitReport | None = None,
    ) -> "NormalizingFlow":
        """Finds the masses and means of a bijection.

        Args:
            bijection: see the attribute.
            centre: see the attribute.
            scale: see the attribute.
            size: T + 1.
            base: see the attribute.
            domain: least and greatest states; None for R^D.
            action_mean: (T, C) what the crowd does, where that is known.
            report: see the attribute.
        """
        low, high = (None, None) if domain is None else domain
        whole = jnp.zeros(size, scale.dtype), jnp.zeros((size, len(scale)), scale.dtype)
        flow = cls(
            bijection, centre, scale, low, high, *whole, base, report, action_mean=action_mean
        )

        def summary(t: Array) -> tuple[Array, Array]:
            law = flow.law(t)
            return jnp.log(law._mass()), law.expect(lambda x: x).astype(jnp.float32)

        log_mass, means = jax.lax.map(summary, jnp.arange(size))
        return eqx.tree_at(lambda f: (f.log_mass, f.means), flow, (log_mass, means))

    def __len__(self) -> int:
        return self.means.shape[-2]

    def law(self, t: Time) -> "NormalizingMeanField":
        """See `AbstractFlow.law`."""
        return NormalizingMeanField(self, jnp.asarray(t))

    def sample_from(self, first: int, key: PRNGKeyArray, n: int) -> Float[Array, "S n D"]:
        """See `AbstractFlow.sample_from`."""
        if self.means.shape[-1] > 1:
            return one_by_one(self, first, key, n)  # networks of every point
        times = jnp.arange(first, len(self))
        # In one draw, which is faster than one a time.
        drawn = self.noise(key, (len(times), n, 1))
        return jax.vmap(lambda t, drawn: self.law(t)._from_noise(drawn))(times, drawn)

    def noise(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Array:
        """What states are made of: normal, or uniform where a box has to be filled."""
        normal = self.base == "normal" and (self.low is None or shape[-1] > 1)
        return noise.normal(key, shape) if normal else noise.uniform(key, shape)

    def condition(self, t: Time) -> Float[Array, "1"]:
        """What the bijection sees of time: 2 t / T - 1."""
        return scaled_time(t, len(self))[None]


class NormalizingMeanField(AbstractMeanField):
    """The law q(. | t) of a normalizing flow at one time.

    Attributes:
        flow: the normalizing flow.
        t: the time.
    """

    flow: NormalizingFlow
    t: Int[Array, "*batch"]

    def mean(self) -> Float[Array, "D"]:
        """Mean state; it is kept, not computed."""
        return self.flow.means[self.t].astype(_floats())

    def expect(self, function: Callable[[Array], Array]) -> Array:
        """Mean of `function`, which takes one state (D,).

        In one dimension by a rule with 2048 points of the base, else over 2048 fixed quasi-random
        points.
        """
        base, weights = _base_nodes(self.flow.centre.shape[-1], self.flow.base)
        x = self._states(jnp.asarray(base, jnp.float32))
        weights = jnp.asarray(weights, jnp.float32) * self._inside(x)
        # Points outside of the domain may be where `function` has no value.
        x = self._clip(x).astype(_floats())
        return average(function, x, weights / jnp.sum(weights))

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        """Draws the states of `n` agents."""
        flow, dim = self.flow, self.flow.centre.shape[-1]
        if flow.base == "uniform" or flow.low is None or dim == 1:
            return self._from_noise(flow.noise(key, (n, dim)))

        def draw(number: Array) -> Array:
            return self._states(flow.noise(jax.random.fold_in(key, number), (n, dim)))

        def again(carry: tuple[Array, Array]) -> tuple[Array, Array]:
            number, x = carry
            return number + 1, jnp.where(self._inside(x)[:, None], x, draw(number))

        def outside(carry: tuple[Array, Array]) -> Array:
            return (carry[0] < _MAX_DRAWS) & ~jnp.all(self._inside(carry[1]))

        _, x = jax.lax.while_loop(outside, again, (jnp.asarray(1), draw(jnp.asarray(0))))
        return self._clip(x).astype(_floats())

    def _from_noise(self, drawn: Float[Array, "n D"]) -> Float[Array, "n D"]:
        """States, where none has to be drawn anew."""
        flow = self.flow
        if flow.base == "normal" and flow.low is not None and flow.high is not None:
            bounds = ndtr(self._base(jnp.stack([flow.low, flow.high]))[0])
            z = ndtri(bounds[0] + drawn * (bounds[1] - bounds[0]))
            drawn = jnp.clip(z, -_REACH, _REACH)
        return self._clip(self._states(drawn)).astype(_floats())

    def log_density(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Log density at the states `x`; minus infinity outside of the domain.

        Raises:
            ValueError: the states are not of R^D.
        """
        flow = self.flow
        x = check_states(x, flow.centre.shape[-1], "normalizing flow's")
        clipped = self._clip(x).astype(jnp.float32)
        z, log_det = self._base(clipped.reshape(-1, x.shape[-1]))
        logs = log_det - jnp.sum(jnp.log(flow.scale)) - flow.log_mass[self.t]
        logs = logs + base_log_density(z, flow.base)
        logs = jnp.where(self._inside(x), logs.reshape(x.shape[:-1]), -jnp.inf)
        return logs.astype(jnp.result_type(x, jnp.float32))

    def _mass(self) -> Float[Array, ""]:
        """What the bijection puts into the domain."""
        flow = self.flow
        if flow.low is None or flow.high is None or flow.base == "uniform":
            return jnp.ones((), jnp.float32)
        if flow.centre.shape[-1] == 1:
            bounds = ndtr(self._base(jnp.stack([flow.low, flow.high]))[0])
            return (bounds[1] - bounds[0])[0]
        base, weights = _base_nodes(flow.centre.shape[-1], flow.base)
        inside = self._inside(self._states(jnp.asarray(base, jnp.float32)))
        return jnp.sum(jnp.asarray(weights, jnp.float32) * inside)

    def _base(self, x: Float[Array, "n D"]) -> tuple[Float[Array, "n D"], Float[Array, "n"]]:
        condition = self.flow.condition(self.t)
        standard = (x - self.flow.centre) / self.flow.scale
        z, log_det = towards_base(self.flow.bijection, standard, condition)
        return z.astype(jnp.float32), log_det.astype(jnp.float32)

    def _states(self, z: Float[Array, "n D"]) -> Float[Array, "n D"]:
        condition = self.flow.condition(self.t)
        back = towards_states(self.flow.bijection, z, condition)
        return self.flow.centre + self.flow.scale * back.astype(jnp.float32)

    def _inside(self, x: Float[Array, "*batch D"]) -> Array:
        if self.flow.low is None or self.flow.high is None:
            return jnp.ones(x.shape[:-1], bool)
        # In the domain's precision: a wall that is no float32 has itself inside.
        x = x.astype(jnp.float32)
        return jnp.all((x >= self.flow.low) & (x <= self.flow.high), -1)

    def _clip(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch D"]:
        if self.flow.low is None or self.flow.high is None:
            return x
        return jnp.clip(x, self.flow.low, self.flow.high)


def scaled_time(t: Any, size: int) -> Float[Array, "*batch"]:
    """2 t / T - 1, where `size` = T + 1."""
    return jnp.asarray(t, jnp.float32) * (2 / max(size - 1, 1)) - 1


def base_log_density(z: Float[Array, "*batch D"], base: str) -> Float[Array, "*batch"]:
    """Log density of the base; of the uniform one at points of the box."""
    if base == "uniform":
        return jnp.zeros(z.shape[:-1], z.dtype)
    return -0.5 * jnp.sum(z**2, -1) - z.shape[-1] / 2 * math.log(2 * math.pi)


def _base_nodes(dim: int, base: str) -> tuple[np.ndarray, np.ndarray]:
    if dim == 1:
        middle = (np.arange(_NUM_POINTS)[:, None] + 0.5) / _NUM_POINTS
        if base == "uniform":
            return middle, np.full(_NUM_POINTS, 1 / _NUM_POINTS)
        z = _REACH * (2 * middle - 1)
        weights = np.exp(-0.5 * z[:, 0] ** 2)
        return z, weights / weights.sum()
    points = sobol_pairs(_NUM_POINTS, dim)
    if base == "normal":
        from scipy.special import ndtri as quantile

        points = quantile(points)
    return points, np.full(len(points), 1 / len(points))


def _floats() -> np.dtype:
    return jnp.zeros(()).dtype
