"""How far a simulated crowd is from an observed one."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, array, scalar

# Pairs of agents that are held at once, of each of the crowds that are compared together.
_BLOCK = 2**18


class AbstractLoss(eqx.Module):
    """A number that is least where the simulated crowd is like the observed one.

    Attributes:
        paired: whether agent i of the one is compared with agent i of the other.
    """

    paired: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, simulated: Float[Array, "n D"], observed: Float[Array, "m D"]) -> Array:
        """The loss at one time; differentiable in the simulated states."""

    def check(self, num_simulated: int, num_observed: int, state_dim: int) -> None:
        """Raises ParameterError where crowds of these sizes cannot be compared."""
        if self.paired and num_simulated != num_observed:
            raise ParameterError(
                f"{type(self).__name__} compares agents one by one, but {num_simulated} are "
                f"simulated and {num_observed} observed: leave num_crowds out"
            )


class PairedMSE(AbstractLoss):
    """Mean of |x_i - y_i|^2, agent by agent.

    The loss of Thöni, Bachrach and Kachman (2025), for agents who have an identity. Where they have
    none its minimum is a crowd without spread: take a distance between laws instead.
    """

    paired: ClassVar[bool] = True

    def __call__(self, simulated: Float[Array, "n D"], observed: Float[Array, "m D"]) -> Array:
        """See `AbstractLoss`."""
        return jnp.mean(jnp.sum((simulated - observed) ** 2, -1))


class Wasserstein(AbstractLoss):
    """W_p^p between two crowds on the line, exactly, from the sorted states.

    The integral of |F^-1(u) - G^-1(u)|^p over u in (0, 1); the crowds need not have one size.

    Attributes:
        power: p, at least 1.
    """

    power: Scalar = eqx.field(converter=scalar, default=1.0)

    def __check_init__(self):
        check_number("power", self.power, least=1.0)

    def __call__(self, simulated: Float[Array, "n D"], observed: Float[Array, "m D"]) -> Array:
        """See `AbstractLoss`."""
        n, m = len(simulated), len(observed)
        # Both quantile functions are constant between neighbours of these levels.
        levels = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)  # in units of 1 / (n m)
        weights = np.diff(levels) / (n * m)
        x = jnp.sort(simulated[:, 0])[levels[:-1] // m]
        y = jnp.sort(observed[:, 0])[levels[:-1] // n]
        apart = jnp.abs(x - y)
        # |0|^p has no slope in p = 1 alone; jnp.abs has one.
        return jnp.sum(jnp.asarray(weights, apart.dtype) * apart**self.power)

    def check(self, num_simulated: int, num_observed: int, state_dim: int) -> None:
        """See `AbstractLoss.check`."""
        if state_dim != 1:
            raise ParameterError(
                f"Wasserstein sorts states on the line, but state_dim is {state_dim}: take "
                "EnergyDistance or MMD"
            )


class EnergyDistance(AbstractLoss):
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|, where X, X' are two different agents, Y, Y' two others.

    Its expectation is 0 for equal laws and positive for others, whatever the sizes. On the line it
    is twice the integral of (F - G)^2, by sorting; elsewhere it takes n m distances, in blocks.
    Source: Székely and Rizzo (2013), "Energy statistics: a class of statistics based on distances".
    """

    def __call__(self, simulated: Float[Array, "n D"], observed: Float[Array, "m D"]) -> Array:
        """See `AbstractLoss`."""
        if simulated.shape[-1] == 1:
            return _energy_on_the_line(simulated[:, 0], observed[:, 0])
        across = _mean_of(_distance, simulated, observed)
        return 2 * across - _apart(_distance, simulated) - _apart(_distance, observed)

    def check(self, num_simulated: int, num_observed: int, state_dim: int) -> None:
        """See `AbstractLoss.check`."""
        _check_two(self, num_simulated, num_observed)


class MMD(AbstractLoss):
    """Squared maximum mean discrepancy with a mean of Gaussian kernels.

    E k(X, X') + E k(Y, Y') - 2 E k(X, Y) with k(x, y) = mean over h of exp(-|x - y|^2 / (2 h^2)),
    over different agents: unbiased if h were given, but h is measured by what was observed.
    Source: Gretton et al. (2012), "A kernel two-sample test", eq. 3.

    Attributes:
        bandwidths: (B,) the h, in shares of the observed crowd's root mean squared distance (of 1
            where all agree).
    """

    bandwidths: Float[Array, "B"] = eqx.field(converter=array, default=(0.2, 0.5, 1.0, 2.0))

    def __check_init__(self):
        check_number("bandwidths", self.bandwidths, above=0.0)

    def __call__(self, simulated: Float[Array, "n D"], observed: Float[Array, "m D"]) -> Array:
        """See `AbstractLoss`."""
        centred = observed - jnp.mean(observed, 0)
        unit = 2 * jnp.mean(jnp.sum(centred**2, -1))
        unit = jnp.where(unit > 0, unit, 1)
        widths = jnp.asarray(self.bandwidths, unit.dtype) ** 2 * unit

        def kernel(x: Array, y: Array) -> Array:
            return jnp.mean(jnp.exp(-jnp.sum((x - y) ** 2) / (2 * widths)))

        within = _apart(kernel, simulated, 1.0) + _apart(kernel, observed, 1.0)
        return within - 2 * _mean_of(kernel, simulated, observed)

    def check(self, num_simulated: int, num_observed: int, state_dim: int) -> None:
        """See `AbstractLoss.check`."""
        _check_two(self, num_simulated, num_observed)


class GaussianLikelihood(AbstractLoss):
    """Negative log likelihood of what was seen, if it is Gaussian as what is simulated.

    Mean and variance of each coordinate are those of the simulated states, to which the variance of
    the observations' own noise is added: for paths of shares of a population, say, of which one
    play is one state (N = 1) and many are simulated.

    Attributes:
        noise: standard deviation of the observation noise, positive.
    """

    noise: Scalar = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_number("noise", self.noise, above=0.0)

    def __call__(self, simulated: Float[Array, "n D"], observed: Float[Array, "m D"]) -> Array:
        """See `AbstractLoss`."""
        mean = jnp.mean(simulated, 0)
        variance = jnp.var(simulated, 0, ddof=1) + jnp.asarray(self.noise, simulated.dtype) ** 2
        terms = (observed - mean) ** 2 / variance + jnp.log(2 * jnp.pi * variance)
        return jnp.mean(jnp.sum(terms, -1)) / 2

    def check(self, num_simulated: int, num_observed: int, state_dim: int) -> None:
        """See `AbstractLoss.check`."""
        if num_simulated < 2:
            raise ParameterError("GaussianLikelihood needs 2 simulated agents or more")


def _energy_on_the_line(x: Float[Array, "n"], y: Float[Array, "m"]) -> Float[Array, ""]:
    """By ranks: |x - y| = (x - y) sign(x - y), summed, is linear where the order is what it is."""
    n, m = len(x), len(y)
    centre = jax.lax.stop_gradient(jnp.mean(y))  # the signs sum to 0; rounding is less
    x, y = x - centre, y - centre
    across = (x @ _signs(x, y) + y @ _signs(y, x)) / (n * m)
    within = x @ _signs(x, x) / (n * (n - 1)) + y @ _signs(y, y) / (m * (m - 1))
    return 2 * (across - within)


def _signs(x: Float[Array, "n"], y: Float[Array, "m"]) -> Float[Array, "n"]:
    """Sum over j of sign(x_i - y_j); 0 for equal ones."""
    ranked, x = jax.lax.stop_gradient((jnp.sort(y), x))
    below, above = (
        jnp.searchsorted(ranked, x, side=side, method="sort") for side in ("left", "right")
    )
    return (below + above - len(y)).astype(x.dtype)


def _distance(x: Float[Array, "D"], y: Float[Array, "D"]) -> Float[Array, ""]:
    square = jnp.sum((x - y) ** 2)
    # The root has no slope at 0, where an agent meets itself.
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def _mean_of(between: Any, x: Float[Array, "n D"], y: Float[Array, "m D"]) -> Float[Array, ""]:
    """Mean over all pairs, at a memory that is bounded: blocks of rows, computed anew backwards."""

    @jax.checkpoint
    def row(x: Array) -> Array:
        return jnp.mean(jax.vmap(lambda y: between(x, y))(y))

    return jnp.mean(jax.lax.map(row, x, batch_size=max(1, _BLOCK // len(y))))


def _apart(between: Any, x: Float[Array, "n D"], itself: float = 0.0) -> Float[Array, ""]:
    """Mean over pairs of different agents."""
    n = len(x)
    return (_mean_of(between, x, x) * n - itself) / (n - 1)


def _check_two(loss: Any, num_simulated: int, num_observed: int) -> None:
    if min(num_simulated, num_observed) < 2:
        raise ParameterError(
            f"{type(loss).__name__} needs 2 agents or more, but {num_simulated} are simulated and "
            f"{num_observed} observed"
        )
