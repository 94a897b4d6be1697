"""Pictures of a solution; matplotlib is imported when the first one is drawn."""

from nashfield.plotting.exploitability import plot_exploitability
from nashfield.plotting.flow import plot_flow
from nashfield.plotting.policy import plot_policy
from nashfield.plotting.save import save_pictures

__all__ = ["plot_exploitability", "plot_flow", "plot_policy", "save_pictures"]
