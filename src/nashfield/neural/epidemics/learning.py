"""A network in the drift, taught by the forecasts it makes inside the past."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from nashfield.neural.epidemics.drift import NeuralDrift, neural_drift, penalty
from nashfield.neural.epidemics.model import EpidemicModel
from nashfield.typing import Array

# Days before the first forecast: the filter has to find its feet.
_WARM_UP = 14
# Added to squared errors, so that the root has a slope everywhere.
_SOFT = 1e-3


def teach(
    model: EpidemicModel,
    states: Float[Array, "D X"],
    inputs: Float[Array, "D E"],
    seen: Bool[Array, "D"],
    last: Int[Array, ""],
    *,
    key: PRNGKeyArray,
) -> tuple[NeuralDrift, Float[Array, ""], Int[Array, ""]]:
    """A network that forecasts the past better than the prescribed drift alone.

    From every few days of the past the epidemic goes on without chance, and its active cases are
    compared with those that the filter found later: the root of the mean squared error of their
    logarithms, summed over these days, plus a penalty on the weights. No day after `last` is used,
    and the filter's states know nothing of later days either. Inputs are held at their value of the
    day of the forecast.

    Args:
        model: with the prescribed drift.
        states: of the filter under that drift.
        inputs: exogenous.
        seen: days on which active cases, or new ones, were counted.
        last: the last day that may be used.
        key: draws the first weights.

    Returns:
        The drift of the least loss, that loss per day, and the step at which training diverged, or
        -1.
    """
    import optax

    settings = model.settings
    days = settings.training_days
    starts = jnp.arange(min(_WARM_UP, len(states) // 4), len(states) - 1, settings.training_stride)
    ahead = starts[:, None] + jnp.arange(1, days + 1)
    there = (ahead <= last) & seen[jnp.minimum(ahead, len(seen) - 1)]
    active = model.unpack(states).active
    targets = active[jnp.minimum(ahead, len(states) - 1)]
    counted = jnp.sum(there, 1)
    # In days: a forecast that is cut short counts less.
    total = jnp.maximum(jnp.sum(there) / days, 1e-3)

    def loss(network: NeuralDrift) -> Array:
        taught = EpidemicModel(settings, network)

        def one(start: Array) -> Array:
            start = jnp.minimum(start, last)
            held = jnp.broadcast_to(inputs[start], (days, inputs.shape[1]))
            return taught.unpack(taught.path(states[start], held)).active

        missed = jnp.where(there, jax.vmap(one)(starts) - targets, 0)
        mean = jnp.sum(missed**2, 1) / jnp.maximum(counted, 1)
        errors = jnp.sum(jnp.sqrt(mean + _SOFT) * counted / days)
        return (errors + settings.penalty * penalty(network)) / total

    first = neural_drift(model.drift, inputs.shape[1], settings.width, settings.amplitude, key=key)
    # The prescribed part stays: only the network learns.
    free = eqx.tree_at(
        lambda d: (d.hidden, d.offset, d.out, d.level),
        jax.tree.map(lambda _: False, first),
        (True, True, True, True),
    )
    weights, fixed = eqx.partition(first, free)
    schedule = optax.cosine_decay_schedule(1.0, settings.num_training)
    optimiser = optax.chain(optax.scale_by_adam(), optax.scale_by_schedule(schedule))

    def advance(carry: tuple[Any, ...], count: Array) -> tuple[tuple[Any, ...], None]:
        weights, state, best, least, broke = carry
        value, slope = jax.value_and_grad(lambda w: loss(eqx.combine(w, fixed)))(weights)
        better = value < least
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), weights, best)
        least = jnp.where(better, value, least)
        broke = jnp.where((broke < 0) & ~jnp.isfinite(value), count, broke)
        moves, state = optimiser.update(slope, state)
        weights = jax.tree.map(lambda w, m: w - settings.learning_rate * m, weights, moves)
        return (weights, state, best, least, broke), None

    least = jnp.asarray(jnp.inf, states.dtype)
    carry = weights, optimiser.init(weights), weights, least, jnp.asarray(-1)
    _, _, best, least, broke = jax.lax.scan(advance, carry, jnp.arange(settings.num_training))[0]
    return eqx.combine(best, fixed), least, broke
