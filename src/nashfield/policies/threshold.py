"""Threshold policies: one of two actions from a level on."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Float

from nashfield.policies.parametric import AbstractPolicy
from nashfield.results import ParameterError
from nashfield.typing import Array, Scalar, scalar


class Threshold(AbstractPolicy):
    """Action 1 from the level theta on, 1{x >= theta}, x being the first feature.

    Attributes:
        theta: the level, in [0, 1].
    """

    theta: Scalar = eqx.field(converter=scalar, default=0.5)
    certain: ClassVar[bool] = True

    def __check_init__(self):
        _check_theta(self.theta)

    def probabilities(self, features: Float[Array, "*N D"]) -> Float[Array, "*N A"]:
        """See `AbstractPolicy.probabilities`."""
        acts = jnp.asarray(features)[..., 0] >= self.theta
        return jnp.stack([~acts, acts], -1).astype(jnp.result_type(features, jnp.float32))

    def project(self) -> "Threshold":
        """Clips theta to [0, 1]."""
        return eqx.tree_at(lambda p: p.theta, self, jnp.clip(self.theta, 0, 1))


class SoftThreshold(AbstractPolicy):
    """Action 1 with probability sigmoid((x - theta) / temperature), x being the first feature.

    Attributes:
        theta: the level, in [0, 1].
        temperature: width of the step, > 0; no parameter.
    """

    theta: Scalar = eqx.field(converter=scalar, default=0.5)
    temperature: Scalar = eqx.field(converter=scalar, default=0.05)
    fixed: ClassVar[tuple[str, ...]] = ("temperature",)

    def __check_init__(self):
        _check_theta(self.theta)
        if not isinstance(self.temperature, jax.core.Tracer) and not self.temperature > 0:
            raise ParameterError(f"temperature must be greater than 0, not {self.temperature}")

    def probabilities(self, features: Float[Array, "*N D"]) -> Float[Array, "*N A"]:
        """See `AbstractPolicy.probabilities`."""
        level = (jnp.asarray(features)[..., 0] - self.theta) / self.temperature
        return jax.nn.sigmoid(jnp.stack([-level, level], -1))

    def project(self) -> "SoftThreshold":
        """Clips theta to [0, 1]."""
        return eqx.tree_at(lambda p: p.theta, self, jnp.clip(self.theta, 0, 1))


def _check_theta(theta: Array) -> None:
    if isinstance(theta, jax.core.Tracer) or (jnp.ndim(theta) == 0 and 0 <= theta <= 1):
        return
    raise ParameterError(f"theta must be one number in [0, 1], not {theta}")
