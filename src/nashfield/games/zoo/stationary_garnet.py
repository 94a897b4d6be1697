"""A random chain whose transitions and rewards bend with the crowd, without an end."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from nashfield.checks import check_number, check_size
from nashfield.games.base import StationaryGame
from nashfield.games.kernels import Dense, Kernel
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Scalar, ScalarLike, scalar

_TRACE = 1e-16  # below rounding, and its square is still a number in single precision


class StationaryGarnet(StationaryGame):
    """Random sparse moves, random rewards, and a crowd that bends both.

    P(y | x, a, z) is proportional to max(0, base_weight * base(y | x, a) + bend_weight *
    sum_w bend(w, x, a, y) z(w)); r(x, a, z) = reward_weight * base_reward(x, a) + crowd_weight *
    sum_w crowd(x, w) z(w). From x under a `base` leads to one of num_branches states, drawn with
    replacement, with probabilities uniform on the simplex (of a state drawn twice the last one
    counts). `bend` and `base_reward` are standard normal, `crowd` is the symmetric part of a
    standard normal matrix. Initially uniform. Source: the additive mean-field Garnet of
    bench-mfg-suite 0.1.3, after Archibald, McKinnon and Thomas (1995), "On the generation of Markov
    decision processes".

    Its simulator draws the next state by the inverse of the distribution function at num_noises
    midpoints; with `num_noises` set the kernel is that of this simulator. It jumps where the crowd
    moves a distribution function past a midpoint, so that the crowd need not come to rest.

    Other draws go in by `eqx.tree_at`.

    Attributes:
        num_states: S.
        num_actions: A.
        num_branches: successors of every state-action pair.
        num_noises: midpoints of the quantised kernel; 0: the exact one.
        settling_steps: at most so many moves of the crowd; see `StationaryGame`.
        base_weight: of the moves that ignore the crowd.
        bend_weight: of the crowd in the moves.
        reward_weight: of the reward that ignores the crowd.
        crowd_weight: of the crowd in the reward.
        discount: gamma.
        seed: of the draws.
        base: (S, A, S), next state last.
        bend: (S, S, A, S), state of the crowd first, next state last.
        base_reward: (S, A).
        crowd: (S, S), state, state of the crowd.
    """

    num_states: int
    num_actions: int
    num_branches: int
    num_noises: int
    settling_steps: Int[Array, ""]
    base_weight: Scalar
    bend_weight: Scalar
    reward_weight: Scalar
    crowd_weight: Scalar
    discount: Array | float
    seed: Int[Array, ""]
    base: Float[Array, "S A S"]
    bend: Float[Array, "S S A S"]
    base_reward: Float[Array, "S A"]
    crowd: Float[Array, "S S"]

    def __init__(
        self,
        num_states: int = 30,
        num_actions: int = 4,
        num_branches: int = 6,
        num_noises: int = 0,
        settling_steps: int = 10_000,
        base_weight: ScalarLike = 0.5,
        bend_weight: ScalarLike = 0.5,
        reward_weight: ScalarLike = 0.5,
        crowd_weight: ScalarLike = 0.5,
        discount: ScalarLike = 0.9,
        seed: int = 0,
    ):
        """See the class.

        Raises:
            ParameterError: a size or a number is out of range.
        """
        check_size("num_states", num_states)
        check_size("num_actions", num_actions)
        check_size("num_branches", num_branches)
        check_size("num_noises", num_noises, least=0)
        check_size("settling_steps", settling_steps)
        check_size("seed", seed, least=0)
        self.num_states, self.num_actions = num_states, num_actions
        self.num_branches, self.num_noises = num_branches, num_noises
        # Arrays, so that other numbers compile nothing.
        self.settling_steps = np.asarray(settling_steps)  # pyright: ignore[reportIncompatibleVariableOverride]
        self.seed = np.asarray(seed)
        self.base_weight, self.bend_weight = scalar(base_weight), scalar(bend_weight)
        self.reward_weight, self.crowd_weight = scalar(reward_weight), scalar(crowd_weight)
        check_number("base_weight", self.base_weight, least=0.0)
        for name in ("bend_weight", "reward_weight", "crowd_weight"):
            check_number(name, getattr(self, name))
        self.discount = scalar(discount)
        check_number("discount", self.discount, 0.0, 1 - 1e-12)
        self._draw(np.random.default_rng(seed))

    def _draw(self, rng: np.random.Generator) -> None:
        shape = (self.num_states, self.num_actions)
        successors = rng.integers(self.num_states, size=(*shape, self.num_branches))
        shares = rng.dirichlet(np.ones(self.num_branches), shape)
        self.base = np.zeros((*shape, self.num_states))
        np.put_along_axis(self.base, successors, shares, -1)
        self.bend = rng.normal(size=(self.num_states, *shape, self.num_states))
        self.base_reward = rng.normal(size=shape)
        crowd = rng.normal(size=(self.num_states, self.num_states))
        self.crowd = (crowd + crowd.T) / 2

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike."""
        return np.full(self.num_states, 1 / self.num_states)

    def transition(self, mean_field: FiniteMeanField) -> Kernel:
        """The chain that this crowd makes."""
        # The crowd's axis first: whole rows of memory are added up.
        rows = self.bend.reshape(self.num_states, -1)
        bend = jnp.dot(mean_field.states, rows, precision="highest").reshape(self.base.shape)
        # Where the crowd forbids every move, the trace of `base` decides.
        weights = jnp.maximum(self.base_weight * self.base + self.bend_weight * bend, 0)
        weights = weights + _TRACE * self.base
        law = weights / jnp.sum(weights, -1, keepdims=True)
        return Dense(_quantised(law, self.num_noises) if self.num_noises else law)

    def reward(self, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """What the pair pays, and what the crowd does to it."""
        crowd = jnp.dot(self.crowd, mean_field.states, precision="highest")
        return self.reward_weight * self.base_reward + self.crowd_weight * crowd[:, None]


def _quantised(law: Float[Array, "S A S"], num_noises: int) -> Float[Array, "S A S"]:
    """The law of the quantile at (n + 1/2) / num_noises, n uniform in 0..num_noises-1."""
    cumulated = jnp.cumsum(law, -1)
    # Midpoints below the distribution function; all of them at the last state.
    below = jnp.clip(jnp.ceil(num_noises * cumulated - 0.5), 0, num_noises)
    below = below.at[..., -1].set(num_noises)
    return jnp.diff(below, axis=-1, prepend=0) / num_noises
