"""Gaussian mean fields, and mixtures of them."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from nashfield.mean_fields.base import AbstractMeanField
from nashfield.mean_fields.nodes import average, normal_nodes
from nashfield.mean_fields.points import check_states, known, no_density
from nashfield.typing import Array, array

# Up to this many columns a factorisation is written out; beyond, it is a loop.
_UNROLLED = 4


class Gaussian(AbstractMeanField):
    """N(location, covariance) on R^D; a covariance of zero is a crowd all in one point.

    Attributes:
        location: (D,).
        covariance: (D, D), symmetric and positive semidefinite.

    Raises:
        ValueError: the covariance does not fit the location, or is no covariance.
    """

    location: Float[Array, "*batch D"] = eqx.field(converter=array)
    covariance: Float[Array, "*batch D D"] = eqx.field(converter=array)

    def __check_init__(self):
        shape, dim = np.shape(self.covariance), np.shape(self.location)[-1]
        if shape[-2:] != (dim, dim):
            raise ValueError(
                f"covariance must be square, (..., {dim}, {dim}) for a location in R^{dim}, not "
                f"{shape}"
            )
        if known(self.covariance):
            _check_covariance(np.asarray(self.covariance))

    def mean(self) -> Float[Array, "*batch D"]:
        """Mean state."""
        return jnp.asarray(self.location)

    def expect(self, function: Callable[[Array], Array]) -> Array:
        """Mean of `function`, which takes one state (D,).

        By Gauss-Hermite quadrature with 64, 24^2 or 12^3 nodes up to D = 3; beyond by 4096
        quasi-random points that give polynomials of degree 3 their exact means.
        """
        nodes, weights = normal_nodes(self.location.shape[-1])
        return average(function, self._place(jnp.asarray(nodes, self._dtype)), weights)

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        """Draws the states of `n` agents."""
        return self._place(jax.random.normal(key, (n, self.location.shape[-1])))

    def log_density(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Log density at the states `x`; NaN under jit where the covariance is singular.

        Raises:
            ValueError: the states are not of R^D, or the covariance is known to be singular.
        """
        dim = self.location.shape[-1]
        x = check_states(x, dim, "Gaussian")
        if known(self.covariance) and _singular(np.asarray(self.covariance)):
            raise no_density("its covariance is singular")
        root = _root(jnp.asarray(self.covariance))

        def eliminate(j, carry):
            rest, total = carry
            scaled = rest[..., j] / root[j, j]
            return rest - scaled[..., None] * root[:, j], total - scaled**2 / 2

        rest = x - jnp.asarray(self.location)
        _, total = _loop(dim, eliminate, (rest, jnp.zeros_like(rest[..., 0])))
        diagonal = jnp.diag(root)
        total = total - jnp.sum(jnp.log(diagonal)) - dim / 2 * math.log(2 * math.pi)
        return jnp.where(jnp.all(diagonal > 0), total, jnp.nan)

    @property
    def _dtype(self) -> np.dtype:
        return jnp.result_type(jnp.asarray(self.location))

    def _place(self, noise: Float[Array, "Q D"]) -> Float[Array, "Q D"]:
        root = _root(jnp.asarray(self.covariance))
        return self.location + jnp.dot(noise, root.T, precision="highest")


class GaussianMixture(AbstractMeanField):
    """sum_k weights_k N(location_k, covariance_k): the crowd of a pool of affine policies.

    Attributes:
        weights: (K,), shares of the members; they sum to 1.
        members: their laws, whose arrays have a leading axis K.

    Raises:
        ValueError: there is not one weight for each member.
    """

    weights: Float[Array, "*batch K"] = eqx.field(converter=array)
    members: Gaussian

    def __check_init__(self):
        count = np.shape(self.members.location)[:-1]
        if np.shape(self.weights) != count:
            raise ValueError(
                f"weights must have one entry for each member, {count}, not {self.weights.shape}"
            )

    def mean(self) -> Float[Array, "D"]:
        """Mean state."""
        return jnp.dot(jnp.asarray(self.weights), self.members.mean(), precision="highest")

    def expect(self, function: Callable[[Array], Array]) -> Array:
        """Mean of `function`, which takes one state (D,); of each member as `Gaussian.expect`."""
        means = jax.vmap(lambda member: member.expect(function))(self.members)
        return jnp.tensordot(jnp.asarray(self.weights), means, 1, precision="highest")

    def sample(self, key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        """Draws the states of `n` agents."""
        member_key, key = jax.random.split(key)
        weights = jnp.asarray(self.weights)
        index = jax.random.choice(member_key, weights.shape[0], (n,), p=weights)
        roots = jax.vmap(_root)(jnp.asarray(self.members.covariance))
        noise = jax.random.normal(key, (n, self.members.location.shape[-1]))
        moved = jnp.einsum("nij,nj->ni", roots[index], noise, precision="highest")
        return jnp.asarray(self.members.location)[index] + moved

    def log_density(self, x: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Log density at the states `x`; NaN under jit where a member's covariance is singular.

        Raises:
            ValueError: the states are not of R^D, or a covariance is known to be singular.
        """
        x = check_states(x, self.members.location.shape[-1], "GaussianMixture")
        if known(self.members.covariance) and _singular(np.asarray(self.members.covariance)):
            raise no_density("the covariance of a member is singular")
        logs = jax.vmap(lambda member: member.log_density(x))(self.members)
        weights = jnp.asarray(self.weights).reshape(-1, *(1 for _ in x.shape[:-1]))
        return jax.nn.logsumexp(logs, axis=0, b=weights)


def _check_covariance(covariance: np.ndarray) -> None:
    scale = np.max(np.abs(covariance), initial=1e-300)
    limit = 1e-5 * scale  # loose enough for single precision
    if not np.all(np.isfinite(covariance)):
        raise ValueError("covariance must hold finite numbers")
    off = np.max(np.abs(covariance - np.swapaxes(covariance, -1, -2)), initial=0)
    if off > limit:
        raise ValueError(f"covariance must be symmetric, but entries differ by {off:.3g}")
    least = np.min(np.linalg.eigvalsh(covariance), initial=np.inf)
    if least < -limit:
        raise ValueError(
            f"covariance must have no negative eigenvalue, but its smallest is {least:.3g}"
        )


def _singular(covariance: np.ndarray) -> bool:
    values = np.linalg.eigvalsh(covariance)
    limit = np.finfo(covariance.dtype).eps * covariance.shape[-1] * values[..., -1]
    return bool(np.any(values[..., 0] <= limit))


def _root(covariance: Float[Array, "D D"]) -> Float[Array, "D D"]:
    """Lower triangular L with L L' = covariance, which may be singular: then columns are zero.

    Written here because laws are vmapped over times and members, and LAPACK is not called on
    batches.
    """
    dim = covariance.shape[-1]
    least = jnp.finfo(covariance.dtype).eps * dim * jnp.max(jnp.diag(covariance))

    def column(j, carry):
        rest, root = carry
        pivot = rest[j, j]
        there = pivot > least
        scale = jnp.sqrt(jnp.where(there, pivot, 1))
        entries = jnp.where(there & (jnp.arange(dim) >= j), rest[:, j] / scale, 0)
        return rest - jnp.outer(entries, entries), root.at[:, j].set(entries)

    return _loop(dim, column, (covariance, jnp.zeros_like(covariance)))[1]


def _loop(dim: int, body: Callable, carry):
    if dim > _UNROLLED:
        return jax.lax.fori_loop(0, dim, body, carry)
    for j in range(dim):
        carry = body(j, carry)
    return carry
