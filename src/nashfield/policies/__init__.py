"""How one agent acts."""

from nashfield.policies.mixture import occupation_mixture
from nashfield.policies.tabular import check_policy, random_policy, uniform_policy

__all__ = ["check_policy", "occupation_mixture", "random_policy", "uniform_policy"]
