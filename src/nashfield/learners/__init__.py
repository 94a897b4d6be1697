"""How one agent learns against a frozen flow."""

from nashfield.learners.dynamic_programming import best_response, greedy, optimal_values

__all__ = ["best_response", "greedy", "optimal_values"]
