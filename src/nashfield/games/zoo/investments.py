"""Investments in product quality: firms that rest once their product is good enough."""

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from nashfield.checks import check_number, check_size
from nashfield.games.base import Display, StationaryGame
from nashfield.games.kernels import Kernel
from nashfield.mean_fields import FiniteMeanField
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, array, scalar


class Growth(Kernel):
    """Action 0 stays; action 1 leads to x + stride w (1 - x), w uniform on [0, 1].

    On the even grid of [0, 1] where x' lies between two cells it goes to one of them, with
    probabilities that keep the mean.

    Attributes:
        stride: the longest step, as a share of the way to 1; in (0, 1].
        num_states: S.
    """

    stride: Scalar
    num_states: int = eqx.field(static=True)

    def _ends(self, dtype) -> tuple[Array, Array, Array]:
        """How many cells the longest step leads up, the cell below its end, and what remains."""
        place = jnp.arange(self.num_states)
        length = jnp.asarray(self.stride, dtype) * (self.num_states - 1 - place).astype(dtype)
        cells = jnp.floor(length).astype(place.dtype)
        return length, place + cells, length - cells.astype(dtype)

    def _climb(self, values: Float[Array, "S"]) -> Float[Array, "S"]:
        """Mean of the values, interpolated, over where one investment leads."""
        length, end, rest = self._ends(values.dtype)
        follower = jnp.append(values[1:], values[-1])
        # Integrals from each cell to the top: of short steps near the top no digits are lost.
        ahead = jnp.cumsum(((values + follower) / 2)[::-1])[::-1] - values[-1]
        there, after = values[end], follower[end]
        reached = there + (after - there) * rest / 2
        return jnp.where(
            length > 0, (ahead - ahead[end] + rest * reached) / jnp.maximum(length, 1e-30), values
        )

    def expect(self, values: Float[Array, "S"]) -> Float[Array, "S A"]:
        """See `Kernel.expect`; differences of a cumulated sum, no table."""
        values = jnp.asarray(values)
        return jnp.stack([values, self._climb(values)], -1)

    def push(self, mass: Float[Array, "S A"]) -> Float[Array, "S"]:
        """See `Kernel.push`."""
        mass = jnp.asarray(mass)
        transpose = jax.linear_transpose(self._climb, mass[:, 1])
        return mass[:, 0] + transpose(mass[:, 1])[0]

    def dense(self) -> Float[Array, "S A S"]:
        """See `Kernel.dense`."""
        identity = jnp.eye(self.num_states)
        climb = jax.vmap(self._climb, out_axes=1)(identity)
        return jnp.stack([identity, jnp.maximum(climb, 0)], 1)

    def quantile(
        self, level: Float[Array, "N"], states: Int[Array, "N"], actions: Int[Array, "N"]
    ) -> Int[Array, "N"]:
        """See `Kernel.quantile`; in closed form."""
        length = self.stride.astype(level.dtype) * (self.num_states - 1 - states)
        cells = jnp.floor(length)
        rest = length - cells
        way = level * length
        steps = jnp.minimum(jnp.floor(way + 0.5), cells)
        beyond = (rest > 0) & (way >= length - rest**2 / 2)
        steps = jnp.where(beyond, cells + 1, steps).astype(states.dtype)
        return jnp.where(actions == 1, states + steps, states)


class ProductInvestment(StationaryGame):
    """Firms that may invest in the quality of one product, among rivals who do so too.

    State x on the even grid of [0, 1]. Action 1 invests: x' = x + w (1 - x) with w uniform on
    [0, 1] while <z>, the mean quality of all firms, is below `crowding`, and half as far from there
    on. Action 0 leaves x as it is. Reward d x - c <z> - lambda a. Initially uniform. Quality is
    never lost: where the crowd ends depends on where it starts. Source: Subramanian and Mahajan
    (2019), section 5.2, after Weintraub, Benkard and Van Roy (2010), "Computational methods for
    oblivious equilibrium". Their firms have three products, which do not affect one another; the
    game of all three is `ContinuousProductInvestment`.

    Attributes:
        product: which of the products, counted from 0.
        num_states: S, cells of the grid 0, 1/(S-1), .., 1.
        demand: d of every product.
        rivalry: c of every product.
        investment_cost: lambda of every product.
        crowding: q.
        discount: gamma.
        initial_low: the initial law is uniform from here
        initial_high: to here.
    """

    product: int = eqx.field(static=True, default=0)
    num_states: int = eqx.field(static=True, default=400)
    demand: Float[Array, "J"] = eqx.field(converter=array, default=(0.31, 0.32, 0.33))
    rivalry: Float[Array, "J"] = eqx.field(converter=array, default=(0.21, 0.22, 0.23))
    investment_cost: Float[Array, "J"] = eqx.field(converter=array, default=(0.2, 0.21, 0.22))
    crowding: Scalar = eqx.field(converter=scalar, default=0.4)
    discount: Scalar = eqx.field(converter=scalar, default=0.9)
    initial_low: Scalar = eqx.field(converter=scalar, default=0.0)
    initial_high: Scalar = eqx.field(converter=scalar, default=1.0)
    num_actions: int = eqx.field(static=True, init=False, default=2)

    def __check_init__(self):
        check_size("num_states", self.num_states, least=2)
        check_investments(self)
        check_size("product", self.product, least=0)
        if self.product >= len(self.demand):
            raise ParameterError(
                f"product must be less than the number of products, {len(self.demand)}, not "
                f"{self.product}"
            )

    def initial(self) -> Float[Array, "S"]:
        """Uniform on the cells from `initial_low` to `initial_high`."""
        x = self.features()[:, 0]
        slack = 0.5 / (self.num_states - 1)  # one cell at least
        inside = (x >= self.initial_low - slack) & (x < self.initial_high + slack)
        return inside / inside.sum()

    def transition(self, mean_field: FiniteMeanField) -> Kernel:
        """Growth, slower among good products."""
        mean = mean_field.expect(self.features()[:, 0])
        return Growth(stride(mean, self.crowding), self.num_states)

    def reward(self, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """Earned, d x, less c <z> - lambda a."""
        x, j = jnp.asarray(self.features()), self.product
        mean = mean_field.expect(x[:, 0])
        invested = self.investment_cost[j] * jnp.arange(2)
        return self.demand[j] * x - self.rivalry[j] * mean - invested

    @property
    def display(self) -> Display:
        """Names of the actions."""
        return Display(actions=("wait", "invest"))


def stride(mean: Float[Array, "*J"], crowding: Array) -> Float[Array, "*J"]:
    """The longest step, as a share of the way to 1, where the mean quality is `mean`."""
    return jnp.where(mean < crowding, 1.0, 0.5).astype(mean.dtype)


def check_investments(game) -> None:
    """Checks the numbers that the games of one and of all products share.

    Raises:
        ParameterError: one is out of range, or there are not as many of each as products.
    """
    for name in ("demand", "rivalry", "investment_cost"):
        check_number(name, getattr(game, name), 0.0)
    sizes = {name: np.shape(getattr(game, name)) for name in ("rivalry", "investment_cost")}
    for name, shape in sizes.items():
        if shape != np.shape(game.demand):
            raise ParameterError(
                f"{name} must have one number for each product, as demand has, in shape "
                f"{np.shape(game.demand)}, not {shape}"
            )
    check_number("crowding", game.crowding)
    check_number("discount", game.discount, 0.0, 1 - 1e-12)
    check_number("initial_low", game.initial_low, 0.0, 1.0)
    check_number("initial_high", game.initial_high, 0.0, 1.0)
    bounds = (game.initial_low, game.initial_high)
    if not any(isinstance(x, jax.core.Tracer) for x in bounds) and not bounds[0] < bounds[1]:
        raise ParameterError(
            f"initial_low must be less than initial_high, {bounds[1]}, not {bounds[0]}"
        )
