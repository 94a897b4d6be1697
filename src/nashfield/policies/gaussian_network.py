"""Gaussian policies whose mean is a network of time and state."""

import dataclasses
import math
from typing import Any, Literal

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.checks import check_number
from nashfield.controls import AbstractControl
from nashfield.games.continuous import ContinuousGame
from nashfield.games.views import Observer
from nashfield.policies.network import Network
from nashfield.results import ParameterError
from nashfield.typing import Array, Time

# Log standard deviations that depend on the state stay between these.
LOG_SD_RANGE = (-6.0, 2.0)

_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


class GaussianNetwork(AbstractControl):
    """u = mean_t(x) + exp(log_sd) noise; a = u, or squashed by tanh where actions are bounded.

    The mean is a network of the standardised observation of x and of t / T. The log standard
    deviation is one number for each time and dimension, or a second half of the network's outputs,
    bent smoothly into [-6, 2]. In a dimension with finite bounds,
    a = low + (high - low) (1 + tanh u) / 2, and densities are those of a: with the factor
    da/du in them. All arithmetic is in single precision.

    Attributes:
        network: F + 1 inputs; C outputs, or 2 C where log_sd depends on the state.
        log_sd: (T, C), or None where the network gives it.
        location: (F,) what is subtracted from observations; not trained.
        scale: (F,) what they are divided by; not trained.
        low: (C,) least actions; not trained.
        high: (C,) greatest actions; not trained.
        num_decisions: T.
        observer: what the network looks through; None where that is x itself.
        stochastic: False for the policy that plays at noise zero.
    """

    network: Network
    log_sd: Float[Array, "*batch T C"] | None
    location: Float[Array, "*batch F"]
    scale: Float[Array, "*batch F"]
    low: Float[Array, "*batch C"]
    high: Float[Array, "*batch C"]
    num_decisions: int = eqx.field(static=True)
    observer: Observer | None = None
    stochastic: bool = eqx.field(static=True, default=True)

    @classmethod
    def begin(
        cls,
        game: ContinuousGame,
        location: Float[Array, "F"],
        scale: Float[Array, "F"],
        *,
        hidden: tuple[int, ...] = (64, 64),
        log_sd: float | Float[Array, ""] | None = None,
        sd: Any = None,
        activation: Literal["tanh", "relu"] = "tanh",
        key: PRNGKeyArray,
    ) -> "GaussianNetwork":
        """A policy that has learnt nothing: its mean is near zero, or midway between the bounds.

        Args:
            game: what it will be played in.
            location: (F,) mean of what it will observe.
            scale: (F,) standard deviation of that.
            hidden: widths of the hidden layers.
            log_sd: where one log standard deviation for each time is meant, what all begin at;
                None for one that depends on the state.
            sd: where it depends on the state, the standard deviation of u that all begin at; None
                for whatever the fresh network says.
            activation: the bend of the hidden layers.
            key: for the weights.
        """
        outputs = game.control_dim * (2 if log_sd is None else 1)
        widths = (location.shape[0] + 1, *hidden, outputs)
        low, high = game.control_bounds
        start = None
        if log_sd is not None:
            start = jnp.full((game.horizon, game.control_dim), jnp.asarray(log_sd, jnp.float32))
        network = Network.draw(widths, activation=activation, last_scale=0.01, key=key)
        if log_sd is None and sd is not None:
            least, most = LOG_SD_RANGE
            share = (jnp.log(jnp.asarray(sd, jnp.float32)) - least) / (most - least)
            bent = jnp.arctanh(2 * share - 1)
            last = jnp.asarray(network.biases[-1]).at[game.control_dim :].set(bent)
            network = eqx.tree_at(lambda n: n.biases, network, (*network.biases[:-1], last))
        return cls(
            network,
            start,
            jnp.asarray(location, jnp.float32),
            jnp.asarray(scale, jnp.float32),
            jnp.asarray(low, jnp.float32),
            jnp.asarray(high, jnp.float32),
            game.horizon,
            None if type(game).observe is ContinuousGame.observe else Observer.of(single(game)),
        )

    @property
    def horizon(self) -> int:
        """T."""
        return self.num_decisions

    @property
    def control_dim(self) -> int:
        """C."""
        return self.low.shape[-1]

    def split(self) -> tuple[Any, Any]:
        """What is trained (network and log_sd) and the rest; `eqx.combine` joins them."""
        trained = jax.tree.map(lambda _: False, self)
        trained = eqx.tree_at(
            lambda p: (p.network, p.log_sd),
            trained,
            jax.tree.map(lambda _: True, (self.network, self.log_sd)),
            is_leaf=lambda x: x is None,
        )
        return eqx.partition(self, trained)

    def certain(self) -> "GaussianNetwork":
        """See `AbstractControl.certain`."""
        return dataclasses.replace(self, stochastic=False)

    def features(self, t: Time, x: Float[Array, "D"]) -> Float[Array, "F1"]:
        """What the network sees of one state: standardised, and t / T in [-1, 1]."""
        x = jnp.asarray(x, jnp.float32)
        seen = x if self.observer is None else self.observer(x)
        seen = (jnp.asarray(seen, jnp.float32) - self.location) / self.scale
        time = jnp.asarray(t, jnp.float32) * jnp.float32(2 / self.horizon) - 1
        return jnp.concatenate([seen, time[None]])

    def heads(
        self, t: Any, features: Float[Array, "*N F1"]
    ) -> tuple[Float[Array, "*N C"], Float[Array, "*N C"]]:
        """Mean and log standard deviation of u; `t` is one time, or one for each row."""
        outputs = self.network(features)
        if self.log_sd is not None:
            log_sd = jnp.asarray(self.log_sd)[t]
            return outputs, jnp.broadcast_to(log_sd, outputs.shape)
        mean, bent = jnp.split(outputs, 2, -1)
        least, most = LOG_SD_RANGE
        return mean, least + (most - least) / 2 * (1 + jnp.tanh(bent))

    def misfit(
        self, t: Any, features: Float[Array, "N F1"], u: Float[Array, "N C"]
    ) -> tuple[Float[Array, "N C"], Float[Array, "N C"]]:
        """Negative log density of each entry of u, and the standard deviation of its law."""
        mean, log_sd = self.heads(t, features)
        return -normal_log_density(u, mean, log_sd), jnp.exp(log_sd)

    def squash(self, u: Float[Array, "*N C"]) -> Float[Array, "*N C"]:
        """The actions that `u` stands for."""
        # Squashing an infinite interval would make NaN, also in gradients.
        low, width = jnp.where(self._bounded, self.low, 0), jnp.where(self._bounded, self._width, 1)
        actions = jnp.where(self._bounded, low + width * jax.nn.sigmoid(2 * u), u)
        # low + width can be rounded to more than high.
        return jnp.clip(actions, self.low, self.high)

    def log_jacobian(self, u: Float[Array, "*N C"]) -> Float[Array, "*N C"]:
        """Log of da/du in each dimension."""
        width = jnp.where(self._bounded, self._width, 1)
        # s (1 - s) with s = sigmoid(2 u), in a form that loses nothing at the edges.
        slope = -2 * jnp.abs(u) - 2 * jax.nn.softplus(-2 * jnp.abs(u))
        return jnp.where(self._bounded, jnp.log(2 * width) + slope, 0)

    def draw(
        self, t: Time, x: Float[Array, "D"], noise: Float[Array, "C"]
    ) -> tuple[Float[Array, "C"], Float[Array, ""]]:
        """An action and its log density, both differentiable in the weights."""
        mean, log_sd = self.heads(t, self.features(t, x))
        noise = jnp.asarray(noise, jnp.float32)
        u = mean + jnp.exp(log_sd) * noise
        terms = -0.5 * noise**2 - log_sd - _HALF_LOG_TAU - self.log_jacobian(u)
        return self.squash(u), jnp.sum(terms)

    def action(self, t: Time, x: Float[Array, "D"], noise: Float[Array, "C"]) -> Float[Array, "C"]:
        """See `AbstractControl.action`."""
        mean, log_sd = self.heads(t, self.features(t, x))
        if not self.stochastic:
            return self.squash(mean)
        return self.squash(mean + jnp.exp(log_sd) * jnp.asarray(noise, jnp.float32))

    def log_density(self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"]) -> Float[Array, ""]:
        """See `AbstractControl.log_density`; minus infinity beyond the bounds."""
        a = jnp.asarray(a, jnp.float32)
        mean, log_sd = self.heads(t, self.features(t, x))
        if not self.stochastic:
            return jnp.where(jnp.all(a == self.squash(mean)), jnp.inf, -jnp.inf)
        u = self.unsquash(a)
        terms = normal_log_density(u, mean, log_sd) - self.log_jacobian(u)
        inside = jnp.all((a >= self.low) & (a <= self.high))
        return jnp.where(inside, jnp.sum(terms), -jnp.inf)

    def unsquash(self, a: Float[Array, "*N C"]) -> Float[Array, "*N C"]:
        """What `squash` makes `a` of; an action on the edge counts as one a rounding inside."""
        tiny = jnp.finfo(jnp.float32).eps / 2
        low, width = jnp.where(self._bounded, self.low, 0), jnp.where(self._bounded, self._width, 1)
        share = jnp.clip((a - low) / width, tiny, 1 - tiny)
        return jnp.where(self._bounded, 0.5 * (jnp.log(share) - jnp.log1p(-share)), a)

    @property
    def _bounded(self) -> Array:
        return jnp.isfinite(self._width)

    @property
    def _width(self) -> Array:
        return jnp.asarray(self.high) - self.low


def check_sd(name: str, value: Any) -> None:
    """Raises unless every entry of `value` is a deviation that a policy can have.

    Raises:
        ParameterError: one is not.
    """
    check_number(name, value, above=0.0)
    least, most = (math.exp(edge) for edge in LOG_SD_RANGE)
    if not isinstance(value, jax.core.Tracer) and not np.all((value > least) & (value < most)):
        raise ParameterError(
            f"{name} must lie between {least:.4f} and {most:.4f}, where the deviations of a policy "
            f"can be, not {value}: measure actions in other units, or bound them with "
            "control_bounds"
        )


def normal_log_density(
    u: Float[Array, "*#N C"], mean: Float[Array, "*#N C"], log_sd: Float[Array, "*#N C"]
) -> Float[Array, "*#N C"]:
    """Log density of each entry of `u` under a normal law."""
    return -0.5 * ((u - mean) * jnp.exp(-log_sd)) ** 2 - log_sd - _HALF_LOG_TAU


def single(tree: Any) -> Any:
    """The same with its floating-point numbers in single precision."""

    def cast(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array | np.ndarray) and jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.asarray(leaf, jnp.float32)
        return leaf

    return jax.tree.map(cast, tree)
