"""Four rooms in the plane: fill a building evenly, starting from one corner."""

from collections.abc import Sequence
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
_NUM_BOUNCES = 2


class FourRoomsPlane(ContinuousGame):
    """Exploration: everyone starts in one corner and likes to be where few others are.

    The building is [0, .5]^2 with walls .05 thick: y in [.225, .275] for x in [0, .125],
    [.175, .325] and [.375, .5], and the same with x and y swapped; so there are four doors, .05
    wide. An agent with velocity v heads for x + time_step v + sigma z; walls and the edge of the
    building reflect it, so that nobody comes to rest at a face, where the crowd would pile up
    without a density. After two reflections in one step a third face rejects the step: the
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

    def room_masses(
        self, states: Float[Array, "*batch n D"], weights: Float[Array, "*batch n"] | None = None
    ) -> Float[Array, "*batch 4"]:
        """Share of a crowd in each room; what is missing to 1 is in the doors.

        Args:
            states: (*batch, n, 2).
            weights: (*batch, n) shares of the crowd in these states, such as the masses of cells at
                their centres; 1 / n each if None.

        Returns:
            (*batch, 4), those with low x first, among them that with low y; the crowd starts in the
            second one.
        """
        states = jnp.asarray(states)
        if weights is None:
            weights = jnp.full(states.shape[:-1], 1 / states.shape[-2])
        side = jnp.where(states <= _ACROSS[0], 0, jnp.where(states >= _ACROSS[1], 1, -1))
        in_room = jnp.all((side >= 0) & (states >= 0) & (states <= _SIDE), -1)
        room = jnp.where(in_room, 2 * side[..., 0] + side[..., 1], -1)
        here = room[..., None] == jnp.arange(4)
        return jnp.sum(jnp.where(here, weights[..., None], 0), -2)

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
    left. If it meets a third face, or rounding puts its end into a wall, `x` is returned. Ways of
    at most .1 meet no third one. The derivative of a coordinate of the end by that of `x + move` is
    1 or -1 (0 where `x` is returned).
    """
    end, place = list(x + move), list(x)
    for _ in range(_NUM_BOUNCES):
        faces, turned, place = _first_face(place, end)
        end = [
            jnp.where(turn, 2 * face - old, old)
            for old, turn, face in zip(end, turned, faces, strict=True)
        ]
    _, turned, _ = _first_face(place, end)
    end = jnp.stack(end)
    return jnp.where(turned[0] | turned[1] | ~_free(end), x, end)


def _first_face(x: Sequence[Any], end: Sequence[Any]) -> tuple[list, list, list]:
    """The first face that the straight way from `x` to `end` meets.

    The way is inside a wall between the latest entry into one of its two slabs and the earliest
    exit. Returns where the face is, across which coordinate it lies (none: nothing is met), and
    the place where it is met, exactly on the face. Nothing here has a derivative. Written out for
    every number: for many agents that is one loop over them, without arrays.
    """
    x, end = jax.lax.stop_gradient((x, end))
    move = [b - a for a, b in zip(x, end, strict=True)]
    still, ahead = [m == 0 for m in move], [m > 0 for m in move]
    pace = [1 / jnp.where(s, 1, m) for s, m in zip(still, move, strict=True)]
    faces = [jnp.where(a, jnp.asarray(_SIDE, x[0].dtype), 0) for a in ahead]
    to_edge = [
        jnp.where(s, jnp.inf, (f - a) * p) for s, f, a, p in zip(still, faces, x, pace, strict=True)
    ]
    share, across = jnp.minimum(*to_edge), to_edge[0] <= to_edge[1]
    for low, high in zip(_LOW, _HIGH, strict=True):
        enter, leave, near = [], [], []
        for k in range(2):
            lo, hi = jnp.asarray(low[k], x[k].dtype), jnp.asarray(high[k], x[k].dtype)
            near.append(jnp.where(ahead[k], lo, hi))
            far = jnp.where(ahead[k], hi, lo)
            # Along a coordinate that does not change the way lies in the slab always or never.
            within = jnp.where((x[k] > lo) & (x[k] < hi), -jnp.inf, jnp.inf)
            enter.append(jnp.where(still[k], within, (near[k] - x[k]) * pace[k]))
            leave.append(jnp.where(still[k], jnp.inf, (far - x[k]) * pace[k]))
        first, last = jnp.maximum(*enter), jnp.minimum(*leave)
        earlier = (first < last) & (last > 0) & (first < share)
        share = jnp.where(earlier, first, share)
        faces = [jnp.where(earlier, n, f) for n, f in zip(near, faces, strict=True)]
        across = jnp.where(earlier, enter[0] >= enter[1], across)
    turned = [(share < 1) & across, (share < 1) & ~across]
    # A share below 0: rounding has put `x` behind the face.
    share = jnp.clip(share, 0, 1)
    met = [
        jnp.where(t, f, a + share * m) for t, f, a, m in zip(turned, faces, x, move, strict=True)
    ]
    return faces, turned, met


def _free(x: Float[Array, "D"]) -> Bool[Array, ""]:
    """Whether x lies in the building and in no wall."""
    low, high = _walls(x.dtype)
    in_wall = jnp.any(jnp.all((x > low) & (x < high), -1))
    return jnp.all((x >= 0) & (x <= _SIDE)) & ~in_wall


def _walls(dtype: Any) -> tuple[Float[Array, "6 2"], Float[Array, "6 2"]]:
    """Corners in this precision: a constant of NumPy, once traced, keeps the first one."""
    return jnp.asarray(_LOW, dtype), jnp.asarray(_HIGH, dtype)
