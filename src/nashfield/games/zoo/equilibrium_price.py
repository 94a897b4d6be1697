"""Equilibrium price: firms whose joint output makes the price."""

import equinox as eqx
import numpy as np
from jaxtyping import Float

from nashfield.checks import check_number, check_size
from nashfield.games.base import Display, FiniteGame
from nashfield.games.kernels import Kernel, Sparse, predecessor_lists
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar


class EquilibriumPrice(FiniteGame):
    """Firms with a stock of raw material decide how much to produce and how much to order.

    Source: Guo, Hu and Zhang (2022), "MF-OMO: an optimization formulation of mean-field games",
    equilibrium pricing. A firm with stock s produces q and orders h; with y the crowd's mean
    production, the price is p = (demand / (y + supply))^(1 / elasticity), and the reward
    (p - unit_cost) q - effort_cost q^2 - order_cost h - (order_cost + rush_cost) max(q - s, 0)
    - storage_cost s; then s' = min(s - min(q, s) + h, max_stock). What the crowd does enters, not
    where it is.

    Attributes:
        max_stock: states are 0..max_stock; everyone starts anywhere alike.
        max_production: q is in 0..max_production.
        max_order: h is in 0..max_order; the action is numbered q * (max_order + 1) + h.
        horizon: T.
        demand: d.
        supply: e_0, production of others outside the game.
        elasticity: sigma.
        unit_cost: c_0, of each unit produced.
        effort_cost: c_1, of the square of the production.
        order_cost: c_2, of each unit ordered.
        rush_cost: c_3, extra for each unit that the stock lacks.
        storage_cost: c_4, of each unit in stock.
    """

    max_stock: int
    max_production: int
    max_order: int
    horizon: int
    demand: Scalar
    supply: Scalar
    elasticity: Scalar
    unit_cost: Scalar
    effort_cost: Scalar
    order_cost: Scalar
    rush_cost: Scalar
    storage_cost: Scalar
    num_states: int = eqx.field(init=False)
    num_actions: int = eqx.field(init=False)
    _successors: np.ndarray
    _predecessors: np.ndarray | None

    def __init__(
        self,
        max_stock: int = 3,
        max_production: int = 2,
        max_order: int = 2,
        horizon: int = 5,
        demand: ScalarLike = 1.0,
        supply: ScalarLike = 1.0,
        elasticity: ScalarLike = 1.0,
        unit_cost: ScalarLike = 1.0,
        effort_cost: ScalarLike = 1.0,
        order_cost: ScalarLike = 1.0,
        rush_cost: ScalarLike = 1.0,
        storage_cost: ScalarLike = 1.0,
    ):
        """See the class.

        Raises:
            ParameterError: a size below 1, or a demand, supply or elasticity that is not positive.
        """
        self.max_stock, self.max_production, self.max_order = max_stock, max_production, max_order
        self.horizon = horizon
        self.demand, self.supply = scalar(demand), scalar(supply)
        self.elasticity = scalar(elasticity)
        self.unit_cost, self.effort_cost = scalar(unit_cost), scalar(effort_cost)
        self.order_cost, self.rush_cost = scalar(order_cost), scalar(rush_cost)
        self.storage_cost = scalar(storage_cost)
        for name in ("max_stock", "max_production", "max_order", "horizon"):
            check_size(name, getattr(self, name))
        for name in ("demand", "supply", "elasticity"):
            check_number(name, getattr(self, name), above=0.0)
        for name in ("unit_cost", "effort_cost", "order_cost", "rush_cost", "storage_cost"):
            check_number(name, getattr(self, name))
        self.num_states = max_stock + 1
        self.num_actions = (max_production + 1) * (max_order + 1)
        q, h = self._pairs
        s = np.arange(self.num_states)[:, None]
        moved = np.minimum(s - np.minimum(q, s) + h, max_stock)
        self._successors = moved[..., None].astype(np.int32)
        self._predecessors = predecessor_lists(self._successors)

    @property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        production, order = np.divmod(np.arange(self.num_actions), self.max_order + 1)
        return production, order

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike."""
        return np.full(self.num_states, 1 / self.num_states)

    def transition(self, t: Time, mean_field: FiniteMeanField) -> Kernel:
        """The stock, without noise."""
        return Sparse(self._successors, np.ones((1, 1, 1)), self._predecessors)

    def reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """Sales minus costs."""
        q, h = self._pairs
        s = np.arange(self.num_states)[:, None]
        output = (mean_field.joint * q).sum()
        price = (self.demand / (output + self.supply)) ** (1 / self.elasticity)
        sales = (price - self.unit_cost) * q - self.effort_cost * q**2
        lacking = np.maximum(q - s, 0)
        orders = self.order_cost * h + (self.order_cost + self.rush_cost) * lacking
        return sales - orders - self.storage_cost * s

    @property
    def display(self) -> Display:
        """Stocks and plans."""
        return Display(
            states=tuple(f"stock {s}" for s in range(self.num_states)),
            actions=tuple(f"make {q}, order {h}" for q, h in zip(*self._pairs, strict=True)),
        )
