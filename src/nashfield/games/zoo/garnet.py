"""Garnet: random sparse transitions, random rewards, aversion to the crowd."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from nashfield.checks import check_draws, check_number, check_size
from nashfield.games.base import SeparableGame
from nashfield.games.kernels import Kernel, Sparse, predecessor_lists
from nashfield.mean_fields import FiniteMeanField
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar


class Garnet(SeparableGame):
    """A random Markov chain with few successors, whose agents shun the crowd.

    Source: Perolat et al. (2022), "Scaling mean field games by online mirror descent",
    section 5.1 (see also Geist et al. 2022). From x under a one of num_branches states follows,
    drawn without replacement; their probabilities are the gaps that num_branches - 1 uniform
    points leave in [0, 1]. Reward r(x, a) - coupling * log mu(x) with r(x, a) uniform on [0, 1];
    start uniform.

    Other draws go in by `eqx.tree_at`, `predecessors` then made by `predecessor_lists`.

    Attributes:
        num_states: S.
        num_actions: A.
        horizon: T.
        num_branches: K, successors of every state-action pair.
        coupling: weight of the aversion to the crowd.
        floor: added to mu inside the logarithm, so that an empty state has a finite reward.
        seed: of the draws.
        successors: (S, A, K).
        predecessors: (S, M), see `Sparse`.
        probabilities: (S, A, K).
        base_reward: (S, A), r.
    """

    num_states: int
    num_actions: int
    horizon: int
    num_branches: int
    coupling: Scalar
    floor: Scalar
    seed: Int[Array, ""]
    successors: Int[Array, "S A K"]
    predecessors: Int[Array, "S M"] | None
    probabilities: Float[Array, "S A K"]
    base_reward: Float[Array, "S A"]

    def __init__(
        self,
        num_states: int = 30,
        num_actions: int = 5,
        horizon: int = 20,
        num_branches: int = 3,
        coupling: ScalarLike = 1.0,
        floor: ScalarLike = 1e-20,
        seed: int = 0,
    ):
        """See the class.

        Raises:
            ParameterError: a size or the seed is wrong, or num_branches exceeds num_states.
        """
        check_draws(num_states, num_actions, horizon, coupling, seed)
        check_size("num_branches", num_branches)
        if num_branches > num_states:
            raise ParameterError(
                f"num_branches must be at most num_states = {num_states}, not {num_branches}"
            )
        check_number("floor", floor, least=0.0)
        self.num_states, self.num_actions, self.horizon = num_states, num_actions, horizon
        self.num_branches = num_branches
        self.coupling, self.floor = scalar(coupling), scalar(floor)
        self.seed = np.asarray(seed)  # an array, so that another seed compiles nothing
        rng = np.random.default_rng(seed)
        pairs = (num_states, num_actions)
        self.successors = np.argsort(rng.random((*pairs, num_states)), -1)[..., :num_branches]
        self.predecessors = predecessor_lists(self.successors)
        points = np.sort(rng.random((*pairs, num_branches - 1)), -1)
        self.probabilities = np.diff(points, axis=-1, prepend=0.0, append=1.0)
        self.base_reward = rng.random(pairs)

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike."""
        return np.full(self.num_states, 1 / self.num_states)

    def kernel(self, t: Time) -> Kernel:
        """The random chain, the same at all times."""
        return Sparse(self.successors, self.probabilities, self.predecessors)

    def state_reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Minus the log of the crowd."""
        return -self.coupling * jnp.log(mean_field.states + self.floor)

    def action_reward(self, t: Time) -> Float[Array, "S A"]:
        """The random reward."""
        return self.base_reward
