"""Investments in product quality on the whole cube [0, 1]^J, and their exact numbers."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from nashfield.games.continuous_stationary import ContinuousStationaryGame
from nashfield.games.zoo.investments import check_investments, stride
from nashfield.typing import Array, Scalar, ScalarLike, array, scalar

# What is still lacking, 1 - x, is resolved down to 2^-20, with so many nodes an octave.
_OCTAVES = 20
_NODES = 16

PerProduct = Float[Array, "J"] | tuple[float, ...]


class ContinuousProductInvestment(ContinuousStationaryGame):
    """Firms that may invest in the quality of each of J products, on all of [0, 1]^J.

    `ProductInvestment` for all products at once. Action a, written in binary digits, invests in
    product j where digit j (the lowest is digit 0) is 1: x_j' = x_j + w_j (1 - x_j), and half as
    far where <z_j> is at least `crowding`; w_j is uniform on [0, 1]. Reward sum_j [d_j x_j - c_j
    <z_j> - lambda_j a_j]. Initially every x_j is uniform. Source: Subramanian and Mahajan (2019),
    section 5.2, after Weintraub, Benkard and Van Roy (2010), "Computational methods for oblivious
    equilibrium".

    A best response invests in product j exactly while x_j is below a level; the methods after
    `optimal_value` give the exact numbers of such policies.

    Attributes:
        demand: d, (J,).
        rivalry: c, (J,).
        investment_cost: lambda, (J,).
        crowding: q.
        discount: gamma.
        initial_low: the initial law is uniform from here
        initial_high: to here.
    """

    demand: Float[Array, "J"]
    rivalry: Float[Array, "J"]
    investment_cost: Float[Array, "J"]
    crowding: Scalar
    discount: Array | float
    initial_low: Scalar
    initial_high: Scalar
    state_dim: int = eqx.field(static=True)
    num_actions: int = eqx.field(static=True)

    def __init__(
        self,
        demand: PerProduct = (0.31, 0.32, 0.33),
        rivalry: PerProduct = (0.21, 0.22, 0.23),
        investment_cost: PerProduct = (0.2, 0.21, 0.22),
        crowding: ScalarLike = 0.4,
        discount: ScalarLike = 0.9,
        initial_low: ScalarLike = 0.0,
        initial_high: ScalarLike = 1.0,
    ):
        """See the class.

        Raises:
            ParameterError: a number is out of range, or there are not as many as products.
        """
        self.demand, self.rivalry = array(demand), array(rivalry)
        self.investment_cost = array(investment_cost)
        self.crowding, self.discount = scalar(crowding), scalar(discount)
        self.initial_low, self.initial_high = scalar(initial_low), scalar(initial_high)
        self.state_dim = self.demand.size
        self.num_actions = 2**self.state_dim
        check_investments(self)

    @property
    def num_levels(self) -> int:
        """J."""
        return self.state_dim

    def initial(self, levels: Float[Array, "J"]) -> Float[Array, "J"]:
        """Uniform on [initial_low, initial_high]^J."""
        return self.initial_low + (self.initial_high - self.initial_low) * levels

    def invested(self, action: Int[Array, ""]) -> Int[Array, "J"]:
        """In which products the action invests, as 0 and 1."""
        return action >> np.arange(self.state_dim) & 1

    def move(
        self,
        state: Float[Array, "J"],
        action: Int[Array, ""],
        mean_field: Any,
        levels: Float[Array, "J"],
    ) -> Float[Array, "J"]:
        """Up by stride w (1 - x) where the action invests."""
        reach = stride(mean_field.mean(), self.crowding)
        return state + self.invested(action) * reach * levels * (1 - state)

    def reward(
        self, state: Float[Array, "J"], action: Int[Array, ""], mean_field: Any
    ) -> Float[Array, ""]:
        """sum_j [d_j x_j - c_j <z_j> - lambda_j a_j]."""
        paid = self.rivalry * mean_field.mean() + self.investment_cost * self.invested(action)
        return jnp.sum(self.demand * state - paid)

    def optimal_value(self, mean_field: Any) -> Float[Array, ""]:
        """J of a best response against the frozen crowd, to rounding."""
        mean = jnp.asarray(mean_field.mean())
        return jnp.sum(self.threshold_values(self.best_thresholds(mean), mean))

    def best_thresholds(self, mean: Float[Array, "J"]) -> Float[Array, "J"]:
        """The levels below which a best response invests, against a frozen crowd.

        To invest once and then to wait gains -lambda + gamma d s (1 - x) / (2 (1 - gamma)) with s
        the longest step as a share of 1 - x. Where this is negative it stays so, hence one step
        ahead is far enough to look: x < 1 - 2 lambda (1 - gamma) / (s d gamma).
        """
        worth = self._worth(stride(jnp.asarray(mean), self.crowding))
        return 1 - self.investment_cost / worth

    def threshold_values(
        self, thresholds: Float[Array, "J"], mean: Float[Array, "J"]
    ) -> Float[Array, "J"]:
        """What each product earns, J, if it is invested in below its threshold."""
        mean = jnp.asarray(mean)
        reach = stride(mean, self.crowding)
        start = (self.initial_low + self.initial_high) / 2
        at_rest = (self.demand * start - self.rivalry * mean) / (1 - self.discount)
        worth, cost = self._worth(reach), self.investment_cost
        return at_rest + self._average(thresholds, reach, self.discount, worth, cost, keeps=False)

    def threshold_means(self, thresholds: Float[Array, "J"]) -> Float[Array, "J"]:
        """<z_j> of the crowd at rest if everyone invests below these thresholds.

        Right only if the crowd's mean is at no time below `crowding`, so that all steps are slow.
        """
        slow, none = jnp.full(self.state_dim, 0.5), jnp.zeros(self.state_dim)
        return 1 - self._average(thresholds, slow, 1.0, none, none, keeps=True)

    def _worth(self, reach: Float[Array, "J"]) -> Float[Array, "J"]:
        """What the first step up from x = 0 adds to the value of waiting for ever."""
        return self.discount * self.demand * reach / (2 * (1 - self.discount))

    def _average(self, thresholds, reach, discount, worth, cost, keeps: bool) -> Array:
        """Mean over the initial law of what `_integral` integrates, for every product."""
        low, high = 1 - self.initial_high, 1 - self.initial_low

        def one(threshold, reach, worth, cost):
            integral = _integral(1 - threshold, reach, discount, worth, cost, keeps)
            return (integral(high) - integral(low)) / (high - low)

        return jax.vmap(one)(jnp.asarray(thresholds, float), reach, worth, jnp.asarray(cost))


def _integral(rest, reach, discount, worth, cost, keeps: bool) -> Callable[[Array], Array]:
    """The integral from 0 of a function u of what is lacking, y = 1 - x, as a function.

    Waiting up to `rest`, u(y) = y if `keeps`, else 0; investing above,

        u(y) = worth y - cost + discount / (reach y) * integral of u from (1 - reach) y to y,

    with reach 1 or 1/2. In s = log2(y / rest) the lower end lies an octave back or nowhere, and
    I' - (discount / reach) ln 2 I = known terms: octave after octave by Gauss-Chebyshev. Where the
    rest is 0, u is linear.
    """
    nodes, cumulate, interpolate = _rules()
    never_waits = rest <= 2.0**-_OCTAVES
    rest = jnp.maximum(rest, 2.0**-_OCTAVES)
    rate = discount / reach
    points = rest * 2.0**nodes

    def known(y):
        return y**2 / 2 if keeps else jnp.zeros_like(y)

    def octave(carry, k):
        start, behind = carry
        y = points * 2.0**k
        source = worth * y**2 - cost * y - rate * jnp.where(reach < 1, behind, 0)
        factor = 2.0 ** (rate * nodes)
        inside = factor * (start + np.log(2) * (cumulate @ (source / factor)))
        return (inside[-1], inside), inside

    first = (known(rest), known(points / 2))
    table = jax.lax.scan(octave, first, jnp.arange(_OCTAVES, dtype=points.dtype))[1]

    def at(y):
        s = jnp.log2(jnp.maximum(y, rest) / rest)
        k = jnp.clip(jnp.floor(s), 0, _OCTAVES - 1)
        weights = jnp.cos(np.arange(_NODES) * jnp.arccos(jnp.clip(2 * (s - k) - 1, -1, 1)))
        above = weights @ (interpolate @ table[k.astype(int)])
        slope = worth / (1 - discount * (1 - reach / 2))
        for_ever = slope * y**2 / 2 - y * cost / jnp.maximum(1 - discount, 1e-30)
        above = jnp.where(never_waits, for_ever, above)
        return jnp.where(y > rest, above, known(y))

    return at


def _rules() -> Any:
    """Chebyshev nodes of [0, 1], integrals from 0 to each, and the way to coefficients.

    Made anew for every program: JAX would remember the precision of arrays that it has met.
    """
    chebyshev = np.polynomial.chebyshev
    nodes = (1 - np.cos(np.pi * np.arange(_NODES) / (_NODES - 1))) / 2
    coefficients = np.linalg.inv(chebyshev.chebvander(2 * nodes - 1, _NODES - 1))
    primitives = chebyshev.chebint(np.eye(_NODES), lbnd=-1, scl=0.5)
    cumulate = chebyshev.chebvander(2 * nodes - 1, _NODES) @ primitives @ coefficients
    return nodes, cumulate, coefficients
