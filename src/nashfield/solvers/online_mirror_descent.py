"""Online mirror descent."""

from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from nashfield.dynamics import sweep
from nashfield.games.base import Game, SeparableGame
from nashfield.solvers import value_form
from nashfield.solvers._checks import check_number
from nashfield.solvers.base import AbstractSolver, StepInfo
from nashfield.solvers.value_form import ValueForm
from nashfield.typing import Array, Scalar, scalar

# log of the smallest normal double is -708: below, a probability is 0 and its log is lost.
MIN_LOGIT = -700.0


class OnlineMirrorDescent(AbstractSolver):
    """Cumulates action values and plays their softmax.

    y <- y + learning_rate * Q of (pi, mu^pi); pi = softmax(y). Source: Perolat et al. (2022),
    "Scaling mean field games by online mirror descent", algorithm 1.

    Attributes:
        learning_rate: eta.
    """

    learning_rate: Scalar = eqx.field(converter=scalar, default=0.1)

    def __check_init__(self):
        check_number(self, "learning_rate", above=0.0)

    def init(
        self, game: Game, policy: Float[Array, "*T S A"], *, key: PRNGKeyArray
    ) -> Float[Array, "*T S A"]:
        """Logits of `policy`."""
        return logits(policy)

    def init_uniform(self, game: Game, *, key: PRNGKeyArray) -> Any:
        """Logits of the uniform policy, on large grids in (T, S) numbers (see `value_form`)."""
        return (
            value_form.init(game)
            if value_form.applies(game)
            else super().init_uniform(game, key=key)
        )

    def step(self, game: Game, state: Any, *, key: PRNGKeyArray) -> tuple[Any, StepInfo]:
        """One pass forward, one backward."""
        if isinstance(state, ValueForm):
            return value_form.step(cast(SeparableGame, game), state, self.learning_rate)
        current = sweep(game, jax.nn.softmax(state))
        # Advantages in place of Q, and the shift by the maximum: softmax does not see either, and
        # the logits keep their digits.
        summed = state + self.learning_rate * current.advantages
        summed = (summed - jnp.max(summed, -1, keepdims=True)).astype(state.dtype)
        return summed, StepInfo.of(current)

    def policy(self, game: Game, state: Any) -> Float[Array, "*T S A"]:
        """Softmax of the logits."""
        if isinstance(state, ValueForm):
            return value_form.policy(cast(SeparableGame, game), state, self.learning_rate)
        return jax.nn.softmax(state)


def logits(policy: Float[Array, "*batch A"]) -> Float[Array, "*batch A"]:
    """Logarithms of a policy, clipped where an action is never played."""
    never = policy == 0  # set apart: the logarithm's slope there would make every gradient NaN
    return jnp.where(never, MIN_LOGIT, jnp.maximum(jnp.log(jnp.where(never, 1, policy)), MIN_LOGIT))
