"""Random linear games: rewards and transition logits affine in the crowd's state-action law."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from nashfield.checks import check_draws
from nashfield.games.base import FiniteGame
from nashfield.games.kernels import Dense, Kernel
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar


class RandomLinear(FiniteGame):
    """A game without any structure to lean on: everything is random, and moves with the crowd.

    Source: Guo et al. (2023), "MFGLib: a library for mean-field games", environment "random
    linear". With L(x, a) the crowd's state-action law and m the coupling, the reward is
    m * (sum_k r1(x, k) L(k, a) + r2(x, a)), and P(y | x, a) is the softmax over y of
    m * (sum_k p1(y, x, k) L(k, a) + p2(y, x, a)). All entries are uniform on [-1, 1]; start
    uniform.

    Other draws go in by `eqx.tree_at`; ready-made ones of scale m with coupling 1.

    Attributes:
        num_states: S.
        num_actions: A.
        horizon: T.
        coupling: m.
        seed: of the draws.
        p1: (S, S, S), next state, state, state of the crowd.
        p2: (S, S, A), next state, state, action.
        r1: (S, S), state, state of the crowd.
        r2: (S, A).
    """

    num_states: int
    num_actions: int
    horizon: int
    coupling: Scalar
    seed: Int[Array, ""]
    p1: Float[Array, "S S S"]
    p2: Float[Array, "S S A"]
    r1: Float[Array, "S S"]
    r2: Float[Array, "S A"]

    def __init__(
        self,
        num_states: int = 30,
        num_actions: int = 5,
        horizon: int = 20,
        coupling: ScalarLike = 10.0,
        seed: int = 0,
    ):
        """See the class.

        Raises:
            ParameterError: a size, the coupling, or the seed is wrong.
        """
        check_draws(num_states, num_actions, horizon, coupling, seed)
        self.num_states, self.num_actions, self.horizon = num_states, num_actions, horizon
        self.coupling = scalar(coupling)
        self.seed = np.asarray(seed)  # an array, so that another seed compiles nothing
        rng = np.random.default_rng(seed)
        self.p1 = rng.uniform(-1, 1, (num_states, num_states, num_states))
        self.p2 = rng.uniform(-1, 1, (num_states, num_states, num_actions))
        self.r1 = rng.uniform(-1, 1, (num_states, num_states))
        self.r2 = rng.uniform(-1, 1, (num_states, num_actions))

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike."""
        return np.full(self.num_states, 1 / self.num_states)

    def transition(self, t: Time, mean_field: FiniteMeanField) -> Kernel:
        """Softmax of the affine logits."""
        pull = jnp.einsum("yxk,ka->yxa", self.p1, mean_field.joint, precision="highest")
        # Over the leading axis the softmax runs along whole rows of memory.
        law = jax.nn.softmax(self.coupling * (pull + self.p2), axis=0)
        return Dense(jnp.moveaxis(law, 0, -1))

    def reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """Affine in the crowd."""
        return self.coupling * (jnp.dot(self.r1, mean_field.joint, precision="highest") + self.r2)
