"""Pictures of a solution; matplotlib is imported when the first one is drawn."""

from nashfield.plotting.agents import plot_agents, save_animation
from nashfield.plotting.epidemic import plot_epidemic
from nashfield.plotting.errors import plot_errors
from nashfield.plotting.flow import plot_flow
from nashfield.plotting.history import plot_exploitability, plot_history
from nashfield.plotting.mean_field import plot_mean_field
from nashfield.plotting.policy import plot_policy
from nashfield.plotting.save import save_pictures

__all__ = [
    "plot_agents",
    "plot_epidemic",
    "plot_errors",
    "plot_exploitability",
    "plot_flow",
    "plot_history",
    "plot_mean_field",
    "plot_policy",
    "save_animation",
    "save_pictures",
]
