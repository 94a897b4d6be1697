"""Papers run again: their tables and figures beside ours, one paper a module."""

from nashfield.papers.report import Report, Row

__all__ = ["Report", "Row"]
