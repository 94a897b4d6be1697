"""How far: from Nash, from the social optimum, from another law."""

from nashfield.metrics.exploitability import exploitability, start_regrets

__all__ = ["exploitability", "start_regrets"]
