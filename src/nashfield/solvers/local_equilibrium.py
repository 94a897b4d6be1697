"""Local equilibria: nobody gains to first order by leaving the crowd."""

from typing import Any

from jaxtyping import PRNGKeyArray

from nashfield.dynamics import partial_gradient
from nashfield.games.base import StationaryGame
from nashfield.policies import AbstractPolicy
from nashfield.solvers.ascent import AbstractAscent
from nashfield.solvers.starts import gradient_for


class LocalEquilibrium(AbstractAscent):
    """A policy with parameters climbs its value with the crowd frozen.

    theta <- [theta + step along dJ(theta, z)/dtheta at z = z_theta]_Theta, where J(theta, z) is
    the value of pi_theta against the frozen mean field z, and z_theta the stationary mean field of
    pi_theta. Where this partial gradient vanishes is a local stationary mean-field equilibrium
    (LSMFE). It need not be near Nash: read the exploitability beside the gradient norm. The crowd
    comes to rest before every step; `TwoTimeScales` lets it follow slowly. Convergence is shown
    there, if Phi and the gradient are Lipschitz, the estimates unbiased with bounded variance, and
    z' = Phi(z, pi_theta) - z has one globally stable point, Lipschitz in theta. Parts and reports
    are those of `AbstractAscent`. Source: Subramanian and Mahajan (2019), "Reinforcement learning
    in stationary mean-field games", algorithms 3 and 4.
    """

    def estimate(
        self, game: Any, policy: AbstractPolicy, mean_field: Any, *, key: PRNGKeyArray
    ) -> Any:
        """See `AbstractAscent.estimate`."""
        gradient = gradient_for(game, policy, self.gradient, alone=True)
        return gradient.partial(game, policy, mean_field, key=key)

    def exact(self, game: StationaryGame, policy: AbstractPolicy, mean_field: Any) -> Any:
        """See `AbstractAscent.exact`."""
        return partial_gradient(game, policy, mean_field)
