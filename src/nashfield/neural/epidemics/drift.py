"""How transmission moves: the drift of its logarithm, prescribed or learnt."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.typing import Array, Scalar, scalar

NUM_FEATURES = 4
# What brings the features of epidemics to the size of one: growth rates of some percent a day.
_GROWTH_SCALE, _LOG_SCALE = 15.0, 2.0


class Drift(eqx.Module):
    """Where the logarithm of transmission is going.

    With b the transmission, I the share of the infected, r a trend:

        d log b = (r - response d log(I)/dt) dt + noise,     dr = (push - reversion r) dt + noise.

    At response 1 the trend is the growth rate of the risk of infection b I: people have less
    contact as more are ill, and when r has faded, the risk stays as it is. At response 0
    transmission follows a trend of its own; without trend and noise it is constant, as in the
    classical SIR.

    Attributes:
        reversion: what the trend loses, per day.
        response: how far contact answers to the number of the ill, 0 to 1.
    """

    reversion: eqx.AbstractVar[Scalar]
    response: eqx.AbstractVar[Scalar]

    @abc.abstractmethod
    def push(self, features: Float[Array, "F"], inputs: Float[Array, "E"]) -> Float[Array, ""]:
        """What a day adds to the trend beside its fading.

        Args:
            features: see `features_of`.
            inputs: of the day, exogenous.
        """


class PrescribedDrift(Drift):
    """The trend fades, and nothing else: the rung below a neural drift.

    Attributes:
        reversion: see `Drift`.
        response: see `Drift`.
    """

    reversion: Scalar = eqx.field(converter=scalar, default=0.07)
    response: Scalar = eqx.field(converter=scalar, default=1.0)

    def push(self, features: Float[Array, "F"], inputs: Float[Array, "E"]) -> Float[Array, ""]:
        """Nothing."""
        return jnp.zeros((), features.dtype)


class NeuralDrift(Drift):
    """The prescribed drift plus a small network of what can be seen of the epidemic.

    A hidden layer of tanh, and bounds: a day changes the trend by `amplitude` at most. The network
    does not see the time. It starts as zero, and its penalty keeps it there until data say
    otherwise.

    Attributes:
        reversion: see `Drift`.
        response: see `Drift`.
        hidden: (W, F + E) weights into the hidden layer.
        offset: (W,) of the hidden layer.
        out: (W,) weights out of it.
        level: of the output.
        amplitude: most that a day can add to the trend.
    """

    reversion: Scalar = eqx.field(converter=scalar)
    response: Scalar = eqx.field(converter=scalar)
    hidden: Float[Array, "W F"]
    offset: Float[Array, "W"]
    out: Float[Array, "W"]
    level: Float[Array, ""]
    amplitude: Scalar = eqx.field(converter=scalar)

    def push(self, features: Float[Array, "F"], inputs: Float[Array, "E"]) -> Float[Array, ""]:
        """The network's part."""
        seen = jnp.concatenate([features, inputs])
        heard = self.out @ jnp.tanh(self.hidden @ seen + self.offset) + self.level
        return self.amplitude * jnp.tanh(heard)


def neural_drift(
    drift: Drift, num_inputs: int, width: int, amplitude: Scalar, *, key: PRNGKeyArray
) -> NeuralDrift:
    """A prescribed drift with a network that says nothing yet.

    Args:
        drift: prescribed.
        num_inputs: exogenous inputs, E.
        width: W.
        amplitude: see `NeuralDrift`.
        key: draws the weights into the hidden layer.
    """
    dtype = jnp.result_type(float)
    return NeuralDrift(
        reversion=drift.reversion,
        response=drift.response,
        hidden=jax.random.normal(key, (width, NUM_FEATURES + num_inputs), dtype) / 2,
        offset=jnp.zeros(width, dtype),
        out=jnp.zeros(width, dtype),
        level=jnp.zeros((), dtype),
        amplitude=amplitude,
    )


def penalty(drift: NeuralDrift) -> Float[Array, ""]:
    """Minus the log density of the weights: narrow for those out of the network, wide into it."""
    into = jnp.sum(drift.hidden**2) + jnp.sum(drift.offset**2)
    return into / 10 + jnp.sum(drift.out**2) + drift.level**2


def features_of(
    trend: Float[Array, ""],
    slow_trend: Float[Array, ""],
    log_number: Float[Array, ""],
    gamma: Float[Array, ""],
) -> Float[Array, "4"]:
    """What the network sees: growth now and of late, log R_t, and what growth leaves of log R_t.

    In steady growth at the rate r the reproduction number is 1 + r / gamma (one stage); by how much
    it differs tells whether growth has just begun or is ending.

    Args:
        trend: r.
        slow_trend: its mean over some weeks.
        log_number: logarithm of the reproduction number.
        gamma: of recovery.
    """
    steady = jnp.log1p(jnp.maximum(trend / gamma, -0.9))
    growths = _GROWTH_SCALE * jnp.stack([trend, slow_trend])
    logs = _LOG_SCALE * jnp.stack([log_number, log_number - steady])
    return jnp.concatenate([growths, logs])
