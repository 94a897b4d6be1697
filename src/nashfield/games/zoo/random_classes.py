"""Random games of a known class: monotone, potential, cyclic, dynamics-coupled.

All are drawn from NumPy's default generator at the given seed, in the order in which their law is
written. The crowd's matrices have off-diagonal entries of variance 1: K mu is then of size
S^(-1/2) among a spread crowd and of size 1 among a crowd in one place, beside rewards in [0, 1].
"""

import abc

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from nashfield.checks import check_draws
from nashfield.games.base import FiniteGame, SeparableGame
from nashfield.games.kernels import Dense, Kernel
from nashfield.mean_fields import FiniteMeanField
from nashfield.typing import Array, Scalar, ScalarLike, Time, scalar

# Dirichlet parameter of transition rows: of 30 states about six are likely to follow, so that
# where to go is a choice. (At 1 every action would lead almost everywhere.)
_CONCENTRATION = 0.2

# Rank of the crowd's hold on the transitions of `CoupledGame`.
_RANK = 3


class _LinearCrowd(SeparableGame):
    """Reward base_reward(x, a) + coupling * (K mu)(x); what K is makes the class.

    Attributes:
        num_states: S.
        num_actions: A.
        horizon: T.
        coupling: strength of the crowd.
        seed: of the draws.
        probabilities: (S, A, S), P(y | x, a).
        base_reward: (S, A), r0.
        crowd_matrix: (S, S), K.
    """

    num_states: int
    num_actions: int
    horizon: int
    coupling: Scalar
    seed: Int[Array, ""]
    probabilities: Float[Array, "S A S"]
    base_reward: Float[Array, "S A"]
    crowd_matrix: Float[Array, "S S"]

    def __init__(
        self,
        num_states: int = 30,
        num_actions: int = 5,
        horizon: int = 20,
        coupling: ScalarLike = 20.0,
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
        rows = np.full(num_states, _CONCENTRATION)
        self.probabilities = rng.dirichlet(rows, (num_states, num_actions))
        self.base_reward = rng.random((num_states, num_actions))
        self.crowd_matrix = self._crowd(rng.standard_normal((num_states, num_states)))

    @staticmethod
    @abc.abstractmethod
    def _crowd(normal: np.ndarray) -> np.ndarray:
        """K, made of a matrix of standard normals."""

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike."""
        return np.full(self.num_states, 1 / self.num_states)

    def kernel(self, t: Time) -> Kernel:
        """The random table, the same at all times."""
        return Dense(self.probabilities)

    def state_reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S"]:
        """Linear in the crowd."""
        crowd = jnp.dot(self.crowd_matrix, mean_field.states, precision="highest")
        return self.coupling * crowd

    def action_reward(self, t: Time) -> Float[Array, "S A"]:
        """The random reward."""
        return self.base_reward


class MonotoneGame(_LinearCrowd):
    """A random game that satisfies Lasry and Lions' condition: the equilibrium is unique.

    Source: Lasry and Lions (2007), "Mean field games", for the condition:
    sum_x (r(x, mu) - r(x, nu)) (mu(x) - nu(x)) <= 0. Law: transition rows Dirichlet(0.2, ..., 0.2);
    r0(x, a) uniform on [0, 1]; M an (S, S) matrix of standard normals. Reward
    r0(x, a) - coupling * (M M^T mu)(x) / sqrt(S); start uniform.

    Attributes are those of `_LinearCrowd`; crowd_matrix is -M M^T / sqrt(S).
    """

    @staticmethod
    def _crowd(normal: np.ndarray) -> np.ndarray:
        return -normal @ normal.T / np.sqrt(len(normal))


class PotentialGame(_LinearCrowd):
    """A random game with a potential that is not concave: several equilibria may exist.

    Source: Monderer and Shapley (1996), "Potential games", carried to a crowd: the crowd's part of
    the reward is the gradient of mu^T K mu / 2 with K symmetric. Law: transition rows
    Dirichlet(0.2, ..., 0.2); r0(x, a) uniform on [0, 1]; G an (S, S) matrix of standard normals.
    Reward r0(x, a) + coupling * (K mu)(x) with K = (G + G^T) / sqrt(2), indefinite; start uniform.

    Attributes are those of `_LinearCrowd`; crowd_matrix is K.
    """

    @staticmethod
    def _crowd(normal: np.ndarray) -> np.ndarray:
        return (normal + normal.T) / np.sqrt(2)


class CyclicGame(_LinearCrowd):
    """A random game in which every state's crowd is prey to another's: learning goes round.

    Source: Hofbauer and Sigmund (1998), "Evolutionary games and population dynamics", for zero-sum
    payoffs, under which a population cycles for ever; the crowd as a whole gains nothing,
    mu^T K mu = 0. Law: transition rows Dirichlet(0.2, ..., 0.2); r0(x, a) uniform on [0, 1]; G an
    (S, S) matrix of standard normals. Reward r0(x, a) + coupling * (K mu)(x) with
    K = (G - G^T) / sqrt(2), skew-symmetric; start uniform.

    Attributes are those of `_LinearCrowd`; crowd_matrix is K.
    """

    def __init__(
        self,
        num_states: int = 30,
        num_actions: int = 5,
        horizon: int = 20,
        coupling: ScalarLike = 50.0,
        seed: int = 0,
    ):
        """See the class; the coupling is stronger than in the other classes."""
        super().__init__(num_states, num_actions, horizon, coupling, seed)

    @staticmethod
    def _crowd(normal: np.ndarray) -> np.ndarray:
        return (normal - normal.T) / np.sqrt(2)


class CoupledGame(FiniteGame):
    """A random game in which the crowd bends the transitions, and agents shun the crowd.

    Source: the dynamics that Guo et al. (2019), "Learning mean-field games", allow in full: P
    depends on mu. Law: logits(x, a, y) normal with deviation 2; u(x, a, i) and v(y, i) standard
    normal, w(i, k) normal with variance 1/S, i = 1..3; r0(x, a) uniform on [0, 1]; M an (S, S)
    matrix of standard normals. P(y | x, a, mu) is the softmax over y of
    logits(x, a, y) + coupling * sum_i u(x, a, i) v(y, i) (w mu)(i) / sqrt(3); the reward is
    r0(x, a) - (M M^T mu)(x) / sqrt(S); start uniform.

    Attributes:
        num_states: S.
        num_actions: A.
        horizon: T.
        coupling: strength of the crowd's hold on the transitions.
        seed: of the draws.
        logits: (S, A, S).
        pair_factors: (S, A, 3), u.
        next_factors: (S, 3), v / sqrt(3).
        crowd_factors: (3, S), w.
        base_reward: (S, A), r0.
        crowd_matrix: (S, S), -M M^T / sqrt(S).
    """

    num_states: int
    num_actions: int
    horizon: int
    coupling: Scalar
    seed: Int[Array, ""]
    logits: Float[Array, "S A S"]
    pair_factors: Float[Array, "S A R"]
    next_factors: Float[Array, "S R"]
    crowd_factors: Float[Array, "R S"]
    base_reward: Float[Array, "S A"]
    crowd_matrix: Float[Array, "S S"]

    def __init__(
        self,
        num_states: int = 30,
        num_actions: int = 5,
        horizon: int = 20,
        coupling: ScalarLike = 20.0,
        seed: int = 0,
    ):
        """See the class.

        Raises:
            ParameterError: a size, the coupling, or the seed is wrong.
        """
        check_draws(num_states, num_actions, horizon, coupling, seed)
        self.num_states, self.num_actions, self.horizon = num_states, num_actions, horizon
        self.coupling = scalar(coupling)
        self.seed = np.asarray(seed)
        rng = np.random.default_rng(seed)
        pairs = (num_states, num_actions)
        self.logits = 2 * rng.standard_normal((*pairs, num_states))
        self.pair_factors = rng.standard_normal((*pairs, _RANK))
        self.next_factors = rng.standard_normal((num_states, _RANK)) / np.sqrt(_RANK)
        self.crowd_factors = rng.standard_normal((_RANK, num_states)) / np.sqrt(num_states)
        self.base_reward = rng.random(pairs)
        normal = rng.standard_normal((num_states, num_states))
        self.crowd_matrix = -normal @ normal.T / np.sqrt(num_states)

    def initial(self) -> Float[Array, "S"]:
        """Everywhere alike."""
        return np.full(self.num_states, 1 / self.num_states)

    def transition(self, t: Time, mean_field: FiniteMeanField) -> Kernel:
        """Softmax of logits that the crowd bends."""
        crowd = jnp.dot(self.crowd_factors, mean_field.states, precision="highest")
        bend = jnp.einsum(
            "xai,i,yi->xay", self.pair_factors, crowd, self.next_factors, precision="highest"
        )
        return Dense(jax.nn.softmax(self.logits + self.coupling * bend))

    def reward(self, t: Time, mean_field: FiniteMeanField) -> Float[Array, "S A"]:
        """The random reward less the crowd."""
        crowd = jnp.dot(self.crowd_matrix, mean_field.states, precision="highest")
        return self.base_reward + crowd[:, None]
