"""How a learner comes to know a gradient: exactly, or (in files of their own) from samples."""

import abc
from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import PRNGKeyArray

from nashfield.dynamics import partial_gradient, total_gradient
from nashfield.learners.crowds import AbstractCrowd
from nashfield.policies import AbstractPolicy
from nashfield.results import ParameterError


class AbstractGradient(eqx.Module):
    """An estimate of the gradient of J(theta, z); both kinds look like `policy.split()[0]`.

    Attributes:
        smooth: whether the policy must depend smoothly on its parameters.
    """

    smooth: ClassVar[bool] = True

    @abc.abstractmethod
    def partial(
        self, game: Any, policy: AbstractPolicy, mean_field: Any, *, key: PRNGKeyArray
    ) -> Any:
        """dJ(theta, z)/dtheta with the crowd `mean_field` frozen."""

    def total(
        self, game: Any, policy: AbstractPolicy, crowd: AbstractCrowd, *, key: PRNGKeyArray
    ) -> Any:
        """dJ(theta, z_theta)/dtheta, where `crowd` says what the mean field of a policy is.

        Raises:
            ParameterError: this estimate sees one agent only, who does not move the crowd.
        """
        raise ParameterError(
            f"{type(self).__name__} cannot tell how the crowd follows the policy: for a social "
            "optimum take gradient=ExactGradient() or gradient=SimultaneousPerturbation()"
        )


class ExactGradient(AbstractGradient):
    """The gradient itself; see `dynamics.partial_gradient` and `dynamics.total_gradient`."""

    def partial(
        self, game: Any, policy: AbstractPolicy, mean_field: Any, *, key: PRNGKeyArray
    ) -> Any:
        """See `AbstractGradient.partial`."""
        return partial_gradient(game, policy, mean_field)

    def total(
        self, game: Any, policy: AbstractPolicy, crowd: AbstractCrowd, *, key: PRNGKeyArray
    ) -> Any:
        """See `AbstractGradient.total`; the crowd is the exact one, whatever `crowd` says."""
        return total_gradient(game, policy)
