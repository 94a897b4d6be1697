"""How one agent acts."""

from nashfield.policies.mixture import occupation_mixture
from nashfield.policies.tabular import random_policy, uniform_policy

__all__ = ["occupation_mixture", "random_policy", "uniform_policy"]
