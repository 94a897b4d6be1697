"""What is subtracted from returns so that they vary less: critics, and the mean of a batch."""

import abc
import itertools
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from nashfield.checks import check_size
from nashfield.dynamics.agents import agents_of
from nashfield.dynamics.draws import check_generator, draws_of
from nashfield.dynamics.elimination import least_squares, solve
from nashfield.dynamics.linear import MAX_TABLE_STATES
from nashfield.dynamics.rollout import Paths, play_paths
from nashfield.dynamics.stationary_values import policy_values
from nashfield.games.base import StationaryGame
from nashfield.policies import AbstractPolicy
from nashfield.results import ParameterError
from nashfield.typing import Array

_POINT_DEGREE = 3


class AbstractBaseline(eqx.Module):
    """What a likelihood-ratio estimate subtracts from the returns.

    A baseline that does not see the action it is used on changes the variance of the estimate and
    never its mean.
    """

    @abc.abstractmethod
    def baseline(
        self, game: Any, policy: AbstractPolicy, mean_field: Any, *, key: PRNGKeyArray
    ) -> Callable[[Array, Array], Array]:
        """A function of states (T, N) or (T, N, D) and their returns (T, N), with (T, N) values.

        Args:
            game: a StationaryGame or a ContinuousStationaryGame.
            policy: what the agent plays.
            mean_field: the frozen crowd.
            key: for what is played to learn the baseline, apart from the trajectories it is used
                on.
        """


class BatchMean(AbstractBaseline):
    """At each time the mean return of the other trajectories of the batch.

    The own return must stay out: with it the estimate of N trajectories would shrink to 1 - 1/N of
    the gradient.
    """

    def baseline(
        self, game: Any, policy: AbstractPolicy, mean_field: Any, *, key: PRNGKeyArray
    ) -> Callable[[Array, Array], Array]:
        """See `AbstractBaseline.baseline`."""

        def others(states: Array, returns: Float[Array, "T N"]) -> Float[Array, "T N"]:
            total = jnp.sum(returns, -1, keepdims=True)
            return (total - returns) / (returns.shape[-1] - 1)

        return others


class AbstractValues(eqx.Module):
    """V, and its mean J over the initial law.

    Attributes:
        value: J.
    """

    value: eqx.AbstractVar[Float[Array, ""]]

    @abc.abstractmethod
    def at(self, states: Array) -> Array:
        """V of states: numbers (*N), or points (*N, D)."""


class AbstractCritic(AbstractBaseline):
    """Comes to know V, the value of a policy against a frozen crowd."""

    @abc.abstractmethod
    def values(
        self, game: Any, policy: AbstractPolicy, mean_field: Any, *, key: PRNGKeyArray
    ) -> AbstractValues:
        """V of `policy`; arguments as in `AbstractBaseline.baseline`."""

    def baseline(
        self, game: Any, policy: AbstractPolicy, mean_field: Any, *, key: PRNGKeyArray
    ) -> Callable[[Array, Array], Array]:
        """See `AbstractBaseline.baseline`."""
        values = self.values(game, policy, mean_field, key=key)
        return lambda states, returns: values.at(states)


class TableValues(AbstractValues):
    """V of a finite game.

    Attributes:
        value: J.
        table: (S,).
    """

    value: Float[Array, ""]
    table: Float[Array, "S"]

    def at(self, states: Int[Array, "*N"]) -> Float[Array, "*N"]:
        """See `AbstractValues.at`."""
        return jnp.asarray(self.table)[states]


class PolynomialValues(AbstractValues):
    """V as a polynomial of points.

    Attributes:
        value: J.
        level: what is added to the polynomial.
        coefficients: (F,), one for each monomial of (x - centre) / spread.
        centre: (D,).
        spread: (D,).
        degree: at most this in all variables together.
    """

    value: Float[Array, ""]
    level: Float[Array, ""]
    coefficients: Float[Array, "F"]
    centre: Float[Array, "D"]
    spread: Float[Array, "D"]
    degree: int = eqx.field(static=True)

    def at(self, states: Float[Array, "*N D"]) -> Float[Array, "*N"]:
        """See `AbstractValues.at`."""
        monomials = _monomials((states - self.centre) / self.spread, self.degree)
        return self.level + jnp.dot(monomials, self.coefficients, precision="highest")


class ExactCritic(AbstractCritic):
    """V itself, from the table of transitions; see `dynamics.policy_values`."""

    def values(
        self, game: Any, policy: AbstractPolicy, mean_field: Any, *, key: PRNGKeyArray
    ) -> TableValues:
        """See `AbstractCritic.values`.

        Raises:
            ParameterError: states are points.
        """
        if not isinstance(game, StationaryGame):
            raise ParameterError(
                f"ExactCritic needs a game on finitely many states, and those of "
                f"{type(game).__name__} are points: take LeastSquaresCritic()"
            )
        exact = policy_values(game, policy.table(game), mean_field)
        return TableValues(exact.value, exact.state_values)


class LeastSquaresCritic(AbstractCritic):
    """V learnt from sampled transitions by least-squares temporal differences (LSTD).

    With phi the features of a state, V = c + phi w solves
    sum phi(x) [phi(x) - gamma phi(x')] w = sum phi(x) [r - (1 - gamma) c] over all sampled
    transitions (x, r, x'), where c is the mean reward over 1 - gamma: states of which nothing is
    known get c. Of a finite game one feature a state is taken, so that V is the exact value of the
    chain with the sampled frequencies. J is the mean of V over the sampled starts. Source: Bradtke
    and Barto (1996), "Linear least-squares algorithms for temporal difference learning".

    Attributes:
        num_trajectories: how many are played, apart from those that the critic is used on.
        num_steps: length of each; at least 2.
        degree: of a polynomial of what is seen of a state, in place of one feature a state; None
            stands for one feature a state, and where states are points for 3.
        generator: "jax", or "hash", which is several times faster; see `dynamics.draws`.
    """

    num_trajectories: int = eqx.field(static=True, default=100)
    num_steps: int = eqx.field(static=True, default=200)
    degree: int | None = eqx.field(static=True, default=None)
    generator: str = eqx.field(static=True, default="jax")

    def __check_init__(self):
        check_generator(self.generator)
        check_size("num_trajectories", self.num_trajectories)
        check_size("num_steps", self.num_steps, least=2)
        if self.degree is not None:
            check_size("degree", self.degree)

    def values(
        self, game: Any, policy: AbstractPolicy, mean_field: Any, *, key: PRNGKeyArray
    ) -> AbstractValues:
        """See `AbstractCritic.values`."""
        sizes = {"num_trajectories": self.num_trajectories, "num_steps": self.num_steps}
        draws = draws_of(key, self.generator)
        paths = play_paths(agents_of(game, policy), mean_field, draws, **sizes)
        rewards = jnp.asarray(paths.rewards, float)
        discount = jnp.asarray(game.discount, float)
        level = jnp.mean(rewards[:-1]) / (1 - discount)
        errors = rewards[:-1] - (1 - discount) * level
        if not isinstance(game, StationaryGame):
            degree = _POINT_DEGREE if self.degree is None else self.degree
            return _polynomial(jnp.asarray(paths.states, float), errors, level, discount, degree)
        if self.degree is None and game.num_states > MAX_TABLE_STATES:
            raise ParameterError(
                f"LeastSquaresCritic keeps a number for each of {game.num_states} states, and of "
                f"more than {MAX_TABLE_STATES} the system is too large: give degree, such as 3"
            )
        if self.degree is None:
            table = level + _tabular(paths, errors, discount, game.num_states)
        else:
            features = jnp.asarray(game.features(), float)
            seen = features[paths.states]
            table = _polynomial(seen, errors, level, discount, self.degree).at(features)
        return TableValues(jnp.mean(table[paths.states[0]]), table)


def _tabular(
    paths: Paths, errors: Float[Array, "T N"], discount: Float[Array, ""], num_states: int
) -> Float[Array, "S"]:
    """One number a state; 0 where a state was never left."""
    before, after = paths.states[:-1].reshape(-1), paths.states[1:].reshape(-1)
    # Flat positions: on CPU many times faster than pairs of indices.
    counts = jnp.zeros(num_states**2, int).at[before * num_states + after].add(1)
    counts = jnp.asarray(counts.reshape(num_states, num_states), float)
    total = jnp.zeros(num_states, errors.dtype).at[before].add(errors.reshape(-1))
    visits = jnp.sum(counts, -1)
    matrix = jnp.diag(jnp.where(visits > 0, visits, 1)) - discount * counts
    return solve(matrix, total)


def _polynomial(
    features: Float[Array, "T N D"],
    errors: Float[Array, "T1 N"],
    level: Float[Array, ""],
    discount: Float[Array, ""],
    degree: int,
) -> PolynomialValues:
    centre, deviation = jnp.mean(features, (0, 1)), jnp.std(features, (0, 1))
    spread = jnp.where(deviation > 0, deviation, 1)
    monomials = _monomials((features - centre) / spread, degree)
    before = monomials[:-1].reshape(-1, monomials.shape[-1])
    after = monomials[1:].reshape(-1, monomials.shape[-1])
    matrix = jnp.dot(before.T, before - discount * after, precision="highest")
    total = jnp.dot(before.T, errors.reshape(-1), precision="highest")
    # Of the smallest norm where the sample cannot tell monomials apart.
    coefficients = least_squares(matrix, total)
    start = jnp.mean(jnp.dot(monomials[0], coefficients, precision="highest"))
    return PolynomialValues(level + start, level, coefficients, centre, spread, degree)


def _monomials(points: Float[Array, "*N D"], degree: int) -> Float[Array, "*N F"]:
    """All products of powers of total degree at most `degree`, the constant included."""
    powers = jnp.stack([points**k for k in range(degree + 1)], -1)
    state_dim = points.shape[-1]
    exponents = [
        e for e in itertools.product(range(degree + 1), repeat=state_dim) if sum(e) <= degree
    ]
    table = np.asarray(exponents)
    factors = [powers[..., d, table[:, d]] for d in range(state_dim)]
    return math.prod(factors[1:], start=factors[0])
