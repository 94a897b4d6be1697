"""How one agent acts."""

from nashfield.policies.tabular import random_policy, uniform_policy

__all__ = ["random_policy", "uniform_policy"]
