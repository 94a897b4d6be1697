"""Local social optima: nothing is gained to first order if all leave together."""

from typing import Any

from jaxtyping import PRNGKeyArray

from nashfield.dynamics import total_gradient
from nashfield.games.base import StationaryGame
from nashfield.policies import AbstractPolicy
from nashfield.solvers.ascent import AbstractAscent
from nashfield.solvers.starts import crowd_for, gradient_for


class LocalSocialOptimum(AbstractAscent):
    """A policy with parameters climbs its value with the crowd following.

    theta <- [theta + step along dJ(theta, z_theta)/dtheta]_Theta, where J(theta, z) is the value of
    pi_theta against the frozen mean field z, and z_theta the stationary mean field of pi_theta.
    Where this total gradient vanishes is a local stationary mean-field social optimum (LSMF-SO).
    It converges to isolated, locally stable points if the gradient is continuous. The exact
    gradient differentiates z = Phi(z, pi_theta) implicitly (see `dynamics.total_gradient` for where
    it is not quite exact); from samples only `SimultaneousPerturbation` sees how the crowd follows.
    Parts and reports are those of `AbstractAscent`. Source: Subramanian and Mahajan (2019),
    "Reinforcement learning in stationary mean-field games", algorithm 5.
    """

    def estimate(
        self, game: Any, policy: AbstractPolicy, mean_field: Any, *, key: PRNGKeyArray
    ) -> Any:
        """See `AbstractAscent.estimate`."""
        gradient = gradient_for(game, policy, self.gradient, alone=False)
        return gradient.total(game, policy, crowd_for(game, self.crowd), key=key)

    def exact(self, game: StationaryGame, policy: AbstractPolicy, mean_field: Any) -> Any:
        """See `AbstractAscent.exact`."""
        return total_gradient(game, policy)
