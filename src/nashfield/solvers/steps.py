"""How parameters follow a gradient: by ADAM, or by steps whose sizes are written down."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from nashfield.solvers._checks import check_number
from nashfield.typing import Array, Scalar, scalar


class AbstractOptimizer(eqx.Module):
    """From gradients to changes of the parameters, upwards: what is followed is maximised."""

    @abc.abstractmethod
    def init(self, parameters: Any) -> Any:
        """State before the first step.

        Args:
            parameters: a pytree of arrays.
        """

    @abc.abstractmethod
    def step(self, gradient: Any, state: Any) -> tuple[Any, Any]:
        """What to add to the parameters.

        Args:
            gradient: of what is maximised, shaped like the parameters.
            state: the present one.

        Returns:
            The change, shaped like the parameters, and the next state.
        """


class Adam(AbstractOptimizer):
    """ADAM (Kingma and Ba 2015): steps of about the same length in every direction.

    Attributes:
        learning_rate: that length, > 0.
    """

    learning_rate: Scalar = eqx.field(converter=scalar, default=0.01)

    def __check_init__(self):
        check_number(self, "learning_rate", above=0.0)

    def init(self, parameters: Any) -> Any:
        """Moments of the gradient, all 0."""
        return _adam().init(parameters)

    def step(self, gradient: Any, state: Any) -> tuple[Any, Any]:
        """See `AbstractOptimizer.step`."""
        direction, state = _adam().update(gradient, state)
        return jax.tree.map(lambda d: self.learning_rate * d, direction), state


class PowerStep(AbstractOptimizer):
    """The gradient times scale / (1 + k)^power at step k = 0, 1, ...

    Attributes:
        scale: size of the first step, > 0.
        power: how fast the sizes fall, >= 0.
    """

    scale: Scalar = eqx.field(converter=scalar, default=0.5)
    power: Scalar = eqx.field(converter=scalar, default=1.0)

    def __check_init__(self):
        check_number(self, "scale", above=0.0)
        check_number(self, "power", at_least=0.0)

    def size(self, k: Int[Array, ""]) -> Float[Array, ""]:
        """Size of step `k`."""
        return self.scale / (1.0 + k) ** self.power

    def init(self, parameters: Any) -> Int[Array, ""]:
        """Steps done."""
        return jnp.asarray(0)

    def step(self, gradient: Any, state: Int[Array, ""]) -> tuple[Any, Int[Array, ""]]:
        """See `AbstractOptimizer.step`."""
        size = self.size(state)
        return jax.tree.map(lambda d: size * d, gradient), state + 1


def _adam() -> Any:
    import optax

    # Far below eps, but without it the derivative of the root is NaN where a gradient was always 0.
    return optax.scale_by_adam(eps_root=1e-30)
