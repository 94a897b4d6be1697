"""Four rooms in the plane: fill a building evenly, starting from one corner."""

import equinox as eqx
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

# Lower and upper corners of the walls, (6, 2): three that lie across, three upright.
_LOW = np.array([(a, _ACROSS[0]) for a, _ in _ALONG] + [(_ACROSS[0], a) for a, _ in _ALONG])
_HIGH = np.array([(b, _ACROSS[1]) for _, b in _ALONG] + [(_ACROSS[1], b) for _, b in _ALONG])

# So far from the face of a wall agents come to rest: rounding cannot put them inside.
_GAP = 1e-6


class FourRoomsPlane(ContinuousGame):
    """Exploration: everyone starts in one corner and likes to be where few others are.

    The building is [0, .5]^2 with walls .05 thick: y in [.225, .275] for x in [0, .125],
    [.175, .325] and [.375, .5], and the same with x and y swapped; so there are four doors, .05
    wide. An agent with velocity v heads for x + time_step v + sigma z; where the straight way there
    first meets a wall, or the edge of the building, it stops. A velocity above max_speed is cut to
    that. The reward is -c_a |v|^2 - c_m log(mu_t(x) + floor), also after the last decision (there
    without v), with mu_t the density of the crowd. The crowd starts evenly spread over
    [0, .025] x [.475, .5].

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
        """The straight way, up to the first wall."""
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
        low, high = _walls(x)
        in_wall = jnp.any(jnp.all((x > low) & (x < high), -1))
        return jnp.all((x >= 0) & (x <= _SIDE)) & ~in_wall

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
    """Where the straight way from `x` to `x + move` ends: in front of the first wall that it meets.

    The way is inside a wall between the latest entry into one of its two slabs and the earliest
    exit; both are exact. Agents stop 1e-6 from a wall's face.
    """
    low, high = _walls(x)
    still = move == 0
    safe = jnp.where(still, 1, move)

    def passage(low: Array, high: Array) -> tuple[Array, Array]:
        """Shares of the way at which it enters and leaves each wall."""
        one, two = (low - x) / safe, (high - x) / safe
        # Along a coordinate that does not change the way lies in the slab always or never.
        within = (x > low) & (x < high)
        enter = jnp.where(still, jnp.where(within, -jnp.inf, jnp.inf), jnp.minimum(one, two))
        leave = jnp.where(still, jnp.where(within, jnp.inf, -jnp.inf), jnp.maximum(one, two))
        return jnp.max(enter, -1), jnp.min(leave, -1)

    first, last = passage(low, high)
    met = (first < last) & (last > 0) & (first < 1)
    before, _ = passage(low - _GAP, high + _GAP)
    walls = jnp.min(jnp.where(met, before, 1))
    edge = jnp.where(still, jnp.inf, jnp.where(move > 0, _SIDE - x, -x) / safe)
    share = jnp.clip(jnp.minimum(walls, jnp.min(edge)), 0, 1)
    end = jnp.clip(x + share * move, 0, _SIDE)
    # What ends beside a wall within rounding might be inside.
    touching = jnp.any(jnp.all((end > low - _GAP / 10) & (end < high + _GAP / 10), -1))
    return jnp.where(touching, x, end)


def _walls(x: Float[Array, "D"]) -> tuple[Float[Array, "6 2"], Float[Array, "6 2"]]:
    """Corners in the precision of `x`: a constant of NumPy, once traced, keeps the first one."""
    return jnp.asarray(_LOW, x.dtype), jnp.asarray(_HIGH, x.dtype)
