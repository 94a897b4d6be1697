"""Normalizing flows fitted to samples by maximum likelihood."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.checks import check_number
from nashfield.mean_fields.base import Flow
from nashfield.mean_fields.normalizing_flow import (
    FitReport,
    NormalizingFlow,
    base_log_density,
    scaled_time,
)
from nashfield.mean_fields.particles import Particles
from nashfield.mean_fields.points import known
from nashfield.mean_fields.spline_bijections import BASES, spline_bijection, towards_base
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, scalar

# Held-out states at each time: more would only cost time.
_MAX_HELD_OUT = 1000
_FINAL_RATE = 0.01
# Weights are averaged over about the last 1 / (1 - _MEMORY) steps.
_MEMORY = 0.99


class MaximumLikelihood(eqx.Module):
    """How a normalizing flow is fitted: by Adam on -E log q(x | t), equally many states a time.

    The learning rate falls along a cosine to a hundredth. Every `look_every` steps the likelihood
    of held-out states is found; the parameters that did best there, those that a fit goes on from
    among them, are returned, and the fit stops when `patience` looks in a row brought nothing
    better.

    Attributes:
        kind: "autoregressive" or "coupling" (`spline_bijections.spline_bijection`), or a flowjax
            bijection of shape (D,) and cond_shape (1,), from standardised states to the base.
        base: "normal" or "uniform"; None for uniform where there is a domain, else normal. With the
            uniform base the domain's box is mapped onto itself and nothing leaks; with the normal
            one what leaks is cut off, and the density divided by the rest.
        num_layers: layers of splines.
        num_bins: of every spline.
        width: of the networks.
        depth: hidden layers of the networks.
        batch_size: states in one step, over all times together.
        num_steps: gradient steps at most.
        look_every: steps between looks at the held-out states.
        patience: looks without progress before the fit stops.
        held_out: share of the states that are held out (at most 1000 a time).
        learning_rate: at the start.
    """

    kind: Any = "autoregressive"
    base: str | None = eqx.field(static=True, default=None)
    num_layers: int = eqx.field(static=True, default=1)
    num_bins: int = eqx.field(static=True, default=8)
    width: int = eqx.field(static=True, default=32)
    depth: int = eqx.field(static=True, default=3)
    batch_size: int = eqx.field(static=True, default=1024)
    num_steps: int = eqx.field(static=True, default=2000)
    look_every: int = eqx.field(static=True, default=100)
    patience: int = eqx.field(static=True, default=5)
    held_out: float = eqx.field(static=True, default=0.1)
    learning_rate: Scalar = eqx.field(converter=scalar, default=5e-3)

    def __check_init__(self):
        if self.base not in (None, *BASES):
            raise ParameterError(f'base must be "normal" or "uniform", not {self.base!r}')
        sizes = ("num_layers", "num_bins", "width", "batch_size", "num_steps", "look_every")
        for name in (*sizes, "patience"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} must be at least 1, not {getattr(self, name)}")
        check_number("learning_rate", self.learning_rate, above=0.0)
        if not 0 < self.held_out < 1:
            raise ParameterError(f"held_out must lie between 0 and 1, not {self.held_out}")

    def fit(
        self,
        samples: Float[Array, "T1 N D"],
        *,
        domain: tuple[Any, Any] | None = None,
        start: NormalizingFlow | None = None,
        key: PRNGKeyArray,
    ) -> NormalizingFlow:
        """Pure: for use inside of jit and vmap. Arguments as in `fit_normalizing_flow`."""
        samples = jnp.asarray(samples, jnp.float32)
        size, num_agents, dim = samples.shape
        base = self.base or ("normal" if domain is None else "uniform")
        if domain is None and base == "uniform":
            raise ParameterError('base "uniform" needs a domain, whose box it fills')
        if domain is not None:
            domain = jnp.asarray(domain[0], jnp.float32), jnp.asarray(domain[1], jnp.float32)
        if start is not None and start.base != base:
            raise ParameterError(
                f'start has the base "{start.base}", but the fit the base "{base}": a fit goes on '
                "with the same one"
            )
        start_key, shuffle_key, fit_key = jax.random.split(key, 3)
        if start is not None:
            bijection, centre, scale = start.bijection, start.centre, start.scale
        else:
            bijection = self._bijection(dim, base, start_key)
            if domain is not None and base == "uniform":
                centre, scale = domain[0], domain[1] - domain[0]
            else:
                centre, scale = jnp.mean(samples, (0, 1)), jnp.std(samples, (0, 1))
                scale = jnp.where(scale > 0, scale, 1)
        # Agents are held out, not states: those of one agent hang together.
        samples = jax.random.permutation(shuffle_key, samples, axis=1)
        standard = (samples - centre) / scale
        if base == "uniform":
            standard = jnp.clip(standard, 0, 1)
        num_held = max(1, min(int(self.held_out * num_agents), _MAX_HELD_OUT))
        parts = standard[:, num_held:], standard[:, :num_held]
        bijection, report = self._descend(bijection, *parts, base, start is not None, fit_key)
        offset = jnp.sum(jnp.log(scale))
        report = dataclasses.replace(
            report,
            losses=report.losses + offset,
            held_out_losses=report.held_out_losses + offset,
        )
        options = {"base": base, "domain": domain, "report": report}
        return NormalizingFlow.of(bijection, centre, scale, size=size, **options)

    def _bijection(self, dim: int, base: str, key: PRNGKeyArray) -> Any:
        if isinstance(self.kind, str):
            return spline_bijection(
                dim,
                kind=self.kind,
                num_layers=self.num_layers,
                num_bins=self.num_bins,
                width=self.width,
                depth=self.depth,
                tails=base == "normal",
                key=key,
            )
        shapes = getattr(self.kind, "shape", None), getattr(self.kind, "cond_shape", None)
        if shapes != ((dim,), (1,)):
            raise ParameterError(
                f"kind must be a bijection of shape ({dim},) and cond_shape (1,), not {shapes[0]} "
                f"and {shapes[1]}"
            )
        return self.kind

    def _descend(
        self, bijection, train, held, base: str, starts_known: bool, key
    ) -> tuple[Any, FitReport]:
        import optax

        size, num_agents, _ = train.shape
        per_time = max(1, min(self.batch_size // size, num_agents))
        num_looks = -(-self.num_steps // self.look_every)
        times = scaled_time(jnp.arange(size), size)[:, None]
        weights, rest = eqx.partition(bijection, eqx.is_inexact_array)
        rate = jnp.asarray(self.learning_rate, jnp.float32)
        optimiser = optax.chain(
            optax.clip_by_global_norm(10.0), optax.scale_by_adam(), optax.scale(-1.0)
        )

        def loss(weights, x: Float[Array, "T1 n D"]) -> Array:
            bijection = eqx.combine(weights, rest)

            def at(states: Array, condition: Array) -> Array:
                z, log_det = towards_base(bijection, states, condition)
                return (base_log_density(z, base) + log_det).astype(jnp.float32)

            return -jnp.mean(jax.vmap(at)(x, times))

        def step(carry, number):
            weights, state, mean = carry
            unit = jax.random.uniform(
                jax.random.fold_in(key, number), (size, per_time), jnp.float32
            )
            index = jnp.minimum((unit * num_agents).astype(int), num_agents - 1)
            batch = jnp.take_along_axis(train, index[..., None], 1)
            value, gradient = jax.value_and_grad(loss)(weights, batch)
            updates, state = optimiser.update(gradient, state, weights)
            fall = (1 + jnp.cos(number.astype(jnp.float32) * (math.pi / self.num_steps))) / 2
            now = rate * (_FINAL_RATE + (1 - _FINAL_RATE) * fall)
            weights = jax.tree.map(lambda w, u: w + now * u, weights, updates)
            memory = jnp.minimum(_MEMORY, (number + 1.0) / (number + 10.0)).astype(jnp.float32)
            mean = jax.tree.map(lambda m, w: memory * m + (1 - memory) * w, mean, weights)
            return (weights, state, mean), value

        def further(number, carry):
            descent, value = step(carry[0], number)
            return descent, carry[1] + value

        def look(carry):
            number, descent, best, least, stale, report = carry
            first = number * self.look_every
            last = jnp.minimum(first + self.look_every, self.num_steps)
            descent, sum_losses = jax.lax.fori_loop(first, last, further, (descent, zero_loss))
            value = loss(descent[2], held)
            better = value < least
            best = jax.tree.map(lambda new, old: jnp.where(better, new, old), descent[2], best)
            report = (
                report[0].at[number].set(sum_losses / (last - first)),
                report[1].at[number].set(value),
            )
            stale = jnp.where(better, 0, stale + 1)
            return number + 1, descent, best, jnp.minimum(value, least), stale, report

        def going(carry) -> Array:
            return (carry[0] < num_looks) & (carry[4] < self.patience)

        zero, zero_loss = jnp.zeros((), int), jnp.zeros((), jnp.float32)
        empty = jnp.full(num_looks, jnp.nan, jnp.float32)
        state = optimiser.init(weights)
        # What a fit goes on from is never made worse: it counts as the best so far.
        least = loss(weights, held) if starts_known else jnp.asarray(jnp.inf, jnp.float32)
        carry = (zero, (weights, state, weights), weights, least, zero, (empty, empty))
        number, _, best, _, _, report = jax.lax.while_loop(going, look, carry)
        return eqx.combine(best, rest), FitReport(
            *report, jnp.minimum(number * self.look_every, self.num_steps)
        )


def fit_normalizing_flow(
    samples: Any,
    *,
    key: PRNGKeyArray,
    domain: tuple[Any, Any] | None = None,
    start: NormalizingFlow | None = None,
    **options: Any,
) -> NormalizingFlow:
    """A normalizing flow fitted to states of agents, in one compiled program.

    `flow.report` says how it went. For use inside of jit or vmap take
    `MaximumLikelihood(**options).fit`.

    Args:
        samples: (T + 1, N, D) states of N agents at every time, or a flow of particles, such as
            `rollout_flow` gives; what its crowd does is kept.
        key: for the networks, the split and the minibatches.
        domain: least and greatest states, each (D,), as in `game.domain`; None, or infinite ones,
            for all of R^D. Outside there is no mass, and the density is normalised inside.
        start: a fitted normalizing flow to go on from, with the same options.
        options: attributes of `MaximumLikelihood`.

    Raises:
        ValueError: the samples or the domain have the wrong shape, samples are NaN or infinite or
            lie outside of the domain, or the domain's sides are the wrong way round.
        ParameterError: an option is not known.
    """
    names = [field.name for field in dataclasses.fields(MaximumLikelihood)]
    for name in options:
        if name not in names:
            raise ParameterError(
                f"fit_normalizing_flow has no option {name!r}: known are {', '.join(names)}"
            )
    action_mean = None
    if isinstance(samples, Flow):
        action_mean = samples.action_mean
        if not isinstance(samples.laws, Particles):
            raise ValueError(
                "a normalizing flow is fitted to samples: draw them from every law of the flow "
                "first, into an array (T + 1, N, D)"
            )
        samples = samples.laws.states
    samples, domain = _checked(samples, domain)
    if start is not None:
        _check_start(start, domain)
    flow = _fit(MaximumLikelihood(**options), samples, domain, start, key)
    return dataclasses.replace(flow, action_mean=action_mean)


def _checked(samples: Any, domain: Any) -> tuple[Array, tuple[np.ndarray, np.ndarray] | None]:
    if np.ndim(samples) != 3 or np.shape(samples)[1] < 2:
        raise ValueError(
            "samples must have shape (T + 1, N, D) with N of at least 2 agents, not "
            f"{np.shape(samples)}"
        )
    if known(samples) and not np.all(np.isfinite(samples)):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(samples))[0])
        raise ValueError(f"samples must be finite, but at (t, agent, coordinate) = {where} is not")
    if domain is None:
        return samples, None
    low, high = (np.asarray(side, float) for side in domain)
    dim = np.shape(samples)[-1]
    if low.shape != (dim,) or high.shape != (dim,):
        raise ValueError(
            f"the domain of states in R^{dim} must have sides of shape ({dim},), not {low.shape} "
            f"and {high.shape}"
        )
    if not np.any(np.isfinite(low) | np.isfinite(high)):
        return samples, None
    if not np.all(low < high):
        raise ValueError(f"the domain's low must lie below its high, not {low} and {high}")
    if not np.all(np.isfinite(low) & np.isfinite(high)):
        raise ValueError("a domain must be bounded in every coordinate, or in none")
    if known(samples):
        slack = 1e-5 * (high - low)
        if np.any((samples < low - slack) | (samples > high + slack)):
            raise ValueError(f"samples lie outside of the domain from {low} to {high}")
    return samples, (low, high)


def _check_start(start: NormalizingFlow, domain: tuple[np.ndarray, np.ndarray] | None) -> None:
    if start.low is None or start.high is None:
        same = domain is None
    else:
        sides = start.low, start.high
        same = domain is not None and all(
            not known(side) or np.array_equal(np.asarray(side), np.float32(given))
            for side, given in zip(sides, domain, strict=True)
        )
    if not same:
        old = "none" if start.low is None else f"{start.low} to {start.high}"
        new = "none" if domain is None else f"{domain[0]} to {domain[1]}"
        raise ValueError(f"start has another domain ({old}) than the samples ({new})")


@eqx.filter_jit
def _fit(fitter, samples, domain, start, key) -> NormalizingFlow:
    return fitter.fit(samples, domain=domain, start=start, key=key)
