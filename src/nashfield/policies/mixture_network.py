"""Policies whose law is a mixture of Gaussians, told by a network of time and state."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Float, PRNGKeyArray

from nashfield.controls import AbstractControl
from nashfield.games.continuous import ContinuousGame
from nashfield.policies.gaussian_network import LOG_SD_RANGE, GaussianNetwork, normal_log_density
from nashfield.policies.network import Network
from nashfield.typing import Array, Time

# Halvings of the interval that holds a quantile, and how far it reaches beyond all components.
_NUM_HALVINGS = 30
_REACH = 6.0


class MixtureNetwork(AbstractControl):
    """u follows sum_k w_k N(m_k, diag s_k^2), all functions of t and x; a = u, or squashed.

    Where past policies disagree their mixture has several modes, which a single Gaussian smears.
    Actions are drawn coordinate by coordinate, by the quantile of each one's law given those before
    it (Rosenblatt 1952, "Remarks on a multivariate transformation"): so they are a function of
    normal noise as those of every policy, and at noise zero they are medians. Densities are those
    of a. Source of such networks: Bishop (1994), "Mixture density networks".

    Attributes:
        body: the network, with K (1 + 2 C) outputs, and what observations and bounds are.
        num_components: K.
    """

    body: GaussianNetwork
    num_components: int = eqx.field(static=True)

    @classmethod
    def begin(
        cls,
        game: ContinuousGame,
        location: Float[Array, "F"],
        scale: Float[Array, "F"],
        *,
        num_components: int,
        hidden: tuple[int, ...] = (64, 64),
        sd: Any,
        key: PRNGKeyArray,
    ) -> "MixtureNetwork":
        """A policy that has learnt nothing: its components are spread over (-sd, sd).

        Args:
            game: what it will be played in.
            location: (F,) mean of what it will observe.
            scale: (F,) standard deviation of that.
            num_components: K.
            hidden: widths of the hidden layers.
            sd: standard deviation of u within each component.
            key: for the weights.
        """
        K, C = num_components, game.control_dim
        body = GaussianNetwork.begin(game, location, scale, hidden=hidden, sd=sd, key=key)
        widths = (location.shape[0] + 1, *hidden, K * (1 + 2 * C))
        network = Network.draw(widths, last_scale=0.01, key=key)
        sd = jnp.asarray(sd, jnp.float32)
        least, most = LOG_SD_RANGE
        bent = jnp.arctanh(2 * (jnp.log(sd) - least) / (most - least) - 1)
        places = sd * jnp.linspace(-1, 1, K, dtype=jnp.float32) if K > 1 else jnp.zeros(1)
        last = jnp.concatenate([jnp.zeros(K), jnp.repeat(places, C), jnp.full(K * C, bent)])
        biases = (*network.biases[:-1], last.astype(jnp.float32))
        network = eqx.tree_at(lambda n: n.biases, network, biases)
        return cls(dataclasses.replace(body, network=network), K)

    @property
    def horizon(self) -> int:
        """T."""
        return self.body.horizon

    @property
    def control_dim(self) -> int:
        """C."""
        return self.body.control_dim

    @property
    def location(self) -> Float[Array, "*batch F"]:
        """What is subtracted from observations."""
        return self.body.location

    def split(self) -> tuple[Any, Any]:
        """What is trained and the rest; `eqx.combine` joins them."""
        trained, rest = self.body.split()
        return dataclasses.replace(self, body=trained), dataclasses.replace(self, body=rest)

    def certain(self) -> "MixtureNetwork":
        """The policy that plays the medians."""
        return dataclasses.replace(self, body=self.body.certain())

    def components(
        self, features: Float[Array, "*N F1"]
    ) -> tuple[Float[Array, "*N K"], Float[Array, "*N K C"], Float[Array, "*N K C"]]:
        """Log weights, means and log standard deviations of u."""
        outputs = self.body.network(features)
        K = self.num_components
        C = (outputs.shape[-1] // K - 1) // 2
        shape = (*outputs.shape[:-1], K, C)
        logits, means, bent = jnp.split(outputs, [K, K * (1 + C)], -1)
        least, most = LOG_SD_RANGE
        log_sd = least + (most - least) / 2 * (1 + jnp.tanh(bent))
        return jax.nn.log_softmax(logits, -1), means.reshape(shape), log_sd.reshape(shape)

    def misfit(
        self, t: Any, features: Float[Array, "N F1"], u: Float[Array, "N C"]
    ) -> tuple[Float[Array, "N 1"], Float[Array, "N 1"]]:
        """Negative log density of u, and the typical deviation of its law."""
        log_weights, means, log_sd = self.components(features)
        terms = jnp.sum(normal_log_density(u[:, None], means, log_sd), -1)
        loss = -jax.nn.logsumexp(log_weights + terms, -1, keepdims=True)
        shares = jnp.exp(log_weights)[..., None]
        middle = jnp.sum(shares * means, -2, keepdims=True)
        variance = jnp.sum(shares * (jnp.exp(2 * log_sd) + (means - middle) ** 2), -2)
        return loss, jnp.exp(0.5 * jnp.mean(jnp.log(variance), -1, keepdims=True))

    def action(self, t: Time, x: Float[Array, "D"], noise: Float[Array, "C"]) -> Float[Array, "C"]:
        """See `AbstractControl.action`."""
        noise = jnp.asarray(noise, jnp.float32)
        noise = noise if self.body.stochastic else 0 * noise
        log_weights, means, log_sd = self.components(self.body.features(t, x))
        chosen = []
        for c in range(means.shape[-1]):
            mean, sd = means[:, c], jnp.exp(log_sd[:, c])
            chosen.append(_quantile(ndtr(noise[c]), jnp.exp(log_weights), mean, sd))
            seen = normal_log_density(chosen[-1][None, None], mean[:, None], log_sd[:, c : c + 1])
            log_weights = jax.nn.log_softmax(log_weights + seen[:, 0])
        return self.body.squash(jnp.stack(chosen))

    def log_density(self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"]) -> Float[Array, ""]:
        """See `AbstractControl.log_density`; minus infinity beyond the bounds."""
        a = jnp.asarray(a, jnp.float32)
        body = self.body
        if not body.stochastic:
            same = jnp.all(a == self.action(t, x, jnp.zeros_like(a)))
            return jnp.where(same, jnp.inf, -jnp.inf)
        u = body.unsquash(a)
        loss, _ = self.misfit(t, body.features(t, x)[None], u[None])
        inside = jnp.all((a >= body.low) & (a <= body.high))
        return jnp.where(inside, -loss[0, 0] - jnp.sum(body.log_jacobian(u)), -jnp.inf)


def _quantile(
    level: Float[Array, ""],
    weights: Float[Array, "K"],
    means: Float[Array, "K"],
    sds: Float[Array, "K"],
) -> Float[Array, ""]:
    """Where the distribution function of the mixture reaches `level`, by halving."""
    low, high = jnp.min(means - _REACH * sds), jnp.max(means + _REACH * sds)

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        below = jnp.dot(weights, ndtr((middle - means) / sds)) < level
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, _NUM_HALVINGS, halve, (low, high))
    return (low + high) / 2
