"""Four rooms in the plane: fill a building evenly, starting from one corner."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from nashfield.checks import check_number, check_size
from nashfield.games.continuous import ContinuousGame
from nashfield.mean_fields import AbstractMeanField, Uniform
from nashfield.typing import Array, Scalar, Time, scalar

_SIDE = 0.5
_ACROSS = (0.225, 0.275)
_ALONG = ((0.0, 0.125), (0.175, 0.325), (0.375, 0.5))

# Lower and upper corners of the walls, (6, 2): three that lie across, three upright. Those that
# touch the edge of the building go on behind it, so that the edge of a wall is not free.
_ENDS = [(a - (a == 0), b + (b == _SIDE)) for a, b in _ALONG]
_LOW = np.array([(a, _ACROSS[0]) for a, _ in _ENDS] + [(_ACROSS[0], a) for a, _ in _ENDS])
_HIGH = np.array([(b, _ACROSS[1]) for _, b in _ENDS] + [(_ACROSS[1], b) for _, b in _ENDS])

# Faces that can turn an agent in one step.
_NUM_BOUNCES = 3


class FourRoomsPlane(ContinuousGame):
    """Exploration: everyone starts in one corner and likes to be where few others are.

    The building is [0, .5]^2 with walls .05 thick: y in [.225, .275] for x in [0, .125],
    [.175, .325] and [.375, .5], and the same with x and y swapped; so there are four doors, .05
    wide. An agent with velocity v heads for x + time_step v + sigma z; walls and the edge of the
    building reflect it, so that nobody comes to rest at a face, where the crowd would pile up
    without a density. After three reflections in one step a fourth face rejects the step: the
    agent stays in x. A velocity above max_speed is cut to that. The reward is
    -c_a |v|^2 - c_m log(mu_t(x) + floor), also after the last decision (there without v), with mu_t
    the density of the crowd. The crowd starts evenly spread over [0, .025] x [.475, .5].

    Source: Magnino et al. (2025), "Solving continuous mean field games: deep reinforcement learning
    for non-stationary dynamics", four rooms; after Geist et al. (2022), "Concave utility
    reinforcement learning: the mean-field game viewpoint". Building, start and horizon are theirs;
    the constants c_a, c_m, max_speed, time_step, sigma and floor are ours, theirs are not
    published. For small c_a the equilibrium's crowd is nearly uniform once it had time to spread.

    Attributes:
        horizon: T.
        c_a: weight of the square of the velocity.
        c_m: weight of the crowd.
        max_speed: greatest length of a velocity.
        time_step: time between two decisions.
        sigma: standard deviation of the noise of a move, in each coordinate.
        floor: added to the density inside the logarithm (the uniform density is 4.7), so that an
            empty place has a finite reward.
    """

    horizon: int = 20
    c_a: Scalar = eqx.field(converter=scalar, default=0.1)
    c_m: Scalar = eqx.field(converter=scalar, default=1.0)
    max_speed: Scalar = eqx.field(converter=scalar, default=0.6)
    time_step: Scalar = eqx.field(converter=scalar, default=0.1)
    sigma: Scalar = eqx.field(converter=scalar, default=0.005)
    floor: Scalar = eqx.field(converter=scalar, default=1e-3)

    state_dim: int = eqx.field(init=False)
    control_dim: int = eqx.field(init=False)

    def __post_init__(self):
        self.state_dim = self.control_dim = 2
        check_size("horizon", self.horizon)
        check_number("c_a", self.c_a, least=0.0)
        check_number("c_m", self.c_m, least=0.0)
        check_number("max_speed", self.max_speed, above=0.0)
        check_number("time_step", self.time_step, above=0.0)
        check_number("sigma", self.sigma, least=0.0)
        check_number("floor", self.floor, above=0.0)

    @property
    def domain(self) -> tuple[Float[Array, "D"], Float[Array, "D"]]:
        """The building."""
        return np.zeros(2), np.full(2, _SIDE)

    @property
    def control_bounds(self) -> tuple[Float[Array, "C"], Float[Array, "C"]]:
        """The greatest speed, in each coordinate."""
        bound = jnp.full(2, jnp.asarray(self.max_speed))
        return -bound, bound

    def initial(self) -> AbstractMeanField:
        """Uniform on a corner."""
        return Uniform(np.array([0.0, 0.475]), np.array([0.025, 0.5]))

    def step(
        self,
        t: Time,
        x: Float[Array, "D"],
        a: Float[Array, "C"],
        mean_field: AbstractMeanField,
        noise: Float[Array, "W"],
    ) -> Float[Array, "D"]:
        """The straight way, reflected by walls."""
        return walk(x, self.time_step * self._velocity(a) + self.sigma * noise)

    def reward(
        self, t: Time, x: Float[Array, "D"], a: Float[Array, "C"], mean_field: AbstractMeanField
    ) -> Float[Array, ""]:
        """See the class."""
        effort = jnp.sum(self._velocity(a) ** 2)
        return self.terminal_reward(x, mean_field) - self.c_a * effort

    def terminal_reward(
        self, x: Float[Array, "D"], mean_field: AbstractMeanField
    ) -> Float[Array, ""]:
        """The crowd's part."""
        density = jnp.exp(mean_field.log_density(x))
        return -self.c_m * jnp.log(density + self.floor)

    def free(self, x: Float[Array, "D"]) -> Bool[Array, ""]:
        """Whether x lies in the building and in no wall."""
        return _free(x)

    def free_cells(self, num_cells: int = 40) -> np.ndarray:
        """(M, 2) midpoints of those of num_cells x num_cells equal cells that lie in no wall."""
        check_size("num_cells", num_cells)
        line = (np.arange(num_cells) + 0.5) * (_SIDE / num_cells)
        points = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
        inside = ((points[:, None] > _LOW) & (points[:, None] < _HIGH)).all(-1).any(-1)
        return points[~inside]

    def observe(self, x: Float[Array, "D"]) -> Float[Array, "F"]:
        """The state, seen from the middle, and on which side of a wall's two faces it lies."""
        steep = [jnp.tanh((x - face) / 0.0125) for face in _ACROSS]
        return jnp.concatenate([(x - _SIDE / 2) / (_SIDE / 2), *steep])

    def _velocity(self, a: Float[Array, "C"]) -> Float[Array, "C"]:
        """`a`, cut to the greatest speed."""
        square = jnp.sum(a**2)
        # Guarded, so that the derivative at rest is no NaN.
        speed = jnp.sqrt(jnp.maximum(square, self.max_speed**2))
        return a * (self.max_speed / speed)


def walk(x: Float[Array, "D"], move: Float[Array, "D"]) -> Float[Array, "D"]:
    """Where the way from `x` along `move` ends if walls and the edge of the building reflect it.

    At the first face that it meets the rest of the way is mirrored, at the next one what then is
    left, three times at most. If it meets a fourth face, or rounding puts its end into a wall,
    `x` is returned. The derivative of every coordinate of the end by that of `x + move` is 1 or
    -1 (0 where `x` is returned).
    """
    end, place = x + move, x
    for _ in range(_NUM_BOUNCES):
        face, turned, place = _first_face(place, end)
        end = jnp.where(turned, 2 * face - end, end)
    _, turned, _ = _first_face(place, end)
    return jnp.where(jnp.any(turned) | ~_free(end), x, end)


def _first_face(
    x: Float[Array, "D"], end: Float[Array, "D"]
) -> tuple[Float[Array, "D"], Bool[Array, "D"], Float[Array, "D"]]:
    """The first face that the straight way from `x` to `end` meets.

    The way is inside a wall between the latest entry into one of its two slabs and the earliest
    exit. Returns where the face is, across which coordinates it lies (none: nothing is met), and
    the place where it is met, exactly on the face. Nothing here has a derivative.
    """
    x, end = jax.lax.stop_gradient((x, end))
    low, high = _walls(x.dtype)
    move = end - x
    still, ahead = move == 0, move > 0
    safe = jnp.where(still, 1, move)
    near, far = jnp.where(ahead, low, high), jnp.where(ahead, high, low)
    # Along a coordinate that does not change the way lies in the slab always or never.
    within = jnp.where((x > low) & (x < high), -jnp.inf, jnp.inf)
    enter = jnp.where(still, within, (near - x) / safe)
    leave = jnp.where(still, jnp.inf, (far - x) / safe)
    first, last = jnp.max(enter, -1), jnp.min(leave, -1)
    first = jnp.where((first < last) & (last > 0), first, jnp.inf)
    edge = jnp.where(ahead, jnp.asarray(_SIDE, x.dtype), 0)
    ahead_of_edge = jnp.where(still, jnp.inf, (edge - x) / safe)
    share = jnp.minimum(jnp.min(first), jnp.min(ahead_of_edge))

    by_wall = (first == share)[:, None] & (enter == share)
    wall = jnp.max(jnp.where(by_wall, near, -jnp.inf), 0)
    by_edge = ahead_of_edge == share
    turned = (share < 1) & (by_edge | jnp.any(by_wall, 0))
    face = jnp.where(turned, jnp.where(by_edge, edge, wall), 0)
    # A share below 0: rounding has put `x` behind the face.
    met = x + jnp.clip(share, 0, 1) * move
    return face, turned, jnp.where(turned, face, met)


def _free(x: Float[Array, "D"]) -> Bool[Array, ""]:
    """Whether x lies in the building and in no wall."""
    low, high = _walls(x.dtype)
    in_wall = jnp.any(jnp.all((x > low) & (x < high), -1))
    return jnp.all((x >= 0) & (x <= _SIDE)) & ~in_wall


def _walls(dtype: Any) -> tuple[Float[Array, "6 2"], Float[Array, "6 2"]]:
    """Corners in this precision: a constant of NumPy, once traced, keeps the first one."""
    return jnp.asarray(_LOW, dtype), jnp.asarray(_HIGH, dtype)
