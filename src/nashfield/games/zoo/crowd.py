"""Crowd motion: follow a moving attraction over a square, but not in the crowd."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Real

from nashfield.checks import check_number, check_probability, check_size
from nashfield.games.base import Display, SeparableGame
from nashfield.games.kernels import Kernel
from nashfield.games.two_stage import Routes, TwoStage, routes
from nashfield.games.zoo._grid import ACTIONS, STEPS
from nashfield.mean_fields import FiniteMeanField
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, ScalarLike, Time, array, scalar


class CrowdMotion(SeparableGame):
    """The beach bar in two dimensions, with a bar that moves.

    Source: Perolat et al. (2022), "Scaling mean field games by online mirror descent", crowd
    motion. x' = x + a + e, stopped by the walls only once both steps are added; a and e are one of
    the four neighbours or 0, e = 0 with probability 1 - noise. Reward, whatever the action,
    attraction * (1 - |x - target_t|_1 / (num_rows + num_columns)) - log(mu(x) + floor). Everyone
    starts anywhere alike.

    The target starts in the middle; at t = change_every, 2 change_every, ... it jumps to one of
    its four diagonal neighbours, drawn with `seed`, unless that is outside.

    Attributes:
        num_rows: rows of cells.
        num_columns: columns of cells.
        horizon: T.
        attraction: weight of the distance to the target.
        noise: probability that a step to a neighbour is added, each with the same probability.
        floor: added to mu inside the logarithm.
        change_every: time between jumps of the target.
        seed: of the jumps.
        targets: (T, 2) row and column of the target; drawn if not given.
    """

    num_rows: int
    num_columns: int
    horizon: int
    attraction: Scalar
    noise: Scalar
    floor: Scalar
    change_every: int
    seed: int
    targets: Real[Array, "T 2"]
    num_states: int = eqx.field(init=False)
    num_actions: int = eqx.field(init=False, default=5)
    _routes: Routes

    def __init__(
        self,
        num_rows: int = 20,
        num_columns: int = 20,
        horizon: int = 4,
        attraction: ScalarLike = 10.0,
        noise: ScalarLike = 0.5,
        floor: ScalarLike = 1e-10,
        change_every: int = 2,
        seed: int = 0,
        targets: Real[Array, "T 2"] | None = None,
    ):
        """See the class.

        Raises:
            ParameterError: a size below 1, noise outside [0, 1], a floor that is not positive, or
                targets of the wrong shape.
        """
        self.num_rows, self.num_columns, self.horizon = num_rows, num_columns, horizon
        self.attraction, self.noise, self.floor = scalar(attraction), scalar(noise), scalar(floor)
        self.change_every, self.seed = change_every, seed
        for name in ("num_rows", "num_columns", "horizon", "change_every"):
            check_size(name, getattr(self, name))
        check_number("attraction", self.attraction)
        check_probability("noise", self.noise)
        check_number("floor", self.floor, above=0.0)
        self.num_states = num_rows * num_columns
        self.targets = self._walk() if targets is None else array(targets)
        if self.targets.shape != (horizon, 2):
            raise ParameterError(
                f"targets must have shape ({horizon}, 2), not {self.targets.shape}"
            )
        # A step may leave the square by one cell: the walls act after the random step.
        extent = np.array([num_rows, num_columns])
        moves = np.ravel_multi_index(tuple((self._cells[:, None] + STEPS + 1).T), extent + 2).T
        places = np.stack(np.unravel_index(np.arange(np.prod(extent + 2)), extent + 2), -1) - 1
        reached = (places[:, None] + STEPS).clip(0, extent - 1)
        outcomes = np.ravel_multi_index(tuple(reached.T), extent)
        self._routes = routes(np.asarray(moves), np.asarray(outcomes).T)

    def _walk(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        extent = np.array([self.num_rows, self.num_columns])
        targets = [extent // 2]
        for t in range(1, self.horizon):
            jump = rng.choice([-1, 1], 2) if t % self.change_every == 0 else np.zeros(2, int)
            reached = targets[-1] + jump
            inside = ((reached >= 0) & (reached < extent)).all()
            targets.append(reached if inside else targets[-1])
        return np.array(targets, float)

    @property
    def _cells(self) -> np.ndarray:
        return np.stack(np.divmod(np.arange(self.num_states), self.num_columns), -1)

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike."""
        return np.full(self.num_states, 1 / self.num_states)

    def kernel(self, t: Time) -> Kernel:
        """The agent's step and the random one, then the walls."""
        side = self.noise / 4
        law = jnp.stack([side, side, side, side, 1 - self.noise])
        return TwoStage(self._routes, law[None])

    def state_reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Near the target, away from the crowd."""
        distance = jnp.sum(jnp.abs(self._cells - jnp.asarray(self.targets)[t]), -1)
        near = 1 - distance / (self.num_rows + self.num_columns)
        return self.attraction * near - jnp.log(mean_field.states + self.floor)

    def action_reward(self, t: Time) -> Float[Array, "S A"]:
        """Nothing: moves are free."""
        return np.zeros((self.num_states, self.num_actions))

    @property
    def display(self) -> Display:
        """The square."""
        return Display(actions=ACTIONS, cells=self._cells, shape=(self.num_rows, self.num_columns))
